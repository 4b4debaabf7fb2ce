//! Owns the errors of images in registries: which image, and which request failed.
//!
//! Must not send requests.

mod request;

use std::io;

pub use request::{Identity, RequestError};

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::config::InvalidConfig;
use crate::image::manifest::InvalidManifest;
use crate::image::{Digest, InvalidImage, OpenBlobError, Platform};
use crate::store::layout::LayoutError;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot read `{image}` from its registry")]
    Pull { image: String, registry: String, source: RequestError },
    #[error("`{image}` not found in the registry `{registry}`")]
    Missing { image: String, registry: String, source: RequestError },
    #[error("`{image}` is not in the cache, and {reason}")]
    Offline { image: String, reason: &'static str },
    #[error("`{image}` cannot be used")]
    Manifest { image: String, source: InvalidManifest },
    #[error("the config of `{image}` cannot be used")]
    Config { image: String, source: InvalidConfig },
    #[error("`{image}` cannot be used: {reason}")]
    Invalid { image: String, reason: String },
    #[error("{what} of `{image}` should have the digest {expected}, but its bytes have {found}")]
    Digest { image: String, what: &'static str, expected: Digest, found: Digest },
    #[error("`{image}` is not for {platform}; it is for {}", list(.available))]
    Platform { image: String, platform: Box<Platform>, available: Vec<Platform> },
    #[error("cannot log in to `{registry}`")]
    Login { registry: String, source: RequestError },
    #[error("cannot publish `{image}`")]
    Push { image: String, registry: String, source: RequestError },
    #[error("the files of `{image}` could not be read")]
    Content { image: String, source: io::Error },
    #[error("`{image}` cannot be published: its base's layer {digest} could not be read")]
    BaseLayer { image: String, digest: Digest, source: OpenBlobError },
    #[error("`{image}` cannot be published: reading the blob {digest} failed")]
    BaseBytes { image: String, digest: Digest, source: io::Error },
    #[error("`{image}` cannot be published: only a daemon has the layers of its base `{base}`")]
    BaseInDaemon { image: String, base: String },
    #[error("cannot publish `{image}`: the name has no tag")]
    NoTag { image: String },
    #[error(transparent)]
    Image(#[from] InvalidImage),
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("the registry accepted `{image}` as {expected}, but returns {}", or_nothing(.found))]
    ReadBack { image: String, expected: Digest, found: Option<Digest> },
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { "unnamed platforms only".into() } else { names.join(", ") }
}

fn or_nothing(found: &Option<Digest>) -> String {
    found.map_or("nothing".into(), |digest| digest.to_string())
}

impl Diagnostic for RegistryError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Pull { source, .. } | Self::Push { source, .. } | Self::Login { source, .. }
                if source.is_setup() =>
            {
                FailureKind::Usage
            }
            Self::Pull { .. }
            | Self::Missing { .. }
            | Self::Offline { .. }
            | Self::Manifest { .. }
            | Self::Config { .. }
            | Self::Invalid { .. }
            | Self::Digest { .. }
            | Self::Platform { .. }
            | Self::BaseBytes { .. } => FailureKind::Builder,
            Self::BaseLayer { source, .. } => source.kind(),
            Self::Push { .. } | Self::Login { .. } | Self::ReadBack { .. } | Self::BaseInDaemon { .. } => {
                FailureKind::Publish
            }
            Self::NoTag { .. } => FailureKind::Usage,
            Self::Content { .. } => FailureKind::Input,
            Self::Image(error) => error.kind(),
            Self::Layout(error) => error.kind(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Pull { source, registry, .. }
            | Self::Push { source, registry, .. }
            | Self::Login { source, registry }
            | Self::Missing { source, registry, .. } => source.hints(registry),
            Self::Offline { .. } => vec!["run once with the network allowed".into()],
            Self::Platform { .. } => {
                vec!["choose another base, or another platform with `--platform`".into()]
            }
            Self::BaseLayer { source, .. } => source.hints(),
            Self::Layout(error) => error.hints(),
            Self::ReadBack { .. } => {
                vec![
                    "check whether another program pushes the same tag; if not, the registry has a fault"
                        .into(),
                ]
            }
            Self::Manifest { .. }
            | Self::Config { .. }
            | Self::Invalid { .. }
            | Self::Digest { .. }
            | Self::Content { .. }
            | Self::BaseBytes { .. }
            | Self::BaseInDaemon { .. }
            | Self::NoTag { .. }
            | Self::Image(_) => Vec::new(),
        }
    }
}
