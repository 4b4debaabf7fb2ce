//! Owns file stamps: an equal stamp means that the file was neither replaced nor written to. Must not decide what
//! follows.

use std::os::unix::fs::MetadataExt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Device and inode.
    pub identity: (u64, u64),
    pub size: u64,
    /// Time of the last write: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Time of the last change of content or attributes, in the same form.
    pub changed: (i64, i64),
}

impl FileStamp {
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
