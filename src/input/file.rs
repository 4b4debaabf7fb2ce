//! Owns input from this machine: a file by its path, and standard input.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::path::Path;

use super::artifact::FileContent;
use super::error::InputError;
use super::name::{FALLBACK, safe_name};
use super::spool::{Progress, SpoolError, Stop, spool};
use super::{Fetched, InputOptions};
use crate::detect::source_tree;
use crate::image::Digest;
use crate::image::digest::DigestBuilder;

/// Entries of a directory that are looked at for a build file.
const MAX_DIRECTORY_ENTRIES: usize = 10_000;

/// Opens the regular file at `path`, once.
pub(super) fn open(path: &Path, options: &InputOptions, stop: &Stop) -> Result<Fetched, InputError> {
    let file = open_without_waiting(path).map_err(|error| InputError::read(path, error))?;
    let metadata = file.metadata().map_err(|error| InputError::read(path, error))?;
    if metadata.is_dir() {
        return Err(directory(path));
    }
    if !metadata.is_file() {
        return Err(InputError::NotAFile { path: path.to_owned(), what: special(&metadata) });
    }
    let size = metadata.len();
    if size > options.max_size {
        let shown = path.display().to_string();
        return Err(InputError::TooLarge { shown, size: Some(size), limit: options.max_size });
    }
    let content = FileContent::new(file, path);
    let mut sha256 = None;
    if let Some(expected) = options.sha256 {
        let actual = digest(&content, path, stop)?;
        if actual != expected {
            return Err(InputError::DigestMismatch { shown: path.display().to_string(), expected, actual });
        }
        sha256 = Some(actual);
    }
    let name = path.file_name().and_then(|name| safe_name(&name.to_string_lossy()));
    Ok(Fetched { name: name.unwrap_or_else(|| FALLBACK.to_owned()), size, sha256, content })
}

/// Reads standard input to its end into a temporary file.
pub(super) fn spool_stdin(
    stdin: &mut dyn Read,
    options: &InputOptions,
    directory: &Path,
    mut progress: Progress,
    stop: &Stop,
) -> Result<Fetched, InputError> {
    let shown = || "standard input".to_owned();
    let spooled = spool(stdin, directory, options.max_size, |bytes| {
        progress.report(bytes, None);
        stop.check()
    });
    let spooled = spooled.map_err(|error| match error {
        SpoolError::Read(source) => InputError::Read { shown: shown(), source },
        SpoolError::Write(error) => InputError::Write(error),
        SpoolError::TooLarge => InputError::TooLarge { shown: shown(), size: None, limit: options.max_size },
    })?;
    if let Some(expected) = options.sha256.filter(|expected| *expected != spooled.digest) {
        return Err(InputError::DigestMismatch { shown: shown(), expected, actual: spooled.digest });
    }
    Ok(Fetched {
        name: FALLBACK.to_owned(),
        size: spooled.size,
        sha256: Some(spooled.digest),
        content: FileContent::temporary(spooled.file),
    })
}

/// Opens `path` without waiting for a writer if it is a pipe.
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits().cast_signed());
    }
    #[cfg(unix)]
    return options.open(path).map_err(|error| match error.raw_os_error() {
        // What opening a socket gives; the system's own words are no help.
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
            std::io::Error::other("it is a socket or a device, not a file")
        }
        _ => error,
    });
    #[cfg(not(unix))]
    options.open(path)
}

fn digest(content: &FileContent, path: &Path, stop: &Stop) -> Result<Digest, InputError> {
    let failed = |error| InputError::read(path, error);
    let mut reader = content.reader();
    let mut digest = DigestBuilder::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        stop.check().map_err(failed)?;
        match reader.read(&mut buffer).map_err(failed)? {
            0 => break,
            count => digest.update(&buffer[..count]),
        }
    }
    if content.changed().map_err(failed)? {
        return Err(InputError::Changed { path: path.to_owned() });
    }
    Ok(digest.finish())
}

fn directory(path: &Path) -> InputError {
    let entries = std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
    let names: Vec<String> = entries
        .take(MAX_DIRECTORY_ENTRIES)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    match source_tree(names.iter().map(String::as_str)) {
        Some(file) => InputError::SourceTree {
            shown: path.display().to_string(),
            build_file: file.name,
            build_system: file.system.word(),
            archive: false,
        },
        None => InputError::NotAFile { path: path.to_owned(), what: "a directory" },
    }
}

#[cfg(unix)]
fn special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_metadata: &Metadata) -> &'static str {
    "something else"
}
