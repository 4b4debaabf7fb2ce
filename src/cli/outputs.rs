//! Owns reading where results go: `--output`, `--push`, and the files that are written beside.
//!
//! Must not write any of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::commands::build::BuildArguments;
use super::failure::CliError;
use crate::fs::canonical_path;
use crate::image::ImageReference;
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
    places(&written.output, written.push, &arguments.image.tag, files)
}

/// The places that `--output` and `--push` name.
///
/// # Errors
/// As [`outputs`].
pub(super) fn named_places(
    written: &[String],
    push: bool,
    tags: &[ImageReference],
) -> Result<Vec<Transport>, CliError> {
    places(written, push, tags, HashSet::new())
}

fn places(
    written: &[String],
    push: bool,
    tags: &[ImageReference],
    mut files: HashSet<PathBuf>,
) -> Result<Vec<Transport>, CliError> {
    let mut outputs = Vec::new();
    if push {
        outputs.push(Transport::Registry);
    }
    for text in written {
        let output: Transport = text
            .parse()
            .map_err(|error: InvalidTransport| CliError::usage(error.to_string()).with_hint(error.hint))?;
        match output.path() {
            Some(path) => once(&mut files, path, "--output")?,
            None if outputs.contains(&output) => continue,
            None => {}
        }
        outputs.push(output);
    }
    if outputs.contains(&Transport::Registry) {
        check_pushable(tags)?;
    }
    Ok(outputs)
}

/// Pushing needs names, and names that somebody may push to.
fn check_pushable(tags: &[ImageReference]) -> Result<(), CliError> {
    if tags.is_empty() {
        return Err(CliError::usage("pushing needs a name that says where to")
            .with_hint("name registry, repository and tag: `--tag registry.example/team/app:1.0`"));
    }
    match tags.iter().find(|tag| tag.registry() == "docker.io" && tag.repository().starts_with("library/")) {
        None => Ok(()),
        Some(tag) => Err(CliError::usage(format!(
            "`{}` names no registry; it would go to Docker Hub's own images",
            tag.familiar()
        ))
        .with_hint(format!(
            "write `registry.example/team/{0}`, or `USER/{0}` for Docker Hub",
            tag.familiar()
        ))),
    }
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
    Err(CliError::usage(format!("`{}` is to be written twice ({flag})", path.display())))
}
