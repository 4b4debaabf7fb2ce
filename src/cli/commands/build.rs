//! Owns `b2i build`.

use crate::cli::arguments::Format;
use crate::cli::arguments::build::BuildArguments;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::output_file;
use crate::cli::printable::{printable, printable_lines};
use crate::cli::printer::versioned;
use crate::cli::request;
use crate::cli::runtime::Runtime;
use crate::diagnostic::FailureKind;
use crate::image::shell_words;
use crate::pipeline::{self, Built, RunStreams, WrittenContext};
use crate::session::Session;
use crate::transport::Transport;

/// Builds, or prints the plan.
pub(in crate::cli) fn run(arguments: &BuildArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(request::configured(arguments)?)?;
    let request = request::request(arguments, &settings, &context.environment)?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    if arguments.output.dry_run {
        let plan = runtime.run(&session, session.plan(&request))?;
        context.progress.finish();
        return match arguments.output.format {
            Format::Json => context.printer.json(&plan),
            Format::Text => context.printer.data(&printable_lines(&crate::plan::render_text(&plan))),
        };
    }
    if let Some(directory) = &arguments.output.dockerfile {
        let written = session.write_dockerfile(&request, directory);
        let written = runtime.run(&session, written)?;
        return print_context(arguments.output.format, &written, context);
    }
    let built = runtime.run(&session, session.build(&request))?;
    context.progress.finish();
    write_files(arguments, &built)?;
    if arguments.output.run {
        return run_built(&built, &session, context, runtime);
    }
    print(arguments.output.format, &built, context)
}

fn write_files(arguments: &BuildArguments, built: &Built) -> Result<(), CliError> {
    if let Some(path) = &arguments.output.iidfile {
        output_file::write(path, whole_id(built).to_string().as_bytes())?;
    }
    if let Some(path) = &arguments.output.metadata_file {
        let text = serde_json::to_string_pretty(&versioned(built)).expect("a value can be written");
        output_file::write(path, format!("{text}\n").as_bytes())?;
    }
    Ok(())
}

/// What one digest names all that was built by: the index, or the one image's ID.
fn whole_id(built: &Built) -> crate::image::Digest {
    built.index_digest.unwrap_or(built.image_id)
}

fn print(format: Format, built: &Built, context: &Context) -> Result<(), CliError> {
    match format {
        Format::Json => context.printer.json(built)?,
        Format::Text if context.printer.is_quiet() => context.printer.data(&whole_id(built).to_string())?,
        Format::Text => {
            // Registries know an image by its manifest, daemons by its config.
            let digest = built.manifest_digest.unwrap_or(built.image_id);
            let lines = built.tags.iter().map(|tag| format!("{} {digest}\n", tag.familiar()));
            context.printer.data(&lines.collect::<String>())?;
        }
    }
    tell_next_step(built, context);
    Ok(())
}

/// Says what to type next.
pub(in crate::cli) fn tell_next_step(built: &Built, context: &Context) {
    if let Some(next) = next_step(built).filter(|_| !context.progress.is_json()) {
        context.printer.note(&next);
    }
}

/// The files that were written, as `builders export` prints them.
fn print_context(format: Format, written: &WrittenContext, context: &Context) -> Result<(), CliError> {
    context.progress.finish();
    if format == Format::Json {
        return context.printer.json(written);
    }
    let directory = &written.directory;
    let paths =
        written.files.iter().map(|file| format!("{}\n", printable(&directory.join(file).to_string_lossy())));
    context.printer.data(&paths.collect::<String>())?;
    let mut command = vec!["docker".to_owned(), "build".into()];
    if let Some(tag) = written.tags.first() {
        command.extend(["-t".into(), tag.familiar()]);
    }
    command.push(directory.to_string_lossy().into_owned());
    context.printer.note(&format!("Build it: {}", printable(&shell_words::quote(&command))));
    Ok(())
}

/// What to type next.
fn next_step(built: &Built) -> Option<String> {
    let archive = built.outputs.iter().find_map(|output| match output {
        Transport::DockerArchive { path } => Some((path, built.daemon.as_deref().unwrap_or("docker"))),
        // Docker before 25 loads no layouts.
        Transport::OciArchive { path } => Some((path, "podman")),
        Transport::Docker | Transport::Registry | Transport::OciDirectory { .. } => None,
    });
    let outputs = &built.outputs;
    if outputs.contains(&Transport::Docker) || outputs.contains(&Transport::Registry) {
        let daemon = built.daemon.clone().unwrap_or_else(|| "docker".into());
        let mut command = vec![daemon, "run".into(), "--rm".into()];
        for port in &built.ports {
            let number = port.split('/').next().unwrap_or(port);
            let published = if port.ends_with("/tcp") { number } else { port };
            command.extend(["-p".into(), format!("{number}:{published}")]);
        }
        command.push(built.tags.first().map_or_else(|| built.image_id.to_string(), |tag| tag.familiar()));
        return Some(format!("Run it: {}", printable(&shell_words::quote(&command))));
    }
    let (path, program) = archive?;
    Some(format!(
        "Load it: {}",
        printable(&shell_words::quote(&[program, "load", "-i", &path.to_string_lossy()]))
    ))
}

/// Starts the result; b2i ends as the program ends.
pub(in crate::cli) fn run_built(
    built: &Built,
    session: &Session,
    context: &Context,
    mut runtime: Runtime,
) -> Result<(), CliError> {
    if let Some(tag) = built.tags.first() {
        context.printer.note(&format!("Running {}", printable(&tag.familiar())));
    }
    let code = runtime.run_with_signals(session, |signals| {
        let streams = RunStreams {
            stdin: Box::new(tokio::io::stdin()),
            stdout: Box::new(tokio::io::stdout()),
            stderr: Box::new(tokio::io::stderr()),
            signals,
        };
        pipeline::run(built, streams, session)
    })?;
    match u8::try_from(code) {
        Ok(0) => Ok(()),
        Ok(code) => Err(CliError::Program(code)),
        Err(_) => Err(CliError::file(
            FailureKind::Engine,
            "the program ended in a way that cannot be handed on",
            format!("its exit code is {code}, expected 0 to 255"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;
    use crate::plan::AssemblyKind;

    fn built(outputs: Vec<Transport>, ports: &[&str]) -> Built {
        Built {
            image_id: Digest::of(b"x"),
            manifest_digest: None,
            tags: vec!["app:1.0".parse().expect("valid")],
            outputs,
            daemon: Some("podman".into()),
            ports: ports.iter().map(|port| (*port).to_owned()).collect(),
            builder: "java:21".into(),
            assembly: AssemblyKind::Place,
            assembly_reason: String::new(),
            artifact_digest: None,
            layer_digest: None,
            runnable: None,
            index_digest: None,
            sources: None,
            images: Vec::new(),
        }
    }

    #[test]
    fn says_what_to_type_next() {
        let next = |outputs, ports: &[&str]| next_step(&built(outputs, ports)).expect("there is something");
        assert_eq!(
            next(vec![Transport::Docker], &["8080/tcp", "53/udp"]),
            "Run it: podman run --rm -p 8080:8080 -p 53:53/udp app:1.0"
        );
        let archive = Transport::DockerArchive { path: "my app.tar".into() };
        assert_eq!(next(vec![archive.clone()], &[]), "Load it: podman load -i 'my app.tar'");
        assert_eq!(next(vec![archive, Transport::Docker], &[]), "Run it: podman run --rm app:1.0");
    }
}
