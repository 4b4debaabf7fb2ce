//! Owns OCI image layouts, as a directory or a tar: as image sink and image source. Must not know why an image is written.
//!
//! An image is added to a directory that has others: blobs get their names when they are complete, and the index is
//! written last, under a lock. Unknown content stays. A tar is always written new. Manifests in a layout have OCI's media
//! types, also on a base with Docker's, because skopeo and umoci know only those in a layout.
//!
//! Source: OCI image spec v1.1 "image-layout.md", "annotations.md". `ocidir` 0.8 was weighed: it writes the index with
//! `oci-spec`, which drops the unknown fields of other programs.

mod archive;
mod copy;
mod directory;
mod error;
mod image;
mod index;
mod sink;
mod source;
mod store;

pub use error::LayoutError;
pub use sink::LayoutSink;
pub use source::{Layout, LayoutReference};

use crate::image::Digest;

/// Annotation with the tag of an image in a layout, as skopeo, umoci and BuildKit write it.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation with an image's full name, as containerd and BuildKit write it; `podman load` uses it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs/sha256";

fn blob_name(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

#[cfg(test)]
mod tests;
