//! Owns `s2i build`: what was kept and typed becomes a request, and the result is told on the standard error.

use std::ffi::OsString;
use std::path::Path;

use super::arguments::{self, BuildArguments, CommonArguments, S2iCommand, S2iGlobalArguments, is_on};
use super::configuration::Kept;
use super::{Typed, daemon, request};
use crate::cli::commands::build::{run_built, tell_next_step};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::events::{Event, Events, ScriptStream};
use crate::road::{self, Built, Surroundings};

/// Builds.
pub(super) fn build(
    typed_arguments: &BuildArguments,
    global: &S2iGlobalArguments,
    typed: &Typed<'_>,
    context: &Context,
) -> Result<(), CliError> {
    let restored = match is_on(typed_arguments.use_config) {
        true => Some(restore(typed, context)?),
        false => None,
    };
    let arguments = restored.as_ref().unwrap_or(typed_arguments);
    let settings = context.settings(ConfigFile::default())?;
    let request = request::build(arguments, &settings, context)?;
    let surroundings = daemon::surroundings(global, &arguments.common, &settings, context)?;
    let surroundings = as_quiet_as_asked(&arguments.common, surroundings);
    let mut runtime = Runtime::start()?;
    if arguments.as_dockerfile.is_some() {
        return Err(CliError::usage("`--as-dockerfile` is not there yet"));
    }
    let built = runtime.run(&surroundings, road::build(&request, &surroundings))?;
    context.progress.finish();
    if is_on(arguments.run) {
        return run_built(&built, &surroundings, context, runtime);
    }
    tell(&built, context);
    Ok(())
}

/// Says on the standard error what was built: s2i's own is empty at the end, and scripts may read it.
pub(super) fn tell(built: &Built, context: &Context) {
    let digest = built.manifest_digest.unwrap_or(built.image_id);
    for tag in &built.tags {
        context.printer.note(&format!("{} {digest}", printable(&tag.familiar())));
    }
    tell_next_step(built, context);
}

/// `--quiet` leaves out what scripts print to their standard output, and nothing else.
pub(super) fn as_quiet_as_asked(common: &CommonArguments, mut surroundings: Surroundings) -> Surroundings {
    if is_on(common.quiet) {
        let events = surroundings.events.clone();
        surroundings.events = Events::new(move |event| {
            if !matches!(event, Event::ScriptOutput { stream: ScriptStream::Stdout, .. }) {
                events.send(event);
            }
        });
    }
    surroundings
}

/// Puts what `.s2ifile` keeps before what was typed, and writes both back.
fn restore(typed: &Typed<'_>, context: &Context) -> Result<BuildArguments, CliError> {
    let matches = typed.matches.subcommand_matches("build").expect("it was parsed as a build");
    let kept = Kept::read()?;
    let Some(kept) = kept else {
        context.progress.events().note("there is no .s2ifile yet; what was typed is written to it");
        let typed_words = typed.words.iter().cloned();
        let arguments = parse(typed_words, typed)?;
        Kept::of(matches).write()?;
        return Ok(arguments);
    };
    let mut words: Vec<OsString> = typed.words.to_vec();
    // Behind the command's name; what was typed comes later and wins.
    let command = words.iter().position(|word| word == "build").expect("it was parsed as a build");
    words.splice(command + 1..command + 1, kept.words(matches));
    let mut arguments = parse(words.into_iter(), typed)?;
    let or_kept = |typed: Option<String>, kept: &str| {
        typed.or_else(|| Some(kept.to_owned()).filter(|text| !text.is_empty()))
    };
    arguments.source = or_kept(arguments.source.take(), &kept.source);
    arguments.image = or_kept(arguments.image.take(), &kept.builder_image);
    arguments.tag = or_kept(arguments.tag.take(), &kept.tag);
    let now = Kept::of(matches);
    let mut flags = kept.flags;
    flags.retain(|name, _| !(name.starts_with("env-") && now.flags.contains_key("env-0")));
    flags.extend(now.flags);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Kept {
        source: text(&arguments.source),
        builder_image: text(&arguments.image),
        tag: text(&arguments.tag),
        flags,
    }
    .write()?;
    Ok(arguments)
}

fn parse(words: impl Iterator<Item = OsString>, typed: &Typed<'_>) -> Result<BuildArguments, CliError> {
    let name = typed.called.name();
    let line = std::iter::once(OsString::from(name)).chain(words);
    let (parsed, _) = arguments::parse(line, name)
        .map_err(|error| CliError::usage(format!("`.s2ifile` holds something wrong: {error}")))?;
    match parsed.command {
        S2iCommand::Build(build) => Ok(*build),
        _ => unreachable!("the command is the one that was typed"),
    }
}

/// s2i's PATH is the Dockerfile, or a directory for it if it ends with `/`.
fn dockerfile_place(path: &Path) -> Result<(std::path::PathBuf, String), CliError> {
    let text = path.to_str().ok_or_else(|| CliError::usage("the path of `--as-dockerfile` is not UTF-8"))?;
    if text.ends_with('/') {
        return Ok((path.to_owned(), "Dockerfile".into()));
    }
    let wrong = || CliError::usage(format!("`{text}` names no file (--as-dockerfile)"));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((directory.unwrap_or(Path::new(".")).to_owned(), name.to_owned()))
}
