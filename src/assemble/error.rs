//! Owns the error of running a script or a command in a container.
//!
//! Must not decide what becomes of the container.

use std::fmt::Write as _;

use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::{EngineError, ExitStatus};
use crate::image::ImagePath;
use crate::image::layer::InvalidLayer;
use crate::image::path::InvalidImagePath;

/// A run that did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The script ended with a code other than zero.
    #[error("{}", describe(&format!("the builder's script `{script}`"), ended))]
    Script {
        /// The script's path.
        script: ImagePath,
        /// How it ended.
        ended: ExitStatus,
    },
    /// A command of the builder image's instructions ended with a code other than zero.
    #[error("{}", describe(&format!("the builder's `{command}`"), ended))]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        ended: ExitStatus,
    },
    /// A script of the sources is not where the builder image's instructions should have put it.
    #[error("no instruction of the builder image `{builder}` put a script at `{script}`")]
    NotCopied {
        /// The builder.
        builder: String,
        /// The script's path.
        script: ImagePath,
    },
    /// A script that the contract asks for is not there.
    #[error("the builder image `{builder}` has no script `{script}`")]
    NoScript {
        /// The builder.
        builder: String,
        /// The script's path.
        script: ImagePath,
    },
    /// The files cannot be uploaded as planned.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// A source's name makes no path.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// `image_metadata.json` is not what it has to be.
    #[error(transparent)]
    Metadata(#[from] BuilderError),
    /// The user is a name that the image does not know.
    #[error(
        "`assemble` is to run as `{user}`, and /etc/passwd of the builder image `{builder}` has no such user"
    )]
    UnknownUser {
        /// The builder.
        builder: String,
        /// The name.
        user: String,
    },
    /// An input could not be read to its end.
    #[error("what goes into the container could not be read")]
    Read(#[source] std::io::Error),
}

impl Diagnostic for RunError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Engine(error) => error.kind(),
            Self::Script { .. } | Self::Command { .. } | Self::Metadata(_) => FailureKind::Assemble,
            Self::Layer(_) | Self::Path(_) => FailureKind::Usage,
            Self::NoScript { .. } | Self::NotCopied { .. } | Self::UnknownUser { .. } => FailureKind::Builder,
            Self::Read(_) => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.hints(),
            Self::Script { ended, .. } | Self::Command { ended, .. } if ended.out_of_memory => {
                vec!["give it more with `--memory`".into()]
            }
            Self::Script { ended, .. } if matches!(ended.exit_code, 126 | 127) => {
                vec![
                    "the script, or the interpreter its first line names, is missing or not executable"
                        .into(),
                ]
            }
            Self::NoScript { .. } => vec![
                "a builder image has `assemble` and `run` in the directory that its label \
                 `io.openshift.s2i.scripts-url` names"
                    .into(),
            ],
            Self::UnknownUser { .. } => vec!["name a numeric user with `--assemble-user UID:GID`".into()],
            Self::Metadata(error) => error.hints(),
            Self::NotCopied { .. } => {
                vec!["its `ONBUILD COPY` or `ADD` has to put the sources into its working directory".into()]
            }
            // What the script says of itself stands in the message.
            Self::Script { .. } | Self::Command { .. } | Self::Layer(_) | Self::Path(_) | Self::Read(_) => {
                Vec::new()
            }
        }
    }
}

fn describe(what: &str, ended: &ExitStatus) -> String {
    let mut text = format!("{what} failed with exit code {}", ended.exit_code);
    if ended.out_of_memory {
        text.push_str(", killed for using more memory than allowed");
    }
    if !ended.last_lines.is_empty() {
        text.push_str("; its last lines:");
        for line in &ended.last_lines {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n  {line}");
        }
    }
    text
}
