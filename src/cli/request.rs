//! Owns turning what was typed, and what is configured, into a request.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::arguments::build::BuildArguments;
use super::environment::Environment;
use super::failure::CliError;
use super::input::{self, read_text};
use crate::config::{ConfigFile, Setting, Settings, unplaced};
use crate::request::{ImageRequest, Limits, Output, PullPolicy, Request};

/// What the options say that could also be configured.
pub(super) fn configured(arguments: &BuildArguments) -> Result<ConfigFile, CliError> {
    let mut flags = ConfigFile::default();
    input::configured(&arguments.input, &mut flags);
    let (builder, image) = (&arguments.builder, &arguments.image);
    let choice = |error: crate::config::values::InvalidValue| CliError::usage(error.to_string());
    flags.build.builder = builder.builder.clone().map(unplaced);
    flags.build.assemble =
        builder.assemble.as_deref().map(|text| text.parse().map(unplaced).map_err(choice)).transpose()?;
    flags.build.pull =
        builder.pull.as_deref().map(|text| text.parse().map(unplaced).map_err(choice)).transpose()?;
    flags.build.platform = image.platform.clone().map(unplaced);
    flags.build.labels =
        image.label.iter().map(|(name, value)| (name.clone(), unplaced(value.clone()))).collect();
    if !image.port.is_empty() {
        flags.build.ports = Some(unplaced(image.port.clone()));
    }
    flags.limits.memory = builder.memory.map(unplaced);
    flags.limits.cpus = builder.cpus.map(unplaced);
    flags.limits.pids = builder.pids_limit.map(unplaced);
    flags.limits.timeout = builder.timeout.map(unplaced);
    Ok(flags)
}

/// Makes the request.
pub(super) fn request(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Request, CliError> {
    let source = input::source(&arguments.input.artifact)?;
    let options = input::options(&arguments.input, &source, settings, environment)?;
    let offline = settings.network.offline.value;
    let pull = settings.build.pull.value.0;
    if offline && pull == PullPolicy::Always {
        return Err(CliError::usage(format!(
            "pulling is set to always by {}, and offline by {}",
            settings.build.pull.origin, settings.network.offline.origin
        ))
        .with_hint("give `--pull missing`, or leave `--offline` out"));
    }
    let builder = &arguments.builder;
    Ok(Request {
        source,
        input: options,
        main_class: arguments.input.main_class.clone(),
        builder: settings.build.builder.as_ref().map(|builder| builder.value.0.clone()),
        assemble: settings.build.assemble.value.0,
        limits: Limits {
            assemble_user: builder.assemble_user.clone(),
            allow_root: builder.allow_root,
            memory: value(&settings.limits.memory).map(|size| size.0),
            nano_cpus: value(&settings.limits.cpus).map(|cpus| cpus.0),
            pids: value(&settings.limits.pids),
            network: builder.network.clone().filter(|network| network != "none"),
            timeout: value(&settings.limits.timeout).map(|period| period.0),
        },
        platform: value(&settings.build.platform),
        image: image(arguments, settings, environment)?,
        tags: tags(arguments)?,
        outputs: outputs(arguments)?,
        pull,
        offline,
        date: environment.source_date_epoch()?,
    })
}

fn value<T: Clone>(setting: &Option<Setting<T>>) -> Option<T> {
    setting.as_ref().map(|setting| setting.value.clone())
}

fn image(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<ImageRequest, CliError> {
    let typed = &arguments.image;
    let env = variables(arguments, settings, environment)?;
    let sets_args = env.iter().any(|(name, _)| name == "ARGS");
    if sets_args && !arguments.args.is_empty() {
        return Err(CliError::usage("`--env ARGS` and arguments after `--` say the same thing twice")
            .with_hint("keep the arguments after `--`; b2i puts them into ARGS, quoted"));
    }
    if let Some(word) = arguments.args.iter().find(|word| word.contains('\0')) {
        return Err(CliError::usage(format!("the argument `{word}` contains a NUL")));
    }
    // What was typed wins over what is configured: `--env ARGS` too.
    let configured = || value(&settings.build.args).map(|words| words.0).filter(|_| !sets_args);
    let args = Some(arguments.args.clone()).filter(|args| !args.is_empty()).or_else(configured);
    let mut annotations = BTreeMap::new();
    annotations.extend(typed.annotation.iter().cloned());
    let ports = value(&settings.build.ports).unwrap_or_default();
    Ok(ImageRequest {
        args,
        env,
        labels: settings
            .build
            .labels
            .iter()
            .map(|(name, setting)| (name.clone(), setting.value.clone()))
            .collect(),
        annotations,
        ports: ports.iter().map(ToString::to_string).collect(),
        working_dir: typed.workdir.clone(),
        user: typed.user.clone(),
        entrypoint: typed.entrypoint.clone().map(|entrypoint| entrypoint.0),
        health_cmd: typed.health_cmd.clone(),
        stop_signal: typed.stop_signal.clone(),
        context_path: typed.context_path.clone(),
    })
}

/// The image's variables: configured, from files, typed. A later one replaces the value of an earlier one of the
/// same name and keeps its place.
fn variables(
    arguments: &BuildArguments,
    settings: &Settings,
    environment: &Environment,
) -> Result<Vec<(String, String)>, CliError> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match variables.iter_mut().find(|(known, _)| known == name) {
        Some((_, known)) => value.clone_into(known),
        None => variables.push((name.to_owned(), value.to_owned())),
    };
    for (name, setting) in &settings.build.env {
        set(name, &setting.value);
    }
    for path in &arguments.image.env_file {
        let text = read_text(path, "--env-file")?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        for (number, line) in text.lines().enumerate() {
            // As Docker reads such files: leading blanks are dropped, quotes are kept.
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) = variable(line, environment).map_err(|reason| {
                CliError::usage(format!("line {} of `{}` is wrong: {reason}", number + 1, path.display()))
            })?;
            if let Some(value) = value {
                set(&name, &value);
            }
        }
    }
    for text in &arguments.image.env {
        let (name, value) = variable(text, environment)
            .map_err(|reason| CliError::usage(format!("`--env` is wrong: {reason}")))?;
        // As Docker does: a variable that is not set here is not set there.
        if let Some(value) = value {
            set(&name, &value);
        }
    }
    Ok(variables)
}

