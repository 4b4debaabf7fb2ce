//! Owns reading one file of a container from the daemon's archive, which is hostile input.

use std::io::Read;

use bollard::errors::Error as BollardError;
use futures_util::{Stream, StreamExt};

use crate::engine::EngineError;
use crate::fs::BoundedTar;
use crate::stream::{pump, stream_to_reader};

pub(super) fn is_absent(error: &BollardError) -> bool {
    let BollardError::DockerResponseServerError { status_code, message } = error else { return false };
    let message = message.to_ascii_lowercase();
    match status_code {
        404 => !message.contains("no such container"),
        // A path below a file, or a loop of links ("too many links", "too many levels of …").
        500 => message.ends_with("not a directory") || message.contains("too many l"),
        _ => false,
    }
}

pub(super) enum DownloadFault {
    Daemon(BollardError),
    File(EngineError),
}

pub(super) async fn read_one_file(
    stream: impl Stream<Item = Result<bytes::Bytes, BollardError>>,
    path: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, DownloadFault> {
    let mut stream = Box::pin(stream);
    // A missing file is an error before the first bytes.
    let first = match stream.next().await {
        None => return Ok(None),
        Some(Err(error)) if is_absent(&error) => return Ok(None),
        Some(Err(error)) => return Err(DownloadFault::Daemon(error)),
        Some(Ok(first)) => first,
    };
    let (sender, reader) = stream_to_reader();
    let name = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || first_file(reader, &name, limit));
    let all = futures_util::stream::iter([Ok(first)]).chain(stream);
    let (read, ()) = tokio::join!(reading, pump(all, sender));
    read.unwrap_or_else(|panic| Err(broken(std::io::Error::other(panic)))).map(Some)
}

fn broken(error: std::io::Error) -> DownloadFault {
    match error.into_inner().map(|cause| cause.downcast::<BollardError>()) {
        Some(Ok(error)) => DownloadFault::Daemon(*error),
        Some(Err(cause)) => DownloadFault::Daemon(BollardError::from(std::io::Error::other(cause))),
        None => DownloadFault::Daemon(BollardError::from(std::io::Error::other("the archive is not valid"))),
    }
}

fn first_file(reader: impl Read, path: &str, limit: u64) -> Result<Vec<u8>, DownloadFault> {
    let mut archive = BoundedTar::new(reader);
    let mut entries = archive.entries().map_err(broken)?;
    let entry = entries.next().ok_or_else(|| broken(std::io::Error::other("the archive is empty")))?;
    let entry = entry.map_err(broken)?;
    let not_a_file = |found: &str| {
        DownloadFault::File(EngineError::NotAFile { path: path.to_owned(), found: found.to_owned() })
    };
    match entry.header().entry_type() {
        tar::EntryType::Regular | tar::EntryType::Continuous => {}
        tar::EntryType::Directory => return Err(not_a_file("a directory")),
        tar::EntryType::Symlink | tar::EntryType::Link => return Err(not_a_file("a link")),
        _ => return Err(not_a_file("a special file")),
    }
    let size = entry.size();
    if size > limit {
        return Err(DownloadFault::File(EngineError::TooLarge { path: path.to_owned(), size, limit }));
    }
    let mut bytes = Vec::new();
    entry.take(limit).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 != size {
        return Err(broken(std::io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(bytes)
}
