//! Owns OCI image layouts, as a directory and as a tar of one: as a sink for what is built and as a source of images.
//!
//! An image is added to a directory that has others: blobs get their names when they are whole, the index last and
//! under a lock, and what b2i does not know stays as it is. A tar is always written new. Manifests in a layout use
//! OCI's media types, also on a base with Docker's: skopeo and umoci find no others in a layout. Must not know why an
//! image is written.
//!
//! Source: OCI image spec v1.1 "image-layout.md", "annotations.md".

mod archive;
mod copy;
mod directory;
mod error;
mod image;
mod index;
mod index_writer;
mod source;
mod store;

use std::num::NonZeroUsize;

use crate::image::compression::{Compression, WrittenBlob, all_cores};
use crate::image::{Descriptor, ImageReference};

use super::WrittenImage;

pub use archive::write_layout_archive;
pub use copy::{CopyOptions, archive_layout, copy_to_layout};
pub use directory::write_layout;
pub use error::LayoutError;
pub use image::LayoutImage;
pub use index_writer::{
    LayoutIndexImage, WrittenLayoutIndex, write_layout_index, write_layout_index_archive,
};
pub use source::{Layout, LayoutReference};

/// Annotation that names an image in a layout: its tag, as skopeo, umoci and BuildKit write it.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation with an image's full name, as containerd and BuildKit write it; `podman load` names the image by it.
pub const IMAGE_NAME: &str = "io.containerd.image.name";

const LAYOUT_FILE: &str = "oci-layout";
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX_FILE: &str = "index.json";
const BLOBS: &str = "blobs/sha256";

/// How an image is written into a layout.
#[derive(Clone, Debug)]
pub struct LayoutOptions {
    /// The names that it gets. One without a name can only be found by its digest.
    pub tags: Vec<ImageReference>,
    /// How layers that b2i makes are compressed; those of a described base go along as they are.
    pub compression: Compression,
    /// Threads that compress.
    pub threads: NonZeroUsize,
    /// The new layer's blob, if it was written before with the same compression: its bytes are made only if need be.
    pub known: Option<WrittenBlob>,
}

impl Default for LayoutOptions {
    fn default() -> Self {
        Self { tags: Vec::new(), compression: Compression::Auto, threads: all_cores(), known: None }
    }
}

/// What was written into a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenLayout {
    /// The image, as every sink says it.
    pub image: WrittenImage,
    /// Its manifest.
    pub manifest: Descriptor,
    /// The new layer's blob, if one was made.
    pub blob: Option<WrittenBlob>,
}

#[cfg(test)]
mod tests;
