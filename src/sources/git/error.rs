//! Owns the error of fetching a repository.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::diagnostic::{Diagnostic, FailureKind};

/// Why a repository was not fetched. `repository` names it without credentials.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("fetching a repository needs `{program}`, and it is not installed")]
    NotInstalled {
        /// The program that was looked for.
        program: String,
    },
    /// git could not be started or watched.
    #[error("cannot run git: {0}")]
    Start(#[source] io::Error),
    /// git failed.
    #[error("cannot {action} `{repository}`: {message}")]
    Failed {
        /// What was tried, an infinitive.
        action: &'static str,
        /// The repository.
        repository: String,
        /// What git said.
        message: String,
        /// The way out, if it is known.
        hint: Option<&'static str>,
    },
    /// The repository has no commit at all.
    #[error("the repository `{repository}` is empty")]
    EmptyRepository {
        /// The repository.
        repository: String,
    },
    /// Its HEAD leads to no commit.
    #[error("the HEAD of `{repository}` leads to no commit{}", listed(.names))]
    NoHead {
        /// The repository.
        repository: String,
        /// Some of its branches and tags.
        names: Vec<String>,
    },
    /// It has no such branch or tag, and it is no commit's id.
    #[error("`{repository}` has no branch or tag `{reference}`{}", listed(.names))]
    NoReference {
        /// The repository.
        repository: String,
        /// What was asked for.
        reference: String,
        /// Some of its branches and tags.
        names: Vec<String>,
    },
    /// What was named is no commit, or not there.
    #[error("`{repository}` has no commit `{name}`")]
    NoCommit {
        /// The repository.
        repository: String,
        /// What was asked for.
        name: String,
    },
    /// It took too long.
    #[error("fetching `{repository}` took longer than {} s", limit.as_secs())]
    TooLong {
        /// The repository.
        repository: String,
        /// The limit.
        limit: Duration,
    },
    /// It is larger than allowed.
    #[error("the repository `{repository}` is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The repository.
        repository: String,
        /// The limit.
        limit: u64,
    },
    /// A file of certificates that cannot be used.
    #[error("the certificate file `{}` cannot be used: {reason}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is not on this machine, and the network is not to be used.
    #[error("`{repository}` is not on this machine, and the network is not used")]
    Offline {
        /// The repository.
        repository: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; it has {}", names.join(", ")) }
}

/// What git says of a failure, and what helps.
const HINTS: &[(&[&str], &str)] = &[
    (
        &[
            "could not read username",
            "could not read password",
            "authentication failed",
            "terminal prompts disabled",
        ],
        "let git know the credentials: a credential helper (`git config --global credential.helper`), `~/.netrc`, or an \
         ssh URL with an agent; `git ls-remote URL` shows whether it works",
    ),
    (
        &["permission denied (", "host key verification failed", "too many authentication failures"],
        "ssh cannot ask here: load the key into an agent (`ssh-add`) and let `ssh` know the host once; `git ls-remote \
         URL` shows whether it works",
    ),
    (
        &["transport 'file' not allowed"],
        "a submodule may not be on this machine; leave submodules out, or build a directory that has them",
    ),
    (&["transport '"], "only https, http, ssh and git are used to reach a repository"),
    (
        &["dubious ownership"],
        "the repository belongs to another user: `git config --global --add safe.directory PATH` if you trust it",
    ),
    (
        &[
            "could not resolve host",
            "connection refused",
            "connection timed out",
            "operation timed out",
            "failed to connect",
        ],
        "check the address and the network, and the proxy if there is one",
    ),
    (
        &["server certificate", "ssl certificate", "certificate verif"],
        "let it be believed: `--ca-file FILE`, `network.ca-files` in b2i's configuration, or `git config --global http.sslCAInfo \
         FILE`",
    ),
    (
        &[
            "not found",
            "does not appear to be a git repository",
            "does not exist",
            "not valid: is this a git repository",
        ],
        "check the address; a private repository may be hidden from who has no credentials for it. An archive's URL is \
         recognised by its end, such as `.tar.gz` or `.zip`",
    ),
];

impl GitError {
    /// Describes how git failed.
    pub(super) fn failed(action: &'static str, repository: &str, status: ExitStatus, message: &str) -> Self {
        let message = without_credentials(message.trim());
        let lower = message.to_ascii_lowercase();
        let hint = HINTS.iter().find(|(words, _)| words.iter().any(|word| lower.contains(word)));
        let message = if message.is_empty() { format!("git failed ({status})") } else { message };
        Self::Failed { action, repository: repository.to_owned(), message, hint: hint.map(|(_, hint)| *hint) }
    }
}

/// git repeats URLs, and configuration may have put credentials into them.
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
                "install git (Debian: `apt-get install git`), or give an archive of the sources instead"
            }
            Self::Failed { hint, .. } => return hint.iter().map(|hint| (*hint).to_owned()).collect(),
            Self::EmptyRepository { .. } => "push a commit to it first",
            Self::NoHead { .. } => "name a branch, tag or commit with `#NAME` or `--ref`",
            Self::NoReference { .. } | Self::NoCommit { .. } => {
                "check the name; a commit needs at least four digits of its id"
            }
            Self::TooLong { .. } => "try again, or give an archive of the sources instead",
            Self::TooLarge { .. } => "raise the limit with `--max-size` if the size is right",
            Self::Certificates { .. } => "name a file with certificates in PEM form: `--ca-file FILE`",
            Self::Offline { .. } => "leave `--offline` out, or give a directory",
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
