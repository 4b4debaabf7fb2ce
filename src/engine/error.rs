//! Owns the error of an engine: failures of all engines, and each engine's own error. Must not decide what happens
//! after an error.

use std::time::Duration;

use super::sandbox::SandboxError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::store::daemon::DaemonError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Docker(#[from] DaemonError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("`{command}` could not be started in the image `{image}`: {reason}")]
    Start { command: String, image: String, reason: String },
    #[error("`{command}` was killed because it ran longer than {}{}", seconds(*limit), tail(last_lines))]
    TimedOut { command: String, limit: Duration, last_lines: Vec<String> },
    #[error("`{path}` in the container is {found}, not a regular file")]
    NotAFile { path: String, found: String },
    #[error("`{path}` in the container has {size} bytes; at most {limit} are allowed")]
    TooLarge { path: String, size: u64, limit: u64 },
    #[error("the script left files of {size} bytes, holes included; at most {limit} are allowed")]
    ChangeTooLarge { size: u64, limit: u64 },
    #[error("the change was not read within {}", seconds(*limit))]
    ChangeTimedOut { limit: Duration },
}

/// The hint of a change that exceeds the limit under `key`.
pub(super) fn change_hint(key: &str) -> String {
    format!("remove files at the end of the script, or raise `{key}` under `[limits]` in your configuration")
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

/// Whether the kernel does not support the format of the program.
fn is_no_program(reason: &str) -> bool {
    reason.to_ascii_lowercase().contains("exec format error")
}

impl Diagnostic for EngineError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Docker(error) => error.kind(),
            Self::Sandbox(error) => error.kind(),
            Self::Start { .. } => FailureKind::Builder,
            Self::TimedOut { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. }
            | Self::ChangeTooLarge { .. }
            | Self::ChangeTimedOut { .. } => FailureKind::Assemble,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Docker(error) => error.hints(),
            Self::Sandbox(error) => error.hints(),
            Self::Start { reason, .. } if is_no_program(reason) => vec![
                "a program for another platform needs emulation by the kernel (binfmt_misc; install \
                 `qemu-user-static`); a script needs a first line such as `#!/bin/sh`"
                    .into(),
            ],
            Self::Start { .. } => {
                vec!["the file, or the interpreter in its first line, is missing or not executable".into()]
            }
            Self::ChangeTooLarge { .. } => vec![change_hint("change-size")],
            Self::TimedOut { .. } | Self::ChangeTimedOut { .. } => {
                vec!["allow more time with `--timeout`".into()]
            }
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
