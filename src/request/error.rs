//! Owns the reasons why a request is not valid, with what to do about each.
//!
//! A message names what flags and JSON have in common; a hint may name both.

use crate::diagnostic::{Diagnostic, FailureKind};

/// Why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The JSON is not a request.
    #[error("the request is not valid: {path}: {reason}")]
    Json {
        /// The field, such as `image.ports[0]`.
        path: String,
        /// Why.
        reason: String,
    },
    /// The form of the request is of another version.
    #[error("the request has schemaVersion {found}, and this b2i reads {}", super::SCHEMA_VERSION)]
    SchemaVersion {
        /// The version.
        found: u32,
    },
    /// Neither an artifact nor sources are named.
    #[error("the request names no artifact and no sources")]
    NoInput,
    /// Artifacts and sources are named.
    #[error("the request names both artifacts and sources")]
    ArtifactsAndSources,
    /// An option of finished artifacts is set for sources.
    #[error("`{option}` is for archives of finished artifacts, not for sources")]
    ArtifactOption {
        /// The flag.
        option: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// An option of downloads is set, and nothing is downloaded.
    #[error("`{option}` is for downloads, and the artifact is no URL")]
    DownloadOption {
        /// The flag.
        option: &'static str,
    },
    /// A URL carries credentials.
    #[error("the URL on `{host}` carries a user name or password")]
    Credentials {
        /// The host.
        host: String,
    },
    /// An artifact is named twice.
    #[error("`{artifact}` is given twice")]
    ArtifactTwice {
        /// The artifact.
        artifact: String,
    },
    /// One digest is named for several artifacts.
    #[error("`--sha256` is one artifact's digest, and several artifacts are given")]
    DigestOfSeveral,
    /// A text has characters that it must not have.
    #[error("`{option}` must not be empty or contain spaces")]
    Blanks {
        /// The flag.
        option: &'static str,
    },
    /// The number of processes is limited to none.
    #[error("`--pids-limit` must be at least 1")]
    NoProcesses,
    /// Always pulling needs the network.
    #[error("`--pull always` needs the network, and `--offline` forbids it")]
    PullOffline,
    /// A push needs the network.
    #[error("`{name}` is in a registry, and the network is not used (`--offline`)")]
    OfflinePush {
        /// The first name.
        name: String,
    },
    /// Default arguments are set twice.
    #[error("`--env ARGS` and arguments after `--` say the same thing twice")]
    ArgsTwice,
    /// An argument contains a NUL.
    #[error("the argument `{word}` contains a NUL")]
    NulInArgument {
        /// The argument.
        word: String,
    },
    /// An environment variable cannot have this name.
    #[error("`{name}` cannot be the name of an environment variable")]
    VariableName {
        /// The name.
        name: String,
    },
    /// The value of a variable contains a NUL. The value may be a secret.
    #[error("the value of `{name}` contains a NUL")]
    VariableValue {
        /// The variable.
        name: String,
    },
    /// A label or annotation has no name.
    #[error("a {kind} has no name")]
    NoName {
        /// `label` or `annotation`.
        kind: &'static str,
    },
    /// The entrypoint names no program.
    #[error("the entrypoint names no program")]
    NoEntrypoint,
    /// A tag carries a digest.
    #[error("`{tag}` names a digest, which follows from the image")]
    TagWithDigest {
        /// The tag.
        tag: String,
    },
    /// Nothing says where to push to.
    #[error("pushing needs a name that says where to")]
    NoPushName,
    /// The name belongs to Docker Hub's own images.
    #[error("`{name}` names no registry; it would go to Docker Hub's own images")]
    OfficialName {
        /// The name.
        name: String,
    },
    /// Two outputs are one file or directory.
    #[error("`{path}` is to be written twice (--output)")]
    OutputTwice {
        /// The file.
        path: String,
    },
    /// A line of the hosts file cannot be used.
    #[error("{message}")]
    HostEntry {
        /// Which and why.
        message: String,
    },
    /// A cache key cannot be used.
    #[error("a cache key has at least one character, and no line ends or the like")]
    CacheKey,
    /// Shared caches are named, and caches are switched off.
    #[error("`--cache-key` and `--no-build-cache` contradict each other")]
    CacheKeyWithoutCaches,
}

impl Diagnostic for RequestError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        let hint: &str = match self {
            Self::Json { .. }
            | Self::SchemaVersion { .. }
            | Self::NulInArgument { .. }
            | Self::VariableName { .. }
            | Self::VariableValue { .. }
            | Self::NoName { .. }
            | Self::NoEntrypoint
            | Self::OutputTwice { .. }
            | Self::HostEntry { .. }
            | Self::CacheKey
            | Self::Blanks { .. }
            | Self::NoProcesses => return Vec::new(),
            Self::NoInput => "name an artifact in `artifacts`, or sources in `sourceBuild`",
            Self::ArtifactsAndSources => "leave one of `artifacts` and `sourceBuild` out",
            Self::ArtifactOption { hint, .. } => hint,
            Self::DownloadOption { option } => {
                return vec![format!("leave `{option}` out, or give an http or https URL")];
            }
            Self::Credentials { .. } => {
                return vec![
                    "every user of this machine can read arguments: put both into ~/.netrc or --netrc-file"
                        .into(),
                    "for a token use `--bearer-env VAR` or `--header-env NAME=VAR`".into(),
                ];
            }
            Self::ArtifactTwice { .. } => "several artifacts are one program, built for several platforms",
            Self::DigestOfSeveral => "compare them before: `sha256sum --check`",
            Self::PullOffline => "give `--pull missing`, or leave `--offline` out",
            Self::OfflinePush { .. } => "write to `oci:DIR` now, and `b2i copy` it when there is a network",
            Self::ArgsTwice => "keep the arguments after `--`; b2i puts them into ARGS, quoted",
            Self::TagWithDigest { .. } => "give a name and a tag: `--tag app:1.0`",
            Self::NoPushName => "name registry, repository and tag: `--tag registry.example/team/app:1.0`",
            Self::OfficialName { name } => {
                return vec![format!(
                    "write `registry.example/team/{name}`, or `USER/{name}` for Docker Hub"
                )];
            }
            Self::CacheKeyWithoutCaches => "leave one of them out",
        };
        vec![hint.to_owned()]
    }
}
