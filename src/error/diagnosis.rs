//! Owns kind and hints of each error. The error of a step has its own.

use super::Error;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::EngineError;
use crate::fs::FileError;
use crate::transport::Transport;

impl Diagnostic for Error {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Step(error) => error.0.kind(),
            Self::Input(error) => error.kind(),
            Self::Builder(error) => error.kind(),
            Self::Source(error) => error.kind(),
            Self::Plan(error) => error.kind(),
            Self::SourcePlan(error) => error.kind(),
            Self::Daemon(error) => error.kind(),
            Self::Registry(error) => error.kind(),
            Self::Engine(error) | Self::Program { error, .. } => error.kind(),
            Self::Run(error) | Self::ForeignScript { source: error, .. } => error.kind(),
            // For the cache, the same errors concern this machine, not the image.
            Self::Output(FileError::System { .. } | FileError::Full { .. }) => FailureKind::Image,
            Self::Output(error) => error.kind(),
            Self::Config { .. } | Self::OtherBase { .. } => FailureKind::Builder,
            Self::NoDaemon => FailureKind::Engine,
            Self::NoOutput => FailureKind::Unexpected,
            Self::Layer(_)
            | Self::NothingToCheck { .. }
            | Self::NotEmpty { .. }
            | Self::OwnInput { .. }
            | Self::Destination { .. }
            | Self::ProgramNetwork(_) => FailureKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Self::Step(error) => error.0.hints(),
            Self::Input(error) => error.hints(),
            Self::Builder(error) => error.hints(),
            Self::Source(error) => error.hints(),
            Self::Plan(error) => error.hints(),
            Self::SourcePlan(error) => error.hints(),
            Self::Daemon(error) => error.hints(),
            Self::Registry(error) => error.hints(),
            Self::Engine(error) => error.hints(),
            Self::Run(error) => error.hints(),
            Self::Output(error) => error.hints(),
            Self::Program { error, outputs } => program_hints(error, outputs),
            Self::ForeignScript { platform, source, .. } => {
                let architecture = &platform.architecture;
                let emulation = format!(
                    "it needs emulation of {architecture} by the kernel (binfmt_misc): install `qemu-user-static`, or build \
                     on a machine for {platform}"
                );
                [vec![emulation], source.hints()].concat()
            }
            Self::Layer(_) => one("set another destination for one of them: `--add SRC:DEST`"),
            Self::OtherBase { .. } => one("pull the image into the daemon again: `--pull always`"),
            Self::NotEmpty { .. } => one("name a directory that does not exist yet"),
            Self::OwnInput { .. } => one("name another file: `--output docker-archive:FILE`"),
            Self::Destination { .. } => one(
                "copy to a registry's name, `docker-daemon:NAME`, `docker-archive:FILE`, `oci:DIR[:TAG]` or \
                 `oci-archive:FILE[:TAG]`; rename an image in the daemon with `docker tag`",
            ),
            Self::ProgramNetwork(_) => vec![
                "`--network host` gives the program this machine's network".into(),
                "`--output docker` runs it in the daemon, which has its own networks".into(),
            ],
            Self::NoDaemon => one("start Docker or Podman, or name its socket with DOCKER_HOST"),
            Self::Config { .. } | Self::NothingToCheck { .. } | Self::NoOutput => Vec::new(),
        }
    }
}

/// The settings that the sandbox needs, or how to run the image in a daemon.
fn program_hints(error: &EngineError, outputs: &[Transport]) -> Vec<String> {
    if error.kind() != FailureKind::Engine {
        return error.hints();
    }
    let mut hints = match error {
        EngineError::Sandbox(error) => error.hints_of_settings(),
        error => error.hints(),
    };
    hints.push(match outputs.iter().find_map(Transport::docker_archive) {
        Some(path) => {
            let words = ["docker", "load", "-i", &path.to_string_lossy()].map(str::to_owned);
            format!(
                "the image is written; load it into a daemon with `{}`",
                crate::image::shell_words::quote(&words)
            )
        }
        None if outputs.is_empty() => {
            "to get the image in a file, pass `--output docker-archive:FILE` instead of `--run`".into()
        }
        None => "the image is written; run it in a daemon with `--output docker --run`".into(),
    });
    hints
}
