//! Owns the reasons why a request is not valid, each with its hint.
//!
//! Must not depend on who made the request: a message holds for flags and for JSON.

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::Platform;

/// Why a request is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of a variant describes it")]
pub enum RequestError {
    /// `path` is a field, such as `image.ports[0]`.
    #[error("the request is not valid: {path}: {reason}")]
    Json { path: String, reason: String },
    #[error("the request has schemaVersion {version}; this b2i reads {}", super::SCHEMA_VERSION)]
    SchemaVersion { version: u32 },
    #[error("the request has neither an artifact nor sources")]
    NoInput,
    #[error("the request has both artifacts and sources")]
    ArtifactsAndSources,
    #[error("`{option}` is for archives of finished artifacts, not for sources")]
    ArtifactOption { option: &'static str, hint: &'static str },
    #[error("`{option}` is for downloads; the artifact is not a URL")]
    DownloadOption { option: &'static str },
    #[error("the URL on `{host}` contains a user name or password")]
    Credentials { host: String },
    #[error("the artifact `{artifact}` is listed twice")]
    ArtifactTwice { artifact: String },
    #[error("`--sha256` is the digest of one artifact, but the request has several")]
    DigestOfSeveral,
    #[error("`--sha256` and `--sha256-file` set the same value")]
    DigestTwice,
    #[error("`{option}` must not be empty or contain spaces")]
    Blanks { option: &'static str },
    #[error("`--pids-limit` must be at least 1")]
    NoProcesses,
    #[error("`--pull always` needs the network, but `--offline` is set")]
    PullOffline,
    #[error("cannot push `{name}`: `--offline` is set")]
    OfflinePush { name: String },
    #[error("`--env ARGS` and the arguments after `--` set the same value")]
    ArgsTwice,
    #[error("the argument `{word}` contains a NUL")]
    NulInArgument { word: String },
    #[error("`{name}` is not a valid name of an environment variable")]
    VariableName { name: String },
    /// The message leaves the value out: it may be a secret.
    #[error("the value of the variable `{name}` contains a NUL")]
    VariableValue { name: String },
    /// `kind` is `label` or `annotation`.
    #[error("the name of a {kind} is empty")]
    NoName { kind: &'static str },
    #[error("the entrypoint has no program")]
    NoEntrypoint,
    #[error("the tag `{tag}` contains a digest; the digest follows from the image")]
    TagWithDigest { tag: String },
    #[error("the platform `{platform}` is unknown")]
    UnknownPlatform { platform: Platform },
    #[error("`--base` replaces the base of a template, but the builder `{builder}` is an image")]
    BaseOfImage { builder: String },
    #[error("`--created git` needs an artifact or sources on this machine")]
    CreatedOfRemote,
    #[error("a push needs a tag with the registry")]
    NoPushName,
    #[error("the tag `{name}` has no registry or user; only Docker can push official images")]
    OfficialName { name: String },
    #[error("`{path}` is written twice (--output)")]
    OutputTwice { path: String },
    #[error("{message}")]
    HostEntry { message: String },
    #[error("a cache key must not be empty or contain control characters")]
    CacheKey,
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
            Self::NoInput => "set `artifacts` or `sourceBuild`",
            Self::ArtifactsAndSources => "remove `artifacts` or `sourceBuild`",
            Self::ArtifactOption { hint, .. } => hint,
            Self::DownloadOption { option } => {
                return vec![format!("remove `{option}`, or pass an http or https URL")];
            }
            Self::Credentials { .. } => {
                return vec![
                    "every user of this machine can read arguments: use ~/.netrc or `--netrc-file FILE`"
                        .into(),
                    "for a token, use `--bearer-env VAR` or `--header-env NAME=VAR`".into(),
                ];
            }
            Self::ArtifactTwice { .. } => {
                "pass several artifacts only if they are one program for several platforms"
            }
            Self::DigestOfSeveral => "pass the file with all digests: `--sha256-file SHA256SUMS`",
            Self::DigestTwice => "remove one of them",
            Self::PullOffline => "pass `--pull missing`, or remove `--offline`",
            Self::OfflinePush { .. } => {
                "write to `oci:DIR` now, and run `b2i copy` when the network is available"
            }
            Self::ArgsTwice => "keep the arguments after `--`; b2i quotes them for ARGS",
            Self::TagWithDigest { .. } => "pass a name and a tag: `--tag app:1.0`",
            Self::BaseOfImage { .. } => "pass a template such as `--builder java`, or remove `--base`",
            Self::CreatedOfRemote => {
                "pass a date, such as `--created now` or `--created 2026-01-31T12:00:00Z`"
            }
            Self::UnknownPlatform { platform } => {
                return vec![match platform.nearest() {
                    Some(nearest) => format!("did you mean `{nearest}`?"),
                    None => {
                        "platforms are `linux/amd64`, `linux/arm64`, `linux/arm/v7` and other names of Go"
                            .into()
                    }
                }];
            }
            Self::NoPushName => "pass registry, repository and tag: `--tag registry.example/team/app:1.0`",
            Self::OfficialName { name } => {
                return vec![format!("use `registry.example/team/{name}`, or `USER/{name}` for Docker Hub")];
            }
            Self::CacheKeyWithoutCaches => "remove one of them",
        };
        vec![hint.to_owned()]
    }
}
