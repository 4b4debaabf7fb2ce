//! Owns the entries of a layer: what stands where, with which mode and owner, and where its bytes come from.
//!
//! Must not know how an entry is written.

use std::io::{self, Read};

use crate::image::path::ImagePath;

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

    /// Opens a reader `offset` bytes behind the first byte. Contents that can jump there do so.
    ///
    /// # Errors
    /// As [`Content::open`].
    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = self.open()?;
        io::copy(&mut (&mut reader).take(offset), &mut io::sink())?;
        Ok(reader)
    }
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
    /// A named pipe.
    Fifo,
}

/// An extended attribute of an entry, such as `security.capability` or one of `user.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtendedAttribute {
    name: String,
    value: Vec<u8>,
}

impl ExtendedAttribute {
    /// Takes an attribute; nothing if a pax record cannot hold its name.
    pub fn new(name: String, value: Vec<u8>) -> Option<Self> {
        let can_be_held = !name.is_empty() && !name.contains(['=', '\0']);
        can_be_held.then_some(Self { name, value })
    }

    /// Its name, with its name space.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }
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

impl std::fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:04o} {} {}", self.mode, self.owner, self.path)
    }
}

impl Entry {
    /// The number of content bytes that follow its header.
    pub(super) fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Directory
            | EntryKind::HardLink { .. }
            | EntryKind::Symlink { .. }
            | EntryKind::Fifo => 0,
        }
    }
}
