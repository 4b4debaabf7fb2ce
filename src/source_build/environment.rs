//! Owns the variables of a source build: `.s2i/environment` of the sources, and those that somebody asks for.

use std::io::Read;

use super::request::EnvironmentVariable;
use super::source::{SourceTree, TreeEntryKind};

/// Files of the sources that set variables; the first that is there counts.
const FILES: [&str; 2] = [".s2i/environment", ".sti/environment"];

/// Largest such file, in bytes.
const LIMIT: u64 = 1 << 20;

/// A file with variables that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{file}` of the sources is wrong{}: {reason}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct InvalidEnvironment {
    /// Its path.
    pub file: String,
    /// The line, from 1.
    pub line: Option<usize>,
    /// Why.
    pub reason: String,
}

/// Reads the variables of the sources.
///
/// # Errors
/// [`InvalidEnvironment`] if the file cannot be read or a line is no variable.
pub fn of_sources(tree: &SourceTree) -> Result<Vec<EnvironmentVariable>, InvalidEnvironment> {
    let found = FILES.into_iter().find_map(|file| Some((file, tree.entry(file)?)));
    let Some((file, entry)) = found else { return Ok(Vec::new()) };
    let wrong = |reason: String| InvalidEnvironment { file: file.to_owned(), line: None, reason };
    let TreeEntryKind::File { size, content } = &entry.kind else {
        return Err(wrong("it is not a regular file".into()));
    };
    if *size > LIMIT {
        return Err(wrong(format!("it has {size} bytes, and at most {LIMIT} are read")));
    }
    let mut text = String::new();
    let opened = content.open().map_err(|error| wrong(error.to_string()))?;
    opened.take(LIMIT).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    parse(&text).map_err(|(line, reason)| InvalidEnvironment { line: Some(line), ..wrong(reason.into()) })
}

/// Lines `NAME=VALUE`, trimmed, without quoting; `#` begins a comment. A later line of the same name wins.
fn parse(text: &str) -> Result<Vec<EnvironmentVariable>, (usize, &'static str)> {
    let mut variables = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        // The line is left out of the message: it may hold a password.
        let (name, value) = line.split_once('=').ok_or((number + 1, "it is not `NAME=VALUE`"))?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.contains(char::is_whitespace) || line.contains('\0') {
            return Err((number + 1, "it has no name of a variable before the `=`"));
        }
        set(&mut variables, EnvironmentVariable { name: name.to_owned(), value: value.to_owned() });
    }
    Ok(variables)
}

/// Sets a variable; one of the same name keeps its place and gets the value.
pub fn set(variables: &mut Vec<EnvironmentVariable>, variable: EnvironmentVariable) {
    match variables.iter_mut().find(|known| known.name == variable.name) {
        Some(known) => known.value = variable.value,
        None => variables.push(variable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_trimmed_and_a_later_one_wins() {
        let text = "# comment\n A = 1 \n\nB=x=y # kept\nA=2\n  #C=1\nD=\n";
        let variables = parse(text).expect("valid");
        let pairs: Vec<(&str, &str)> =
            variables.iter().map(|variable| (variable.name.as_str(), variable.value.as_str())).collect();
        assert_eq!(pairs, [("A", "2"), ("B", "x=y # kept"), ("D", "")]);
        for (text, line) in [("A=1\nnothing", 2), ("=1", 1), ("A B=1", 1), ("A=\0", 1)] {
            assert_eq!(parse(text).expect_err(text).0, line, "{text:?}");
        }
    }
}
