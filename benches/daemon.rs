//! Puts one artifact into a Docker daemon, by b2i and by `docker build`, side by side in one run.
//!
//! `cargo bench --bench daemon` prints medians, ratios and the targets they are held against; `-- 50` measures with
//! an artifact of 50 MB only. It needs the `docker` command (`B2I_TEST_DOCKER_CLI` or the one on the path) and a
//! daemon (`B2I_TEST_DOCKER_HOST` or `DOCKER_HOST`) that has the image `b2i-test/glibc:12`; `tests/run
//! --environment-only` starts one and prints the variables. Nothing here fails on a missed target: a benchmark says a
//! number, a test says yes or no.
//!
//! What makes it fair: all sides read the same file from the page cache, on the same base, which the daemon has;
//! the bytes are others in each round, so nobody meets a result of before; the order changes from round to round;
//! what one side left to be written to the disk is written before the next one starts; the file cannot be compressed.
//!
//! Two Dockerfiles stand for `docker build` (classic builder, no `RUN`). *The same image* is what a user of Docker has to
//! write for what b2i makes: artifact with its owner, `run` script, environment, labels, user, entrypoint; the targets
//! are held against it. *Bare COPY* has the artifact alone, belongs to root and does not start: less than the job, and
//! shown because it is the least that `docker build` can do.
//!
//! The line `docker load` is no peer but the daemon's own share: the time it takes to load the finished archive,
//! with nothing but the new layer in it, from a file. No tool that loads an image can be faster.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

#[path = "daemon/measure.rs"]
mod measure;
#[path = "daemon/memory.rs"]
mod memory;
#[path = "daemon/samples.rs"]
mod samples;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use measure::{median, timed};
use memory::watch_memory;

const BASE: &str = "b2i-test/glibc:12";
const RUNS: usize = 7;
const MEGABYTE: usize = 1_000_000;
const MEMORY_TARGET: f64 = 24.0;

/// The size, in MB, for which there are targets of time. Larger ones measure the disk that the daemon writes to.
const SIZE_WITH_TARGETS: usize = 50;

/// The name of every result.
const NAME: &str = "b2i-bench:latest";

/// What the runs share: the daemon, a directory of their own, and the program.
struct Bench {
    docker: PathBuf,
    docker_host: String,
    directory: tempfile::TempDir,
    program: PathBuf,
}

/// The ways into the daemon that are compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Build,
    BareCopy,
    Place,
    Run,
    Load,
}

const WAYS: [Way; 5] = [Way::Build, Way::BareCopy, Way::Place, Way::Run, Way::Load];

/// The image that b2i makes, as a Dockerfile.
const SAME_IMAGE: &str = r#"COPY s2i/bin/ /usr/libexec/s2i/
COPY --chown=1001:0 program /opt/app-root/bin/binary
ENV APP_ROOT=/opt/app-root HOME=/opt/app-root
LABEL io.k8s.description="Runs a native executable or a script" \
      io.k8s.display-name="program" \
      io.openshift.s2i.scripts-url="image:///usr/libexec/s2i" \
      io.openshift.tags="builder,binary" \
      org.opencontainers.image.title="program"
WORKDIR /opt/app-root/bin
USER 1001:0
ENTRYPOINT ["/usr/libexec/s2i/run"]
CMD []
"#;

const BARE_COPY: &str = "COPY program /opt/app-root/bin/binary\n";

