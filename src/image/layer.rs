//! Owns the layer writer: a deterministic tar of the entries it is given, written in one pass.
//!
//! The bytes depend on the entries and the date alone: the order is by path, owners and modes are the entries',
//! nothing comes from the disk of the machine that writes. Changing one byte of the format changes every image
//! digest; the changelog names each such change. Must not compress and must not know where the bytes go.
//!
//! Source: POSIX.1-2017 `pax`, ustar and pax interchange formats; OCI image spec v1.1 "layer.md".

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::digest::{Digest, DigestReader, DigestWriter};
use super::path::ImagePath;

/// Raised with every change of the bytes that equal entries give.
pub const LAYER_FORMAT_VERSION: u32 = 1;

const BLOCK: u64 = 512;

/// Most bytes of a file that are read at once.
const COPY_BUFFER: usize = 64 * 1024;

/// Largest size that the octal size field of a ustar header holds, in bytes (8 GiB − 1).
const USTAR_MAXIMUM_SIZE: u64 = 0o77_777_777_777;

/// Who owns an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

impl Owner {
    /// `0:0`.
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}", self.uid, self.gid)
    }
}

/// Gives the bytes of a file entry, from the start, any number of times.
pub trait Content: Send + Sync {
    /// Opens a reader at the first byte.
    ///
    /// # Errors
    /// Whatever keeps the bytes from being read.
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;
}

impl Content for Vec<u8> {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.as_slice()))
    }
}

impl Content for &'static [u8] {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(*self))
    }
}

/// What an entry is.
#[derive(Clone)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its size in bytes; content of another size is an error when the layer is written.
        size: u64,
        /// Its bytes.
        content: std::sync::Arc<dyn Content>,
    },
    /// A second name of a file in the same layer.
    HardLink {
        /// The first name.
        target: ImagePath,
    },
    /// A symbolic link.
    Symlink {
        /// The text of the link.
        target: String,
    },
}

/// One entry of a layer.
#[derive(Clone)]
pub struct Entry {
    /// Where it stands in the image.
    pub path: ImagePath,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, including set-id and sticky bits.
    pub mode: u32,
    /// Who owns it.
    pub owner: Owner,
}

/// A layer that can be written, any number of times, with equal bytes.
#[derive(Clone)]
pub struct Layer {
    entries: Vec<Entry>,
    /// Modification time of every entry, in seconds since 1970.
    date: u64,
    watched: Option<ImagePath>,
}

impl std::fmt::Debug for Layer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.entries.iter().map(|entry| &entry.path)).finish()
    }
}

/// What writing a layer yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenLayer {
    /// Digest of the uncompressed tar: the layer's diff ID.
    pub diff_id: Digest,
    /// Length of the uncompressed tar, in bytes.
    pub size: u64,
    /// Digest of the watched file's bytes, if one is watched: the artifact is read only once.
    pub watched: Option<Digest>,
}

/// Entries that make no layer.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidLayer {
    /// Two entries have the same path.
    #[error("two files would be placed at `{0}`")]
    Duplicate(ImagePath),
    /// A file's path is used as a directory by another entry.
    #[error("`{0}` is a file, and `{1}` would be placed below it")]
    BelowFile(ImagePath, ImagePath),
    /// A hard link names no file of this layer.
    #[error("the hard link `{0}` points to `{1}`, which is no file of this layer")]
    DanglingLink(ImagePath, ImagePath),
}

impl Layer {
    /// Makes a layer of `entries`, in whatever order they come; `date` is in seconds since 1970.
    ///
    /// # Errors
    /// [`InvalidLayer`] if the entries contradict each other.
    pub fn new(entries: Vec<Entry>, date: u64) -> Result<Self, InvalidLayer> {
        let mut by_path: BTreeMap<ImagePath, Entry> = BTreeMap::new();
        for entry in entries {
            let path = entry.path.clone();
            if by_path.insert(path.clone(), entry).is_some() {
                return Err(InvalidLayer::Duplicate(path));
            }
        }
        for (path, entry) in &by_path {
            let mut parent = path.parent();
            while let Some(directory) = parent {
                if by_path.get(&directory).is_some_and(|above| !matches!(above.kind, EntryKind::Directory)) {
                    return Err(InvalidLayer::BelowFile(directory, path.clone()));
                }
                parent = directory.parent();
            }
            if let EntryKind::HardLink { target } = &entry.kind
                && !by_path.get(target).is_some_and(|file| matches!(file.kind, EntryKind::File { .. }))
            {
                return Err(InvalidLayer::DanglingLink(path.clone(), target.clone()));
            }
        }
        // A hard link must follow the file it names, and paths alone do not see to that.
        let (links, others): (Vec<Entry>, Vec<Entry>) =
            by_path.into_values().partition(|entry| matches!(entry.kind, EntryKind::HardLink { .. }));
        Ok(Self { entries: others.into_iter().chain(links).collect(), date, watched: None })
    }

