//! Owns the one pass from a layer to its blob: tar, digest, compress, digest, out.
//!
//! Memory does not grow with the layer. Must not decide how a layer is compressed.

use std::io::{self, BufReader, Read, Write};
use std::num::NonZeroUsize;

use super::Method;
use super::parallel::ParallelWriter;
use crate::image::digest::DigestWriter;
use crate::image::layer::{Layer, WrittenLayer};
use crate::image::{Descriptor, LayerCompression, ManifestFormat};

/// A layer that was written as a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBlob {
    /// The layer: its diff ID and the watched file's digest.
    pub layer: WrittenLayer,
    /// The blob: media type, digest and size of what was written.
    pub descriptor: Descriptor,
}

/// How many threads can work at once here.
pub fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Writes `layer` to `out`, compressed by `method` on `threads` threads beside this one. The bytes do not depend on
/// their number. A plain layer is digested once: its digest is its diff ID.
///
/// # Errors
/// Errors of `out`, of the layer's contents ([`io::ErrorKind::InvalidData`] if they changed) and of starting threads.
pub fn write_layer(
    layer: &Layer,
    method: Method,
    format: ManifestFormat,
    threads: NonZeroUsize,
    out: impl Write,
) -> io::Result<WrittenBlob> {
    if method.codec() == LayerCompression::None {
        let written = layer.write_to(out)?;
        let descriptor = Descriptor::new(format.layer(method.codec()), written.diff_id, written.size);
        return Ok(WrittenBlob { layer: written, descriptor });
    }
    let mut writer = ParallelWriter::new(method, threads, layer.size(), DigestWriter::new(out))?;
    let written = layer.write_to(&mut writer)?;
    Ok(WrittenBlob { layer: written, descriptor: finish(writer, method, format)? })
}

/// Writes a tar of `size` bytes that exists already, as [`write_layer`] writes one that is made.
///
/// # Errors
/// Errors of both, and of starting threads; [`io::ErrorKind::UnexpectedEof`] if the tar is shorter.
pub fn compress_tar(
    tar: impl Read,
    size: u64,
    method: Method,
    format: ManifestFormat,
    threads: NonZeroUsize,
    out: impl Write,
) -> io::Result<Descriptor> {
    let mut writer = ParallelWriter::new(method, threads, size, DigestWriter::new(out))?;
    // Pieces of any size give the same blob; these save calls.
    let copied = io::copy(&mut BufReader::with_capacity(128 * 1024, tar.take(size)), &mut writer)?;
    if copied < size {
        let text = format!("the layer ended after {copied} of {size} bytes");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
    }
    finish(writer, method, format)
}

fn finish<W: Write>(
    writer: ParallelWriter<DigestWriter<W>>,
    method: Method,
    format: ManifestFormat,
) -> io::Result<Descriptor> {
    let (_, digest, size) = writer.finish()?.finish();
    Ok(Descriptor::new(format.layer(method.codec()), digest, size))
}
