//! Owns reading where results go: `--output`, `--push`, and the files that are written beside.
//!
//! Must not write any of them.

use std::collections::HashSet;
use std::path::PathBuf;

use super::arguments::build::BuildArguments;
use super::failure::CliError;
use crate::image::ImageReference;
use crate::request::Output;

/// Says where the result goes.
///
/// # Errors
/// A usage error for a place there is none of, or two results in one.
pub(super) fn outputs(arguments: &BuildArguments) -> Result<Vec<Output>, CliError> {
    let mut files: HashSet<PathBuf> = HashSet::new();
    let written = &arguments.output;
    files.extend(written.iidfile.clone());
    if let Some(path) = &written.metadata_file {
        once(&mut files, path.clone(), "--metadata-file")?;
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
                // The paths live as long as the arguments.
                once(&mut files, path.clone(), "--output")?;
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

fn once(files: &mut HashSet<PathBuf>, path: PathBuf, flag: &str) -> Result<(), CliError> {
    let shown = path.display().to_string();
    if files.insert(path) {
        return Ok(());
    }
    Err(CliError::usage(format!("`{shown}` is to be written twice ({flag})")))
}
