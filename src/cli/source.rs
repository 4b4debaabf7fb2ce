//! Owns turning what was typed about sources into what is asked of a source build, and telling sources from artifacts.

use super::arguments::input::TreatAsChoice;
use super::commands::build::BuildArguments;
use super::commands::build::SourceArguments;
use super::environment::Environment;
use super::failure::CliError;
use super::request::variable;
use crate::config::Settings;
use crate::input::InputOptions;
use crate::request::{EnvironmentVariable, PreviousImage, PullPolicy, RuntimeRequest, SourceBuildRequest};
use crate::sources::{SourceLocation, SourceOptions};

/// Where the sources are, if it is sources that are to be built: by their form, or because an option says so.
///
/// # Errors
/// A usage error if an option contradicts what is named.
pub(super) fn location(arguments: &BuildArguments) -> Result<Option<SourceLocation>, CliError> {
    let typed = &arguments.source;
    let [named] = &arguments.artifacts[..] else {
        return match typed.first() {
            None => Ok(None),
            Some(flag) => {
                Err(CliError::usage(format!("`{flag}` is for sources, and several artifacts are named"))
                    .with_hint("one directory or repository is built at a time"))
            }
        };
    };
    let Some(text) = named.to_str() else {
        return match named.is_dir() {
            true => Ok(Some(SourceLocation::Directory(named.clone()))),
            false => Ok(None),
        };
    };
    let is_asked = arguments.input.treat_as == Some(TreatAsChoice::Source)
        || typed.source_builder.is_some()
        || typed.context_dir.is_some()
        || typed.reference.is_some();
    if arguments.input.treat_as == Some(TreatAsChoice::Artifact)
        || !(is_asked || SourceLocation::is_meant(text))
    {
        return match typed.first() {
            None => Ok(None),
            Some(flag) => Err(CliError::usage(format!(
                "`{flag}` is for sources, and `{text}` is taken for a finished artifact"
            ))
            .with_hint(format!("leave `{flag}` out, or say `--as source`"))),
        };
    }
    refuse_for_sources(arguments)?;
    let location = SourceLocation::parse(text)?;
    Ok(Some(match &typed.reference {
        Some(reference) => location.with_reference(reference)?,
        None => location,
    }))
}

/// Options that say something about one finished file, and would be ignored in silence.
fn refuse_for_sources(arguments: &BuildArguments) -> Result<(), CliError> {
    let input = &arguments.input;
    let given = [
        ("--path", input.path.is_some(), "name the artifact that is built with `--artifact PATH`"),
        ("--keep-tree", input.keep_tree, "add files beside the artifact with `--add`"),
    ];
    match given.into_iter().find(|(_, is_given, _)| *is_given) {
        Some((flag, _, hint)) => {
            Err(CliError::usage(format!("`{flag}` is for archives of finished artifacts, not for sources"))
                .with_hint(hint))
        }
        None => Ok(()),
    }
}

/// What is asked of the source build.
///
/// # Errors
/// A usage error if a value is none.
pub(super) fn source_build(
    location: SourceLocation,
    arguments: &BuildArguments,
    settings: &Settings,
    input: &InputOptions,
    pull: PullPolicy,
    environment: &Environment,
) -> Result<SourceBuildRequest, CliError> {
    let typed = &arguments.source;
    Ok(SourceBuildRequest {
        location,
        source: SourceOptions {
            context_directory: typed.context_dir.clone(),
            submodules: !typed.no_submodules,
            exclude: typed.exclude.clone(),
            follow_links: typed.follow_links,
            input: input.clone(),
            ..SourceOptions::default()
        },
        builder: settings.build.source_builder.as_ref().map(|builder| builder.value.0.clone()),
        artifact: typed.artifact.clone(),
        scripts: typed.scripts_url.clone(),
        build_environment: build_environment(typed, environment)?,
        secrets: typed.secret.clone(),
        injections: typed.inject.clone(),
        volumes: typed.volume.clone(),
        incremental: typed.incremental.clone().map(|image| PreviousImage { image, pull, remove: false }),
        runtime: runtime(typed, pull)?,
        allowed_uids: typed.allowed_uids.clone().map(|ranges| ranges.0).unwrap_or_default(),
        add_hosts: typed.add_host.clone(),
        drop_capabilities: typed.cap_drop.clone(),
        skip_caches: typed.no_build_cache,
        cache_key: typed.cache_key.clone(),
        ..SourceBuildRequest::default()
    })
}

fn runtime(typed: &SourceArguments, pull: PullPolicy) -> Result<Option<RuntimeRequest>, CliError> {
    let Some(image) = typed.runtime_image.clone() else { return Ok(None) };
    let artifacts: Result<_, String> = typed.runtime_artifact.iter().map(|text| text.parse()).collect();
    let artifacts =
        artifacts.map_err(|error| CliError::usage(format!("`--runtime-artifact` is wrong: {error}")))?;
    Ok(Some(RuntimeRequest { image, pull, artifacts, assemble_user: None }))
}

/// The variables that leave no trace. One that is named and not set here is an error: a build that goes on without
/// its token fails later and says less.
fn build_environment(
    typed: &SourceArguments,
    environment: &Environment,
) -> Result<Vec<EnvironmentVariable>, CliError> {
    let mut variables: Vec<EnvironmentVariable> = Vec::new();
    for text in &typed.build_env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--build-env` is wrong: {reason}")))?;
        let value = value.ok_or_else(|| {
            CliError::usage(format!(
                "`--build-env {name}` takes its value from this environment, and it is not set"
            ))
        })?;
        variables.retain(|known| known.name != name);
        variables.push(EnvironmentVariable { name, value });
    }
    Ok(variables)
}