    /// Asks that writing also yields the digest of the file at `path`.
    #[must_use]
    pub fn watching(mut self, path: ImagePath) -> Self {
        self.watched = Some(path);
        self
    }

    /// The entries, in the order in which they are written.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The length of the tar, in bytes, known before anything is written.
    pub fn size(&self) -> u64 {
        let body: u64 =
            self.entries.iter().map(|entry| self.headers(entry).len() as u64 + padded(entry.size())).sum();
        body + 2 * BLOCK
    }

    /// Writes the tar to `out` and digests it on the way.
    ///
    /// # Errors
    /// Errors of `out` and of the contents; [`io::ErrorKind::InvalidData`] if a content's size is not the stated one.
    pub fn write_to(&self, out: impl Write) -> io::Result<WrittenLayer> {
        let mut out = DigestWriter::new(out);
        let watched = self.write_undigested(&mut out)?;
        let (_, diff_id, size) = out.finish();
        Ok(WrittenLayer { diff_id, size, watched })
    }

    /// Writes the tar to `out` for a reader to whom its digest means nothing, and gives that of the watched file.
    ///
    /// # Errors
    /// As [`Layer::write_to`].
    pub fn write_undigested(&self, mut out: impl Write) -> io::Result<Option<Digest>> {
        let mut watched = None;
        for entry in &self.entries {
            out.write_all(&self.headers(entry))?;
            if let EntryKind::File { size, content } = &entry.kind {
                if self.watched.as_ref() == Some(&entry.path) {
                    let mut reader = DigestReader::new(content.open()?);
                    copy_exactly(&mut reader, &mut out, *size, &entry.path)?;
                    watched = Some(reader.finish().0);
                } else {
                    copy_exactly(&mut *content.open()?, &mut out, *size, &entry.path)?;
                }
                let padding = padded(*size) - size;
                out.write_all(&[0; BLOCK as usize][..padding as usize])?;
            }
        }
        out.write_all(&[0; 2 * BLOCK as usize])?;
        out.flush()?;
        Ok(watched)
    }

    fn headers(&self, entry: &Entry) -> Vec<u8> {
        let mut name = entry.path.relative().as_bytes().to_vec();
        if matches!(entry.kind, EntryKind::Directory) {
            name.push(b'/');
        }
        let link: &[u8] = match &entry.kind {
            EntryKind::HardLink { target } => target.relative().as_bytes(),
            EntryKind::Symlink { target } => target.as_bytes(),
            EntryKind::Directory | EntryKind::File { .. } => b"",
        };
        let mut records = Vec::new();
        let split = split_name(&name);
        if split.is_none() {
            pax_record(&mut records, "path", &name);
        }
        if link.len() > 100 || !link.is_ascii() {
            pax_record(&mut records, "linkpath", link);
        }
        if entry.size() > USTAR_MAXIMUM_SIZE {
            pax_record(&mut records, "size", entry.size().to_string().as_bytes());
        }
        if self.date > USTAR_MAXIMUM_SIZE {
            pax_record(&mut records, "mtime", self.date.to_string().as_bytes());
        }
        if entry.owner.uid > 0o7_777_777 {
            pax_record(&mut records, "uid", entry.owner.uid.to_string().as_bytes());
        }
        if entry.owner.gid > 0o7_777_777 {
            pax_record(&mut records, "gid", entry.owner.gid.to_string().as_bytes());
        }
        let mut bytes = Vec::new();
        if !records.is_empty() {
            // The pax header's own name is never used by a reader; a fixed one keeps the bytes independent.
            let header = Header { prefix: b"", name: b"PaxHeaders/entry", link: b"", kind: b'x' };
            bytes.extend_from_slice(&header.block(0o644, Owner::ROOT, records.len() as u64, self.date));
            let length = records.len();
            bytes.extend_from_slice(&records);
            bytes.resize(bytes.len() + (padded(length as u64) as usize - length), 0);
        }
        let (prefix, short) = split.unwrap_or((b"", &name[..name.len().min(100)]));
        let kind = match entry.kind {
            EntryKind::Directory => b'5',
            EntryKind::File { .. } => b'0',
            EntryKind::HardLink { .. } => b'1',
            EntryKind::Symlink { .. } => b'2',
        };
        let header = Header { prefix, name: short, link: &link[..link.len().min(100)], kind };
        bytes.extend_from_slice(&header.block(entry.mode, entry.owner, entry.size(), self.date));
        bytes
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04o} {} {}", self.mode, self.owner, self.path)
    }
}

