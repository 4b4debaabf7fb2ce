//! Owns reading out of an image how it was built from sources, for building it again.

use std::collections::BTreeSet;

use super::builder_image::resolve;
use super::{Error, Surroundings};
use crate::builder::BuilderError;
use crate::image::{ImageConfig, ImagePath, ImageReference};
use crate::plan::{ENVIRONMENT_LABEL, RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, SCRIPTS_LABEL};
use crate::request::{BuilderRequest, PullPolicy, Request};
use crate::source_build::{EnvironmentVariable, RuntimeRequest, ScriptsSource, SourceLocation};

/// S2I's labels of what an image was built from.
const BUILT_BY: &str = "io.openshift.s2i.build.image";
const BUILT_FROM: &str = "io.openshift.s2i.build.source-location";
const CONTEXT_DIRECTORY: &str = "io.openshift.s2i.build.source-context-dir";
const REFERENCE: &str = "io.openshift.s2i.build.commit.ref";

/// Puts into `request` what an image says of its own build: sources, builder, runtime image, scripts, and the variables
/// that it was given.
///
/// # Errors
/// [`Error`] if the image is not there, was not built by S2I, or its sources are not there.
pub async fn read_build(
    image: &ImageReference,
    mut request: Request,
    surroundings: &Surroundings,
) -> Result<Request, Error> {
    let daemon = surroundings.find_daemon().await?;
    let (pull, offline) = (request.pull, request.offline);
    let built = resolve(image, PullPolicy::Missing, offline, daemon.as_ref(), surroundings).await?.config;
    let text = |name: &str| built.label(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let label = |name: &'static str| {
        text(name).ok_or_else(|| Error::NotBuilt { image: image.familiar(), label: name })
    };
    let name = label(BUILT_BY)?;
    let wrong = |reason: String| BuilderError::BuilderName { text: name.clone(), reason };
    let builder: ImageReference =
        name.parse().map_err(|error: crate::image::reference::InvalidReference| wrong(error.to_string()))?;
    let place = label(BUILT_FROM)?;
    let mut location = SourceLocation::parse(&place)?;
    if let Some(reference) = text(REFERENCE) {
        location = location.with_reference(&reference)?;
    }
    let base = resolve(&builder, pull, offline, daemon.as_ref(), surroundings).await?;
    let wanted = request.source_build.as_mut().expect("a front end asks for a source build");
    wanted.environment = variables(&built, &base.config);
    wanted.scripts = text(SCRIPTS_LABEL).and_then(|place| scripts(&place));
    wanted.runtime = text(RUNTIME_IMAGE_LABEL)
        .and_then(|image| image.parse().ok())
        .map(|image| runtime(image, text(RUNTIME_ARTIFACTS_LABEL).as_deref(), pull));
    // What is a path here is one again.
    wanted.recorded_location = Some(place);
    wanted.location = location;
    wanted.builder = Some(BuilderRequest::Image(builder));
    wanted.source.context_directory = text(CONTEXT_DIRECTORY);
    wanted.display_name = text("io.k8s.display-name");
    wanted.description = text("io.k8s.description");
    Ok(request)
}

/// The variables that the build was given: those that b2i named, else whatever the builder does not have.
fn variables(built: &ImageConfig, builder: &ImageConfig) -> Vec<EnvironmentVariable> {
    let named = built.label(ENVIRONMENT_LABEL).map(|names| names.split(' ').collect::<BTreeSet<_>>());
    let of_builder: BTreeSet<String> = builder.list("Env").into_iter().collect();
    let variable = |entry: String| {
        let (name, value) = entry.split_once('=')?;
        let is_own = match &named {
            Some(names) => names.contains(name),
            None => !of_builder.contains(&entry),
        };
        is_own.then(|| EnvironmentVariable { name: name.to_owned(), value: value.to_owned() })
    };
    built.list("Env").into_iter().filter_map(variable).collect()
}

/// The runtime image, and what the user said that it gets; if nothing, its own label says it again.
fn runtime(image: ImageReference, artifacts: Option<&str>, pull: PullPolicy) -> RuntimeRequest {
    let places = artifacts.unwrap_or_default().split(';').filter_map(|place| place.parse().ok());
    RuntimeRequest { image, pull, artifacts: places.collect(), assemble_user: None }
}

/// The scripts that the user named, as [`ScriptsSource::label`] writes it.
fn scripts(place: &str) -> Option<ScriptsSource> {
    match place.strip_prefix("image://") {
        Some(path) => ImagePath::new(path).ok().map(ScriptsSource::Image),
        None => url::Url::parse(place).ok().map(ScriptsSource::Url),
    }
}
