//! Owns the ways out of the failures between rooms; those of a room's own failures are the room's.

use super::Error;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::EngineError;
use crate::transport::Transport;

/// The ways out of an error.
pub(crate) fn hints(error: &Error) -> Vec<String> {
    if let Error::Program { error, outputs } = error {
        return program_hints(error, outputs);
    }
    if let Some(failure) = error.failure() {
        return failure.hints();
    }
    match error {
        Error::ForeignScript { platform, source, .. } => {
            let architecture = &platform.architecture;
            let emulation = format!(
                "it needs emulation of {architecture} by the kernel (binfmt_misc): install `qemu-user-static`, or build on a \
                 machine for {platform}"
            );
            [vec![emulation], source.hints()].concat()
        }
        Error::ClassPath { missing, .. } => {
            let directory = missing.first().and_then(|path| path.split_once('/')).map(|(top, _)| top);
            vec![match directory {
                Some(directory) => format!("bring them along with `--add {directory}/`"),
                None => "bring them along with `--add FILE`".into(),
            }]
        }
        Error::MainClass { .. } => vec![
            "name the class to start with `--main-class`".into(),
            "a library that has it comes along with `--add FILE` if the JAR's Class-Path names it".into(),
        ],
        Error::Destination { .. } => vec![
            "copy to a registry's name, `docker-daemon:NAME`, `docker-archive:FILE`, `oci:DIR[:TAG]` or \
             `oci-archive:FILE[:TAG]`; an image of the daemon gets another name with `docker tag`"
                .into(),
        ],
        Error::ProgramNetwork(_) => vec![
            "`--network host` gives the program this machine's network".into(),
            "a daemon has networks of its own, and runs what it gets with `--output docker`".into(),
        ],
        Error::NoNamedScripts { .. } => vec!["`--scripts-url` names the directory that they are in".into()],
        Error::NotBuilt { .. } => vec!["only images that s2i or b2i built from sources have it".into()],
        Error::NotOfSources { .. } => vec!["build it with `b2i build`, from the artifact or its sources".into()],
        Error::SourcesElsewhere { .. } => vec![
            "an image keeps no path of the machine that built it: rebuild in the directory that they are in, or name them \
             to `s2i build`"
                .into(),
        ],
        Error::OtherBase { .. } => vec!["pull the image into the daemon again: `--pull always`".into()],
        Error::NotEmpty { .. } => vec!["name a directory that does not exist yet".into()],
        Error::OfflinePush { .. } => vec!["write to `oci:DIR` now, and `b2i copy` it when there is a network".into()],
        Error::OwnInput { .. } => vec!["name another file: `--output docker-archive:FILE`".into()],
        Error::NoDaemon => vec!["start Docker or Podman, or name its socket with DOCKER_HOST".into()],
        Error::Layer(_) => vec!["give one of them another destination: `--add SRC:DEST`".into()],
        _ => Vec::new(),
    }
}

/// The settings that the sandbox needs, or else how to run on a daemon what was built.
fn program_hints(error: &EngineError, outputs: &[Transport]) -> Vec<String> {
    if error.kind() != FailureKind::Engine {
        return error.hints();
    }
    let mut hints = match error {
        EngineError::Sandbox(error) => error.hints_of_settings(),
        error => error.hints(),
    };
    let archive = outputs.iter().find_map(|output| match output {
        Transport::DockerArchive { path } => Some(path),
        _ => None,
    });
    hints.push(match archive {
        Some(path) => {
            let words = ["docker", "load", "-i", &path.to_string_lossy()].map(str::to_owned);
            format!(
                "the image is written; a daemon takes it with `{}`",
                crate::image::shell_words::quote(&words)
            )
        }
        None => "the image is written; a daemon runs it with `--output docker --run`".into(),
    });
    hints
}
