//! Publishes one artifact to a registry, by b2i and by what people use today, side by side in one run.
//!
//! `cargo bench --bench registry` prints medians, ratios and the targets they are held against; `-- NAME …` measures
//! only the artifacts whose names hold one of the words. It needs a registry without authentication
//! (`B2I_TEST_REGISTRY`) and the image `b2i-test/jre:17` in a daemon (`B2I_TEST_DOCKER_HOST`), from which it fills the
//! registry with a base; `tests/run --environment-only` starts both and prints the variables. Tools that are not
//! installed (`buildah`, `skopeo`) are left out, and the output says so. Nothing here fails on a missed target.
//!
//! The limit is `curl`: the same layer bytes, finished and in a file, by POST and PUT. No tool that publishes the
//! layer can be faster; it does not make the layer, hash it, or write a manifest.
//!
//! What makes it fair: the base's layers are in the registry; each first push goes to a new repository with bytes that
//! nobody has seen; the order changes from round to round.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

#[path = "daemon/measure.rs"]
mod measure;
#[path = "daemon/samples.rs"]
mod samples;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use measure::{median, timed, watch_memory};

const BASE: &str = "b2i-test/jre:17";
const RUNS: usize = 5;
const MEGABYTE: usize = 1_000_000;

/// What is published, and how fast b2i is to be.
struct Case {
    name: &'static str,
    size: usize,
    content: Content,
    /// First push, as a multiple of the limit.
    target: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// An executable followed by bytes that do not compress.
    Noise,
    /// Machine code and data of this machine's own programs.
    Programs,
    /// A JAR.
    Jar,
}

const CASES: [Case; 5] = [
    Case { name: "1 MB noise", size: MEGABYTE, content: Content::Noise, target: Some(1.1) },
    Case { name: "50 MB noise", size: 50 * MEGABYTE, content: Content::Noise, target: Some(1.1) },
    Case { name: "500 MB noise", size: 500 * MEGABYTE, content: Content::Noise, target: Some(1.1) },
    Case { name: "75 MB programs", size: 75 * MEGABYTE, content: Content::Programs, target: None },
    Case { name: "50 MB JAR", size: 50 * MEGABYTE, content: Content::Jar, target: Some(1.1) },
];

struct Bench {
    registry: String,
    directory: tempfile::TempDir,
    program: PathBuf,
    repositories: u32,
}

fn main() {
    let registry = std::env::var("B2I_TEST_REGISTRY").expect("B2I_TEST_REGISTRY names the registry");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut bench = Bench { registry, directory, program: env!("CARGO_BIN_EXE_b2i").into(), repositories: 0 };
    bench.prepare();
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for case in &CASES {
        if words.is_empty() || words.iter().any(|word| case.name.contains(word.as_str())) {
            bench.compare(case);
        }
    }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Fills the registry with the base and tells b2i to use it.
    fn prepare(&self) {
        let base = format!("{}/b2i-bench/jre:17", self.registry);
        let host = std::env::var("B2I_TEST_DOCKER_HOST").expect("B2I_TEST_DOCKER_HOST names the daemon");
        let docker = std::env::var_os("B2I_TEST_DOCKER_CLI").unwrap_or_else(|| "docker".into());
        for arguments in [&["tag", BASE, &base][..], &["push", "--quiet", &base], &["rmi", &base]] {
            run(Command::new(&docker).env("DOCKER_HOST", &host).args(arguments));
        }
        let directory = self.path("config/b2i");
        fs::create_dir_all(&directory).expect("a configuration directory");
        let mut text = "[bases]\n".to_owned();
        for public in ["debian:11-slim", "debian:12-slim", "debian:13-slim", "eclipse-temurin:17-jre"] {
            text.push_str(&format!("\"docker.io/library/{public}\" = \"{base}\"\n"));
        }
        fs::write(directory.join("config.toml"), text).expect("writing the configuration");
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        println!("{processors} processors, load before: {}", load.split(' ').next().unwrap_or_default());
    }

    /// A name in the registry that nobody has used.
    fn repository(&mut self) -> String {
        self.repositories += 1;
        format!("{}/b2i-bench/{}-{}:1", self.registry, std::process::id(), self.repositories)
    }

    fn b2i(&self, artifact: &Path, name: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .env("DOCKER_HOST", "unix:///nonexistent")
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .args(["build", "--quiet", "--push", "-t", name])
            .arg(artifact);
        command
    }

    fn compare(&mut self, case: &Case) {
        let artifact = self.path(if case.content == Content::Jar { "app.jar" } else { "program" });
        let mut times: [Vec<Duration>; 4] = Default::default();
        let mut peak = 0.0_f64;
        let has_buildah = Command::new("buildah").arg("--version").output().is_ok();
        for round in 0..=RUNS {
            write_artifact(&artifact, case, round);
            let layer = self.layer(&artifact);
            for turn in 0..4 {
                let way = (turn + round) % 4;
                rustix::fs::sync();
                let name = self.repository();
                let time = match way {
                    0 => time_curl(&layer, &name),
                    1 => {
                        let (time, memory) = timed_with_memory(&mut self.b2i(&artifact, &name));
                        peak = peak.max(memory);
                        time
                    }
                    // Unchanged: the same command, some seconds after the artifact was written.
                    2 => {
                        std::thread::sleep(Duration::from_millis(2100));
                        run(&mut self.b2i(&artifact, &name));
                        timed(&mut self.b2i(&artifact, &name))
                    }
                    _ if has_buildah && case.size <= 75 * MEGABYTE => self.time_buildah(&artifact, &name),
                    _ => continue,
                };
                if round > 0 {
                    times[way].push(time);
                }
            }
        }
        let [limit, first, repeat, buildah] = times;
        let (limit, first, repeat) = (median(limit), median(first), median(repeat));
        println!("\n{}, on a base of 350 MB, medians of {RUNS}:", case.name);
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        println!("  curl, the same layer (limit)   {:>9.1} ms", milliseconds(limit));
        let ratio = first.as_secs_f64() / limit.as_secs_f64();
        let target = case.target.map(|target| format!("   (target {target:.2})")).unwrap_or_default();
        println!(
            "  b2i, first push                {:>9.1} ms   {ratio:.2} x the limit{target}",
            milliseconds(first)
        );
        println!("  b2i, unchanged repeat          {:>9.1} ms   (target 10 ms)", milliseconds(repeat));
        if buildah.is_empty() {
            println!("  buildah                        not measured");
        } else {
            let buildah = median(buildah);
            let ratio = buildah.as_secs_f64() / first.as_secs_f64();
            println!(
                "  buildah from, copy, push       {:>9.1} ms   b2i is {ratio:.1} x faster",
                milliseconds(buildah)
            );
        }
        println!("  peak memory of b2i             {peak:>9.1} MB   (target 24 MB)");
    }

    /// The layer's blob as b2i makes it, in a file.
    fn layer(&self, artifact: &Path) -> PathBuf {
        let directory = self.path("layout");
        let _ = fs::remove_dir_all(&directory);
        let output = format!("oci:{}", directory.display());
        let command = self.b2i(artifact, "bench.invalid/layer:1");
        let arguments: Vec<_> =
            command.get_args().filter(|word| *word != "--push").map(ToOwned::to_owned).collect();
        let mut layout = Command::new(command.get_program());
        layout.current_dir(self.directory.path()).args(arguments).args(["--no-memo", "-o", &output]);
        for (name, value) in command.get_envs() {
            layout.env(name, value.expect("only set variables"));
        }
        run(&mut layout);
        let index: serde_json::Value = read_json(&directory.join("index.json"));
        let blob = |digest: &serde_json::Value| {
            let digest = digest.as_str().and_then(|text| text.strip_prefix("sha256:")).expect("a digest");
            directory.join("blobs/sha256").join(digest)
        };
        let manifest = read_json(&blob(&index["manifests"][0]["digest"]));
        let layers = manifest["layers"].as_array().expect("layers");
        blob(&layers.last().expect("at least one")["digest"])
    }

    fn time_buildah(&self, artifact: &Path, name: &str) -> Duration {
        let base = format!("{}/b2i-bench/jre:17", self.registry);
        let script = "set -e\nc=$(buildah from --tls-verify=false \"$1\")\n\
            buildah copy --quiet --chown 1001:0 \"$c\" \"$2\" /opt/app-root/bin/binary >&2\n\
            buildah config --entrypoint '[\"/opt/app-root/bin/binary\"]' --user 1001:0 \"$c\"\n\
            i=$(buildah commit --quiet \"$c\")\n\
            buildah push --quiet --tls-verify=false \"$i\" \"docker://$3\"\n\
            buildah rm \"$c\" >&2; buildah rmi \"$i\" >&2";
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", &base]).arg(artifact).arg(name);
        timed(&mut command)
    }
}

