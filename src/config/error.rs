//! Owns the errors of configuration, with their positions in the file.
//!
//! Must not read files.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, FailureKind};

/// A place in a file: shown as `path:line:column` and the line with a caret below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    path: PathBuf,
    /// Counted from 1.
    line: usize,
    /// In characters, counted from 1.
    column: usize,
    width: usize,
    content: String,
}

/// The longest line of an excerpt, in characters.
const SHOWN: usize = 100;

impl Excerpt {
    /// Makes the excerpt for the bytes `span` of `text`.
    pub fn new(path: &Path, text: &str, span: Range<usize>) -> Box<Self> {
        // The parser may point past the end, or into the middle of a character.
        let boundary = |position: usize| {
            (0..=position.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
        };
        let start = boundary(span.start);
        let end = boundary(span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let content: String =
            text[line_start..].lines().next().unwrap_or_default().chars().take(SHOWN).collect();
        let column = text[line_start..start].chars().count() + 1;
        let marked = text[start..end].lines().next().unwrap_or_default().chars().count();
        let room = (content.chars().count() + 1).saturating_sub(column);
        Box::new(Self {
            path: path.to_owned(),
            line: line_of(text, start),
            column,
            width: marked.min(room).max(1),
            content,
        })
    }
}

/// The line of the byte `position` of `text`, counted from 1.
pub(super) fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let Self { path, line, column, content, .. } = self;
        writeln!(formatter, "{margin}--> {}:{line}:{column}", path.display())?;
        writeln!(formatter, "{margin} |")?;
        // A tab would shift the caret.
        writeln!(formatter, "{number} | {}", content.replace('\t', " "))?;
        let indent = " ".repeat(if *column > SHOWN { 0 } else { column - 1 });
        write!(formatter, "{margin} | {indent}{}", "^".repeat(self.width))
    }
}

/// An error in a file or variable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the configuration `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        error: std::io::Error,
    },
    #[error("configuration file `{}` not found", path.display())]
    Missing { path: PathBuf },
    #[error("{message}\n{excerpt}")]
    Invalid {
        /// One line.
        message: String,
        excerpt: Box<Excerpt>,
    },
    #[error("unknown key `{name}`{}\n{excerpt}", within(section))]
    UnknownKey {
        name: String,
        /// Empty at the top.
        section: String,
        suggestion: Option<String>,
        /// The keys of the section.
        known: Vec<&'static str>,
        excerpt: Box<Excerpt>,
    },
    #[error("a project's configuration may not set `{key}`: {reason}\n{excerpt}")]
    Refused {
        /// With its section.
        key: String,
        reason: &'static str,
        excerpt: Box<Excerpt>,
    },
    #[error("environment variable `{name}` is not valid: {reason}")]
    Variable { name: String, reason: String },
}

fn within(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in `[{section}]`") }
}

impl Diagnostic for Error {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownKey { suggestion: Some(suggestion), .. } => {
                vec![format!("did you mean `{suggestion}`?")]
            }
            Self::UnknownKey { known, .. } => vec![format!("known keys: {}", known.join(", "))],
            Self::Refused { key, .. } => {
                let flag = super::keys::key(key).and_then(|key| key.flag);
                let flag = flag.map(|flag| format!(", or pass `{flag}`")).unwrap_or_default();
                vec![format!("set `{key}` in your own configuration (`~/.config/b2i/config.toml`){flag}")]
            }
            Self::Read { .. } | Self::Missing { .. } | Self::Invalid { .. } | Self::Variable { .. } => {
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_place() {
        let text = "[build]\nbuilder = \"ä\" # x\n";
        let start = text.find("\"ä").expect("it is there");
        insta::assert_snapshot!(Excerpt::new(Path::new("b2i.toml"), text, start..start + 4), @r#"
         --> b2i.toml:2:11
          |
        2 | builder = "ä" # x
          |           ^^^
        "#);
    }

    #[test]
    fn survives_places_outside_of_the_text() {
        for span in [0..0, 5..900, 900..901, 1..2] {
            assert!(!Excerpt::new(Path::new("x"), "ä\nb", span).to_string().is_empty());
        }
    }
}
