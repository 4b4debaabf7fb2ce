//! Owns `s2i build`, `rebuild`, `usage`, `generate` and `create`.
//!
//! Must not print results to the standard output.

use std::ffi::OsString;
use std::path::Path;

use super::arguments::{
    self, BuildArguments, CommonArguments, CreateArguments, GenerateArguments, RebuildArguments, S2iCommand,
    S2iGlobalArguments, UsageArguments, is_on, non_empty,
};
use super::configuration::SavedArguments;
use super::{CommandLine, daemon, request, source_build};
use crate::cli::commands::build::{print_next_step, run_built};
use crate::cli::commands::builders;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::{printable, script_line};
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::events::{Event, Events, ScriptStream};
use crate::pipeline::Built;
use crate::request::{BuilderRequest, Request, SourceBuildRequest};
use crate::session::Session;
use crate::{ops, pipeline};

pub(super) fn build(
    typed: &BuildArguments,
    global: &S2iGlobalArguments,
    line: &CommandLine<'_>,
    context: &Context,
) -> Result<(), CliError> {
    let restored = is_on(typed.use_config).then(|| restore(line, context)).transpose()?;
    let arguments = restored.as_ref().unwrap_or(typed);
    let settings = context.settings(ConfigFile::default())?;
    let mut request = request::build(arguments, &settings, context)?;
    request.run = is_on(arguments.run);
    let session = daemon::session(global, &arguments.common, &settings, context)?;
    let session = with_quiet(&arguments.common, session);
    let mut runtime = Runtime::start()?;
    if let Some(path) = &arguments.as_dockerfile {
        return write_dockerfile(path, &request, &session, context, &mut runtime);
    }
    let built = runtime.run(&session, session.build(&request))?;
    context.progress.finish();
    if is_on(arguments.run) {
        return run_built(&built, &session, context, runtime);
    }
    print(&built, context);
    Ok(())
}

/// Writes a Dockerfile. s2i's PATH is the Dockerfile, or its directory if it ends with `/`.
fn write_dockerfile(
    path: &Path,
    request: &Request,
    session: &Session,
    context: &Context,
    runtime: &mut Runtime,
) -> Result<(), CliError> {
    let is_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| !is_directory);
    let (directory, name) = match name {
        _ if is_directory => (path, "Dockerfile"),
        Some(name) => (path.parent().unwrap_or(Path::new("")), name),
        None => {
            let message = format!("`{}` is not a file name (--as-dockerfile)", path.display());
            return Err(CliError::usage(message));
        }
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let source_build = request.source_build.as_ref().expect("s2i builds from sources");
    let written = pipeline::write_source_dockerfile(request, source_build, directory, Some(name), session);
    let written = runtime.run(session, written)?;
    context.progress.finish();
    for file in &written.files {
        let shown = written.directory.join(file);
        context.printer.note(&format!("Wrote {}", printable(&shown.to_string_lossy())));
    }
    Ok(())
}

/// Prints the result to the standard error: s2i leaves the standard output empty, and scripts may read it.
fn print(built: &Built, context: &Context) {
    let digest = built.manifest_digest.unwrap_or(built.image_id);
    for tag in &built.tags {
        context.printer.note(&format!("{} {digest}", printable(&tag.familiar())));
    }
    if built.tags.is_empty() {
        context.printer.note(&digest.to_string());
    }
    print_next_step(built, context);
}

/// `--quiet` suppresses only the standard output of scripts.
fn with_quiet(common: &CommonArguments, mut session: Session) -> Session {
    if is_on(common.quiet) {
        let events = session.events.clone();
        session.events = Events::new(move |event| {
            if !matches!(event, Event::ScriptOutput { stream: ScriptStream::Stdout, .. }) {
                events.send(event);
            }
        });
    }
    session
}