fn main() {
    let docker_host = std::env::var("B2I_TEST_DOCKER_HOST")
        .or_else(|_| std::env::var("DOCKER_HOST"))
        .expect("B2I_TEST_DOCKER_HOST or DOCKER_HOST names the daemon");
    let bench = Bench {
        docker: std::env::var_os("B2I_TEST_DOCKER_CLI").map_or_else(|| "docker".into(), PathBuf::from),
        docker_host,
        directory: tempfile::tempdir().expect("a temporary directory"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_b2i")),
    };
    bench.write_configuration();
    bench.describe_machine();
    bench.start_up();
    bench.inspect();
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if asked.is_empty() { vec![SIZE_WITH_TARGETS, 500] } else { asked };
    for megabytes in sizes {
        bench.compare_with_build(megabytes);
    }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write_configuration(&self) {
        let directory = self.path("config/b2i");
        fs::create_dir_all(&directory).expect("a configuration directory");
        let bases = ["debian:11-slim", "debian:12-slim", "debian:13-slim"]
            .map(|public| format!("\"docker.io/library/{public}\" = \"{BASE}\"\n"));
        let text = format!("[bases]\n{}", bases.concat());
        fs::write(directory.join("config.toml"), text).expect("writing the configuration");
    }

    fn b2i(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .env("DOCKER_HOST", &self.docker_host)
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    fn docker(&self) -> Command {
        let mut command = Command::new(&self.docker);
        command.env("DOCKER_HOST", &self.docker_host).env("DOCKER_BUILDKIT", "0");
        command
    }

    /// Numbers of one machine say nothing about another.
    fn describe_machine(&self) {
        let processors = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpu.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(": ").map_or("", |(_, value)| value).to_owned()
        };
        let hashing = if field("flags").split(' ').any(|flag| flag == "sha_ni") { "with" } else { "without" };
        println!("{processors} x {}, {hashing} SHA-NI", field("model name"));
        let mut versions = self.docker();
        versions.args(["version", "--format", "docker {{.Client.Version}}, daemon {{.Server.Version}}"]);
        let versions = versions.output().expect("starting docker").stdout;
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default();
        println!("{}, load before: {load}\n", String::from_utf8_lossy(&versions).trim());
    }

    fn start_up(&self) {
        let times = (0..20).map(|_| timed(self.b2i().arg("--version"))).collect();
        report("b2i --version", median(times), Some(Duration::from_millis(5)));
    }

    fn inspect(&self) {
        let jar = self.path("large.jar");
        samples::write_jar(&jar, 500 * MEGABYTE, 1);
        let times = (0..20).map(|_| timed(self.b2i().arg("inspect").arg(&jar))).collect();
        report("b2i inspect, JAR of 500 MB", median(times), Some(Duration::from_millis(50)));
        fs::remove_file(jar).expect("removing the JAR");
    }

    fn compare_with_build(&self, megabytes: usize) {
        let context = self.path("context");
        fs::create_dir_all(context.join("s2i/bin")).expect("a build context");
        for script in ["assemble", "run", "usage"] {
            let from =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("builder-images/binary/s2i/bin").join(script);
            fs::copy(from, context.join("s2i/bin").join(script)).expect("copying a script");
        }
        let artifact = context.join("program");
        let mut times = WAYS.map(|_| Vec::new());
        let mut peak = 0.0_f64;
        for round in 0..=RUNS {
            samples::write_program(&artifact, megabytes * MEGABYTE, (megabytes * 100 + round) as u64);
            let archive = self.partial_archive(&artifact);
            for turn in 0..WAYS.len() {
                let index = (turn + round) % WAYS.len();
                rustix::fs::sync();
                let (time, memory) = match WAYS[index] {
                    Way::Build => (self.time_build(&context, SAME_IMAGE), 0.0),
                    Way::BareCopy => (self.time_build(&context, BARE_COPY), 0.0),
                    Way::Place => self.time_b2i(&artifact, "place"),
                    Way::Run => self.time_b2i(&artifact, "docker"),
                    Way::Load => (timed(self.docker().args(["load", "-q", "-i"]).arg(&archive)), 0.0),
                };
                self.remove_image();
                peak = peak.max(memory);
                // The first round warms the page cache and the daemon.
                if round > 0 {
                    times[index].push(time);
                }
            }
        }
        let [build, bare, place, run, load] = times.map(median);
        println!("\ninto the daemon, {megabytes} MB that do not compress, medians of {RUNS}:");
        println!("{:<32} {:>12} {:>16} {:>16}", "", "", "x same image", "x bare COPY");
        let target = |ratio: f64| Some(ratio).filter(|_| megabytes == SIZE_WITH_TARGETS);
        let line = |name, time, target| ratios(name, time, [build, bare], target);
        line("  docker build, the same image", build, None);
        line("  docker build, bare COPY", bare, None);
        line("  b2i build, place", place, target(0.4));
        line("  b2i build --assemble docker", run, target(1.0));
        line("  docker load (daemon's share)", load, None);
        println!("  peak memory of b2i               {peak:>7.1} MB   (target {MEMORY_TARGET} MB)");
    }

    fn time_build(&self, context: &Path, steps: &str) -> Duration {
        fs::write(context.join("Dockerfile"), format!("FROM {BASE}\n{steps}"))
            .expect("writing the Dockerfile");
        timed(self.docker().args(["build", "-q", "-t", NAME]).arg(context))
    }

    /// What b2i sends to the daemon, as a file: the image without the layers of its base.
    fn partial_archive(&self, artifact: &Path) -> PathBuf {
        let (whole, partial) = (self.path("whole.tar"), self.path("partial.tar"));
        let mut command = self.b2i();
        let output = format!("docker-archive:{}", whole.display());
        command.args(["build", "--quiet", "-t", NAME, "--assemble", "place", "-o", &output]).arg(artifact);
        timed(&mut command);
        let mut archive = tar::Archive::new(File::open(&whole).expect("opening the archive"));
        let mut out = tar::Builder::new(BufWriter::new(File::create(&partial).expect("creating an archive")));
        for entry in archive.entries().expect("an archive") {
            let entry = entry.expect("an entry");
            let path = entry.path().expect("a path").into_owned();
            if !path.ends_with("layer.tar") || path.starts_with("new") {
                let header = entry.header().clone();
                out.append(&header, entry).expect("writing an entry");
            }
        }
        out.into_inner().expect("ending the archive").into_inner().expect("flushing the archive");
        fs::remove_file(whole).expect("removing the whole archive");
        partial
    }

    /// The time and the peak memory, in MB.
    fn time_b2i(&self, artifact: &Path, assemble: &str) -> (Duration, f64) {
        let mut command = self.b2i();
        command.args(["build", "--quiet", "-t", NAME, "--assemble", assemble]).arg(artifact);
        let started = Instant::now();
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starting b2i");
        let peak = watch_memory(child.id());
        let status = child.wait().expect("waiting for b2i");
        let time = started.elapsed();
        assert!(status.success(), "b2i build --assemble {assemble} failed");
        (time, peak.join().expect("the memory watch ends with its process"))
    }

    fn remove_image(&self) {
        let mut command = self.docker();
        command.args(["rmi", "-f", NAME]);
        timed(&mut command);
    }
}

fn report(name: &str, time: Duration, target: Option<Duration>) {
    let target = target.map(|target| format!("   (target {} ms)", target.as_millis())).unwrap_or_default();
    println!("{name:<32} {:>9.1} ms{target}", time.as_secs_f64() * 1e3);
}

fn ratios(name: &str, time: Duration, peers: [Duration; 2], target: Option<f64>) {
    let [same, bare] = peers.map(|peer| time.as_secs_f64() / peer.as_secs_f64());
    let target = target.map(|target| format!("   (target {target:.1})")).unwrap_or_default();
    println!("{name:<32} {:>9.1} ms {same:>16.2} {bare:>16.2}{target}", time.as_secs_f64() * 1e3);
}
