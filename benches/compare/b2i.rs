//! Owns how b2i is started, and what is measured of it beside time: memory and requests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::counting::CountingRegistry;
use crate::tools::Tool;
use crate::{Bench, run};

/// What b2i took for one push.
pub(crate) struct Measured {
    /// Most resident memory, in MB.
    pub(crate) memory: f64,
    /// Requests of a first push.
    pub(crate) first: usize,
    /// Requests of an unchanged repeat.
    pub(crate) repeat: usize,
}

/// Pushes an image of the test environment's daemon under this name.
pub(crate) fn push_test_image(image: &str, name: &str) {
    let host = std::env::var("B2I_TEST_DOCKER_HOST").expect("B2I_TEST_DOCKER_HOST names the daemon");
    for arguments in [&["tag", image, name][..], &["push", "--quiet", name], &["rmi", name]] {
        run(Command::new(Tool::docker_program()).env("DOCKER_HOST", &host).args(arguments));
    }
}

/// Tells b2i to take the base from `registry` for every image that it would take from the internet.
pub(crate) fn configure(bench: &Bench, registry: &str) {
    let directory = bench.path(&config(registry)).join("b2i");
    fs::create_dir_all(&directory).expect("a configuration directory");
    let mut text = "[bases]\n".to_owned();
    for public in ["debian:11-slim", "debian:12-slim", "debian:13-slim", "eclipse-temurin:17-jre"] {
        text.push_str(&format!("\"docker.io/library/{public}\" = \"{registry}/b2i-bench/jre:17\"\n"));
    }
    fs::write(directory.join("config.toml"), text).expect("writing the configuration");
}

fn config(registry: &str) -> String {
    format!("config-{}", registry.replace(':', "-"))
}

/// `b2i build` without a daemon.
pub(crate) fn build(bench: &Bench, registry: &str, arguments: &[&str], artifact: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2i"));
    command
        .current_dir(bench.directory.path())
        .env("DOCKER_HOST", "unix:///nonexistent")
        .env("XDG_CONFIG_HOME", bench.path(&config(registry)))
        .env("XDG_CACHE_HOME", bench.path("cache"))
        .args(["build", "--quiet"])
        .args(arguments)
        .arg(artifact);
    command
}

/// `b2i build --push`.
pub(crate) fn push(bench: &Bench, artifact: &Path, name: &str) -> Command {
    build(bench, &bench.registry, &["--push", "-t", name], artifact)
}

/// Writes the whole image into a layout; gives the blob of its new layer.
pub(crate) fn write_layout(bench: &Bench, artifact: &Path, layout: &Path) -> PathBuf {
    let _ = fs::remove_dir_all(layout);
    let output = format!("oci:{}", layout.display());
    // Without a memo: the first push is to be a first one.
    run(&mut build(bench, &bench.registry, &["--no-memo", "-t", "layer:1", "-o", &output], artifact));
    let index = read_json(&layout.join("index.json"));
    let blob = |digest: &serde_json::Value| {
        let digest = digest.as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
        layout.join("blobs/sha256").join(digest)
    };
    let manifest = read_json(&blob(&index["manifests"][0]["digest"]));
    let layers = manifest["layers"].as_array().expect("layers");
    blob(&layers.last().expect("at least one")["digest"])
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("reading a layout")).expect("JSON")
}

/// Measures what would disturb the time: memory by GNU time, and requests by a listener before the registry.
/// Nobody has seen the artifact.
pub(crate) fn measure(bench: &Bench, artifact: &Path, name: &str) -> Measured {
    let counting = CountingRegistry::new(&bench.registry);
    configure(bench, &counting.address);
    let (_, repository) = name.split_once('/').expect("a full name");
    let name = format!("{}/{repository}", counting.address);
    let said = bench.path("memory");
    let pushes = [0, 1].map(|_| {
        let push = build(bench, &counting.address, &["--push", "-t", &name], artifact);
        let mut command = Command::new("time");
        command.args(["--format", "%M", "--output"]).arg(&said).arg(push.get_program()).args(push.get_args());
        command.current_dir(bench.directory.path());
        for (variable, value) in push.get_envs() {
            command.env(variable, value.expect("only set variables"));
        }
        run(&mut command);
        let text = fs::read_to_string(&said).expect("what GNU time says");
        let kibibytes: f64 = text.trim().parse().expect("a number");
        (kibibytes * 1024.0 / 1e6, counting.take().len())
    });
    let [(memory, first), (again, repeat)] = pushes;
    Measured { memory: memory.max(again), first, repeat }
}
