//! Owns the errors of configuration, with the place in the file that each is about.

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

/// The longest part of a line that is shown, in characters.
const SHOWN: usize = 100;

impl Excerpt {
    /// Finds the place of the bytes `span` of `text`.
    pub fn new(path: &Path, text: &str, span: Range<usize>) -> Box<Self> {
        // The parser may point behind the end, or into a character.
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

/// The line, counted from 1, in which the byte `position` of `text` stands.
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
        // Tabs would move the caret away from what it points at.
        writeln!(formatter, "{number} | {}", content.replace('\t', " "))?;
        let indent = " ".repeat(if *column > SHOWN { 0 } else { column - 1 });
        write!(formatter, "{margin} | {indent}{}", "^".repeat(self.width))
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// The file that was asked for is not there.
    #[error("there is no configuration file `{}`", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is not TOML, or a value is of the wrong kind.
    #[error("{message}\n{excerpt}")]
    Invalid {
        /// What is wrong, one line.
        message: String,
        /// Where.
        excerpt: Box<Excerpt>,
    },
    /// A key that does not exist.
    #[error("unknown key `{name}`{}\n{excerpt}", within(section))]
    UnknownKey {
        /// The key.
        name: String,
        /// The section it stands in; empty at the top.
        section: String,
        /// What was probably meant.
        suggestion: Option<String>,
        /// What there is.
        known: Vec<&'static str>,
        /// Where.
        excerpt: Box<Excerpt>,
    },
    /// A key that a project's file may not set.
    #[error("a project's configuration may not set `{key}`: {reason}\n{excerpt}")]
    Refused {
        /// The key with its section.
        key: String,
        /// Why not.
        reason: &'static str,
        /// Where.
        excerpt: Box<Excerpt>,
    },
    /// A variable whose value is of the wrong kind.
    #[error("the variable `{name}` is wrong: {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong.
        reason: String,
    },
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
            Self::UnknownKey { known, .. } => vec![format!("known here: {}", known.join(", "))],
            Self::Refused { key, .. } => {
                let flag = super::keys::key(key).and_then(|key| key.flag);
                let flag =
                    flag.map(|flag| format!(", or give `{flag}` on the command line")).unwrap_or_default();
                vec![format!(
                    "this file comes with the project and is not trusted with it; put `{key}` into your own \
                     configuration (`~/.config/b2i/config.toml`){flag}"
                )]
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
