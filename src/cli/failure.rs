//! Owns the errors of commands: message, causes, hints and exit code.
//!
//! Must not print.

use std::error::Error;

use anstyle::{AnsiColor, Style};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::printable::{printable, printable_lines, script_line};
use super::printer::versioned;
use crate::assemble::EXCERPT_INDENT;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::events;

/// Why a command ended.
#[derive(Debug)]
pub(super) enum CliError {
    Failed {
        kind: FailureKind,
        error: anyhow::Error,
        hints: Vec<String>,
    },
    /// A signal stopped the command.
    Stopped {
        code: u8,
        signal: &'static str,
    },
    /// The reader of the standard output is closed.
    OutputClosed,
    /// The program that `--run` started exited with this code.
    Program(u8),
}

impl CliError {
    /// An invalid command line or environment.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::failed(FailureKind::Usage, anyhow::Error::msg(message.into()))
    }

    /// A failure with a cause, for example an I/O error of a file.
    pub(super) fn file(
        kind: FailureKind,
        message: impl Into<String>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::failed(kind, anyhow::Error::from_boxed(error.into()).context(message.into()))
    }

    fn failed(kind: FailureKind, error: anyhow::Error) -> Self {
        Self::Failed { kind, error, hints: Vec::new() }
    }

    /// Adds a hint: what to do next.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Failed { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }

    /// A failure to write to the standard output. A closed reader is not an error.
    pub(super) fn of_output(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::file(FailureKind::Unexpected, "cannot write to the standard output", error)
        }
    }

    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { kind, .. } => exit_code(*kind).0,
            Self::Stopped { code, .. } | Self::Program(code) => *code,
            Self::OutputClosed => 0,
        }
    }

    /// The text for people. Empty if the command has printed everything.
    pub(super) fn render(&self) -> Option<String> {
        let error_label = label("error:", AnsiColor::Red);
        match self {
            Self::Failed { error, hints, .. } => {
                let messages = messages(error);
                let mut text = String::new();
                for (position, message) in messages.iter().enumerate() {
                    let message = shown(message);
                    text.push_str(&match position {
                        0 => format!("{error_label} {message}\n"),
                        _ => format!("  caused by: {}\n", message.replace('\n', "\n    ")),
                    });
                }
                for (position, hint) in hints.iter().enumerate() {
                    let gap = if position == 0 { "\n" } else { "" };
                    let hint = printable_lines(hint);
                    text.push_str(&format!("{gap}{} {hint}\n", label("hint:", AnsiColor::Cyan)));
                }
                Some(text)
            }
            Self::Stopped { signal, .. } => Some(format!("{error_label} stopped by {signal}\n")),
            Self::OutputClosed | Self::Program(_) => None,
        }
    }

    /// The last event of `--progress json`.
    pub(super) fn to_json(&self) -> Option<Value> {
        let (messages, hints) = match self {
            Self::Failed { error, hints, .. } => (messages(error), hints.clone()),
            Self::Stopped { signal, .. } => (vec![format!("stopped by {signal}")], Vec::new()),
            Self::OutputClosed | Self::Program(_) => return None,
        };
        let mut messages = messages.into_iter();
        let message = messages.next()?;
        let event = ErrorEvent { message, causes: messages.collect(), hints, exit_code: self.exit_code() };
        Some(versioned(events::SCHEMA_VERSION, &event))
    }
}

/// A message for a terminal. Indented lines quote the output of a script, whose colors are removed as in the log.
fn shown(message: &str) -> String {
    let line = |line: &str| match line.strip_prefix(EXCERPT_INDENT) {
        Some(excerpt) => format!("{EXCERPT_INDENT}{}", script_line(excerpt)),
        None => printable(line).into_owned(),
    };
    message.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The last event of a failed command.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "event", rename = "error", rename_all = "camelCase")]
pub(crate) struct ErrorEvent {
    /// The error, one sentence.
    message: String,
    /// The errors that caused it, the nearest first.
    causes: Vec<String>,
    /// The next steps.
    hints: Vec<String>,
    /// The exit code of the command.
    exit_code: u8,
}

