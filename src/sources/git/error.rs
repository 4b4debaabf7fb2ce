//! Owns the error of fetching a repository. Must not show credentials.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::diagnostic::{Diagnostic, FailureKind};

/// Every `repository` is without credentials.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("fetching a repository needs `{program}`, which is not installed")]
    NotInstalled { program: String },
    #[error("cannot run git: {0}")]
    Start(#[source] io::Error),
    /// `action` is an infinitive.
    #[error("cannot {action} `{repository}`: {message}")]
    Command { action: &'static str, repository: String, message: String, hint: Option<&'static str> },
    #[error("the repository `{repository}` is empty")]
    EmptyRepository { repository: String },
    #[error("the HEAD of `{repository}` does not lead to a commit{}", listed(.names))]
    NoHead { repository: String, names: Vec<String> },
    #[error("`{repository}` has no branch or tag `{reference}`{}", listed(.names))]
    NoReference { repository: String, reference: String, names: Vec<String> },
    #[error("`{repository}` has no commit `{name}`")]
    NoCommit { repository: String, name: String },
    #[error("fetching `{repository}` took longer than {} s", limit.as_secs())]
    TooLong { repository: String, limit: Duration },
    #[error("the repository `{repository}` is larger than the limit of {limit} bytes")]
    TooLarge { repository: String, limit: u64 },
    #[error("cannot use the certificate file `{}`: {reason}", path.display())]
    Certificates { path: PathBuf, reason: String },
    #[error("`{}` is not in a git work tree with a commit: {message}", directory.display())]
    NoWorkTree { directory: PathBuf, message: String },
    #[error("cannot fetch `{repository}` without network access: it is not on this machine")]
    Offline { repository: String },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

/// Words in git's messages, and the hint for each.
const HINTS: &[(&[&str], &str)] = &[
    (
        &[
            "could not read username",
            "could not read password",
            "authentication failed",
            "terminal prompts disabled",
        ],
        "configure credentials for git: a credential helper (`git config --global credential.helper`), `~/.netrc`, or an \
         ssh URL with an agent; test them with `git ls-remote URL`",
    ),
    (
        &["permission denied (", "host key verification failed", "too many authentication failures"],
        "ssh cannot prompt here: load the key into an agent (`ssh-add`) and connect to the host once with `ssh`; test it with \
         `git ls-remote URL`",
    ),
    (
        &["transport 'file' not allowed"],
        "a submodule must not be on this machine; pass `--no-submodules`, or build a directory that has them",
    ),
    (&["transport '"], "use one of the protocols https, http, ssh and git"),
    (
        &["dubious ownership"],
        "the repository belongs to another user; if you trust it, run `git config --global --add safe.directory PATH`",
    ),
    (
        &[
            "could not resolve host",
            "connection refused",
            "connection timed out",
            "operation timed out",
            "failed to connect",
        ],
        "check the address, the network and the proxy",
    ),
    (
        &["server certificate", "ssl certificate", "certificate verif"],
        "trust its certificate authority: `--ca-file FILE`, `network.ca-files` in the configuration, or `git config --global \
         http.sslCAInfo FILE`",
    ),
    (
        &[
            "not found",
            "does not appear to be a git repository",
            "does not exist",
            "not valid: is this a git repository",
        ],
        "check the address; a server may hide a private repository from users without credentials. The URL of an archive must \
         end with its format, such as `.tar.gz` or `.zip`",
    ),
];

impl GitError {
    pub(super) fn failed(action: &'static str, repository: &str, status: ExitStatus, message: &str) -> Self {
        let message = without_credentials(message.trim());
        let lower = message.to_ascii_lowercase();
        let hint = HINTS.iter().find(|(words, _)| words.iter().any(|word| lower.contains(word)));
        let message = if message.is_empty() { format!("git failed ({status})") } else { message };
        Self::Command {
            action,
            repository: repository.to_owned(),
            message,
            hint: hint.map(|(_, hint)| *hint),
        }
    }
}

/// git repeats URLs, which may contain credentials from its configuration.
fn without_credentials(message: &str) -> String {
    static CREDENTIALS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new("://[^/@\\s'\"]+@").expect("the expression is fixed and valid"));
    CREDENTIALS.replace_all(message, "://…@").into_owned()
}

impl Diagnostic for GitError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotInstalled { .. } => {
                "install git (Debian: `apt-get install git`), or pass an archive of the sources"
            }
            Self::Command { hint, .. } => return hint.iter().map(|hint| (*hint).to_owned()).collect(),
            Self::EmptyRepository { .. } => "push a commit to it first",
            Self::NoHead { .. } => "pass a branch, tag or commit with `#NAME` or `--ref`",
            Self::NoReference { .. } | Self::NoCommit { .. } => {
                "check the name; pass at least four digits of a commit's id"
            }
            Self::TooLong { .. } => "try again, or pass an archive of the sources",
            Self::TooLarge { .. } => "raise the limit with `--max-size`",
            Self::Certificates { .. } => "pass a file with certificates in PEM form: `--ca-file FILE`",
            Self::NoWorkTree { .. } => {
                "commit the sources, or pass another date, such as `--created now` or `--created 2026-01-31T12:00:00Z`"
            }
            Self::Offline { .. } => "omit `--offline`, or pass a directory",
            Self::Start(_) => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_that_git_repeats_are_hidden() {
        let message = "fatal: unable to access 'https://me:hunter2@h.example/a/': x\nhttps://t@h/";
        assert_eq!(
            without_credentials(message),
            "fatal: unable to access 'https://…@h.example/a/': x\nhttps://…@h/"
        );
    }
}
