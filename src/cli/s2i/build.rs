//! Owns `s2i build`, `rebuild`, `usage` and `generate`: what was kept and typed becomes a request, and the result is told on the standard error.

use std::ffi::OsString;
use std::path::Path;

use super::arguments::{
    self, BuildArguments, CommonArguments, GenerateArguments, RebuildArguments, S2iCommand,
    S2iGlobalArguments, UsageArguments, is_on,
};
use super::configuration::Kept;
use super::{Typed, daemon, request, source_build};
use crate::cli::commands::build::{run_built, tell_next_step};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::{printable, script_line};
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::events::{Event, Events, ScriptStream};
use crate::pipeline::Built;
use crate::request::{BuilderRequest, EnvironmentVariable, Request, SourceBuildRequest};
use crate::session::Session;
use crate::{ops, pipeline};

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
    let mut request = request::build(arguments, &settings, context)?;
    request.run = is_on(arguments.run);
    let session = daemon::session(global, &arguments.common, &settings, context)?;
    let session = as_quiet_as_asked(&arguments.common, session);
    let mut runtime = Runtime::start()?;
    if let Some(path) = &arguments.as_dockerfile {
        return write_dockerfile(path, &request, &session, context, &mut runtime);
    }
    let built = runtime.run(&session, session.build(&request))?;
    context.progress.finish();
    if is_on(arguments.run) {
        return run_built(&built, &session, context, runtime);
    }
    tell(&built, context);
    Ok(())
}

/// Writes a Dockerfile instead. s2i's PATH is the Dockerfile, or a directory for it if it ends with `/`.
fn write_dockerfile(
    path: &Path,
    request: &Request,
    session: &Session,
    context: &Context,
    runtime: &mut Runtime,
) -> Result<(), CliError> {
    let is_directory = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| !is_directory);
    let (directory, name) = match (is_directory, name) {
        (true, _) => (path, "Dockerfile"),
        (false, Some(name)) => (path.parent().unwrap_or(Path::new("")), name),
        (false, None) => {
            return Err(CliError::usage(format!("`{}` names no file (--as-dockerfile)", path.display())));
        }
    };
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let wanted = request.source_build.as_ref().expect("s2i builds from sources");
    let written = pipeline::write_source_dockerfile(request, wanted, directory, Some(name), session);
    let written = runtime.run(session, written)?;
    context.progress.finish();
    for file in &written.files {
        let shown = written.directory.join(file);
        context.printer.note(&format!("Wrote {}", printable(&shown.to_string_lossy())));
    }
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
pub(super) fn as_quiet_as_asked(common: &CommonArguments, mut session: Session) -> Session {
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

/// Builds again what the image says it was built from.
pub(super) fn rebuild(
    arguments: &RebuildArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let image = source_build::reference(&arguments.image, "image")?;
    let tag = arguments.tag.as_deref().map(|tag| source_build::reference(tag, "tag")).transpose()?;
    let request = request::rebuild(arguments, tag.unwrap_or_else(|| image.clone()), &settings, context)?;
    let session = daemon::session(global, &arguments.common, &settings, context)?;
    let session = as_quiet_as_asked(&arguments.common, session);
    let mut runtime = Runtime::start()?;
    let built = runtime.run(&session, async {
        let request = ops::read_build(&image, request, &session).await?;
        session.build(&request).await
    })?;
    context.progress.finish();
    tell(&built, context);
    Ok(())
}

/// Shows what a builder's `usage` prints: on the standard error, as s2i does.
pub(super) fn usage(
    arguments: &UsageArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let image = source_build::reference(&arguments.image, "image")?;
    let source = source_build::nothing(&arguments.common, &settings, context)?;
    let request = request::request(&settings, source, &arguments.common, context)?;
    let mut session = daemon::session(global, &arguments.common, &settings, context)?;
    // The text as it is; what else happens is of no interest.
    let (printer, others) = (context.printer.clone(), session.events.clone());
    session.events = Events::new(move |event| match event {
        Event::ScriptOutput { line, .. } => printer.error(&script_line(&line)),
        Event::StepStarted { .. } | Event::StepProgress { .. } | Event::StepFinished { .. } => {}
        event => others.send(event),
    });
    Runtime::start()?.run(&session, ops::show_usage(&image, &request, &session))
}

/// Writes a Dockerfile that builds whatever is put into `upload/src` beside it.
pub(super) fn generate(
    arguments: &GenerateArguments,
    global: &S2iGlobalArguments,
    context: &Context,
) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let common = CommonArguments::default();
    let builder = source_build::reference(&arguments.image, "builder image")?;
    let variable =
        |(name, value): &(String, String)| EnvironmentVariable { name: name.clone(), value: value.clone() };
    let wanted = SourceBuildRequest {
        builder: Some(BuilderRequest::Image(builder)),
        environment: arguments.env.iter().map(variable).collect(),
        ..source_build::nothing(&common, &settings, context)?
    };
    let mut request = request::request(&settings, wanted, &common, context)?;
    request.limits.assemble_user = arguments.assemble_user.clone().filter(|user| !user.is_empty());
    if arguments.assemble_runtime_user.is_some() {
        let message = "`--assemble-runtime-user` has no effect: the Dockerfile has no runtime image";
        context.progress.events().note(message);
    }
    let session = daemon::session(global, &common, &settings, context)?;
    let mut runtime = Runtime::start()?;
    write_dockerfile(&arguments.file, &request, &session, context, &mut runtime)
}
