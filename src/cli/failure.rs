//! Owns how a command ends other than well: the error with its causes and hints, and the exit code for it.

use std::error::Error;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::printable::printable_lines;
use crate::diagnostic::{Diagnostic, FailureKind};

/// Why a command ended.
#[derive(Debug)]
pub(super) enum CliError {
    /// Something went wrong.
    Failed {
        /// Its class.
        kind: FailureKind,
        /// What.
        error: anyhow::Error,
        /// What to do next.
        hints: Vec<String>,
    },
    /// A signal asked for the end.
    Stopped {
        /// The exit code that tells so.
        code: u8,
        /// The signal's name.
        signal: &'static str,
    },
    /// Whoever read the standard output has read enough.
    OutputClosed,
    /// The program that `--run` started ended with this code.
    Program(u8),
}

impl CliError {
    /// The command line or the environment makes no sense.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::failed(FailureKind::Usage, anyhow::Error::msg(message.into()))
    }

    /// A file that the user named or that is to be written.
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

    /// Adds what to do next.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Failed { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }

    /// Turns a failure to write to the standard output into the end it means.
    pub(super) fn of_output(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::OutputClosed
        } else {
            Self::file(FailureKind::Unexpected, "cannot write to the standard output", error)
        }
    }

    /// The exit code (DESIGN §4.4).
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { kind, .. } => match kind {
                FailureKind::Unexpected => 1,
                FailureKind::Usage => 2,
                FailureKind::Input => 3,
                FailureKind::Artifact => 4,
                FailureKind::Builder => 5,
                FailureKind::Assemble => 6,
                FailureKind::Image => 7,
                FailureKind::Publish => 8,
                FailureKind::Engine => 9,
            },
            Self::Stopped { code, .. } | Self::Program(code) => *code,
            Self::OutputClosed => 0,
        }
    }

    /// Renders what is to be said about it; nothing if there is nothing to say.
    pub(super) fn render(&self) -> Option<String> {
        let styles = Styles::new();
        match self {
            Self::Failed { error, hints, .. } => {
                let messages = messages(error);
                let mut text = String::new();
                for (position, message) in messages.iter().enumerate() {
                    let message = printable_lines(message);
                    let written = if position == 0 {
                        writeln!(text, "{} {message}", styles.error("error:"))
                    } else {
                        writeln!(text, "  caused by: {}", message.replace('\n', "\n    "))
                    };
                    written.expect("writing to a String");
                }
                if !hints.is_empty() {
                    text.push('\n');
                }
                for hint in hints {
                    let hint = printable_lines(hint);
                    writeln!(text, "{} {hint}", styles.hint("hint:")).expect("writing to a String");
                }
                Some(text)
            }
            Self::Stopped { signal, .. } => Some(format!("{} stopped by {signal}\n", styles.error("error:"))),
            Self::OutputClosed | Self::Program(_) => None,
        }
    }

    /// The same for programs, one JSON object.
    pub(super) fn to_json(&self) -> Option<Value> {
        let (messages, hints) = match self {
            Self::Failed { error, hints, .. } => (messages(error), hints.clone()),
            Self::Stopped { signal, .. } => (vec![format!("stopped by {signal}")], Vec::new()),
            Self::OutputClosed | Self::Program(_) => return None,
        };
        let (message, causes) = messages.split_first()?;
        Some(json!({
            "schemaVersion": super::SCHEMA_VERSION,
            "event": "error",
            "message": message,
            "causes": causes,
            "hints": hints,
            "exitCode": self.exit_code(),
        }))
    }
}

impl<F: Diagnostic> From<F> for CliError {
    fn from(error: F) -> Self {
        Self::Failed { kind: error.kind(), hints: error.hints(), error: error.into() }
    }
}

/// The error's message and those of its causes. Many errors repeat their cause in their own message; a cause that
/// has been said is left out.
fn messages(error: &anyhow::Error) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if !messages.iter().any(|said| said.contains(&message)) {
            messages.push(message);
        }
    }
    messages
}

/// The styles of errors. The printer removes them where there are to be no colours.
struct Styles {
    error: anstyle::Style,
    hint: anstyle::Style,
}

impl Styles {
    fn new() -> Self {
        let bold = anstyle::Style::new().bold();
        Self {
            error: bold.fg_color(Some(anstyle::AnsiColor::Red.into())),
            hint: bold.fg_color(Some(anstyle::AnsiColor::Cyan.into())),
        }
    }

    fn error(&self, text: &str) -> String {
        format!("{}{text}{}", self.error.render(), self.error.render_reset())
    }

    fn hint(&self, text: &str) -> String {
        format!("{}{text}{}", self.hint.render(), self.hint.render_reset())
    }
}

#[cfg(test)]
mod tests {
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
    fn shows_message_causes_and_hints_once_and_harmless() {
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
    fn tells_programs_the_same() {
        let json = outer().to_json().expect("there is something to say");
        assert_eq!(json["exitCode"], 3);
        assert_eq!(json["causes"], json!(["first line\nsecond line"]));
        assert_eq!(json["hints"][1], "or give a file");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = CliError::of_output(std::io::ErrorKind::BrokenPipe.into());
        assert_eq!((error.exit_code(), error.render()), (0, None));
        assert_eq!(CliError::of_output(std::io::Error::other("disk full")).exit_code(), 1);
    }
}
