//! Owns the variables in `.s2i/environment` of the sources. Must not know other sources of variables.

use super::{SourceError, SourceTree};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::config::set_env;

/// Files with variables; the first that exists is used.
const FILES: [&str; 2] = [".s2i/environment", ".sti/environment"];

/// Largest file, in bytes.
const LIMIT: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// `line` is counted from 1.
    #[error("`{file}` of the sources is not valid, line {line}: {reason}")]
    Line { file: &'static str, line: usize, reason: &'static str },
    #[error("`{0}` of the sources is not UTF-8 text")]
    NotText(&'static str),
}

impl Diagnostic for EnvironmentError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }
}

/// Reads the variables of the sources.
///
/// # Errors
/// [`EnvironmentError`] if the file cannot be read or a line is not a variable.
pub fn of_sources(tree: &SourceTree) -> Result<Vec<(String, String)>, EnvironmentError> {
    for file in FILES {
        let Some(bytes) = tree.read(file, LIMIT)? else { continue };
        let text = String::from_utf8(bytes).map_err(|_| EnvironmentError::NotText(file))?;
        return parse(&text).map_err(|(line, reason)| EnvironmentError::Line { file, line, reason });
    }
    Ok(Vec::new())
}

/// Lines `NAME=VALUE`, trimmed, without quoting; `#` begins a comment. A later line of the same name has precedence.
fn parse(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut variables = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The message does not show the line: it may contain a password.
        let (name, value) = line.split_once('=').ok_or((number + 1, "it is not `NAME=VALUE`"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.contains(char::is_whitespace) || line.contains('\0') {
            return Err((number + 1, "it has no variable name before the `=`"));
        }
        set_env(&mut variables, &[(name.to_owned(), value.to_owned())]);
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_a_later_one_wins() {
        let text = "# comment\n A = 1 \n\nB=x=y # kept\nA=2\n  #C=1\nD=\n";
        let variables = parse(text).expect("valid");
        let pairs: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("A", "2"), ("B", "x=y # kept"), ("D", "")]);
        for (text, line) in [("A=1\nnothing", 2), ("=1", 1), ("A B=1", 1), ("A=\0", 1)] {
            assert_eq!(parse(text).expect_err(text).0, line, "{text:?}");
        }
    }
}
