//! Builds from sources by S2I's contract: on real daemons and in the sandbox, with builders in S2I's styles.

mod artifacts;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, B2iOutput, Daemon, TestEnvironment};

/// A directory with sources.
struct Sources(tempfile::TempDir);

impl Sources {
    /// Sources with the static program in them, called `program`.
    fn new() -> Self {
        let sources = Self(tempfile::tempdir().expect("a temporary directory can be made"));
        // The sandbox's ordinary user reads it too.
        std::fs::set_permissions(sources.0.path(), std::fs::Permissions::from_mode(0o755))
            .expect("its owner");
        std::fs::create_dir(sources.path()).expect("the directory is the test's");
        std::fs::copy(TestEnvironment::get().fixture("program"), sources.path().join("program"))
            .expect("copies");
        sources
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("service")
    }

    /// Writes a file.
    fn with(self, path: &str, text: &str) -> Self {
        write(&self.path().join(path), text);
        self
    }

    /// Writes a script.
    fn with_script(self, path: &str, text: &str) -> Self {
        let path = self.path().join(path);
        write(&path, &format!("#!/bin/sh\nset -e\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its owner");
        self
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().expect("it is in a directory"))
        .expect("the directory is the test's");
    std::fs::write(path, text).expect("the directory is the test's");
}

/// Where the scripts of a build run.
enum Place {
    /// On a daemon, with a builder that it has.
    Daemon(Daemon),
    /// In the sandbox, with a builder from the registry.
    Sandbox,
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Daemon(daemon) => daemon.name,
            Self::Sandbox => "sandbox",
        }
    }
}

/// Does the same on Docker, on Podman and in the sandbox; `builder` is a test image.
fn everywhere(builder: &'static str, check: impl Fn(&Place, &str)) {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        check(&Place::Daemon(daemon), &environment.image(builder));
    }
    check(&Place::Sandbox, &PushedBase::new(builder).name);
}

/// A call of `b2i build` on sources, whose scripts run at `place`.
fn b2i_build(place: &Place, builder: &str, sources: &Sources) -> B2iCommand {
    let command = match place {
        Place::Daemon(daemon) => B2iCommand::new().daemon(daemon),
        Place::Sandbox => B2iCommand::without_daemon(),
    };
    command.args(["build", "--source-builder", builder]).arg(sources.path())
}

/// Checks that a build was well, and left nothing.
fn assert_built(place: &Place, command: &B2iCommand, output: &B2iOutput) {
    assert_eq!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
    crate::failures::assert_clean(&command.cache());
}
