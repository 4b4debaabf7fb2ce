//! Owns the conversion of source options for a request, and the distinction of sources and artifacts.
//!
//! Must not read sources.

use super::arguments::input::TreatAsChoice;
use super::commands::build::{BuildArguments, SourceArguments};
use super::environment::Environment;
use super::failure::CliError;
use super::request::variable;
use crate::config::{Settings, value};
use crate::input::SecretReference;
use crate::request::{
    BuilderRequest, EnvironmentVariable, PreviousImage, RuntimeRequest, SecretVariable, SourceBuildRequest,
};
use crate::sources::{SourceLocation, SourceOptions};

/// The location of the sources, if the input is sources: by its form, or because of an option.
///
/// # Errors
/// A usage error if an option does not fit the input.
pub(super) fn location(arguments: &BuildArguments) -> Result<Option<SourceLocation>, CliError> {
    let typed = &arguments.source;
    let [input] = &arguments.artifacts[..] else {
        return match &typed.first {
            None => Ok(None),
            Some(flag) => {
                Err(CliError::usage(format!("`{flag}` is for sources, but several inputs were passed"))
                    .with_hint("pass one directory or repository"))
            }
        };
    };
    let Some(text) = input.to_str() else {
        return Ok(input.is_dir().then(|| SourceLocation::Directory(input.clone())));
    };
    let is_source = arguments.input.treat_as == Some(TreatAsChoice::Source)
        || typed.source_builder.is_some()
        || typed.context_dir.is_some()
        || typed.reference.is_some()
        // An S2I image may take any directory as its sources.
        || (matches!(arguments.builder.builder, Some(BuilderRequest::Image(_))) && input.is_dir());
    if arguments.input.treat_as == Some(TreatAsChoice::Artifact)
        || !(is_source || SourceLocation::is_certain(text))
    {
        return match &typed.first {
            None => Ok(None),
            Some(flag) => Err(CliError::usage(format!("`{flag}` is for sources; `{text}` is an artifact"))
                .with_hint(format!("remove `{flag}`, or pass `--as source`"))),
        };
    }
    let location = SourceLocation::parse(text)?;
    Ok(Some(match &typed.reference {
        Some(reference) => location.with_reference(reference)?,
        None => location,
    }))
}

/// Makes the request of the source build.
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
        builder: value(&settings.build.source_builder),
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
        artifacts.map_err(|error| CliError::usage(format!("`--runtime-artifact` is not valid: {error}")))?;
    Ok(Some(RuntimeRequest { image, pull: None, artifacts, assemble_user: None }))
}

/// The variables of the build only: with a value, or with a name that the session looks up. An unset one is then an error:
/// a build without its token would fail later, with a worse message.
fn build_environment(
    typed: &SourceArguments,
    environment: &Environment,
) -> Result<(Vec<EnvironmentVariable>, Vec<SecretVariable>), CliError> {
    let (mut plain, mut secret): (Vec<EnvironmentVariable>, Vec<SecretVariable>) = Default::default();
    for text in &typed.build_env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--build-env` is not valid: {reason}")))?;
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