fn write_artifact(path: &Path, case: &Case, round: usize) {
    match case.content {
        Content::Noise => samples::write_program(path, case.size, (case.size + round) as u64),
        Content::Jar => samples::write_jar(path, case.size, round as u64 + 1),
        Content::Programs => write_programs(path, case.size),
    }
    // Bytes that no repository has: an ending is read by nobody.
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("opening the artifact");
    if case.content != Content::Jar {
        write!(file, "{} {round} {:?}", case.name, Instant::now()).expect("writing the artifact");
    }
}

/// Writes an executable and behind it the programs and libraries of this machine.
fn write_programs(path: &Path, size: usize) {
    let mut out = File::create(path).expect("creating the artifact");
    let mut left = size as u64;
    let mut names = vec![PathBuf::from("/bin/true")];
    for directory in ["/usr/bin", "/usr/lib/x86_64-linux-gnu"] {
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        found.sort();
        names.extend(found);
    }
    for name in names {
        let Ok(file) = File::open(&name) else { continue };
        left -= std::io::copy(&mut file.take(left), &mut out).expect("writing the artifact");
    }
    assert_eq!(left, 0, "this machine has not enough programs");
}

/// POST and PUT of a finished layer.
fn time_curl(layer: &Path, name: &str) -> Duration {
    let digest = format!("sha256:{}", layer.file_name().expect("a blob").to_string_lossy());
    let (registry, rest) = name.split_once('/').expect("a full name");
    let repository = rest.rsplit_once(':').expect("a tag").0;
    let script = "set -e\nlocation=$(curl -sS -f -D - -o /dev/null -X POST \"http://$1/v2/$2/blobs/uploads/\" |\
        tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')\n\
        case $location in /*) location=http://$1$location;; esac\n\
        case $location in *\\?*) location=$location\\&digest=$3;; *) location=$location?digest=$3;; esac\n\
        curl -sS -f -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T \"$4\" \"$location\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", registry, repository, &digest]).arg(layer);
    timed(&mut command)
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).expect("reading a layout")).expect("JSON")
}

fn run(command: &mut Command) {
    timed(command);
}

/// The time, and the high-water mark of resident memory in MB.
fn timed_with_memory(command: &mut Command) -> (Duration, f64) {
    let started = Instant::now();
    let mut child =
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starting the command");
    let watch = watch_memory(child.id());
    let status = child.wait().expect("waiting for the command");
    let time = started.elapsed();
    assert!(status.success(), "{command:?} failed");
    (time, watch.join().expect("the watch ends with its process"))
}
