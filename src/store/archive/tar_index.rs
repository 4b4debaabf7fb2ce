//! Owns finding the files of a tar without unpacking it. Must not use its names as paths.
//!
//! The tar may come from anybody. A tar that two readers could understand differently is rejected: path traversal, a name
//! that appears twice, sparse files. Memory is bounded by the number of entries.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

use crate::fs::unpack::{link_stays_inside, member_path};
use crate::image::blobs::read_exactly_at;

/// Most entries of an archive. An image has at most a few for each layer.
const MAXIMUM_ENTRIES: usize = 10_000;

/// Largest extension header (a long name), in bytes.
const MAXIMUM_EXTENSION: u64 = 64 * 1024;

/// Most links that are followed to one file.
const MAXIMUM_LINKS: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

#[derive(Debug, Default)]
pub(crate) struct TarIndex {
    members: HashMap<String, Member>,
}

#[derive(Debug)]
enum Member {
    File(Extent),
    /// The target, relative to the archive's root.
    Link(String),
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidTar {
    #[error("it is not a readable tar")]
    Io(#[from] io::Error),
    #[error("it has more than {MAXIMUM_ENTRIES} entries")]
    TooMany,
    #[error("its entry `{name}` {reason}")]
    Member { name: String, reason: String },
}

fn refused(name: &[u8], reason: &str) -> InvalidTar {
    InvalidTar::Member {
        name: String::from_utf8_lossy(name).chars().take(200).collect(),
        reason: reason.into(),
    }
}

#[derive(Default)]
struct Extensions {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl TarIndex {
    /// Reads the headers of `file`, at any position.
    pub(crate) fn scan(file: &File) -> Result<Self, InvalidTar> {
        let length = file.metadata()?.len();
        let mut reader = BufReader::with_capacity(4096, file);
        reader.rewind()?;
        let mut index = Self::default();
        let mut archive = tar::Archive::new(reader);
        let mut extensions = Extensions::default();
        for (number, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
            if number >= MAXIMUM_ENTRIES {
                return Err(InvalidTar::TooMany);
            }
            let mut entry = entry?;
            let extent = Extent { start: entry.raw_file_position(), length: entry.size() };
            if extent.start.checked_add(extent.length).is_none_or(|end| end > length) {
                return Err(refused(&entry.path_bytes(), "ends after the archive's end"));
            }
            if !extensions.read(&mut entry)? {
                index.add(entry.header(), extent, std::mem::take(&mut extensions))?;
            }
        }
        Ok(index)
    }

    fn add(
        &mut self,
        header: &tar::Header,
        extent: Extent,
        extensions: Extensions,
    ) -> Result<(), InvalidTar> {
        let bytes = extensions.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let text =
            std::str::from_utf8(&bytes).map_err(|_| refused(&bytes, "has a name that is not UTF-8"))?;
        let name = member_path(text)
            .map_err(|error| refused(&bytes, &format!("has a name that is not valid: {error}")))?;
        if extensions.size.is_some_and(|size| size != extent.length) {
            return Err(refused(&bytes, "has headers that disagree about its size"));
        }
        let link = || {
            let link =
                extensions.link.clone().or_else(|| header.link_name_bytes().map(|link| link.into_owned()));
            String::from_utf8(link.unwrap_or_default())
                .map_err(|_| refused(&bytes, "is a link whose target is not UTF-8"))
        };
        let member = match header.entry_type() {
            tar::EntryType::Directory => return Ok(()),
            // Before POSIX, a directory was a file with a trailing `/` in its name.
            tar::EntryType::Regular | tar::EntryType::Continuous if text.ends_with('/') => return Ok(()),
            tar::EntryType::Regular | tar::EntryType::Continuous => Member::File(extent),
            tar::EntryType::Link => {
                let target = link()?;
                let inside = member_path(&target);
                Member::Link(
                    inside
                        .map_err(|error| refused(&bytes, &format!("is a link that is not valid: {error}")))?,
                )
            }
            tar::EntryType::Symlink => {
                let target = link()?;
                if !link_stays_inside(&name, &target) {
                    return Err(refused(&bytes, &format!("is a link that leaves the archive: `{target}`")));
                }
                Member::Link(relative_to(&name, &target))
            }
            _ => return Err(refused(&bytes, "is neither a file nor a directory nor a link")),
        };
        match self.members.insert(name, member) {
            None => Ok(()),
            Some(_) => Err(refused(&bytes, "appears twice")),
        }
    }

    /// The position of a file. Follows links.
    pub(crate) fn find(&self, name: &str) -> Option<Extent> {
        let mut name = name;
        for _ in 0..MAXIMUM_LINKS {
            match self.members.get(name)? {
                Member::File(extent) => return Some(*extent),
                Member::Link(target) => name = target,
            }
        }
        None
    }

    /// Reads a small file; `None` if it is missing.
    pub(crate) fn read(&self, file: &File, name: &str, maximum: u64) -> Result<Option<Vec<u8>>, InvalidTar> {
        let Some(extent) = self.find(name) else { return Ok(None) };
        if extent.length > maximum {
            let reason = format!("has {} bytes; the limit is {maximum}", extent.length);
            return Err(refused(name.as_bytes(), &reason));
        }
        let mut bytes = vec![0; usize::try_from(extent.length).expect("bounded above")];
        read_exactly_at(file, &mut bytes, extent.start)?;
        Ok(Some(bytes))
    }
}

impl Extensions {
    /// Reads `entry` if it is an extension header. Returns whether it is.
    fn read<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<bool, InvalidTar> {
        let kind = entry.header().entry_type();
        if !(kind.is_pax_global_extensions()
            || kind.is_pax_local_extensions()
            || kind.is_gnu_longname()
            || kind.is_gnu_longlink())
        {
            return Ok(false);
        }
        if entry.size() > MAXIMUM_EXTENSION {
            return Err(refused(&entry.path_bytes(), "is a header of more than 64 KiB"));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let name = || bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        if kind.is_gnu_longname() {
            self.name = Some(name());
        } else if kind.is_gnu_longlink() {
            self.link = Some(name());
        } else if kind.is_pax_local_extensions() {
            self.read_records(&bytes)?;
        }
        Ok(true)
    }

    fn read_records(&mut self, bytes: &[u8]) -> Result<(), InvalidTar> {
        for record in tar::PaxExtensions::new(bytes) {
            let record = record?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|size| size.parse().ok());
                    self.size = Some(size.ok_or_else(|| refused(value, "is not a size"))?);
                }
                key if key.starts_with(b"GNU.sparse.") => return Err(refused(key, "marks a sparse file")),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The target of a symbolic link that stays inside, relative to the archive's root.
pub(crate) fn relative_to(link: &str, target: &str) -> String {
    let mut parts: Vec<&str> = link.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "" | "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn scan(bytes: &[u8]) -> Result<(TarIndex, File), InvalidTar> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(bytes).expect("written");
        Ok((TarIndex::scan(&file)?, file))
    }

    fn entry(kind: tar::EntryType, name: &str, link: &str, content: &[u8]) -> Vec<u8> {
        let mut header = tar::Header::new_ustar();
        // Past the crate's own checks.
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.as_mut_bytes()[157..157 + link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        let mut bytes = header.as_bytes().to_vec();
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    fn file(name: &str, content: &[u8]) -> Vec<u8> {
        entry(tar::EntryType::Regular, name, "", content)
    }

    #[test]
    fn files_are_found_where_they_are_also_through_links() {
        let bytes = [
            entry(tar::EntryType::Directory, "a/", "", b""),
            file("./a/one", b"first"),
            entry(tar::EntryType::Symlink, "b/two", "../a/one", b""),
            entry(tar::EntryType::Link, "three", "b/two", b""),
            entry(tar::EntryType::Symlink, "x", "y", b""),
            entry(tar::EntryType::Symlink, "y", "x", b""),
            vec![0; 1024],
        ];
        let (index, file) = scan(&bytes.concat()).expect("reads");
        for name in ["a/one", "b/two", "three"] {
            assert_eq!(index.read(&file, name, 5).expect("reads").as_deref(), Some(&b"first"[..]), "{name}");
        }
        assert!(index.find("x").is_none() && index.find("absent").is_none());
        assert!(index.read(&file, "three", 4).is_err(), "larger than what is read");
    }

    #[test]
    fn long_names_are_read_and_bounded() {
        let long = "n/".repeat(100) + "end";
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        builder.append_data(&mut header, &long, &b"x"[..]).expect("memory");
        let (index, file) = scan(&builder.into_inner().expect("memory")).expect("reads");
        assert_eq!(index.read(&file, &long, 1).expect("reads").as_deref(), Some(&b"x"[..]));
        let huge = entry(tar::EntryType::GNULongName, "L", "", &vec![b'a'; 100_000]);
        assert!(scan(&huge).is_err());
    }

    #[test]
    fn hostile_archives_are_refused() {
        let mut absurd = file("blob", b"x");
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&absurd[..512]);
        header.set_size(u64::MAX / 2);
        header.set_cksum();
        absurd[..512].copy_from_slice(header.as_bytes());
        let pax = |record: &str| {
            let record = format!("{} {record}\n", record.len() + 4);
            [entry(tar::EntryType::XHeader, "p", "", record.as_bytes()), file("a", b"x")].concat()
        };
        for (bytes, why) in [
            (file("../up", b""), ".."),
            (file("/etc/passwd", b""), "absolute"),
            (entry(tar::EntryType::Symlink, "a", "/etc/passwd", b""), "leaves"),
            (entry(tar::EntryType::Symlink, "a/b", "../../x", b""), "leaves"),
            (entry(tar::EntryType::Link, "a", "../x", b""), ".."),
            (entry(tar::EntryType::Fifo, "a", "", b""), "neither"),
            ([file("a", b"1"), file("./a", b"2")].concat(), "twice"),
            (absurd, "ends after"),
            (file("a", &[7; 4000])[..2000].to_vec(), "ends after"),
            (pax("size=2000"), "disagree"),
            (pax("GNU.sparse.major=1"), "sparse"),
            (pax("path=../../x"), ".."),
        ] {
            let error = scan(&bytes).expect_err(why);
            assert!(error.to_string().contains(why), "{why}: {error}");
        }
    }
}
