//! Owns what tells, without reading it, whether a file is still the one it was.
//!
//! Must not decide what to believe of it.

/// What tells a file that stayed the same from one that was replaced or written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// Device and inode; zeros where the system has none.
    pub identity: (u64, u64),
    /// Size in bytes.
    pub size: u64,
    /// Time of the last write: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Time of the last change of content or attributes, likewise; zeros where the system has none.
    pub changed: (i64, i64),
}

impl FileStamp {
    /// Reads it from `metadata`.
    #[cfg(unix)]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            identity: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Reads it from `metadata`.
    #[cfg(not(unix))]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let since_1970 =
            metadata.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = since_1970.unwrap_or_default();
        let seconds = i64::try_from(modified.as_secs()).unwrap_or(i64::MAX);
        Self {
            identity: (0, 0),
            size: metadata.len(),
            modified: (seconds, i64::from(modified.subsec_nanos())),
            changed: (0, 0),
        }
    }
}
