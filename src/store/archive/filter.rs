//! Owns removing entries from a layer's tar: the others keep every byte, also their headers. Must not choose entries.
//!
//! The tar comes from a daemon, so its names are never used as paths, and memory does not grow with the entries.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;

use crate::fs::BoundedTar;
use crate::image::layer::WrittenLayer;
use crate::image::{DigestWriter, LayerFile};

const BLOCK: u64 = 512;

pub(crate) struct TarEntry<'a> {
    /// The path in the tar, without a leading `./` and a trailing `/`.
    pub(crate) path: &'a [u8],
    pub(crate) kind: tar::EntryType,
    /// Size of the content, in bytes.
    pub(crate) size: u64,
    pub(crate) link: Option<&'a [u8]>,
    /// The position in the file, with all headers.
    pub(crate) extent: Range<u64>,
}

/// Calls `each` for every entry of a tar, in order.
///
/// # Errors
/// Errors of the file; [`io::ErrorKind::InvalidData`] if the tar is not valid.
pub(crate) fn entries(file: &File, mut each: impl FnMut(TarEntry<'_>)) -> io::Result<()> {
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(4096, file);
    reader.rewind()?;
    let mut start = 0;
    for entry in BoundedTar::new(reader).entries_with_seek()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        // The size of a sparse entry is not its length in the file.
        if kind.is_gnu_sparse() {
            return Err(invalid("it has a sparse file"));
        }
        let padded = entry.size().checked_next_multiple_of(BLOCK);
        let end = padded.and_then(|size| entry.raw_file_position().checked_add(size));
        let end = end.filter(|end| *end <= length).ok_or_else(|| invalid("an entry ends after its end"))?;
        let path = entry.path_bytes();
        let path = path.strip_prefix(b"./").unwrap_or(&path);
        each(TarEntry {
            path: path.strip_suffix(b"/").unwrap_or(path),
            kind,
            size: entry.size(),
            link: entry.link_name_bytes().as_deref(),
            extent: start..end,
        });
        start = end;
    }
    Ok(())
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the layer is not a valid tar: {reason}"))
}

#[derive(Debug)]
pub(crate) struct Excerpt {
    path: PathBuf,
    size: u64,
    left_out: Vec<Range<u64>>,
}

impl Excerpt {
    /// Leaves the extents `left_out` of entries out of `layer`.
    pub(crate) fn new(layer: &LayerFile, mut left_out: Vec<Range<u64>>) -> Self {
        left_out.sort_by_key(|extent| extent.start);
        Self { path: layer.path.clone(), size: layer.size, left_out }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size - self.left_out.iter().map(|extent| extent.end - extent.start).sum::<u64>()
    }

    pub(crate) fn write_to(&self, out: impl Write) -> io::Result<WrittenLayer> {
        let mut file = File::open(&self.path)?;
        let mut out = DigestWriter::new(out);
        let mut start = 0;
        for gap in self.left_out.iter().cloned().chain(std::iter::once(self.size..self.size)) {
            file.seek(SeekFrom::Start(start))?;
            let length = gap.start - start;
            if io::copy(&mut (&mut file).take(length), &mut out)? != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            start = gap.end;
        }
        let (_, diff_id, size) = out.finish();
        Ok(WrittenLayer { diff_id, size, watched: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn layer(directory: &std::path::Path, bytes: &[u8]) -> LayerFile {
        let path = directory.join("layer.tar");
        std::fs::write(&path, bytes).expect("written");
        LayerFile { diff_id: Digest::of(bytes), path, size: bytes.len() as u64 }
    }

    fn tar_of(names: &[(&str, usize)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, size) in names {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o640);
            header.set_size(*size as u64);
            // With extended attributes, as a program with capabilities has them.
            let extended = [("SCHILY.xattr.user.x", &b"\0\x01"[..])];
            builder.append_pax_extensions(extended).expect("memory");
            builder.append_data(&mut header, name, &vec![b'x'; *size][..]).expect("memory");
        }
        builder.into_inner().expect("memory")
    }

    #[test]
    fn what_stays_keeps_its_bytes_and_what_goes_takes_its_headers_along() {
        let directory = tempfile::tempdir().expect("a directory");
        let long = "d/".repeat(120);
        let (one, two) = (format!("{long}one"), format!("{long}two"));
        let all = [("a", 0), (one.as_str(), 700), ("b", 512), (two.as_str(), 1), ("c", 3)];
        for gone in [vec![], vec![0], vec![1], vec![4], vec![3, 0], vec![0, 1, 2, 3, 4]] {
            let layer = layer(directory.path(), &tar_of(&all));
            let mut seen = Vec::new();
            entries(&File::open(&layer.path).expect("there"), |entry| {
                seen.push((String::from_utf8_lossy(entry.path).into_owned(), entry.size, entry.extent));
            })
            .expect("a tar");
            let names: Vec<&str> = seen.iter().map(|(name, ..)| name.as_str()).collect();
            assert_eq!(names, all.map(|(name, _)| name));
            let left_out = gone.iter().map(|index: &usize| seen[*index].2.clone()).collect();
            let excerpt = Excerpt::new(&layer, left_out);
            let mut bytes = Vec::new();
            let written = excerpt.write_to(&mut bytes).expect("written");
            let kept = all.iter().enumerate().filter(|(index, _)| !gone.contains(index));
            let expected = tar_of(&kept.map(|(_, file)| *file).collect::<Vec<_>>());
            assert!(bytes == expected, "{gone:?}");
            assert_eq!((written.size, written.diff_id), (excerpt.size(), Digest::of(&expected)));
        }
    }

    #[test]
    fn a_broken_tar_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let whole = tar_of(&[("a", 4000)]);
        let mut absurd = whole.clone();
        // The size in the header that follows the extended one.
        absurd[1024 + 124..1024 + 136].copy_from_slice(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
        let mut header = tar::Header::new_gnu();
        header.as_mut_bytes().copy_from_slice(&absurd[1024..1536]);
        header.set_cksum();
        absurd[1024..1536].copy_from_slice(header.as_bytes());
        for bytes in [&whole[..3000], &absurd, &[7; 600]] {
            let layer = layer(directory.path(), bytes);
            entries(&File::open(&layer.path).expect("there"), |_| {}).expect_err("broken");
        }
    }
}
