//! Owns the entries of a layer: path, type, mode, owner and content.
//! Must not know how an entry is written.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::image::path::ImagePath;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    pub const ROOT: Self = Self { uid: 0, gid: 0 };
}

impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.uid, self.gid)
    }
}

/// The bytes of a file entry, which can be read any number of times.
pub trait Content: Send + Sync {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>>;

    /// Opens a reader at `offset`. The default reads and drops the bytes before it.
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

#[derive(Clone)]
pub enum EntryKind {
    Directory,
    /// A regular file. Content of another size is an error when the layer is written.
    File {
        size: u64,
        content: Arc<dyn Content>,
    },
    /// Another name of a file in the same layer.
    HardLink {
        target: ImagePath,
    },
    Symlink {
        target: String,
    },
    Fifo,
}

/// An extended attribute of an entry, such as `security.capability` or one of `user.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExtendedAttribute {
    name: String,
    value: Vec<u8>,
}

impl ExtendedAttribute {
    /// `None` if a pax record cannot hold the name.
    pub fn new(name: String, value: Vec<u8>) -> Option<Self> {
        let is_valid = !name.is_empty() && !name.contains(['=', '\0']);
        is_valid.then_some(Self { name, value })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn value(&self) -> &[u8] {
        &self.value
    }
}

#[derive(Clone)]
pub struct Entry {
    pub path: ImagePath,
    pub kind: EntryKind,
    /// Permission bits, including set-id and sticky bits.
    pub mode: u32,
    pub owner: Owner,
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o} {} {}", self.mode, self.owner, self.path)
    }
}

impl Entry {
    /// The number of content bytes after its header.
    pub(in crate::image) fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size, .. } => size,
            EntryKind::Directory
            | EntryKind::HardLink { .. }
            | EntryKind::Symlink { .. }
            | EntryKind::Fifo => 0,
        }
    }
}
