//! Owns `b2i build`: its arguments, and the output of its result.
//!
//! Must not know how an image is made.

mod options;
mod source_options;

use std::path::PathBuf;

use clap::{Arg, Args};

use options::{BuilderArguments, ImageArguments, OutputArguments};
pub(in crate::cli) use source_options::SourceArguments;

use crate::cli::arguments::Format;
use crate::cli::arguments::input::InputArguments;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::output_file;
use crate::cli::printable::{paths, printable, printable_lines};
use crate::cli::printer::versioned;
use crate::cli::request;
use crate::cli::runtime::Runtime;
use crate::diagnostic::FailureKind;
use crate::image::shell_words;
use crate::pipeline::{self, Built, RunStreams, WrittenContext};
use crate::request::Request;
use crate::session::Session;
use crate::transport::Transport;

/// Build an image from an artifact or from sources
///
/// b2i detects what the artifact is, selects a builder, places the artifact and writes the image to the daemon, a
/// registry or a file. Sources, in a directory or a git repository, are built first.
#[derive(Debug, Args)]
#[command(
    override_usage = "b2i build [OPTIONS] <ARTIFACT>... [-- <ARGS>...]",
    mut_args = in_summary,
    after_help = SUMMARY_EXAMPLES,
    after_long_help = EXAMPLES
)]
pub(in crate::cli) struct BuildArguments {
    /// Package a JAR, WAR, executable, archive or source tree (path or URL)
    ///
    /// `-` reads standard input. Several artifacts must be one program built for several platforms; they become one
    /// image index.
    #[arg(value_name = "ARTIFACT", required = true)]
    pub(in crate::cli) artifacts: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) image: ImageArguments,
    #[command(flatten)]
    pub(in crate::cli) output: OutputArguments,
    #[command(flatten)]
    pub(in crate::cli) builder: BuilderArguments,
    #[command(flatten)]
    pub(in crate::cli) input: InputArguments,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    /// Pass these arguments to the program (stored in the variable ARGS)
    ///
    /// They are defaults: `docker run -e ARGS=...` replaces them.
    #[arg(last = true, value_name = "ARGS", help_heading = None::<&'static str>)]
    pub(in crate::cli) args: Vec<String>,
}

/// The arguments in `-h`, which fits a screen. `--help` lists all.
const SUMMARY: [&str; 16] = [
    "artifacts",
    "args",
    "tag",
    "env",
    "port",
    "label",
    "platform",
    "user",
    "entrypoint",
    "output",
    "push",
    "run",
    "dry_run",
    "builder",
    "base",
    "add",
];

fn in_summary(argument: Arg) -> Arg {
    let is_listed = SUMMARY.contains(&argument.get_id().as_str());
    argument.hide_short_help(!is_listed)
}

const SUMMARY_EXAMPLES: &str = "\
Examples:
  b2i build target/app.jar -t app:1.0
  b2i build app.jar -t registry.example/team/app:1.2 --push
  b2i build ./server --run -- --port 8080";

const EXAMPLES: &str = "\
Examples:
  b2i build target/app.jar -t app:1.0
  b2i build app.jar -t registry.example/team/app:1.2 --push
  b2i build https://host.example/tool.tar.gz --sha256 DIGEST -t tool:1.2 -- --port 8080 \"a b\"
  b2i build app.jar --add lib/ --add application.yml -t app:1
  b2i build shop.war -t shop:1 --port 8080 --env TZ=UTC --label team=web
  b2i build ./server --builder registry.example/s2i-builder:3 -t server:1
  b2i build dist/app-linux-amd64 dist/app-linux-arm64 -t registry.example/app:1 --push
  b2i build app.jar --platform linux/amd64,linux/arm64 -t registry.example/app:1 --push
  b2i build app.jar --base registry.example/team/jre:21 -t app:1
  b2i build ./server --run -- --help
  b2i build ./server --dry-run --format json";

