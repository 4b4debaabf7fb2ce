//! Owns the errors of images in registries: what a request met, and what that means for the image that was wanted.

mod request;

use std::io;

pub use request::{Identity, RequestError};

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::config::InvalidConfig;
use crate::image::manifest::InvalidManifest;
use crate::image::{Digest, InvalidImage, OpenBlobError, Platform};
use crate::store::layout::LayoutError;

/// An image that could not be read from a registry or written to it.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("cannot read `{image}` from its registry")]
    Pull { image: String, registry: String, source: RequestError },
    #[error("there is no `{image}` in the registry `{registry}`")]
    Missing { image: String, registry: String, source: RequestError },
    #[error("`{image}` is not in the cache, and {reason}")]
    Offline {
        image: String,
        /// What forbids it.
        reason: &'static str,
    },
    #[error("`{image}` cannot be used")]
    Manifest { image: String, source: InvalidManifest },
    #[error("the config of `{image}` cannot be used")]
    Config { image: String, source: InvalidConfig },
    #[error("`{image}` cannot be used: {reason}")]
    Invalid { image: String, reason: String },
    #[error("{what} of `{image}` should have the digest {expected}, but its bytes have {found}")]
    Digest {
        image: String,
        what: &'static str,
        /// Digest that was named.
        expected: Digest,
        /// Digest of what came.
        found: Digest,
    },
    #[error("`{image}` is not for {wanted}; it is for {}", list(.available))]
    Platform {
        image: String,
        /// The platform that was wanted.
        wanted: Box<Platform>,
        /// Those that there are.
        available: Vec<Platform>,
    },
    #[error("cannot log in to `{registry}`")]
    Login { registry: String, source: RequestError },
    #[error("cannot publish `{image}`")]
    Push { image: String, registry: String, source: RequestError },
    #[error("the files of `{image}` could not be read")]
    Content { image: String, source: io::Error },
    #[error("`{image}` cannot be published: its base's layer {digest} could not be read")]
    BaseLayer { image: String, digest: Digest, source: OpenBlobError },
    /// The same, while its bytes were on their way.
    #[error("`{image}` cannot be published: reading the blob {digest} failed")]
    BaseBytes { image: String, digest: Digest, source: io::Error },
    #[error("`{image}` cannot be published: the layers of its base `{base}` are in a daemon only")]
    BaseInDaemon { image: String, base: String },
    #[error("`{image}` names no tag that could be published")]
    NoTag {
        /// The name; empty if there is none at all.
        image: String,
    },
    /// The image is none.
    #[error(transparent)]
    Image(#[from] InvalidImage),
    /// The layout on the way could not be written or read.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error("the registry took `{image}` as {expected}, but gives {} when asked for it", or_nothing(.found))]
    ReadBack {
        image: String,
        /// Digest of what was published.
        expected: Digest,
        /// Digest of what is there.
        found: Option<Digest>,
    },
}

fn list(platforms: &[Platform]) -> String {
    let names: Vec<String> = platforms.iter().map(ToString::to_string).collect();
    if names.is_empty() { "no platform that it names".into() } else { names.join(", ") }
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
            | Self::Platform { .. } => FailureKind::Builder,
            Self::BaseLayer { source, .. } => source.kind(),
            Self::BaseBytes { .. } => FailureKind::Builder,
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
            Self::Platform { .. } => vec!["choose another base, or another platform with `--platform`".into()],
            Self::BaseLayer { source, .. } => source.hints(),
            Self::Layout(error) => error.hints(),
            Self::ReadBack { .. } => vec![
                "something else may have pushed the same tag meanwhile; a registry that keeps changing it is broken".into(),
            ],
            _ => Vec::new(),
        }
    }
}