/// The exit code of a class, and its meaning.
const fn exit_code(kind: FailureKind) -> (u8, &'static str) {
    match kind {
        FailureKind::Unexpected => (1, "unexpected error"),
        FailureKind::Usage => (2, "invalid command line or configuration"),
        FailureKind::Input => (3, "the input cannot be fetched or read"),
        FailureKind::Artifact => (4, "the input is not an artifact that can be packaged"),
        FailureKind::Builder => (5, "the builder image or its base is missing or invalid"),
        FailureKind::Assemble => (6, "the assemble script failed"),
        FailureKind::Image => (7, "the image cannot be written"),
        FailureKind::Publish => (8, "the image cannot be pushed"),
        FailureKind::Engine => (9, "no engine or daemon is available"),
    }
}

/// Every exit code with its meaning, as the help lists them.
pub(super) fn exit_codes() -> impl Iterator<Item = (String, &'static str)> {
    const KINDS: [FailureKind; 9] = [
        FailureKind::Unexpected,
        FailureKind::Usage,
        FailureKind::Input,
        FailureKind::Artifact,
        FailureKind::Builder,
        FailureKind::Assemble,
        FailureKind::Image,
        FailureKind::Publish,
        FailureKind::Engine,
    ];
    let failures = KINDS.map(exit_code).map(|(code, meaning)| (code.to_string(), meaning));
    let others = [
        ("129, 130, 143", "stopped by SIGHUP, SIGINT or SIGTERM"),
        ("--run", "the exit code of the program"),
    ];
    let others = others.map(|(code, meaning)| (code.to_owned(), meaning));
    [("0".to_owned(), "success")].into_iter().chain(failures).chain(others)
}

impl<F: Diagnostic> From<F> for CliError {
    fn from(error: F) -> Self {
        Self::Failed { kind: error.kind(), hints: error.hints(), error: error.into() }
    }
}

/// The messages of the error and its causes. Many errors repeat their cause, which is then omitted.
fn messages(error: &anyhow::Error) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if !messages.iter().any(|known| known.contains(&message)) {
            messages.push(message);
        }
    }
    messages
}

/// A bold, colored label. The printer removes the style if there are no colors.
fn label(text: &str, color: AnsiColor) -> String {
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot fetch `app\u{1b}[2J.jar`: {source}")]
    struct Outer {
        #[source]
        source: Middle,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("the server answered 503, expected 200")]
    struct Middle {
        #[source]
        source: std::io::Error,
    }

    impl Diagnostic for Outer {
        fn kind(&self) -> FailureKind {
            FailureKind::Input
        }

        fn hints(&self) -> Vec<String> {
            vec!["try again later".into(), "or give a file".into()]
        }
    }

    fn outer() -> CliError {
        let source = Middle { source: std::io::Error::other("first line\nsecond line") };
        CliError::from(Outer { source })
    }

    #[test]
    fn message_causes_and_hints_are_shown_once_and_escaped() {
        let text = outer().render().expect("there is something to say");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
        error: cannot fetch `app\u{1b}[2J.jar`: the server answered 503, expected 200
          caused by: first line
            second line

        hint: try again later
        hint: or give a file
        ");
        assert!(!text.contains("\u{1b}[2J"));
        assert_eq!(outer().exit_code(), 3);
    }

    #[test]
    fn an_excerpt_of_a_script_has_no_colors() {
        let error =
            "`assemble` failed with exit code 1; its last lines:\n  \u{1b}[31mred\u{1b}[0m\n   10%\r  100%\r";
        assert_eq!(shown(error), "`assemble` failed with exit code 1; its last lines:\n  red\n    100%");
        assert_eq!(shown("a\u{1b}[2Jb"), r"a\u{1b}[2Jb");
    }

    #[test]
    fn json_has_the_same_content() {
        let json = outer().to_json().expect("there is something to say");
        assert_eq!(json["exitCode"], 3);
        assert_eq!(json["causes"], json!(["first line\nsecond line"]));
        assert_eq!(json["hints"][1], "or give a file");
    }

    #[test]
    fn a_closed_pipe_is_not_a_failure() {
        let error = CliError::of_output(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.exit_code(), error.render()), (0, None));
        assert_eq!(CliError::of_output(std::io::Error::other("disk full")).exit_code(), 1);
    }
}