/// Puts the flags of `.s2ifile` before the typed ones, and writes both back.
fn restore(line: &CommandLine<'_>, context: &Context) -> Result<BuildArguments, CliError> {
    let matches = line.matches.subcommand_matches("build").expect("it was parsed as a build");
    let saved = SavedArguments::read()?;
    if saved.is_none() {
        context.progress.events().note("no .s2ifile found; writing this command line to it");
    }
    let saved = saved.unwrap_or_default();
    let mut words: Vec<OsString> = line.words.to_vec();
    // Right after the name of the command: typed flags follow and win.
    let command = words.iter().position(|word| word == "build").expect("it was parsed as a build");
    words.splice(command + 1..command + 1, saved.words(matches));
    let mut arguments = parse(words.into_iter(), line)?;
    let or_saved = |typed: &mut Option<String>, saved: String| {
        *typed = typed.take().or(non_empty(&Some(saved)));
    };
    or_saved(&mut arguments.source, saved.source);
    or_saved(&mut arguments.image, saved.builder_image);
    or_saved(&mut arguments.tag, saved.tag);
    let typed = SavedArguments::of(matches);
    let mut flags = saved.flags;
    flags.retain(|name, _| !(name.starts_with("env-") && typed.flags.contains_key("env-0")));
    flags.extend(typed.flags);
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let [source, builder_image, tag] = [&arguments.source, &arguments.image, &arguments.tag].map(text);
    SavedArguments { source, builder_image, tag, flags }.write()?;
    Ok(arguments)
}

fn parse(words: impl Iterator<Item = OsString>, line: &CommandLine<'_>) -> Result<BuildArguments, CliError> {
    let name = line.called.name();
    let words = std::iter::once(OsString::from(name)).chain(words);
    let (parsed, _) = arguments::parse(words, name)
        .map_err(|error| CliError::usage(format!("`.s2ifile` is invalid: {error}")))?;
    match parsed.command {
        S2iCommand::Build(build) => Ok(*build),
        _ => unreachable!("the command is the one that was typed"),
    }
}

/// Builds the sources that the image records.
pub(super) fn rebuild(
    arguments: &RebuildArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    request::note_ignored_words(&arguments.ignored, context);
    let image = source_build::reference(&arguments.image, "image")?;
    let tag = arguments.tag.as_deref().map(|tag| source_build::reference(tag, "tag")).transpose()?;
    let request = request::rebuild(arguments, tag.unwrap_or_else(|| image.clone()), &settings, context)?;
    let session = daemon::session(global, &arguments.common, &settings, context)?;
    let session = with_quiet(&arguments.common, session);
    let mut runtime = Runtime::start()?;
    let built = runtime.run(&session, async {
        let request = ops::read_build(&image, request, &session).await?;
        session.build(&request).await
    })?;
    context.progress.finish();
    print(&built, context);
    Ok(())
}

/// Prints the output of a builder's `usage` script to the standard error, as s2i does.
pub(super) fn usage(
    arguments: &UsageArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    request::note_ignored_words(&arguments.ignored, context);
    let image = source_build::reference(&arguments.image, "image")?;
    let source = source_build::of_common(&arguments.common)?;
    let request = request::request(&settings, source, &arguments.common, context)?;
    let mut session = daemon::session(global, &arguments.common, &settings, context)?;
    // Print the text of the script, without the steps.
    let (printer, others) = (context.printer.clone(), session.events.clone());
    session.events = Events::new(move |event| match event {
        Event::ScriptOutput { line, .. } => printer.error(&script_line(&line)),
        Event::StepStarted { .. } | Event::StepProgress { .. } | Event::StepFinished { .. } => {}
        event => others.send(event),
    });
    Runtime::start()?.run(&session, ops::show_usage(&image, &request, &session))
}

/// Writes a Dockerfile that builds the sources in `upload/src` beside it.
pub(super) fn generate(
    arguments: &GenerateArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let common = CommonArguments::default();
    let builder = source_build::reference(&arguments.image, "builder image")?;
    let source_build = SourceBuildRequest {
        builder: Some(BuilderRequest::Image(builder)),
        environment: source_build::plain_variables(&arguments.env),
        ..source_build::of_common(&common)?
    };
    let mut request = request::request(&settings, source_build, &common, context)?;
    request.limits.assemble_user = non_empty(&arguments.assemble_user);
    if arguments.assemble_runtime_user.is_some() {
        let message = "`--assemble-runtime-user` has no effect: the Dockerfile has no runtime image";
        context.progress.events().note(message);
    }
    let session = daemon::session(global, &common, &settings, context)?;
    let mut runtime = Runtime::start()?;
    write_dockerfile(&arguments.file, &request, &session, context, &mut runtime)
}

/// Creates the files of a new builder image. Unlike s2i, it fails if the directory is not empty.
pub(super) fn create(arguments: &CreateArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let base =
        arguments.base.as_deref().map(|base| source_build::reference(base, "base image")).transpose()?;
    let (name, directory) = (&arguments.name, &arguments.directory);
    let files = builders::create(name, base.as_ref(), directory, &session, &mut Runtime::start()?)?;
    context.progress.finish();
    context.printer.note(&files);
    Ok(())
}
