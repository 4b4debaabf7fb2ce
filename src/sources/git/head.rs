//! Owns the commit that a work tree of this machine is at. Must not change the repository, nor run anything of it.

use std::path::Path;

use tokio::process::Command;

use super::error::GitError;
use super::options::GitOptions;
use super::process::CONFIGURATION;

/// The commit of a work tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// In seconds since 1970.
    pub(crate) date: u64,
    /// Whether no tracked file differs from the commit.
    pub(crate) is_clean: bool,
}

/// Reads the commit of the work tree around `directory`.
///
/// # Errors
/// [`GitError::NoWorkTree`] if the directory is in none, or if it has no commit; [`GitError::NotInstalled`].
pub(crate) async fn head(directory: &Path, options: &GitOptions) -> Result<Head, GitError> {
    let date = ask(directory, options, &["log", "-1", "--format=%ct", "HEAD"]).await?;
    let outside = |message: &str| GitError::NoWorkTree {
        directory: directory.to_owned(),
        message: message.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned(),
    };
    if !date.status.success() {
        return Err(outside(&String::from_utf8_lossy(&date.stderr)));
    }
    let text = String::from_utf8_lossy(&date.stdout);
    let date = text.trim().parse().map_err(|_| outside("its commit has no date"))?;
    let changes = ask(directory, options, &["status", "--porcelain", "--untracked-files=no"]).await?;
    Ok(Head { date, is_clean: changes.status.success() && changes.stdout.is_empty() })
}

async fn ask(
    directory: &Path,
    options: &GitOptions,
    arguments: &[&str],
) -> Result<std::process::Output, GitError> {
    let mut command = Command::new(&options.program);
    command.env_clear().envs(options.environment.iter().map(|(name, value)| (name, value)));
    command.env("LC_ALL", "C.UTF-8").env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    for setting in CONFIGURATION {
        command.arg("-c").arg(setting);
    }
    command.args(arguments).current_dir(directory).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let answer = tokio::time::timeout(options.timeout, command.output()).await;
    let answer = answer.map_err(|_| GitError::Start(std::io::ErrorKind::TimedOut.into()))?;
    answer.map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            GitError::NotInstalled { program: options.program.display().to_string() }
        }
        _ => GitError::Start(error),
    })
}
