//! Owns decompressing a layer's blob, with a limit of the output.
//! Must not interpret the tar, nor verify digests: sources of blobs do.

use std::io::{self, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::image::manifest::LayerCompression;

const BUFFER: usize = 128 * 1024;

/// Largest window of a zstd frame, as a power of two: the default limit of the `zstd` program.
const ZSTD_WINDOW: u32 = 27;

/// Bytes of output before the ratio is checked. A layer with one large empty file is valid.
const FREE_OF_RATIO: u64 = 1 << 30;

/// One byte of Deflate becomes at most 1032 bytes. A higher ratio is an attack.
const MAXIMUM_RATIO: u64 = 1100;

/// The limit of decompressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressionLimit {
    pub bytes: u64,
}

impl Default for DecompressionLimit {
    /// 64 GiB.
    fn default() -> Self {
        Self { bytes: 64 << 30 }
    }
}

/// The compression of bytes that begin with `start`. Four bytes are enough.
pub fn sniff(start: &[u8]) -> LayerCompression {
    match start {
        [0x1f, 0x8b, ..] => LayerCompression::Gzip,
        // A frame, or a skippable frame, which some writers put first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => LayerCompression::Zstd,
        _ => LayerCompression::None,
    }
}

/// Decompresses `blob`: any number of gzip members or zstd frames in a row.
///
/// Reading fails with [`io::ErrorKind::UnexpectedEof`] if the blob is truncated, [`io::ErrorKind::InvalidData`] or
/// [`io::ErrorKind::InvalidInput`] if it is damaged, and [`io::ErrorKind::FileTooLarge`] beyond the limit.
pub fn decompress<'a>(
    compression: LayerCompression,
    blob: impl Read + Send + 'a,
    limit: DecompressionLimit,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let consumed = Arc::new(AtomicU64::new(0));
    let blob = Counted { inner: blob, consumed: consumed.clone() };
    let inner: Box<dyn Read + Send + 'a> = match compression {
        LayerCompression::None => Box::new(blob),
        LayerCompression::Gzip => {
            Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER, blob)))
        }
        LayerCompression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(BUFFER, blob))?;
            decoder.window_log_max(ZSTD_WINDOW)?;
            Box::new(decoder)
        }
    };
    Ok(Box::new(Limited { inner, consumed, produced: 0, limit: limit.bytes }))
}

struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.consumed.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

struct Limited<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
    produced: u64,
    limit: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.produced += count as u64;
        let too_large = |text| Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        if self.produced > self.limit {
            return too_large(format!("the layer has more than the limit of {} bytes", self.limit));
        }
        let consumed = self.consumed.load(Ordering::Relaxed);
        if self.produced > FREE_OF_RATIO && self.produced / MAXIMUM_RATIO > consumed {
            let produced = self.produced;
            return too_large(format!(
                "{consumed} bytes of the layer decompress to more than {produced}: it is a decompression bomb"
            ));
        }
        Ok(count)
    }
}
