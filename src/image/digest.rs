//! Owns content digests, and the readers and writers that compute them.
//! Must not interpret the bytes.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::text::as_text;

/// A SHA-256 digest, written `sha256:` and 64 lower-case hexadecimal digits (OCI image spec, "Digests").
///
/// Every registry and engine supports SHA-256. Other algorithms are refused, because b2i could not verify them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// The error for a text that is not a SHA-256 digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a SHA-256 digest (expected 64 hexadecimal digits, in lower case after `sha256:`)")]
pub struct InvalidDigest(String);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    /// Parses `sha256:<hex>`, or the digits of a checksum file. Only those may be in upper case, because a digest with its
    /// algorithm has one form (OCI image spec v1.1, "descriptor.md").
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDigest(text.to_owned());
        let digits = match text.strip_prefix("sha256:") {
            Some(digits) if digits.bytes().any(|byte| byte.is_ascii_uppercase()) => return Err(invalid()),
            Some(digits) => digits,
            None => text,
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| invalid())?;
        Ok(Self(bytes))
    }
}

as_text!(Digest);

#[derive(Clone, Default)]
pub struct DigestBuilder {
    hasher: Sha256,
    length: u64,
}

impl DigestBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The number of bytes so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn finish(self) -> Digest {
        Digest(self.hasher.finalize().into())
    }
}

/// Digests the bytes that it reads.
pub struct DigestReader<R> {
    inner: R,
    digest: DigestBuilder,
}

impl<R: Read> DigestReader<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, digest: DigestBuilder::new() }
    }

    /// The digest, and the number of bytes.
    pub fn finish(self) -> (Digest, u64) {
        let length = self.digest.length();
        (self.digest.finish(), length)
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

/// Digests the bytes that it writes.
pub struct DigestWriter<W> {
    inner: W,
    digest: DigestBuilder,
}

impl<W: Write> DigestWriter<W> {
    pub fn new(inner: W) -> Self {
        Self { inner, digest: DigestBuilder::new() }
    }

    /// The inner writer, the digest, and the number of bytes.
    pub fn finish(self) -> (W, Digest, u64) {
        let length = self.digest.length();
        (self.inner, self.digest.finish(), length)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn parses_with_and_without_algorithm() {
        let digest = Digest::of(b"");
        assert_eq!(EMPTY.parse(), Ok(digest));
        assert_eq!(EMPTY.to_uppercase().parse(), Ok(digest));
        assert_eq!(format!("sha256:{EMPTY}").parse(), Ok(digest));
        assert_eq!(digest.to_string(), format!("sha256:{EMPTY}"));
    }

    #[test]
    fn refuses_other_algorithms_lengths_and_forms() {
        let upper = format!("sha256:{}", EMPTY.to_uppercase());
        for text in ["", "sha256:", "sha512:00", "sha256:zz", &EMPTY[1..], &upper] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn reader_and_writer_agree_with_of() {
        let mut reader = DigestReader::new(&b"artifact"[..]);
        let mut writer = DigestWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).expect("copying in memory");
        let (bytes, written, length) = writer.finish();
        assert_eq!(bytes, b"artifact");
        assert_eq!(length, 8);
        assert_eq!(written, Digest::of(b"artifact"));
        assert_eq!(reader.finish(), (written, 8));
    }
}
