//! Owns the exit codes of the s2i command line: those of s2i where scripts may depend on them.
//!
//! Must not map an error to 0. Source: Source-to-Image v1.6.3, pkg/errors. Signals exit with 128 + number.

use crate::assemble::RunError;
use crate::builder::BuilderError;
use crate::cli::failure::CliError;
use crate::engine::EngineError;
use crate::error::Error;
use crate::plan::SourcePlanError;
use crate::sources::{GitError, SourceError};
use crate::store::daemon::DaemonError;
use crate::store::registry::RegistryError;

/// Every other error.
const GENERAL: u8 = 1;
/// `PullImage`: an image cannot be pulled.
const PULL: u8 = 2;
/// `InstallRequired`: a required script is missing.
const SCRIPTS: u8 = 11;
/// `UserNotAllowed`: the user of an image is not allowed.
const USER_NOT_ALLOWED: u8 = 15;
/// `EmptyGitRepository`.
const EMPTY_REPOSITORY: u8 = 16;

/// Every exit code with its meaning, as the help lists them.
pub(super) const MEANINGS: [(u8, &str); 6] = [
    (0, "success"),
    (GENERAL, "error"),
    (PULL, "an image cannot be pulled"),
    (SCRIPTS, "a required script is missing"),
    (USER_NOT_ALLOWED, "the user of an image is not allowed"),
    (EMPTY_REPOSITORY, "the git repository has no commits"),
];

/// The exit code of an error.
pub(super) fn exit_code(error: &CliError) -> u8 {
    match error {
        CliError::Stopped { code, .. } | CliError::Program(code) => *code,
        CliError::OutputClosed => 0,
        CliError::Failed { error, .. } => error.downcast_ref::<Error>().map_or(GENERAL, of_error),
    }
}

fn of_error(error: &Error) -> u8 {
    match error {
        Error::Daemon(DaemonError::Pull { .. })
        | Error::Engine(EngineError::Docker(DaemonError::Pull { .. }))
        | Error::Run(RunError::Engine(EngineError::Docker(DaemonError::Pull { .. })))
        | Error::Registry(RegistryError::Pull { .. } | RegistryError::Missing { .. }) => PULL,
        Error::Builder(BuilderError::NoScripts { .. }) | Error::Run(RunError::NoScript { .. }) => SCRIPTS,
        Error::Source(SourceError::Git(GitError::EmptyRepository { .. })) => EMPTY_REPOSITORY,
        Error::SourcePlan(SourcePlanError::UserNotAllowed(_)) => USER_NOT_ALLOWED,
        _ => GENERAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_ends_with_zero_and_usage_with_one() {
        assert_eq!(exit_code(&CliError::usage("x")), 1);
        let stopped = CliError::Stopped { code: 143, signal: "SIGTERM" };
        assert_eq!(exit_code(&stopped), 143);
        let of = |error: Error| exit_code(&CliError::from(error));
        assert_eq!(of(BuilderError::NoScripts { image: "b".into() }.into()), 11);
        assert_eq!(of(Error::NoDaemon), 1);
    }
}
