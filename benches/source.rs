//! Builds a small source with an S2I builder that the daemon has, by b2i and by hand with the `docker` command, side by
//! side in one run.
//!
//! `cargo bench --bench source` prints medians and ratios, and whether the target is met: an S2I build takes at most
//! 0.8 times what `docker create`, `cp`, `start --attach` and `commit` take. It needs what `daemon` needs, and the image
//! `b2i-test/s2i-sclorg:1` in the daemon. Nothing here fails on a missed target.
//!
//! What makes it fair: both sides use the same sources, builder and scripts, and make an image with the same command;
//! the sources are others in each round; the order changes from round to round; what a side left behind is removed
//! while nobody measures. By hand, nothing is removed in the measured time, where b2i removes its container. The target
//! is held against the sequence as it is typed. A daemon needs as long for a container's network as for all else: `b2i
//! build` gives none unless asked, `b2i s2i build` has S2I's default, so each stands beside its like without one too.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

#[path = "daemon/measure.rs"]
mod measure;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use measure::{median, timed};

const BUILDER: &str = "b2i-test/s2i-sclorg:1";
const ASSEMBLE: &str = "/usr/libexec/s2i/assemble";
const NAME: &str = "b2i-bench-source:latest";
const CONTAINER: &str = "b2i-bench-source";
const RUNS: usize = 11;
const TARGET: f64 = 0.8;

/// The ways to the image that are compared.
#[derive(Clone, Copy)]
enum Way {
    ByHand,
    ByHandWithoutNetwork,
    Build,
    S2i,
    S2iWithoutNetwork,
}

const WAYS: [(Way, &str); 5] = [
    (Way::ByHand, "docker create, cp, start, commit"),
    (Way::ByHandWithoutNetwork, "  the same, --network none"),
    (Way::Build, "b2i build --source-builder"),
    (Way::S2i, "b2i s2i build"),
    (Way::S2iWithoutNetwork, "b2i s2i build --network none"),
];

/// What the runs share: the daemon, a directory of their own, and the program.
struct Bench {
    docker: PathBuf,
    docker_host: String,
    directory: tempfile::TempDir,
}

fn main() {
    let docker_host = std::env::var("B2I_TEST_DOCKER_HOST")
        .or_else(|_| std::env::var("DOCKER_HOST"))
        .expect("B2I_TEST_DOCKER_HOST or DOCKER_HOST names the daemon");
    let bench = Bench {
        docker: std::env::var_os("B2I_TEST_DOCKER_CLI").map_or_else(|| "docker".into(), PathBuf::from),
        docker_host,
        directory: tempfile::tempdir().expect("a temporary directory"),
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load before: {}", load.split(' ').next().unwrap_or_default());
    let times = bench.measure();
    println!("\na small source by a builder that the daemon has, medians of {RUNS}:");
    println!("{:<36} {:>12} {:>11} {:>16}", "", "", "x by hand", "x no network");
    for ((_, name), time) in WAYS.iter().zip(&times) {
        let [by_hand, no_network] = [0, 1].map(|peer: usize| ratio(*time, times[peer]));
        println!("{name:<36} {:>9.1} ms {by_hand:>11.2} {no_network:>16.2}", time.as_secs_f64() * 1e3);
    }
    for (index, name) in [(2, "b2i build"), (3, "b2i s2i build")] {
        let found = ratio(times[index], times[0]);
        let verdict = if found <= TARGET { "met" } else { "MISSED" };
        println!("{name}: {found:.2} of the sequence by hand; the target is {TARGET}: {verdict}");
    }
}

fn ratio(time: Duration, peer: Duration) -> f64 {
    time.as_secs_f64() / peer.as_secs_f64()
}

impl Bench {
    fn measure(&self) -> Vec<Duration> {
        let mut times = WAYS.map(|_| Vec::new());
        for round in 0..=RUNS {
            self.write_sources(round);
            for turn in 0..WAYS.len() {
                let index = (turn + round) % WAYS.len();
                rustix::fs::sync();
                let time = match WAYS[index].0 {
                    Way::ByHand => self.by_hand(&[]),
                    Way::ByHandWithoutNetwork => self.by_hand(&["--network", "none"]),
                    Way::Build => {
                        timed(self.b2i().args(["build", "--source-builder", BUILDER, "-t", NAME, "src"]))
                    }
                    Way::S2i => self.s2i(&[]),
                    Way::S2iWithoutNetwork => self.s2i(&["--network", "none"]),
                };
                self.clean_up();
                // The first round warms the page cache and the daemon.
                if round > 0 {
                    times[index].push(time);
                }
            }
        }
        times.map(median).to_vec()
    }

    fn write_sources(&self, round: usize) {
        let directory = self.directory.path().join("src");
        fs::create_dir_all(&directory).expect("a directory for the sources");
        for file in 0..20 {
            let text = format!("file {file} of round {round}\n").repeat(50);
            fs::write(directory.join(format!("file-{file}.txt")), text).expect("writing a source");
        }
        // The builder wants to find a program.
        fs::write(directory.join("program"), format!("#!/bin/sh\necho {round}\n")).expect("writing a source");
    }

    fn by_hand(&self, options: &[&str]) -> Duration {
        let create = ["create", "--name", CONTAINER, "--entrypoint", ASSEMBLE];
        let command = "CMD [\"/usr/libexec/s2i/run\"]";
        let entrypoint = "ENTRYPOINT [\"container-entrypoint\"]";
        let steps: [&[&str]; 4] = [
            &[&create[..], options, &[BUILDER]].concat(),
            &["cp", "src/.", &format!("{CONTAINER}:/tmp/src")],
            &["start", "--attach", CONTAINER],
            &["commit", "--change", command, "--change", entrypoint, CONTAINER, NAME],
        ];
        steps.iter().map(|step| timed(self.docker().args(*step))).sum()
    }

    fn s2i(&self, options: &[&str]) -> Duration {
        timed(self.b2i().args(["s2i", "build", "--copy"]).args(options).args(["src", BUILDER, NAME]))
    }

    fn b2i(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_b2i"));
        command
            .current_dir(self.directory.path())
            .env("DOCKER_HOST", &self.docker_host)
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"))
            .env("XDG_CACHE_HOME", self.directory.path().join("cache"));
        command
    }

    fn docker(&self) -> Command {
        let mut command = Command::new(&self.docker);
        command.current_dir(self.directory.path()).env("DOCKER_HOST", &self.docker_host);
        command
    }

    /// Removes what a way left; one that left no container is no error.
    fn clean_up(&self) {
        for arguments in [&["rm", "--force", CONTAINER][..], &["rmi", "--force", NAME]] {
            let output = self.docker().args(arguments).output().expect("starting docker");
            assert!(output.status.success() || arguments[0] == "rm", "{output:?}");
        }
    }
}