pub(in crate::cli) fn run(arguments: &BuildArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(request::configured(arguments))?;
    let request = request::request(arguments, &settings, &context.environment)?;
    check_digest_file(arguments, &request)?;
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
        let written = runtime.run(&session, session.write_dockerfile(&request, directory))?;
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

/// Rejects a file for a digest that no output has: daemons and their archives have no manifest.
fn check_digest_file(arguments: &BuildArguments, request: &Request) -> Result<(), CliError> {
    let has_manifest = request.outputs.iter().any(Transport::accepts_index);
    if arguments.output.digest_file.is_none() || has_manifest {
        return Ok(());
    }
    Err(CliError::usage("`--digest-file` requires an output with a manifest: a registry or an OCI layout")
        .with_hint("add `--push` or `-o oci:DIR`; `--iidfile` writes the image ID for a daemon"))
}

fn write_files(arguments: &BuildArguments, built: &Built) -> Result<(), CliError> {
    if let Some(path) = &arguments.output.iidfile {
        output_file::write(path, result_id(built).to_string().as_bytes())?;
    }
    if let Some(path) = &arguments.output.digest_file {
        let digest = || built.manifest_digest.map(|digest| digest.to_string());
        let lines = if built.references.is_empty() {
            digest().into_iter().collect()
        } else {
            built.references.clone()
        };
        output_file::write(path, format!("{}\n", lines.join("\n")).as_bytes())?;
    }
    if let Some(path) = &arguments.output.metadata_file {
        let text = serde_json::to_string_pretty(&versioned(pipeline::SCHEMA_VERSION, built))
            .expect("a value can be written");
        output_file::write(path, format!("{text}\n").as_bytes())?;
    }
    Ok(())
}

/// The digest of the index, or the ID of a single image.
fn result_id(built: &Built) -> crate::image::Digest {
    built.index_digest.unwrap_or(built.image_id)
}

fn print(format: Format, built: &Built, context: &Context) -> Result<(), CliError> {
    context.printer.result(format, built, || {
        if context.printer.is_quiet() {
            // As ko and crane do: what another tool pulls.
            return built.references.first().cloned().unwrap_or_else(|| result_id(built).to_string());
        }
        if !built.references.is_empty() {
            return built.references.iter().map(|reference| format!("{reference}\n")).collect();
        }
        // Registries identify an image by its manifest, daemons by its config.
        let digest = built.manifest_digest.unwrap_or(built.image_id);
        built.tags.iter().map(|tag| format!("{} {digest}\n", tag.familiar())).collect()
    })?;
    print_next_step(built, context);
    Ok(())
}

/// Prints the command to type next.
pub(in crate::cli) fn print_next_step(built: &Built, context: &Context) {
    if let Some(next) = next_step(built).filter(|_| !context.progress.is_json()) {
        context.printer.note(&next);
    }
}

/// Prints the files of a build context, one per line.
fn print_context(format: Format, written: &WrittenContext, context: &Context) -> Result<(), CliError> {
    context.progress.finish();
    let directory = &written.directory;
    context.printer.result(format, written, || paths(directory, &written.files))?;
    if format == Format::Json {
        return Ok(());
    }
    let mut command = vec!["docker".to_owned(), "build".into()];
    if let Some(tag) = written.tags.first() {
        command.extend(["-t".into(), tag.familiar()]);
    }
    command.push(directory.to_string_lossy().into_owned());
    context.printer.note(&format!("Build it: {}", printable(&shell_words::quote(&command))));
    Ok(())
}

fn next_step(built: &Built) -> Option<String> {
    let daemon = built.daemon.as_deref().unwrap_or("docker");
    if built.outputs.iter().any(|output| output.is_daemon() || output.is_registry()) {
        let mut command = vec![daemon.to_owned(), "run".into(), "--rm".into()];
        for port in &built.published_ports {
            let number = port.split('/').next().unwrap_or(port);
            let published = if port.ends_with("/tcp") { number } else { port };
            command.extend(["-p".into(), format!("{number}:{published}")]);
        }
        command.push(built.tags.first().map_or_else(|| built.image_id.to_string(), |tag| tag.familiar()));
        return Some(format!("Run it: {}", printable(&shell_words::quote(&command))));
    }
    let (archive, path) = built.outputs.iter().find_map(|output| Some((output, output.replaced_file()?)))?;
    // Docker loads OCI layouts since version 25 only.
    let program = if archive.docker_archive().is_some() { daemon } else { "podman" };
    Some(format!(
        "Load it: {}",
        printable(&shell_words::quote(&[program, "load", "-i", &path.to_string_lossy()]))
    ))
}

/// Runs the image and passes its exit code on.
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
            "cannot pass on the exit code of the program",
            format!("{code} is not between 0 and 255"),
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
            ports: vec!["80/tcp".into()],
            published_ports: ports.iter().map(|port| (*port).to_owned()).collect(),
            references: Vec::new(),
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
    fn the_summary_lists_arguments_that_exist() {
        let command = BuildArguments::augment_args(clap::Command::new("build"));
        for id in SUMMARY {
            assert!(command.get_arguments().any(|argument| argument.get_id() == id), "{id}");
        }
    }

    #[test]
    fn prints_the_command_to_type_next() {
        let next = |outputs, ports: &[&str]| next_step(&built(outputs, ports)).expect("a command");
        assert_eq!(
            next(vec![Transport::Docker], &["8080/tcp", "53/udp"]),
            "Run it: podman run --rm -p 8080:8080 -p 53:53/udp app:1.0"
        );
        let archive = Transport::DockerArchive { path: "my app.tar".into() };
        assert_eq!(next(vec![archive.clone()], &[]), "Load it: podman load -i 'my app.tar'");
        assert_eq!(next(vec![archive, Transport::Docker], &[]), "Run it: podman run --rm app:1.0");
    }
}
