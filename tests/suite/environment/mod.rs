//! Owns the way to the real parts that `tests/run` provides: daemons, registry, base images, fixtures, and b2i itself.
//!
//! Must not start or install anything and must not skip: a part that is missing fails the test that asks for it.

mod buildah;
mod checks;
mod command;
mod daemon;
mod gate;
mod programs;
mod running;
mod small_disk;

pub(crate) use buildah::Buildah;
pub(crate) use command::{B2iCommand, B2iOutput};
pub(crate) use daemon::{Daemon, OwnedImage, RunningContainer};
pub(crate) use gate::{DaemonGate, Hold};
pub(crate) use programs::{install, install_script};
pub(crate) use running::RunningB2i;
pub(crate) use small_disk::SmallDisk;

use std::path::PathBuf;
use std::sync::OnceLock;

/// Where the real parts are, as `tests/run --environment-only` prints it.
#[derive(Debug)]
pub(crate) struct TestEnvironment {
    docker_host: String,
    podman_host: String,
    docker_cli: PathBuf,
    registry: String,
    fixtures: PathBuf,
    images: PathBuf,
    s2i: OnceLock<PathBuf>,
}

impl TestEnvironment {
    /// Returns the environment of this test run.
    ///
    /// # Panics
    /// If a variable is missing, which means that the tests were not started by `tests/run`.
    pub(crate) fn get() -> &'static Self {
        static ENVIRONMENT: OnceLock<TestEnvironment> = OnceLock::new();
        ENVIRONMENT.get_or_init(|| Self {
            docker_host: variable("B2I_TEST_DOCKER_HOST"),
            podman_host: variable("B2I_TEST_PODMAN_HOST"),
            docker_cli: variable("B2I_TEST_DOCKER_CLI").into(),
            registry: variable("B2I_TEST_REGISTRY"),
            fixtures: variable("B2I_TEST_FIXTURES").into(),
            images: variable("B2I_TEST_IMAGES").into(),
            s2i: OnceLock::new(),
        })
    }

    /// Returns the Docker daemon's address, as `DOCKER_HOST` takes it.
    pub(crate) fn docker_host(&self) -> &str {
        &self.docker_host
    }

    /// Returns the address of Podman's Docker-compatible API, as `DOCKER_HOST` takes it.
    pub(crate) fn podman_host(&self) -> &str {
        &self.podman_host
    }

    /// Returns the Docker daemon.
    pub(crate) fn docker(&self) -> Daemon {
        Daemon::new("docker", &self.docker_host, &self.docker_cli)
    }

    /// Returns Podman behind its Docker-compatible API.
    pub(crate) fn podman(&self) -> Daemon {
        Daemon::new("podman", &self.podman_host, &self.docker_cli)
    }

    /// Returns both daemons, for tests whose results must be the same on each.
    pub(crate) fn daemons(&self) -> [Daemon; 2] {
        [self.docker(), self.podman()]
    }

    /// Returns the registry as `host:port`; it speaks HTTP on loopback and wants no credentials.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the real s2i, built from its Go module.
    pub(crate) fn s2i(&self) -> &std::path::Path {
        self.s2i.get_or_init(|| variable("B2I_TEST_S2I").into())
    }

    /// Returns the path of a fixture, such as `program` or `archives/tool.tar.gz` (`tests/environment/build-fixtures`
    /// lists them).
    ///
    /// # Panics
    /// If there is no such fixture.
    pub(crate) fn fixture(&self, name: &str) -> PathBuf {
        let path = self.fixtures.join(name);
        assert!(
            path.exists(),
            "no fixture {name:?} in {}: build-fixtures makes none",
            self.fixtures.display()
        );
        path
    }

    /// Returns the full name of a base image: `glibc:12` is `b2i-test/glibc:12`.
    ///
    /// # Panics
    /// If `tests/environment/images` defines no such image.
    pub(crate) fn image(&self, name: &str) -> String {
        let full = format!("b2i-test/{name}");
        assert!(self.images().contains(&full), "no image {full:?} is defined in tests/environment/images");
        full
    }

    /// Returns the full names of all base images.
    pub(crate) fn images(&self) -> Vec<String> {
        let manifest = self.images.join("manifest.json");
        let text = std::fs::read_to_string(&manifest)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}: run tests/run", manifest.display()));
        let entries: serde_json::Value = serde_json::from_str(&text).expect("images/build writes JSON");
        entries
            .as_array()
            .expect("images/build writes a list")
            .iter()
            .filter_map(|entry| entry["RepoTags"][0].as_str().map(str::to_owned))
            .collect()
    }
}

fn variable(name: &str) -> String {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => panic!(
            "{name} is not set: run tests/run, or for one shell: eval \"$(tests/run --environment-only)\""
        ),
    }
}
