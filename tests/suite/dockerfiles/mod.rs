//! Dockerfiles of b2i, whole: their text, what `docker build` and `buildah build` make of them, and what is left if
//! writing one is cut short.

mod artifacts;
mod faults;
mod sources;
mod text;

use std::path::PathBuf;

use crate::build::replace_bases_by;
use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, Daemon, OwnedImage, TestEnvironment};

/// Where a Dockerfile was written.
struct Written {
    command: B2iCommand,
}

impl Written {
    /// The Dockerfile for `arguments`, on bases of a daemon.
    fn on(daemon: &Daemon, arguments: &[&str]) -> Self {
        let image = |test: &str| Some(TestEnvironment::get().image(test));
        Self::by(replace_bases_by(B2iCommand::new(), image).daemon(daemon).arg("build"), arguments)
    }

    /// The Dockerfile for `arguments`, on bases of a registry.
    fn on_registry(bases: &[&PushedBaseOf], arguments: &[&str]) -> Self {
        let name =
            |test: &str| bases.iter().find(|base| base.test == test).map(|base| base.pushed.name.clone());
        Self::by(replace_bases_by(B2iCommand::without_daemon(), name).arg("build"), arguments)
    }

    fn by(command: B2iCommand, arguments: &[&str]) -> Self {
        let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let mut command = command
            .args(["--tag", "any:1", "--dockerfile", "context"])
            .args(&arguments[..end])
            .args(&arguments[end..]);
        let output = command.run();
        assert_eq!(output.code, Some(0), "{arguments:?}: {}{}", output.stdout, output.stderr);
        Self { command }
    }

    fn context(&self) -> PathBuf {
        self.command.directory().join("work/context")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.context().join("Dockerfile")).expect("it was written")
    }

    /// What `docker build` makes of it.
    fn docker_build(&self, daemon: &Daemon) -> OwnedImage {
        let image = daemon.owned_image("dockerfiles");
        let build = ["build", "--quiet", "--force-rm", "--network", "none", "--tag", image.reference()];
        daemon.stdout(&[&build[..], &[&self.context().display().to_string()]].concat());
        image
    }
}

/// A test image in the registry, and which one it is.
struct PushedBaseOf {
    test: &'static str,
    pushed: PushedBase,
}

impl PushedBaseOf {
    fn new(test: &'static str) -> Self {
        Self { test, pushed: PushedBase::new(test) }
    }
}
