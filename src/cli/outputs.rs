//! Owns the outputs: `--output`, `--push`, and the checks of the files of `--iidfile`, `--digest-file` and `--metadata-file`.
//!
//! Must not write any of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::commands::build::BuildArguments;
use super::failure::CliError;
use crate::fs::{canonical_path, is_device};
use crate::transport::{InvalidTransport, Transport};

/// The outputs of a build.
///
/// # Errors
/// A usage error if an output is not valid, would overwrite an input, or is written twice.
pub(super) fn outputs(arguments: &BuildArguments) -> Result<Vec<Transport>, CliError> {
    let mut files: HashSet<PathBuf> = HashSet::new();
    let options = &arguments.output;
    let inputs: Vec<PathBuf> =
        arguments.artifacts.iter().map(|artifact| canonical_path(Path::new(artifact))).collect();
    let beside = [
        ("--iidfile", &options.iidfile),
        ("--digest-file", &options.digest_file),
        ("--metadata-file", &options.metadata_file),
    ];
    for (flag, path) in beside {
        let Some(path) = path else { continue };
        if path == Path::new("-") {
            let hint =
                "for JSON on the standard output, pass `--format json`; for a file with this name, `./-`";
            return Err(CliError::usage(format!("`{flag}` requires a file")).with_hint(hint));
        }
        if inputs.contains(&canonical_path(path)) {
            let message = format!("output `{}` would overwrite an input ({flag})", path.display());
            return Err(CliError::usage(message).with_hint("name another file"));
        }
        check_directory(path, flag)?;
        once(&mut files, path, flag)?;
    }
    let outputs = transports(&options.output, options.push)?;
    for path in outputs.iter().filter_map(Transport::path) {
        if files.contains(&canonical_path(path)) {
            return Err(CliError::usage(format!("`{}` is written twice (--output)", path.display())));
        }
    }
    Ok(outputs)
}

/// The outputs of `--push` and `--output`.
pub(super) fn transports(outputs: &[String], push: bool) -> Result<Vec<Transport>, CliError> {
    let texts = push.then_some("registry").into_iter().chain(outputs.iter().map(String::as_str));
    let parse = |text: &str| {
        text.parse()
            .map_err(|error: InvalidTransport| CliError::usage(error.to_string()).with_hint(error.hint))
    };
    texts.map(parse).collect()
}

/// Rejects a file that cannot be created, before the build starts.
fn check_directory(path: &Path, flag: &str) -> Result<(), CliError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let reason = if path.is_dir() {
        "it is a directory".to_owned()
    } else if !directory.is_dir() {
        format!("directory `{}` not found", directory.display())
    } else {
        return Ok(());
    };
    Err(CliError::usage(format!("cannot write `{}` ({flag}): {reason}", path.display())))
}

/// Rejects a second result in one file. Devices and pipes, such as `/dev/null`, store nothing that could be lost.
fn once(files: &mut HashSet<PathBuf>, path: &Path, flag: &str) -> Result<(), CliError> {
    if is_device(path) || files.insert(canonical_path(path)) {
        return Ok(());
    }
    Err(CliError::usage(format!("`{}` is written twice ({flag})", path.display())))
}
