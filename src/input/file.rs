//! Owns input from this machine: a file by its path, and standard input.
//! Must not look into an archive.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::artifact::FileContent;
use super::error::InputError;
use super::name::{FALLBACK, safe_name};
use super::spool::{Progress, SpoolError, SpoolFile, spool};
use super::{InputFile, InputOptions};
use crate::blocking::Stop;
use crate::detect::source_tree;
use crate::image::Digest;
use crate::image::digest::DigestBuilder;

/// The limit of directory entries that are searched for a build file.
const MAX_DIRECTORY_ENTRIES: usize = 10_000;

pub(super) fn open(path: &Path, options: &InputOptions, stop: &Stop) -> Result<InputFile, InputError> {
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
    Ok(InputFile { name: name.unwrap_or_else(|| FALLBACK.to_owned()), size, sha256, content })
}

pub(super) fn spool_stdin(
    stdin: &mut dyn Read,
    options: &InputOptions,
    directory: &Path,
    mut progress: Progress,
    stop: &Stop,
) -> Result<InputFile, InputError> {
    let shown = || "standard input".to_owned();
    let file = spool(stdin, directory, options.max_size, |bytes| {
        progress.report(bytes, None);
        stop.check()
    });
    let SpoolFile { file, digest, size } = file.map_err(|error| match error {
        SpoolError::Read(source) => InputError::Read { shown: shown(), source },
        SpoolError::Write(error) => InputError::Write(error),
        SpoolError::TooLarge => InputError::TooLarge { shown: shown(), size: None, limit: options.max_size },
    })?;
    if let Some(expected) = options.sha256.filter(|expected| *expected != digest) {
        return Err(InputError::DigestMismatch { shown: shown(), expected, actual: digest });
    }
    let content = FileContent::temporary(file);
    Ok(InputFile { name: FALLBACK.to_owned(), size, sha256: Some(digest), content })
}

/// Opens `path`. If it is a pipe, it does not wait for a writer.
fn open_without_waiting(path: &Path) -> std::io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    file.map_err(|error| match error.raw_os_error() {
        // The error for a socket. The system's message would be "no such device or address".
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => {
            std::io::Error::other("it is a socket or a device, not a file")
        }
        _ => error,
    })
}

/// The digest of a file that must not change meanwhile.
pub(super) fn digest(content: &FileContent, path: &Path, stop: &Stop) -> Result<Digest, InputError> {
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
            build_system: file.system,
            archive: false,
        },
        None => InputError::NotAFile { path: path.to_owned(), what: "a directory" },
    }
}

fn special(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
