//! Publishes one artifact to a registry, by b2i and by what people use today, side by side in one run.
//!
//! `cargo bench --bench compare -- [--rounds N] [--without TOOL] [NAME…]` prints medians of N rounds (5), ratios, and
//! whether each target is met; names choose among the artifacts (`1 MB`, `JAR` …). It needs `docker`, `podman`,
//! `buildah`, `skopeo`, `curl` and GNU `time`, says which of them is missing and how to install it, and measures without
//! one only if `--without` says so. It also needs a registry without authentication (`B2I_TEST_REGISTRY`) and a daemon
//! (`B2I_TEST_DOCKER_HOST`) with the images `b2i-test/jre:17` (the base, 350 MB) and `b2i-test/s2i-kubesphere:1`; `tests/run
//! --environment-only` starts both and prints the variables. Nothing here fails on a missed target.
//!
//! The job: the artifact in one layer on the base, in a repository of its own, by
//! * **curl**: the same layer bytes, finished and in a file, by POST and PUT. No tool that publishes the layer can be
//!   faster; it does not make the layer, hash it, or write a manifest. This is the limit.
//! * **b2i**: `b2i build --push`, without a daemon.
//! * **docker** and **podman**: `build` and `push` with a Dockerfile (`FROM`, `COPY`, `USER`, `ENTRYPOINT`).
//! * **buildah**: `from`, `copy`, `config`, `commit`, `push`.
//! * **skopeo** builds nothing: it copies the finished OCI layout into the registry, which is only a part of the job.
//!
//! What makes it fair: every tool has the base and the registry has its layers; each first push goes to a new
//! repository with bytes that nobody has seen; the order changes from round to round; what one tool left to be written to
//! the disk is written before the next one starts; a round before the first warms everything up. The repeat is the same
//! commands again with nothing changed.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's output is its purpose")]

#[path = "compare/b2i.rs"]
mod b2i;
#[path = "../tests/suite/daemonless/counting.rs"]
mod counting;
#[path = "daemon/measure.rs"]
mod measure;
#[path = "compare/options.rs"]
mod options;
#[path = "compare/report.rs"]
mod report;
#[path = "../tests/suite/request_log.rs"]
mod request_log;
#[path = "daemon/samples.rs"]
mod samples;
#[path = "compare/sandbox.rs"]
mod sandbox;
#[path = "compare/tools.rs"]
mod tools;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use options::Options;
use report::Times;

const BASE: &str = "b2i-test/jre:17";
const MEGABYTE: usize = 1_000_000;

/// Whoever remembers files by their times believes only those that are some seconds old.
const SETTLED: Duration = Duration::from_millis(2100);

/// What is published.
struct Case {
    name: &'static str,
    size: usize,
    content: Content,
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
    Case { name: "1 MB noise", size: MEGABYTE, content: Content::Noise },
    Case { name: "50 MB noise", size: 50 * MEGABYTE, content: Content::Noise },
    Case { name: "500 MB noise", size: 500 * MEGABYTE, content: Content::Noise },
    Case { name: "75 MB programs", size: 75 * MEGABYTE, content: Content::Programs },
    Case { name: "50 MB JAR", size: 50 * MEGABYTE, content: Content::Jar },
];

/// Where everything happens.
struct Bench {
    /// `host:port` of the registry.
    registry: String,
    directory: tempfile::TempDir,
    repositories: u32,
}

fn main() -> ExitCode {
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let registry = std::env::var("B2I_TEST_REGISTRY").expect("B2I_TEST_REGISTRY names the registry");
    // Not /tmp, which may be in memory, or on a file system that the tools' storage cannot be on.
    let directory = tempfile::Builder::new().prefix("b2i-bench-").tempdir_in("/var/tmp");
    let directory = directory.expect("a temporary directory");
    let mut bench = Bench { registry, directory, repositories: 0 };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    println!("{processors} processors, load before: {load}; medians of {} rounds", options.rounds);
    bench.prepare(&options);
    for case in CASES.iter().filter(|case| options.wants(case.name)) {
        bench.compare(case, &options);
    }
    sandbox::measure(&bench, options.rounds);
    for tool in &options.tools {
        tool.clean_up(&bench);
    }
    ExitCode::SUCCESS
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn base(&self) -> String {
        format!("{}/b2i-bench/jre:17", self.registry)
    }

    /// A name in the registry that nobody has used.
    fn repository(&mut self) -> String {
        self.repositories += 1;
        format!("{}/b2i-bench/{}-{}:1", self.registry, std::process::id(), self.repositories)
    }

    /// Fills the registry with the base, and gives it to every tool.
    fn prepare(&self, options: &Options) {
        b2i::push_test_image(BASE, &self.base());
        b2i::configure(self, &self.registry);
        for tool in &options.tools {
            tool.prepare(self);
        }
    }

    fn compare(&mut self, case: &Case, options: &Options) {
        let artifact = self.path(if case.content == Content::Jar { "app.jar" } else { "program" });
        let mut times = vec![Times::default(); options.tools.len()];
        for round in 0..=options.rounds {
            write_artifact(&artifact, case, round);
            std::thread::sleep(SETTLED);
            let layout = self.path("layout");
            let layer = b2i::write_layout(self, &artifact, &layout);
            for turn in 0..options.tools.len() {
                let index = (turn + round) % options.tools.len();
                let tool = options.tools[index];
                let name = self.repository();
                let job = tools::Job {
                    bench: self,
                    artifact: &artifact,
                    layer: &layer,
                    layout: &layout,
                    name: &name,
                };
                rustix::fs::sync();
                let first = tool.publish(&job);
                let repeat = tool.publish(&job);
                tool.forget(&job);
                if round > 0 {
                    times[index].first.push(first);
                    times[index].repeat.push(repeat);
                }
            }
        }
        write_artifact(&artifact, case, options.rounds + 1);
        std::thread::sleep(SETTLED);
        let name = self.repository();
        let measured = b2i::measure(self, &artifact, &name);
        report::print(case, &options.tools, &times, &measured);
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

/// Runs a command to its good end; its output is nobody's business.
fn run(command: &mut Command) {
    measure::timed(command);
}
