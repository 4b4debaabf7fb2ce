//! Owns recognising archive formats by their content, and opening decompressors.
//! Must not decide by a name, unless the content is ambiguous: an empty tar is only zeros.
//!
//! `infer` was weighed: it recognises a tar by `ustar` alone, which old tars lack.

use std::io::{self, BufRead, BufReader, Read};

use super::super::artifact::FileContent;
use super::super::candidates::is_java_archive_name;
use super::error::ArchiveError;
use super::zip;

const BLOCK: usize = 512;
/// An .xz file may demand a dictionary of 4 GiB. The highest preset of `xz` takes 65 MiB.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::input) enum Compression {
    None,
    /// RFC 1952.
    Gzip,
    Xz,
    /// RFC 8878.
    Zstd,
    Bzip2,
    /// The format before .xz (XZ Utils, "lzma-file-format.txt").
    Lzma,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::input) enum Format {
    /// A zip that is not a Java archive.
    Zip,
    /// A tar, compressed or not.
    Tar(Compression),
    /// One compressed file.
    Single(Compression),
}

/// Recognises an archive; `None` if the file itself is the artifact.
pub(in crate::input) fn recognise(
    content: &FileContent,
    name: &str,
    shown: &str,
) -> Result<Option<Format>, ArchiveError> {
    let head = read_head(content.reader()).map_err(|error| ArchiveError::read(shown, &error))?;
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        let is_archive = !is_java_archive_name(name) && zip::is_plain_archive(content, shown)?;
        return Ok(is_archive.then_some(Format::Zip));
    }
    let Some(compression) = compression(&head) else {
        let lower = name.to_ascii_lowercase();
        let is_empty_tar =
            lower.ends_with(".tar") && head.len() == BLOCK && head.iter().all(|byte| *byte == 0);
        return Ok((is_tar(&head) || is_empty_tar).then_some(Format::Tar(Compression::None)));
    };
    // A truncated or damaged stream is reported when it is unpacked.
    let inner = decompress(content, compression).and_then(read_head).unwrap_or_default();
    let named_tar = tar_stem(name).is_some();
    Ok(Some(if is_tar(&inner) || (named_tar && inner.iter().all(|byte| *byte == 0)) {
        Format::Tar(compression)
    } else {
        Format::Single(compression)
    }))
}

/// Whether a member that begins with `head` is itself an archive.
pub(in crate::input) fn is_archive_head(path: &str, head: &[u8]) -> bool {
    let is_zip = head.starts_with(b"PK\x03\x04") && !is_java_archive_name(path);
    is_zip || is_tar(head) || compression(head).is_some()
}

/// Opens the decompressed stream of `content`.
pub(super) fn decompress(content: &FileContent, compression: Compression) -> io::Result<Box<dyn Read>> {
    let reader = BufReader::with_capacity(128 * 1024, content.reader());
    Ok(match compression {
        Compression::None => Box::new(reader),
        Compression::Gzip => Box::new(GzipReader(Some(flate2::bufread::GzDecoder::new(reader)))),
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(reader)?),
        Compression::Xz => {
            let stream =
                liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, liblzma::stream::CONCATENATED)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
        Compression::Lzma => {
            let stream = liblzma::stream::Stream::new_lzma_decoder(XZ_MEMORY)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(reader, stream))
        }
    })
}

/// The members of a gzip file, one after the other. Like `gzip`, it ignores what follows the last one, such as the zeros of
/// a tape's block.
struct GzipReader<R: BufRead>(Option<flate2::bufread::GzDecoder<R>>);

impl<R: BufRead> Read for GzipReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(decoder) = &mut self.0 {
            let count = decoder.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let mut rest = self.0.take().expect("it was just read").into_inner();
            // The second byte may not be in the buffer yet; the decoder checks it then.
            let is_member = matches!(rest.fill_buf()?, [0x1f] | [0x1f, 0x8b, ..]);
            self.0 = is_member.then(|| flate2::bufread::GzDecoder::new(rest));
        }
        Ok(0)
    }
}

/// The name of the file in a single-file archive.
pub(super) fn single_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let suffix = [".gz", ".xz", ".zst", ".bz2", ".lzma"].iter().find(|suffix| lower.ends_with(**suffix));
    let stem = suffix.map_or(name, |suffix| &name[..name.len() - suffix.len()]);
    if stem.is_empty() { name.to_owned() } else { stem.to_owned() }
}

