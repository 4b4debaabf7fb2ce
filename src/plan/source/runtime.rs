//! Owns planning the runtime image of an extended build: artifacts, user and scripts. Must not read the image.
//!
//! `assemble-runtime` and `run` are optional, as long as a command starts the image.

use super::scripts::planned_script;
use super::stage::{BuilderImage, SourceFacts, absolute, below};
use super::users::check_user;
use super::{PlannedRuntime, SourcePlanError};
use crate::builder::S2iContract;
use crate::diagnostic::Warning;
use crate::image::ImagePath;
use crate::request::{RuntimeArtifactPlace, RuntimeRequest};

/// Plans the runtime image, if the request has one.
pub(super) fn planned_runtime(facts: &SourceFacts<'_>) -> Result<Option<PlannedRuntime>, SourcePlanError> {
    let (Some(options), Some(image)) = (&facts.options.runtime, &facts.runtime) else { return Ok(None) };
    if facts.options.artifact.is_some() {
        return Err(SourcePlanError::ArtifactAndRuntime);
    }
    let directory = absolute(image.config.working_dir(), "the working directory of the runtime image")?;
    let user = S2iContract::runtime_user_of(
        image.name,
        image.config,
        options.assemble_user.as_deref(),
        facts.request.limits.allow_root,
    )?;
    let allowed = &facts.options.allowed_uids;
    check_user(allowed, &user, &format!("`assemble-runtime` of the runtime image `{}`", image.name))?;
    check_user(allowed, image.config.user(), &format!("the runtime image `{}`", image.name))?;
    let script = |name| {
        let own = || S2iContract::scripts_of(image.name, image.config);
        planned_script(facts.scripts, name, &directory, own)
    };
    let run = script("run")?;
    let starts = ["Entrypoint", "Cmd"].iter().any(|field| !image.config.list(field).is_empty());
    if run.is_none() && !starts && facts.request.image.entrypoint.is_none() {
        return Err(SourcePlanError::RuntimeStartsNothing { image: image.name.to_owned() });
    }
    let is_own = |previous: &crate::request::PreviousImage| previous.image.is_none();
    Ok(Some(PlannedRuntime {
        image: options.image.clone(),
        artifacts: artifacts(options, image, &directory)?,
        user,
        assemble: script("assemble-runtime")?,
        run,
        keeps_artifacts: facts.options.incremental.as_ref().is_some_and(is_own) && facts.on_build.is_none(),
        destination: directory,
    }))
}

/// The artifacts, each with its directory in the runtime image.
fn artifacts(
    options: &RuntimeRequest,
    image: &BuilderImage<'_>,
    working_directory: &ImagePath,
) -> Result<Vec<(ImagePath, ImagePath)>, SourcePlanError> {
    let of_label = || {
        let listed = S2iContract::input_files_of(image.name, image.config);
        let places = listed.iter().map(|text| text.parse::<RuntimeArtifactPlace>());
        places.collect::<Result<Vec<_>, String>>().map_err(|reason| {
            let reason = format!("one of its paths is not valid: {reason}");
            S2iContract::invalid_input_file(image.name, image.config, &reason)
        })
    };
    let places = match options.artifacts.is_empty() {
        true => of_label()?,
        false => options.artifacts.clone(),
    };
    if places.is_empty() {
        return Err(SourcePlanError::NoRuntimeArtifacts { image: image.name.to_owned() });
    }
    let with_directory = places.into_iter().map(|place| {
        let directory = match &place.directory {
            Some(directory) => below(working_directory, directory, "`--runtime-artifact`")?,
            None => working_directory.clone(),
        };
        Ok((place.source, directory))
    });
    with_directory.collect()
}

/// Warns of the runtime image's own ONBUILD instructions.
pub(super) fn warning(image: &BuilderImage<'_>) -> Option<Warning> {
    let count = image.config.list("OnBuild").len();
    (count > 0).then(|| Warning {
        message: format!(
            "the {count} ONBUILD instructions of the runtime image have no effect: it receives built artifacts"
        ),
        hint: None,
    })
}
