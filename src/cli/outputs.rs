//! Owns reading where results go: `--output`, `--push`, and the files that are written beside.
//!
//! Must not write any of them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::arguments::build::BuildArguments;
use super::failure::CliError;
use crate::fs::canonical_path;
use crate::image::ImageReference;
use crate::request::Output;

/// Says where the result goes.
///
/// # Errors
/// A usage error for a place there is none of, or two results in one.
pub(super) fn outputs(arguments: &BuildArguments) -> Result<Vec<Output>, CliError> {
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
) -> Result<Vec<Output>, CliError> {
    places(written, push, tags, HashSet::new())
}

fn places(
    written: &[String],
    push: bool,
    tags: &[ImageReference],
    mut files: HashSet<PathBuf>,
) -> Result<Vec<Output>, CliError> {
    let mut outputs = Vec::new();
    if push {
        outputs.push(Output::Registry);
    }
    for text in written {
        let output = output(text)?;
        match &output {
            Output::Docker | Output::Registry if outputs.contains(&output) => continue,
            Output::Docker | Output::Registry => {}
            Output::DockerArchive { path } | Output::OciArchive { path } | Output::OciDirectory { path } => {
                once(&mut files, path, "--output")?;
            }
        }
        outputs.push(output);
    }
    if outputs.contains(&Output::Registry) {
        check_pushable(tags)?;
    }
    Ok(outputs)
}

/// Reads one `--output`.
fn output(text: &str) -> Result<Output, CliError> {
    let with_path = text.split_once(':').filter(|(_, path)| !path.is_empty());
    match (text, with_path) {
        (_, Some(("docker-archive" | "oci-archive", "-"))) => Err(CliError::usage(format!(
            "`{text}`: the standard output is for the result's name and digest"
        ))
        .with_hint(
            "write `/dev/fd/N` or a named pipe to hand the archive on, or `./-` for a file of that name",
        )),
        ("docker", _) => Ok(Output::Docker),
        ("registry", _) => Ok(Output::Registry),
        (_, Some(("docker-archive", path))) => Ok(Output::DockerArchive { path: path.into() }),
        (_, Some(("oci-archive", path))) => Ok(Output::OciArchive { path: path.into() }),
        (_, Some(("oci", path))) => Ok(Output::OciDirectory { path: path.into() }),
        _ => Err(CliError::usage(format!("`{text}` is not a place that images are written to"))
            .with_hint("write docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE")),
    }
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
