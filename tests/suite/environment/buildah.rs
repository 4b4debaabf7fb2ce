//! Owns plain buildah, as Debian has it: with a storage of its own, and the way of its images into Docker.

use std::path::Path;
use std::process::{Command, Output};

use super::{Daemon, OwnedImage, TestEnvironment};

/// buildah with an empty storage, which goes when this is dropped. Its scripts have the network: without one it wants more
/// rights.
pub(crate) struct Buildah {
    root: tempfile::TempDir,
}

impl Buildah {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().expect("a temporary directory can be made") }
    }

    fn command(&self, arguments: &[&str]) -> Output {
        let path = |name: &str| self.root.path().join(name);
        Command::new("buildah")
            .arg("--root")
            .arg(path("storage"))
            .arg("--runroot")
            .arg(path("run"))
            .args(["--storage-driver", "overlay"])
            .args(arguments)
            .env("HOME", self.root.path())
            .env("TMPDIR", self.root.path())
            .output()
            .expect("buildah is installed (tests/run does it)")
    }

    /// `buildah build` of a directory; bases come from the registry of the tests.
    ///
    /// # Panics
    /// If it fails, with what it said.
    pub(crate) fn build(&self, context: &Path, options: &[&str]) {
        let context = context.display().to_string();
        let build = ["build", "--isolation", "chroot", "--tls-verify=false", "--format", "docker"];
        let output = self.command(&[&build[..], options, &["--tag", "built", &context]].concat());
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    }

    /// Copies what was built to where skopeo's names lead.
    pub(crate) fn push(&self, place: &str) {
        let output = self.command(&["push", "--quiet", "built", place]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Takes what was built into Docker.
    pub(crate) fn into_docker(self) -> (Daemon, OwnedImage) {
        let daemon = TestEnvironment::get().docker();
        let image = daemon.owned_image("buildah");
        let archive = self.root.path().join("image.tar").display().to_string();
        self.push(&format!("docker-archive:{archive}:{}", image.reference()));
        daemon.stdout(&["load", "--quiet", "--input", &archive]);
        (daemon, image)
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // What is mounted would keep the directory from going.
        drop(self.command(&["rm", "--all"]));
        drop(self.command(&["rmi", "--all", "--force"]));
    }
}
