//! Owns turning what was typed about sources into what is asked of a source build, and telling sources from artifacts.

use super::arguments::input::TreatAsChoice;
use super::commands::build::BuildArguments;
use super::commands::build::SourceArguments;
use super::environment::Environment;
use super::failure::CliError;
use super::request::variable;
use crate::config::Settings;
use crate::input::SecretReference;
use crate::request::{
    EnvironmentVariable, PreviousImage, RuntimeRequest, SecretVariable, SourceBuildRequest,
};
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
        || !(is_asked || SourceLocation::is_certain(text))
    {
        return match typed.first() {
            None => Ok(None),
            Some(flag) => Err(CliError::usage(format!(
                "`{flag}` is for sources, and `{text}` is taken for a finished artifact"
            ))
            .with_hint(format!("leave `{flag}` out, or say `--as source`"))),
        };
    }
    let location = SourceLocation::parse(text)?;
    Ok(Some(match &typed.reference {
        Some(reference) => location.with_reference(reference)?,
        None => location,
    }))
}

/// What is asked of the source build.
///
/// # Errors
/// A usage error if a value is none.
pub(super) fn source_build(
    location: SourceLocation,
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<SourceBuildRequest, CliError> {
    let typed = &arguments.source;
    let (build_environment, build_secrets) = build_environment(typed, environment)?;
    Ok(SourceBuildRequest {
        location,
        source: SourceOptions {
            context_directory: typed.context_dir.clone(),
            submodules: !typed.no_submodules,
            exclude: typed.exclude.clone(),
            follow_links: typed.follow_links,
            ..SourceOptions::default()
        },
        builder: settings.build.source_builder.as_ref().map(|builder| builder.value.clone()),
        artifact: typed.artifact.clone(),
        scripts: typed.scripts_url.clone(),
        build_environment,
        build_secrets,
        secrets: typed.secret.clone(),
        injections: typed.inject.clone(),
        volumes: typed.volume.clone(),
        incremental: typed
            .incremental
            .clone()
            .map(|image| PreviousImage { image, ..PreviousImage::default() }),
        runtime: runtime(typed)?,
        allowed_uids: typed.allowed_uids.clone().unwrap_or_default(),
        add_hosts: typed.add_host.clone(),
        drop_capabilities: typed.cap_drop.clone(),
        skip_caches: typed.no_build_cache,
        cache_key: typed.cache_key.clone(),
        ..SourceBuildRequest::default()
    })
}

fn runtime(typed: &SourceArguments) -> Result<Option<RuntimeRequest>, CliError> {
    let Some(image) = typed.runtime_image.clone() else { return Ok(None) };
    let artifacts: Result<_, String> = typed.runtime_artifact.iter().map(|text| text.parse()).collect();
    let artifacts =
        artifacts.map_err(|error| CliError::usage(format!("`--runtime-artifact` is wrong: {error}")))?;
    Ok(Some(RuntimeRequest { image, pull: None, artifacts, assemble_user: None }))
}

/// The variables that leave no trace: those with a value, and those whose value is in this environment. One that is not
/// set here is an error: a build that goes on without its token fails later and says less.
fn build_environment(
    typed: &SourceArguments,
    environment: &Environment,
) -> Result<(Vec<EnvironmentVariable>, Vec<SecretVariable>), CliError> {
    let (mut plain, mut secret): (Vec<EnvironmentVariable>, Vec<SecretVariable>) = Default::default();
    for text in &typed.build_env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--build-env` is wrong: {reason}")))?;
        plain.retain(|known| known.name != name);
        secret.retain(|known| known.name != name);
        match value.filter(|_| text.contains('=')) {
            Some(value) => plain.push(EnvironmentVariable { name, value }),
            None => {
                let value = SecretReference::Variable(name.clone());
                secret.push(SecretVariable { name, value });
            }
        }
    }
    Ok((plain, secret))
}
