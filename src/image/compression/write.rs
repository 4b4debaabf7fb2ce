//! Owns the one pass from a layer to its blob: tar, digest, compress, digest, write. Memory does not grow with the layer.
//! Must not choose the compression.

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
    pub layer: WrittenLayer,
    pub descriptor: Descriptor,
}

/// The number of threads that this process can run at once.
pub fn all_cores() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Writes `layer` to `out`, compressed by `method` on `threads` more threads. The bytes do not depend on their number.
/// A plain layer is digested once, because its digest is its diff ID. Fails with [`io::ErrorKind::InvalidData`] if a file
/// changed.
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

/// Compresses a tar of `size` bytes like [`write_layer`]. Fails with [`io::ErrorKind::UnexpectedEof`] if it is shorter.
pub fn compress_tar(
    tar: impl Read,
    size: u64,
    method: Method,
    format: ManifestFormat,
    threads: NonZeroUsize,
    out: impl Write,
) -> io::Result<Descriptor> {
    let mut writer = ParallelWriter::new(method, threads, size, DigestWriter::new(out))?;
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
