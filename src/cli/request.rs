//! Owns the conversion of arguments and settings into a request.
//!
//! Must not check the request; `Request::validate` does.

use super::commands::build::BuildArguments;
use super::environment::Environment;
use super::failure::CliError;
use super::input::{self, read_text};
use super::outputs::outputs;
use super::source;
use crate::config::values::Platforms;
use crate::config::{ConfigFile, Settings, unplaced, value};
use crate::image::Platform;
use crate::image::config::set_env;
use crate::input::InputSource;
use crate::request::{ImageRequest, Limits, Request, check_variable};
use crate::sources::SourceLocation;

/// The flags that are also configuration keys, as if they were a file.
pub(super) fn configured(arguments: &BuildArguments) -> ConfigFile {
    let mut flags = ConfigFile::default();
    input::configured(&arguments.input, &mut flags);
    let (builder, image) = (&arguments.builder, &arguments.image);
    flags.build.builder = builder.builder.clone().map(unplaced);
    flags.build.base = builder.base.clone().map(unplaced);
    flags.build.source_builder = arguments.source.source_builder.clone().map(unplaced);
    flags.build.assemble = builder.assemble.map(unplaced);
    flags.build.pull = builder.pull.map(unplaced);
    flags.build.platform = Platforms::of(image.platform.clone()).map(unplaced);
    flags.build.labels =
        image.label.iter().map(|(name, value)| (name.clone(), unplaced(value.clone()))).collect();
    flags.build.ports = (!image.port.is_empty()).then(|| unplaced(image.port.clone()));
    flags.limits.memory = builder.memory.map(unplaced);
    flags.limits.cpus = builder.cpus.map(unplaced);
    flags.limits.pids = builder.pids_limit.map(unplaced);
    flags.limits.timeout = builder.timeout.map(unplaced);
    flags.network.chunk_size = arguments.output.chunk_size.map(unplaced);
    flags
}

/// Makes the request.
pub(super) fn request(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Request, CliError> {
    let location = source::location(arguments)?;
    let artifacts: Vec<InputSource> = match &location {
        Some(_) => Vec::new(),
        None => {
            arguments.artifacts.iter().map(|artifact| input::source(artifact)).collect::<Result<_, _>>()?
        }
    };
    let has_network = match &location {
        Some(SourceLocation::Archive(source)) => matches!(source, InputSource::Url(_)),
        Some(location) => matches!(location, SourceLocation::Git(_)),
        None => artifacts.iter().any(|artifact| matches!(artifact, InputSource::Url(_))),
    };
    let input = input::options(&arguments.input, has_network, settings)?;
    let source_build = location
        .map(|location| source::source_build(location, arguments, settings, environment))
        .transpose()?;
    let builder = &arguments.builder;
    Ok(Request {
        artifacts,
        input,
        main_class: arguments.input.main_class.clone(),
        builder: value(&settings.build.builder),
        allow_missing: builder.allow_missing,
        base: value(&settings.build.base),
        assemble: settings.build.assemble.value,
        limits: Limits {
            assemble_user: builder.assemble_user.as_ref().map(ToString::to_string),
            allow_root: builder.allow_root,
            allow_root_sandbox: builder.allow_root_sandbox,
            network: builder.network.clone().filter(|network| network != "none"),
            ..limits(settings)
        },
        platforms: platforms(settings),
        image: image(arguments, settings, environment)?,
        tags: arguments.image.tag.clone(),
        outputs: outputs(arguments)?,
        run: arguments.output.run,
        pull: settings.build.pull.value,
        offline: settings.network.offline.value,
        compression: arguments.output.compression.unwrap_or_default(),
        ignore_memo: arguments.output.no_memo,
        date: environment.source_date_epoch()?,
        created: arguments.image.created,
        source_build,
        ..Request::default()
    })
}

/// The configured limits.
pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        memory: value(&settings.limits.memory).map(|size| size.0),
        nano_cpus: value(&settings.limits.cpus).map(|cpus| cpus.0),
        pids: value(&settings.limits.pids),
        timeout: value(&settings.limits.timeout).map(|period| period.0),
        change_size: value(&settings.limits.change_size).map(|size| size.0),
        change_files: value(&settings.limits.change_files),
        ..Limits::default()
    }
}

/// The configured platforms.
pub(super) fn platforms(settings: &Settings) -> Vec<Platform> {
    settings.build.platform.as_ref().map_or_else(Vec::new, |all| all.value.as_slice().to_vec())
}

fn image(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<ImageRequest, CliError> {
    let typed = &arguments.image;
    let env = variables(arguments, settings, environment)?;
    let sets_args = env.iter().any(|(name, _)| name == "ARGS");
    // `--env ARGS` is a flag too, and flags win over the configuration.
    let configured = || value(&settings.build.args).map(|words| words.0).filter(|_| !sets_args);
    let args = Some(arguments.args.clone()).filter(|args| !args.is_empty()).or_else(configured);
    let labels = settings.build.labels.iter();
    Ok(ImageRequest {
        args,
        env,
        labels: labels.map(|(name, setting)| (name.clone(), setting.value.clone())).collect(),
        annotations: typed.annotation.iter().cloned().collect(),
        ports: value(&settings.build.ports).unwrap_or_default(),
        working_dir: typed.workdir.clone(),
        user: typed.user.clone(),
        entrypoint: typed.entrypoint.clone().map(|entrypoint| entrypoint.0),
        health_cmd: typed.health_cmd.clone(),
        stop_signal: typed.stop_signal.clone(),
        context_path: typed.context_path.clone(),
    })
}

/// The variables of the image: from the configuration, then files, then flags. A later value replaces an earlier one of the
/// same name in its position.
fn variables(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Vec<(String, String)>, CliError> {
    let configured = settings.build.env.iter();
    let mut all: Vec<(String, String)> =
        configured.map(|(name, setting)| (name.clone(), setting.value.clone())).collect();
    for path in &arguments.image.env_file {
        let text = read_text(path, "--env-file")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in text.lines().enumerate() {
            // As in Docker: leading blanks are dropped, quotes stay.
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let invalid = |reason: String| {
                CliError::usage(format!("line {} of `{}` is not valid: {reason}", number + 1, path.display()))
            };
            let (name, value) = variable(line, environment).map_err(invalid)?;
            let checked = check_variable(&name, value.as_deref().unwrap_or_default());
            checked.map_err(|error| invalid(error.to_string()))?;
            all.extend(value.map(|value| (name, value)));
        }
    }
    for text in &arguments.image.env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--env` is not valid: {reason}")))?;
        all.extend(value.map(|value| (name, value)));
    }
    let mut variables = Vec::new();
    set_env(&mut variables, &all);
    Ok(variables)
}

/// Parses `NAME=VALUE`, or `NAME` with its value in this environment. As in Docker, a variable that is not set here is
/// not set in the image.
pub(super) fn variable(text: &str, environment: &Environment) -> Result<(String, Option<String>), String> {
    match text.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), Some(value.to_owned()))),
        None => {
            let value = environment.exact(text).map_err(|_| format!("variable `{text}` is not UTF-8"))?;
            Ok((text.to_owned(), value.map(str::to_owned)))
        }
    }
}

#[cfg(test)]
mod tests;
