//! Owns the bytes of a file that a server sends with `Content-Encoding: gzip`, although b2i asks for none. Must not send a
//! request.
//!
//! Servers mark files that are compressed anyway (`tool.tar.gz`), and others compress what they should not. So the bytes
//! stay as they are if the name says that they are compressed, and are unpacked if it does not. An expected digest decides.

use std::io::{self, Read, Seek, Write};
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::image::Digest;
use crate::image::digest::DigestBuilder;

/// The first bytes of gzip (RFC 1952).
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file with its digest and size.
pub(super) struct Body {
    pub(super) file: tempfile::NamedTempFile,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// Whether the value of `Content-Encoding` means gzip.
pub(super) fn is_gzip(encoding: &[u8]) -> bool {
    encoding.eq_ignore_ascii_case(b"gzip") || encoding.eq_ignore_ascii_case(b"x-gzip")
}

/// Whether a file with this name is gzip itself.
fn is_compressed_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".gz", ".tgz", ".gzip"].iter().any(|ending| name.ends_with(ending))
}

/// The file named `name`: the bytes of `body`, or what they unpack to, at most `limit` bytes. None if that is larger.
///
/// # Errors
/// An error of reading or writing, or of bytes that are not valid gzip.
pub(super) fn file_of(
    mut body: Body,
    name: &str,
    expected: Option<Digest>,
    limit: u64,
    directory: &Path,
) -> io::Result<Option<Body>> {
    let mut head = [0; 2];
    body.file.rewind()?;
    let is_packed = body.file.as_file_mut().read_exact(&mut head).is_ok() && head == MAGIC;
    let stays = match expected {
        Some(expected) => expected == body.digest,
        None => is_compressed_name(name),
    };
    if stays || !is_packed {
        return Ok(Some(body));
    }
    body.file.rewind()?;
    let unpacked = unpacked(body.file.as_file(), limit, directory)?;
    Ok(match (expected, &unpacked) {
        // Neither is expected: the error names the digest of the bytes that the name stands for.
        (Some(expected), Some(other)) if other.digest != expected && is_compressed_name(name) => Some(body),
        _ => unpacked,
    })
}

fn unpacked(packed: &std::fs::File, limit: u64, directory: &Path) -> io::Result<Option<Body>> {
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    let mut reader = MultiGzDecoder::new(packed).take(limit.saturating_add(1));
    let (mut digest, mut buffer) = (DigestBuilder::new(), vec![0; 1 << 16]);
    loop {
        match reader.read(&mut buffer)? {
            0 => break,
            count => {
                digest.update(&buffer[..count]);
                file.write_all(&buffer[..count])?;
            }
        }
    }
    let (size, digest) = (digest.length(), digest.finish());
    Ok((size <= limit).then_some(Body { file, digest, size }))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("writes to memory");
        encoder.finish().expect("writes to memory")
    }

    fn body(bytes: &[u8]) -> Body {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("writes");
        Body { file, digest: Digest::of(bytes), size: bytes.len() as u64 }
    }

    #[test]
    fn the_name_or_the_digest_decides() {
        let directory = tempfile::tempdir().expect("a directory");
        let (plain, gzip) = (b"tool".to_vec(), packed(b"tool"));
        let found = |bytes: &[u8], name: &str, expected: Option<&[u8]>| {
            let expected = expected.map(Digest::of);
            file_of(body(bytes), name, expected, 1 << 20, directory.path())
                .expect("readable")
                .expect("small")
                .digest
        };
        assert_eq!(found(&gzip, "tool", None), Digest::of(&plain));
        assert_eq!(found(&gzip, "tool.tar.gz", None), Digest::of(&gzip));
        assert_eq!(found(&gzip, "TOOL.TGZ", None), Digest::of(&gzip));
        assert_eq!(found(&gzip, "tool", Some(&gzip)), Digest::of(&gzip));
        assert_eq!(found(&packed(&gzip), "tool.tar.gz", Some(&gzip)), Digest::of(&gzip));
        assert_eq!(found(&gzip, "tool.tar.gz", Some(b"other")), Digest::of(&gzip));
        assert_eq!(found(&plain, "tool", None), Digest::of(&plain), "the header is wrong");
    }

    #[test]
    fn what_unpacks_to_more_than_the_limit_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let bomb = packed(&vec![0; 1 << 20]);
        let file = file_of(body(&bomb), "tool", None, 1 << 10, directory.path()).expect("readable");
        assert!(file.is_none());
        assert!(file_of(body(&bomb[..40]), "tool", None, 1 << 30, directory.path()).is_err(), "it is cut");
    }
}
