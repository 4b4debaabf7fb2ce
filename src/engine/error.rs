//! Owns the error of an engine: what every engine's containers can fail with, worded once, and the engine's own part.
//!
//! Must not decide what happens after an error.

use std::time::Duration;

use super::sandbox::SandboxError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::store::daemon::DaemonError;

/// Why an engine or one of its containers failed.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The daemon failed.
    #[error(transparent)]
    Docker(#[from] DaemonError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The command is missing, or is not executable.
    #[error("`{command}` could not be started in the image `{image}`: {reason}")]
    Start {
        /// The first word of the command.
        command: String,
        /// The image.
        image: String,
        /// What the engine said.
        reason: String,
    },
    /// The command was killed at its time limit.
    #[error("`{command}` was killed because it ran longer than {}{}", seconds(*limit), tail(last_lines))]
    TimedOut {
        /// The whole command.
        command: String,
        /// The limit.
        limit: Duration,
        /// The last lines it printed, oldest first.
        last_lines: Vec<String>,
    },
    /// A file to read is not a regular file.
    #[error("`{path}` in the container is {found}, not a regular file")]
    NotAFile {
        /// The path in the container.
        path: String,
        /// What it is, such as `a directory`.
        found: String,
    },
    /// A file to read is larger than allowed.
    #[error("`{path}` in the container has {size} bytes; at most {limit} are allowed")]
    TooLarge {
        /// The path in the container.
        path: String,
        /// Size in bytes.
        size: u64,
        /// Largest allowed size in bytes.
        limit: u64,
    },
}

fn tail(last_lines: &[String]) -> String {
    if last_lines.is_empty() {
        return String::new();
    }
    format!("; its last lines:\n  {}", last_lines.join("\n  "))
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else if duration.subsec_nanos() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

/// Whether the kernel said that the file is no program it can start.
fn is_no_program(reason: &str) -> bool {
    reason.to_ascii_lowercase().contains("exec format error")
}

impl Diagnostic for EngineError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Docker(error) => error.kind(),
            Self::Sandbox(error) => error.kind(),
            Self::Start { .. } => FailureKind::Builder,
            Self::TimedOut { .. } | Self::NotAFile { .. } | Self::TooLarge { .. } => FailureKind::Assemble,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Docker(error) => error.hints(),
            Self::Sandbox(error) => error.hints(),
            Self::Start { reason, .. } if is_no_program(reason) => vec![
                "this machine cannot start such a program: a program for another platform needs emulation by the \
                 kernel (binfmt_misc; install `qemu-user-static`), a script needs a first line such as `#!/bin/sh`"
                    .into(),
            ],
            Self::Start { .. } => {
                vec!["the file, or the interpreter in its first line, is missing or not executable".into()]
            }
            Self::TimedOut { .. } => vec!["allow more time with `--timeout`".into()],
            Self::NotAFile { .. } | Self::TooLarge { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_below_a_second_are_not_nothing() {
        let times = [1, 999, 1000, 1500, 300_000].map(Duration::from_millis).map(seconds);
        assert_eq!(times, ["1 ms", "999 ms", "1 s", "1.5 s", "300 s"]);
    }
}
