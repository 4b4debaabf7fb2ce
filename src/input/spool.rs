//! Owns copying a stream into a temporary file while hashing, and reporting how far it is.
//!
//! Must not know where the stream comes from.

use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::error::InputError;
pub(super) use crate::blocking::Stop;
use crate::blocking::{self, Stopped};
use crate::events::RunningStep;
use crate::fs::FileError;
use crate::image::Digest;
use crate::image::digest::DigestBuilder;

const CHUNK_BYTES: usize = 128 * 1024;

/// Runs `work` on a thread for blocking work; it ends when the future is dropped.
pub(super) async fn run_blocking<T, E>(
    work: impl FnOnce(&Stop) -> Result<T, E> + Send + 'static,
) -> Result<T, InputError>
where
    T: Send + 'static,
    E: Send + 'static,
    InputError: From<E>,
{
    match blocking::run_blocking(work).await {
        Ok(result) => Ok(result?),
        Err(Stopped) => Err(InputError::Stopped),
    }
}

/// Reports progress often enough for the eye and not more often.
pub(super) struct Progress {
    step: RunningStep,
    reported: Instant,
}

impl Progress {
    const INTERVAL: Duration = Duration::from_millis(50);

    pub(super) fn new(step: RunningStep) -> Self {
        Self { step, reported: Instant::now() }
    }

    /// Reports that `bytes` of `total` have arrived, if the last report is old enough.
    pub(super) fn report(&mut self, bytes: u64, total: Option<u64>) {
        if self.reported.elapsed() >= Self::INTERVAL {
            self.step.progress(bytes, total);
            self.reported = Instant::now();
        }
    }
}

/// A complete copy of a stream.
pub(super) struct Spooled {
    pub(super) file: tempfile::NamedTempFile,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// Why a stream was not copied.
pub(super) enum SpoolError {
    Read(io::Error),
    Write(FileError),
    TooLarge,
}

/// Copies `stream` into a temporary file in `directory`, at most `limit` bytes.
pub(super) fn spool(
    stream: &mut dyn Read,
    directory: &Path,
    limit: u64,
    mut passed: impl FnMut(u64) -> io::Result<()>,
) -> Result<Spooled, SpoolError> {
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
    Ok(Spooled { file, digest: digest.finish(), size })
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
