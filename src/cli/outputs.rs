//! Owns reading where results go: `--output`, `--push`, and the files that are written beside.
//!
//! Must not write any of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::commands::build::BuildArguments;
use super::failure::CliError;
use crate::fs::canonical_path;
use crate::transport::{InvalidTransport, Transport};

/// Says where the result goes.
///
/// # Errors
/// A usage error for a place there is none of, or two results in one.
pub(super) fn outputs(arguments: &BuildArguments) -> Result<Vec<Transport>, CliError> {
    let mut files: HashSet<PathBuf> = HashSet::new();
    let written = &arguments.output;
    let read: Vec<PathBuf> =
        arguments.artifacts.iter().map(|artifact| canonical_path(Path::new(artifact))).collect();
    let beside = [("--iidfile", &written.iidfile), ("--metadata-file", &written.metadata_file)];
    for (flag, path) in beside {
        let Some(path) = path else { continue };
        if read.contains(&canonical_path(path)) {
            let message = format!("`{}` is to be written ({flag}), and it is what is read", path.display());
            return Err(CliError::usage(message).with_hint("name another file"));
        }
        check_directory(path, flag)?;
        once(&mut files, path, flag)?;
    }
    let outputs = transports(&written.output, written.push)?;
    for path in outputs.iter().filter_map(Transport::path) {
        if files.contains(&canonical_path(path)) {
            return Err(CliError::usage(format!("`{}` is written twice (--output)", path.display())));
        }
    }
    Ok(outputs)
}

/// The outputs that `--push` and `--output` name.
///
/// # Errors
/// A usage error for a text that is not an output.
pub(super) fn transports(written: &[String], push: bool) -> Result<Vec<Transport>, CliError> {
    let texts = push.then_some("registry").into_iter().chain(written.iter().map(String::as_str));
    let parse = |text: &str| {
        text.parse()
            .map_err(|error: InvalidTransport| CliError::usage(error.to_string()).with_hint(error.hint))
    };
    texts.map(parse).collect()
}

/// A file that nothing can make should not be found out when the image is published.
fn check_directory(path: &Path, flag: &str) -> Result<(), CliError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = if path.is_dir() {
        "it is a directory".to_owned()
    } else if !directory.is_dir() {
        format!("there is no directory `{}`", directory.display())
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!("`{}` cannot be written ({flag}): {reason}", path.display())))
}

/// Refuses a second result in one file. Devices and pipes, such as `/dev/null`, keep nothing that could be lost.
fn once(files: &mut HashSet<PathBuf>, path: &Path, flag: &str) -> Result<(), CliError> {
    let keeps_nothing = path.metadata().is_ok_and(|there| !there.is_file() && !there.is_dir());
    if keeps_nothing || files.insert(canonical_path(path)) {
        return Ok(());
    }
    Err(CliError::usage(format!("`{}` is written twice ({flag})", path.display())))
}
