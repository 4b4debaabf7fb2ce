//! Owns the error of running a script or a command in a container. Must not decide what happens to the container.

use std::fmt::Write as _;

use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{EngineError, ExitStatus};
use crate::image::ImagePath;
use crate::image::layer::InvalidLayer;
use crate::image::path::InvalidImagePath;

/// The indent of lines that a message quotes from the output of a script.
pub(crate) const EXCERPT_INDENT: &str = "  ";

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{}", describe(&format!("the builder's script `{script}`"), status))]
    Script { script: ImagePath, status: ExitStatus },
    #[error("{}", describe(&format!("the builder's `{command}`"), status))]
    Command { command: String, status: ExitStatus },
    #[error("no instruction of the builder image `{builder}` put a script at `{script}`")]
    NotCopied { builder: String, script: ImagePath },
    #[error("the builder image `{builder}` has no script `{script}`")]
    NoScript { builder: String, script: ImagePath },
    #[error("cannot start the script `{script}`: it has no `#!` line")]
    NeedsShell { script: ImagePath },
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    #[error(transparent)]
    Metadata(#[from] BuilderError),
    #[error(
        "cannot run `assemble` as `{user}`: no such user in /etc/passwd of the builder image `{builder}`"
    )]
    UnknownUser { builder: String, user: String },
    #[error("cannot inject files: the builder image has no directory `{path}`")]
    NoInjectionPlace { path: ImagePath },
    #[error("cannot read the files for the container")]
    Read(#[source] std::io::Error),
}

impl Diagnostic for RunError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Script { .. } | Self::Command { .. } | Self::Metadata(_) => FailureKind::Assemble,
            Self::Layer(_) | Self::Path(_) | Self::NoInjectionPlace { .. } => FailureKind::Usage,
            Self::NoScript { .. }
            | Self::NotCopied { .. }
            | Self::UnknownUser { .. }
            | Self::NeedsShell { .. } => FailureKind::Builder,
            Self::Read(_) => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.hints(),
            Self::Script { status, .. } | Self::Command { status, .. } if status.out_of_memory => {
                vec!["allow more memory with `--memory`".into()]
            }
            Self::Script { status, .. } if matches!(status.exit_code, 126 | 127) => {
                vec![
                    "the script, or the interpreter its first line names, is missing or not executable"
                        .into(),
                ]
            }
            Self::NoScript { .. } => vec![
                "a builder image needs `assemble` and `run` in the directory that its label \
                 `io.openshift.s2i.scripts-url` names"
                    .into(),
            ],
            Self::UnknownUser { .. } => vec!["name a numeric user with `--assemble-user UID:GID`".into()],
            Self::NoInjectionPlace { .. } => {
                vec!["pass a destination whose parent directory the builder image has: `--inject DIR:DESTINATION`".into()]
            }
            Self::Metadata(error) => error.hints(),
            Self::NeedsShell { .. } => vec!["add the line `#!/bin/sh` at its top".into()],
            Self::NotCopied { .. } => {
                vec!["its `ONBUILD COPY` or `ADD` must copy the sources to its working directory".into()]
            }
            // The message has the script's own output.
            Self::Script { .. } | Self::Command { .. } | Self::Layer(_) | Self::Path(_) | Self::Read(_) => {
                Vec::new()
            }
        }
    }
}

fn describe(subject: &str, status: &ExitStatus) -> String {
    let mut text = format!("{subject} failed with exit code {}", status.exit_code);
    if status.out_of_memory {
        text.push_str(", killed for using more memory than allowed");
    }
    if !status.last_lines.is_empty() {
        text.push_str("; its last lines:");
        for line in &status.last_lines {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{EXCERPT_INDENT}{line}");
        }
    }
    text
}
