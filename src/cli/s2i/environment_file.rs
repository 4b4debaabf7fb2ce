//! Owns the environment file of s2i (`-E`): lines `NAME=VALUE`, and comments that begin with `#` or `//`.
//!
//! Must not interpret quotes.

use std::path::Path;

use crate::cli::failure::CliError;
use crate::cli::input::read_text;
use crate::request::EnvironmentVariable;

/// Reads the variables in the order of their lines. A file that cannot be read is an error; s2i ignores it.
pub(super) fn read(path: &Path) -> Result<Vec<EnvironmentVariable>, CliError> {
    let text = read_text(path, "--environment-file")?;
    let mut variables = Vec::new();
    for (number, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        let pair = line.split_once('=').filter(|(name, _)| !name.trim().is_empty());
        // The message omits the line, which may contain a password.
        let (name, value) = pair.ok_or_else(|| {
            let (line, path) = (number + 1, path.display());
            CliError::usage(format!("line {line} of `{path}` is not a variable"))
                .with_hint("write it as NAME=VALUE")
        })?;
        variables.push(EnvironmentVariable { name: name.trim().into(), value: value.trim().into() });
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_keep_their_order_and_comments_go() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "# a\n// b\n\nB = 2 = 3\nA=\"q\"\r\nB=4\n").expect("writes");
        let read = read(file.path()).expect("valid");
        let pairs: Vec<String> = read.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        assert_eq!(pairs, ["B=2 = 3", "A=\"q\"", "B=4"]);
    }

    #[test]
    fn what_is_wrong_is_an_error_without_the_value() {
        assert!(read(Path::new("/nonexistent/env")).is_err());
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "A=1\nhunter2\n").expect("writes");
        let text = read(file.path()).expect_err("not a variable").render().expect("a message");
        assert!(text.contains("line 2 of") && !text.contains("hunter2"), "{text}");
    }
}