impl Entry {
    /// The number of content bytes that follow its header.
    fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Directory | EntryKind::HardLink { .. } | EntryKind::Symlink { .. } => 0,
        }
    }
}

struct Header<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    link: &'a [u8],
    kind: u8,
}

impl Header<'_> {
    fn block(&self, mode: u32, owner: Owner, size: u64, date: u64) -> [u8; BLOCK as usize] {
        let mut block = [0; BLOCK as usize];
        block[..self.name.len()].copy_from_slice(self.name);
        octal(&mut block[100..108], u64::from(mode & 0o7777));
        // Numbers that do not fit stand in the pax header; the field then holds zero.
        octal(&mut block[108..116], u64::from(owner.uid));
        octal(&mut block[116..124], u64::from(owner.gid));
        octal(&mut block[124..136], size);
        octal(&mut block[136..148], date);
        block[156] = self.kind;
        block[157..157 + self.link.len()].copy_from_slice(self.link);
        block[257..263].copy_from_slice(b"ustar\0");
        block[263..265].copy_from_slice(b"00");
        octal(&mut block[329..337], 0);
        octal(&mut block[337..345], 0);
        block[345..345 + self.prefix.len()].copy_from_slice(self.prefix);
        block[148..156].fill(b' ');
        let checksum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{checksum:06o}\0").as_bytes());
        block
    }
}

/// Writes `value` as octal digits with a NUL behind; zero if it does not fit.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    let digits = if digits.len() > width { format!("{:0width$o}", 0) } else { digits };
    field[..width].copy_from_slice(digits.as_bytes());
}

/// Splits a name into the header's prefix and name fields; nothing if it needs a pax record.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    // Outside of ASCII the header's bytes have no stated encoding; pax records are UTF-8.
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let slash =
        |&at: &usize| name[at] == b'/' && at <= 155 && name.len() - at - 1 <= 100 && at + 1 < name.len();
    let at = (1..name.len()).find(slash)?;
    Some((&name[..at], &name[at + 1..]))
}

/// Appends `"<length> <key>=<value>\n"`, where the length counts itself.
fn pax_record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn padded(size: u64) -> u64 {
    size.div_ceil(BLOCK) * BLOCK
}