/// Reads `NAME=VALUE`, or `NAME` with the value it has in this environment, if it has one.
fn variable(text: &str, environment: &Environment) -> Result<(String, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => match environment.exact(text) {
            Ok(value) => (text, value.map(str::to_owned)),
            Err(_) => return Err(format!("the variable `{text}` is not UTF-8")),
        },
    };
    // The value is left out of the message: it may be a password.
    if name.is_empty() || name.contains(|character: char| character.is_whitespace() || character.is_control())
    {
        return Err(format!("`{name}` cannot be the name of an environment variable"));
    }
    if value.as_ref().is_some_and(|value| value.contains('\0')) {
        return Err(format!("the value of `{name}` contains a NUL"));
    }
    Ok((name.to_owned(), value))
}

fn tags(arguments: &BuildArguments) -> Result<Vec<crate::image::ImageReference>, CliError> {
    let mut tags = Vec::new();
    for tag in &arguments.image.tag {
        if tag.digest().is_some() {
            return Err(CliError::usage(format!("`{tag}` names a digest, which follows from the image"))
                .with_hint("give a name and a tag: `--tag app:1.0`"));
        }
        if !tags.contains(tag) {
            tags.push(tag.clone());
        }
    }
    Ok(tags)
}

fn outputs(arguments: &BuildArguments) -> Result<Vec<Output>, CliError> {
    let mut outputs = Vec::new();
    let mut files: HashSet<&Path> = HashSet::new();
    let written = &arguments.output;
    files.extend(written.iidfile.as_deref());
    if let Some(path) = &written.metadata_file {
        once(&mut files, path, "--metadata-file")?;
    }
    for text in &written.output {
        match text.split_once(':') {
            None if text == "docker" && !outputs.contains(&Output::Docker) => outputs.push(Output::Docker),
            None if text == "docker" => {}
            Some(("docker-archive", path)) if !path.is_empty() => {
                once(&mut files, Path::new(path), "--output")?;
                outputs.push(Output::DockerArchive { path: PathBuf::from(path) });
            }
            _ => {
                return Err(CliError::usage(format!("`{text}` is not a place that images are written to"))
                    .with_hint("write `--output docker` or `--output docker-archive:FILE`"));
            }
        }
    }
    if written.run && !outputs.is_empty() && !outputs.contains(&Output::Docker) {
        return Err(CliError::usage(
            "`--run` needs the image in the daemon, and `--output` names only an archive",
        )
        .with_hint("add `--output docker`"));
    }
    Ok(outputs)
}

fn once<'a>(files: &mut HashSet<&'a Path>, path: &'a Path, flag: &str) -> Result<(), CliError> {
    if files.insert(path) {
        return Ok(());
    }
    Err(CliError::usage(format!("`{}` is to be written twice ({flag})", path.display())))
}
