//! Builds from sources by S2I's contract: on real daemons and in the sandbox, with builders in S2I's styles.

mod artifacts;
mod bare_scripts;
mod callback;
mod classic;
mod contract_calls;
mod contract_defects;
mod contract_engine;
mod contract_git;
mod contract_metadata;
mod contract_products;
mod contract_pull;
mod contract_scripts;
mod contract_static;
mod images;
mod incremental;
mod kept;
mod made_builders;
mod made_image;
mod on_build;
mod out_of_memory;
mod running;
mod runtime_images;
mod sandbox_caches;
mod sandbox_contract;
mod sandbox_kills;
mod scripts;
mod secrets;
mod users;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, B2iOutput, Daemon, OwnedImage, TestEnvironment};

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

/// An image of sources, in a daemon that can start it.
struct Image {
    daemon: Daemon,
    name: OwnedImage,
    messages: String,
}

impl Image {
    /// Builds with these arguments, which name no output.
    fn build(place: &Place, builder: &str, sources: &Sources, arguments: &[&str]) -> Self {
        Self::build_by(place, b2i_build(place, builder, sources).args(arguments))
    }

    /// As `build`, by a call that is prepared already.
    fn build_by(place: &Place, command: B2iCommand) -> Self {
        let daemon = match place {
            Place::Daemon(daemon) => daemon.clone(),
            Place::Sandbox => TestEnvironment::get().docker(),
        };
        let name = daemon.owned_image("sources");
        let mut command = command.args(["--tag", name.reference()]);
        if let Place::Sandbox = place {
            command = command.args(["-o", "docker-archive:image.tar"]);
        }
        let output = command.run();
        assert_built(place, &command, &output);
        if let Place::Sandbox = place {
            daemon.stdout(&["load", "-i", &command.directory().join("work/image.tar").display().to_string()]);
        }
        Self { daemon, name, messages: output.stderr }
    }

    fn config(&self) -> serde_json::Value {
        self.daemon.inspect_image(self.name.reference()).expect("it is there")["Config"].clone()
    }

    fn label(&self, name: &str) -> String {
        self.config()["Labels"][name].as_str().unwrap_or_default().to_owned()
    }

    /// What a shell prints in the image.
    fn shell(&self, script: &str) -> String {
        let arguments = ["--network", "none", "--entrypoint", "/bin/sh", self.name.reference(), "-c", script];
        let output = self.daemon.run(&arguments);
        assert!(output.status.success(), "{script}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// What the static program reports of itself when the image is started.
    fn report(&self) -> serde_json::Value {
        let output = self.daemon.run(&["--network", "none", self.name.reference()]);
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("a report")
    }
}
