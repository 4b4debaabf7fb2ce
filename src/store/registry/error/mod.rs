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
    #[error("{} is not in the cache, and {forbidden} forbids pulling it", cached_part(.image, .part))]
    Offline {
        image: String,
        /// The layer that is missing. None means the image itself.
        part: Option<Digest>,
        forbidden: Forbidden,
    },
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
    #[error("cannot publish `{image}`: the registry accepted the blob {digest}, but does not have it")]
    LostBlob { image: String, digest: Digest },
    #[error("the registry accepted `{image}` as {expected}, but returns {}", or_nothing(.found))]
    ReadBack { image: String, expected: Digest, found: Option<Digest> },
}

/// The option that forbids requests to a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden {
    /// `--offline`, for the base of a build.
    Offline,
    /// `--offline`, for the source of a copy.
    OfflineCopy,
    /// `--pull never`.
    PullNever,
}

impl std::fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Offline | Self::OfflineCopy => "`--offline`",
            Self::PullNever => "`--pull never`",
        })
    }
}

impl Forbidden {
    /// The ways to an image without the network that is missing.
    fn hints(self, image: &str) -> Vec<String> {
        let fetch =
            format!("on a connected machine, run `b2i copy {image} oci:DIR` and bring the directory here");
        let use_it = match self {
            Self::Offline => {
                "then pass `--base oci:DIR`, or set the base to `oci:DIR` under `[bases]` in your configuration"
            }
            Self::OfflineCopy => "then copy from `oci:DIR`",
            Self::PullNever => {
                "pass `--pull missing`, or `--base oci:DIR` with a directory that `b2i copy` wrote"
            }
        };
        match self {
            Self::PullNever => vec![use_it.to_owned()],
            Self::Offline | Self::OfflineCopy => vec![format!("{fetch}; {use_it}")],
        }
    }
}

fn cached_part(image: &str, part: &Option<Digest>) -> String {
    part.map_or_else(|| format!("`{image}`"), |digest| format!("the layer {digest} of `{image}`"))
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
            Self::Push { .. }
            | Self::Login { .. }
            | Self::LostBlob { .. }
            | Self::ReadBack { .. }
            | Self::BaseInDaemon { .. } => FailureKind::Publish,
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
            Self::Offline { image, forbidden, .. } => forbidden.hints(image),
            Self::Platform { .. } => {
                vec!["choose another base, or another platform with `--platform`".into()]
            }
            Self::BaseLayer { source, .. } => source.hints(),
            Self::Layout(error) => error.hints(),
            Self::LostBlob { .. } => vec!["push again; if it fails again, the registry has a fault".into()],
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
