//! Owns what every source of blobs looks like from outside: opened by descriptor, read as one stream.
//!
//! The stores implement it; sinks, the sandbox and copying read through it. Must not know any one store.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::failure::{Failure, FailureKind};
use crate::image::Descriptor;

/// The bytes of a blob. Before it ends well, digest and size were compared with the descriptor's: bytes that are not
/// the described ones end it with [`std::io::ErrorKind::InvalidData`].
pub type BlobStream = BoxStream<'static, std::io::Result<Bytes>>;

/// Where blobs are kept.
pub trait BlobSource: Send + Sync {
    /// Opens a blob from its first byte; any number of times, any number at once.
    fn open<'a>(&'a self, blob: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream, OpenBlobError>>;

    /// The registry and repository the blobs are in, if they are in one: from there another repository of the same
    /// registry mounts them.
    fn origin(&self) -> Option<BlobOrigin> {
        None
    }
}

/// A repository that holds blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobOrigin {
    /// Host, with its port if it has one.
    pub registry: String,
    /// Path of the repository.
    pub repository: String,
}

/// A blob that could not be opened: the error of the store it is in.
#[derive(Clone)]
pub struct OpenBlobError(Arc<dyn Failure>);

impl OpenBlobError {
    /// Wraps a store's own error.
    pub fn new(error: impl Failure) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Debug for OpenBlobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for OpenBlobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl std::error::Error for OpenBlobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl Failure for OpenBlobError {
    fn kind(&self) -> FailureKind {
        self.0.kind()
    }

    fn hints(&self) -> Vec<String> {
        self.0.hints()
    }
}