fn copy_exactly(reader: &mut dyn Read, out: &mut impl Write, size: u64, path: &ImagePath) -> io::Result<()> {
    // A small file needs no large buffer: trees have thousands of them.
    let length = usize::try_from(size).map_or(COPY_BUFFER, |size| size.saturating_add(1).min(COPY_BUFFER));
    let mut buffer = vec![0; length];
    let mut left = size;
    loop {
        // One byte more than is left, so that a file that grew is noticed too.
        let want = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX).saturating_add(1));
        let count = match reader.read(&mut buffer[..want]) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if count as u64 > left || (count == 0 && left > 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the file for `{path}` changed while it was read: it no longer has {size} bytes"),
            ));
        }
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count])?;
        left -= count as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn path(text: &str) -> ImagePath {
        ImagePath::new(text).expect("valid")
    }

    fn file(at: &str, bytes: &[u8]) -> Entry {
        let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes.to_vec()) };
        Entry { path: path(at), kind, mode: 0o755, owner: Owner { uid: 1001, gid: 0 } }
    }

    fn directory(at: &str) -> Entry {
        Entry { path: path(at), kind: EntryKind::Directory, mode: 0o775, owner: Owner::ROOT }
    }

    fn write(layer: &Layer) -> (Vec<u8>, WrittenLayer) {
        let mut bytes = Vec::new();
        let written = layer.write_to(&mut bytes).expect("writing to memory");
        (bytes, written)
    }

    #[test]
    fn what_it_writes_reads_back() {
        let long = format!("/opt/{}/{}", "d".repeat(120), "ü".repeat(60));
        let entries = vec![
            file(&long, b"long"),
            Entry {
                kind: EntryKind::HardLink { target: path("/opt/bin/binary") },
                ..file("/opt/a.war", b"")
            },
            file("/opt/bin/binary", b"program"),
            directory("/opt/bin"),
            Entry { kind: EntryKind::Symlink { target: "bin/binary".into() }, ..file("/opt/link", b"") },
        ];
        let layer = Layer::new(entries, 315_532_800).expect("consistent").watching(path("/opt/bin/binary"));
        let (bytes, written) = write(&layer);
        assert_eq!(bytes.len() as u64, layer.size());
        assert_eq!(written.size, layer.size());
        assert_eq!(written.diff_id, Digest::of(&bytes));
        assert_eq!(written.watched, Some(Digest::of(b"program")));
        let mut archive = tar::Archive::new(&bytes[..]);
        let mut seen = Vec::new();
        for entry in archive.entries().expect("tar") {
            let mut entry = entry.expect("entry");
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("content");
            let link = entry.link_name().expect("link").map(|link| link.to_string_lossy().into_owned());
            let name = entry.path().expect("path").to_string_lossy().into_owned();
            assert_eq!(entry.header().mtime().expect("date"), 315_532_800);
            seen.push((name, text, link, entry.header().mode().expect("mode")));
        }
        assert_eq!(
            seen,
            [
                ("opt/bin/".into(), String::new(), None, 0o775),
                ("opt/bin/binary".into(), "program".into(), None, 0o755),
                (long[1..].to_owned(), "long".into(), None, 0o755),
                ("opt/link".into(), String::new(), Some("bin/binary".to_owned()), 0o755),
                ("opt/a.war".into(), String::new(), Some("opt/bin/binary".to_owned()), 0o755),
            ]
        );
    }

    #[test]
    fn order_of_entries_does_not_matter() {
        let one = Layer::new(vec![file("/b", b"2"), file("/a", b"1")], 0).expect("consistent");
        let two = Layer::new(vec![file("/a", b"1"), file("/b", b"2")], 0).expect("consistent");
        assert_eq!(write(&one), write(&two));
    }

    #[test]
    fn contradicting_entries_are_refused() {
        let duplicate = Layer::new(vec![file("/a", b"1"), file("/a", b"2")], 0);
        assert_eq!(duplicate.err(), Some(InvalidLayer::Duplicate(path("/a"))));
        let below = Layer::new(vec![file("/a", b"1"), file("/a/b/c", b"2")], 0);
        assert_eq!(below.err(), Some(InvalidLayer::BelowFile(path("/a"), path("/a/b/c"))));
        let link = Entry { kind: EntryKind::HardLink { target: path("/x") }, ..file("/l", b"") };
        assert_eq!(Layer::new(vec![link], 0).err(), Some(InvalidLayer::DanglingLink(path("/l"), path("/x"))));
    }

    #[test]
    fn a_file_that_changed_its_size_is_an_error() {
        for size in [2, 4] {
            let mut entry = file("/a", b"123");
            entry.kind = EntryKind::File { size, content: Arc::new(b"123".to_vec()) };
            let layer = Layer::new(vec![entry], 0).expect("consistent");
            let error = layer.write_to(io::sink()).expect_err("size differs");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn large_numbers_go_into_pax_records() {
        struct Nothing;
        impl Content for Nothing {
            fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
                Ok(Box::new(io::repeat(0).take(9 << 30)))
            }
        }
        let owner = Owner { uid: 4_000_000_000, gid: 0 };
        let kind = EntryKind::File { size: 9 << 30, content: Arc::new(Nothing) };
        let layer = Layer::new(vec![Entry { kind, owner, ..file("/big", b"") }], 0).expect("consistent");
        let late = Layer { date: 253_402_300_799, ..layer.clone() };
        let headers = String::from_utf8_lossy(&late.headers(&late.entries[0])).into_owned();
        assert!(headers.contains("22 mtime=253402300799\n"), "{headers:?}");
        let headers = String::from_utf8_lossy(&layer.headers(&layer.entries[0])).into_owned();
        assert!(headers.contains(" size=9663676416\n") && headers.contains(" uid=4000000000\n"), "{headers}");
    }
}
