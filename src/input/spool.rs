//! Owns copying a stream into a temporary file, with its digest and progress reports.
//! Must not know where the stream comes from.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::events::RunningStep;
use crate::fs::FileError;
use crate::image::Digest;
use crate::image::digest::DigestBuilder;

const CHUNK_BYTES: usize = 128 * 1024;

/// Reports progress, at most every 50 milliseconds.
pub(super) struct Progress {
    step: RunningStep,
    reported: Instant,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_millis(50);

    pub(super) fn new(step: RunningStep) -> Self {
        Self { step, reported: Instant::now() }
    }

    /// Reports that `bytes` of `total` have arrived, unless the last report is too recent.
    pub(super) fn report(&mut self, bytes: u64, total: Option<u64>) {
        if self.reported.elapsed() >= Self::INTERVAL {
            self.step.progress(bytes, total);
            self.reported = Instant::now();
        }
    }
}

pub(super) struct SpoolFile {
    pub(super) file: tempfile::NamedTempFile,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

pub(super) enum SpoolError {
    Read(io::Error),
    Write(FileError),
    TooLarge,
}

/// Copies at most `limit` bytes of `stream` into a temporary file in `directory`. `passed` gets the number of bytes so
/// far and may stop the copy.
pub(super) fn spool(
    stream: &mut dyn Read,
    directory: &Path,
    limit: u64,
    mut passed: impl FnMut(u64) -> io::Result<()>,
) -> Result<SpoolFile, SpoolError> {
    let mut file = tempfile::NamedTempFile::new_in(directory)
        .map_err(|error| SpoolError::Write(FileError::new("create a file in", directory, error)))?;
    let mut digest = DigestBuilder::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(SpoolError::Read(error)),
        };
        digest.update(&buffer[..count]);
        if digest.length() > limit {
            return Err(SpoolError::TooLarge);
        }
        file.write_all(&buffer[..count]).map_err(|error| {
            SpoolError::Write(FileError::new("write to", directory, error).after(digest.length()))
        })?;
        passed(digest.length()).map_err(SpoolError::Read)?;
    }
    let size = digest.length();
    Ok(SpoolFile { file, digest: digest.finish(), size })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_hashes_and_stops_at_the_limit() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let spooled = spool(&mut &b"bytes"[..], directory.path(), 5, |_| Ok(()));
        let spooled = spooled.unwrap_or_else(|_| panic!("fits"));
        assert_eq!((spooled.size, spooled.digest), (5, Digest::of(b"bytes")));
        drop(spooled);
        let endless = spool(&mut io::repeat(1), directory.path(), 1_000_000, |_| Ok(()));
        assert!(matches!(endless, Err(SpoolError::TooLarge)));
        assert_eq!(std::fs::read_dir(directory.path()).expect("lists").count(), 0);
    }
}
