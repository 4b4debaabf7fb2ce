//! Whole builds where no daemon is asked: from bases in a registry to results in a registry, and what Docker and Podman
//! make of them.

mod connections;
mod counting;
mod failures;
mod interrupted;
mod kinds;
mod offline;
mod outputs;
mod parallel;
mod platforms;
mod pods;
mod quickstart;
mod repeat;
mod run;
mod sandbox;

pub(crate) use counting::CountingRegistry;

use std::path::Path;

use crate::build::replace_bases_by;
use crate::environment::{B2iCommand, B2iOutput, Daemon, OwnedImage, TestEnvironment};
use crate::failures::{assert_clean, files};
use crate::registry::unique;

/// A test image that was pushed to the registry.
pub(crate) struct PushedBase {
    /// Name of the test image.
    test: &'static str,
    /// Name in the registry.
    pub(crate) name: String,
    /// A daemon that builds on it keeps it until this is dropped.
    _owned: [OwnedImage; 2],
}

impl PushedBase {
    /// Pushes a test image. The repository is the same for all tests, so that its layers are uploaded once.
    pub(crate) fn new(test: &'static str) -> Self {
        let environment = TestEnvironment::get();
        let docker = environment.docker();
        let (repository, _) = test.split_once(':').expect("a test image has a tag");
        let name = format!("{}/b2i-test-bases/{repository}:{}", environment.registry(), unique("base"));
        let owned = environment.daemons().map(|daemon| daemon.adopted_image(&name));
        docker.stdout(&["tag", &environment.image(test), &name]);
        docker.stdout(&["push", &name]);
        docker.stdout(&["image", "rm", &name]);
        Self { test, name, _owned: owned }
    }

    /// Lets `command` take it instead of the public base.
    fn replaces_public(&self, command: B2iCommand) -> B2iCommand {
        replace_bases_by(command, |test| (test == self.test).then(|| self.name.clone()))
    }
}

/// A name in the registry for a result, which the daemons that pull it forget in the end.
fn result_name(what: &str) -> String {
    format!("{}/{}:1", TestEnvironment::get().registry(), unique(what))
}

/// The digest that `b2i build` printed for `name`.
fn printed_digest(output: &B2iOutput, name: &str) -> String {
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    let line = output.stdout.trim_end();
    let (repository, _) = name.rsplit_once(':').expect("a name with a tag");
    // A pushed image is printed as every tool pulls it.
    let pushed = line.strip_prefix(repository).and_then(|rest| rest.strip_prefix('@'));
    let other = || line.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
    let digest = pushed.or_else(other).unwrap_or_else(|| panic!("no name and digest: {line:?}"));
    assert!(digest.starts_with("sha256:") && digest.len() == 71, "{digest}");
    digest.to_owned()
}

/// What `skopeo inspect --raw` finds at a place: the manifest.
fn manifest(place: &str) -> Vec<u8> {
    skopeo(&["inspect", "--raw", "--tls-verify=false", place])
}

/// The digest of the manifest at a place.
fn manifest_digest(place: &str) -> String {
    b2i::image::Digest::of(&manifest(place)).to_string()
}

fn skopeo(arguments: &[&str]) -> Vec<u8> {
    let output = std::process::Command::new("skopeo").args(arguments).output().expect("skopeo starts");
    assert!(output.status.success(), "skopeo {arguments:?}: {output:?}");
    output.stdout
}

/// Runs an image that prints the static program's report, and gives the report's text.
fn report_of(daemon: &Daemon, name: &str, words: &[&str]) -> String {
    let _owned = daemon.adopted_image(name);
    daemon.stdout(&["pull", name]);
    let output = daemon.run(&[&["--network", "none", name], words].concat());
    assert!(output.status.success(), "{}: {output:?}", daemon.name);
    String::from_utf8(output.stdout).expect("a report is UTF-8")
}