/// The name of an archive without `.tar.gz` or another extension of archives.
pub(super) fn stem(name: &str) -> &str {
    let without = |suffix: &str| {
        let start = name.len().checked_sub(suffix.len())?;
        name.get(start..)?.eq_ignore_ascii_case(suffix).then(|| &name[..start])
    };
    tar_stem(name).or_else(|| without(".tar")).or_else(|| without(".zip")).unwrap_or(name)
}

fn tar_stem(name: &str) -> Option<&str> {
    let lower = name.to_ascii_lowercase();
    let suffixes = [
        ".tar.gz",
        ".tar.xz",
        ".tar.zst",
        ".tar.bz2",
        ".tar.lzma",
        ".tgz",
        ".txz",
        ".tzst",
        ".tbz2",
        ".tbz",
        ".tlz",
    ];
    suffixes.iter().find(|suffix| lower.ends_with(**suffix)).map(|suffix| &name[..name.len() - suffix.len()])
}

fn read_head(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(BLOCK);
    reader.take(BLOCK as u64).read_to_end(&mut head)?;
    Ok(head)
}

fn compression(head: &[u8]) -> Option<Compression> {
    if head.starts_with(&[0x1f, 0x8b, 8]) {
        Some(Compression::Gzip)
    } else if head.starts_with(b"\xfd7zXZ\0") {
        Some(Compression::Xz)
    } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some(Compression::Zstd)
    } else if head.starts_with(b"BZh") && matches!(head.get(3), Some(b'1'..=b'9')) {
        // A block or the end of the stream, each with its magic number.
        let magic = head.get(4..10)?;
        (magic == b"1AY&SY" || magic == b"\x17rE8P\x90").then_some(Compression::Bzip2)
    } else {
        is_lzma(head).then_some(Compression::Lzma)
    }
}

/// Whether it is a header of `lzma`, which has no magic number: the usual properties, a dictionary of whole 64 KiB, and a
/// size that is unknown (all ones) or below 256 GiB, as XZ Utils requires.
fn is_lzma(head: &[u8]) -> bool {
    let Some((header, _)) = head.split_first_chunk::<13>() else { return false };
    let size = u64::from_le_bytes(header[5..].try_into().expect("eight bytes"));
    header.starts_with(&[0x5d, 0, 0]) && (size == u64::MAX || size < 1 << 38) && header[3..5] != [0, 0]
}

/// Whether `head` is the header of a tar member, by its checksum. Old programs wrote no magic number.
fn is_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..BLOCK) else { return false };
    let field = &header[148..156];
    let digits: Vec<u8> = field
        .iter()
        .copied()
        .skip_while(|byte| *byte == b' ')
        .take_while(|byte| byte.is_ascii_digit())
        .collect();
    let stated = std::str::from_utf8(&digits).ok().and_then(|digits| u32::from_str_radix(digits, 8).ok());
    let sum = |range: &[u8]| range.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let actual = sum(&header[..148]) + 8 * u32::from(b' ') + sum(&header[156..]);
    stated == Some(actual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_numbers() {
        assert_eq!(compression(b"\x1f\x8b\x08\0"), Some(Compression::Gzip));
        assert_eq!(compression(b"BZh91AY&SY"), Some(Compression::Bzip2));
        assert_eq!(compression(b"BZh9 is how this text begins"), None);
        assert_eq!(compression(b""), None);
    }

    #[test]
    fn a_tar_is_known_by_its_checksum() {
        let mut header = tar::Header::new_old();
        header.set_path("a").expect("short");
        header.set_size(0);
        header.set_cksum();
        assert!(is_tar(header.as_bytes()));
        header.as_mut_bytes()[0] = b'b';
        assert!(!is_tar(header.as_bytes()));
        assert!(!is_tar(&[0; 512]));
        assert!(!is_tar(b"short"));
    }

    #[test]
    fn the_name_of_an_archive_loses_its_suffix() {
        for (name, expected) in [
            ("shop-1.2.tar.gz", "shop-1.2"),
            ("Shop.ZIP", "Shop"),
            ("a.tar", "a"),
            ("ä", "ä"),
            ("é.zip", "é"),
        ] {
            assert_eq!(stem(name), expected);
        }
    }

    #[test]
    fn the_name_of_a_single_file_loses_its_suffix() {
        assert_eq!(single_name("tool.gz"), "tool");
        assert_eq!(single_name("Tool.XZ"), "Tool");
        assert_eq!(single_name("artifact"), "artifact");
        assert_eq!(single_name(".gz"), ".gz");
    }
}
