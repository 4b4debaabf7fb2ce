//! Puts one artifact into a Docker daemon, by b2i and by `docker build`, side by side in one run.
//!
//! `cargo bench --bench daemon` prints medians, ratios and the targets they are held against. It needs a Docker
//! daemon (`B2I_TEST_DOCKER_HOST` or `DOCKER_HOST`) that has the image `b2i-test/glibc:12`; `tests/run
//! --environment-only` starts one and prints the variables. Nothing here fails on a missed target: a benchmark says
//! a number, a test says yes or no.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BASE: &str = "b2i-test/glibc:12";
const RUNS: usize = 5;
const MEGABYTE: usize = 1_000_000;

/// What the runs share: the daemon, a directory of their own, and the program.
struct Bench {
    docker_host: String,
    directory: tempfile::TempDir,
    program: PathBuf,
}

fn main() {
    let docker_host = std::env::var("B2I_TEST_DOCKER_HOST")
        .or_else(|_| std::env::var("DOCKER_HOST"))
        .expect("B2I_TEST_DOCKER_HOST or DOCKER_HOST names the daemon");
    let bench = Bench {
        docker_host,
        directory: tempfile::tempdir().expect("a temporary directory"),
        program: PathBuf::from(env!("CARGO_BIN_EXE_b2i")),
    };
    bench.write_configuration();
    bench.start_up();
    bench.inspect();
    bench.compare_with_build(50);
    bench.compare_with_build(500);
}

impl Bench {
    fn write_configuration(&self) {
        let directory = self.directory.path().join("config/b2i");
        fs::create_dir_all(&directory).expect("a configuration directory");
        let text = format!(
            "[bases]\n\"docker.io/library/debian:12-slim\" = \"{BASE}\"\n\"docker.io/library/debian:11-slim\" = \"{BASE}\"\n"
        );
        fs::write(directory.join("config.toml"), text).expect("writing the configuration");
    }

    fn b2i(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .current_dir(self.directory.path())
            .env("DOCKER_HOST", &self.docker_host)
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"))
            .env("XDG_CACHE_HOME", self.directory.path().join("cache"));
        command
    }

    fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_HOST", &self.docker_host).env("DOCKER_BUILDKIT", "0");
        command
    }

    fn start_up(&self) {
        let times = (0..4 * RUNS).map(|_| timed(self.b2i().arg("--version"))).collect();
        report("b2i --version", median(times), Some(Duration::from_millis(5)));
    }

    fn inspect(&self) {
        let jar = self.directory.path().join("large.jar");
        write_jar(&jar, 500 * MEGABYTE);
        let times = (0..2 * RUNS).map(|_| timed(self.b2i().arg("inspect").arg(&jar))).collect();
        report("b2i inspect, JAR of 500 MB", median(times), Some(Duration::from_millis(50)));
        fs::remove_file(jar).expect("removing the JAR");
    }

    fn compare_with_build(&self, megabytes: usize) {
        let artifact = self.directory.path().join("program");
        let (mut place, mut run, mut build) = (Vec::new(), Vec::new(), Vec::new());
        let mut peak = 0.0_f64;
        for round in 0..=RUNS {
            // Other bytes each time: neither side may find its own result of the round before.
            write_program(&artifact, megabytes * MEGABYTE, (megabytes * 100 + round) as u64);
            let docker = self.time_docker_build(&artifact);
            let (placed, placed_peak) = self.time_b2i(&artifact, "place");
            let (ran, ran_peak) = self.time_b2i(&artifact, "docker");
            peak = peak.max(placed_peak).max(ran_peak);
            // The first round warms the page cache and the daemon.
            if round > 0 {
                build.push(docker);
                place.push(placed);
                run.push(ran);
            }
        }
        let build = median(build);
        println!("\ninto the daemon, {megabytes} MB incompressible, medians of {RUNS}:");
        report("  docker build (classic, COPY)", build, None);
        ratio("  b2i build, place", median(place), build, 0.4);
        ratio("  b2i build --assemble docker", median(run), build, 1.0);
        println!("  peak memory of b2i             {peak:>9.1} MB   (target 24 MB)");
    }

    fn time_docker_build(&self, artifact: &Path) -> Duration {
        let context = self.directory.path().join("context");
        fs::create_dir_all(&context).expect("a build context");
        fs::write(
            context.join("Dockerfile"),
            format!("FROM {BASE}\nCOPY program /opt/app-root/bin/binary\n"),
        )
        .expect("writing the Dockerfile");
        let copy = context.join("program");
        let _ = fs::remove_file(&copy);
        fs::hard_link(artifact, &copy).expect("linking the artifact into the context");
        let time = timed(self.docker().args(["build", "-q", "-t", "b2i-bench-docker"]).arg(&context));
        self.remove_image("b2i-bench-docker");
        time
    }

    fn time_b2i(&self, artifact: &Path, assemble: &str) -> (Duration, f64) {
        let mut command = self.b2i();
        command.args(["build", "--quiet", "-t", "b2i-bench-b2i", "--assemble", assemble]).arg(artifact);
        let started = Instant::now();
        let mut child = command.stdout(Stdio::null()).spawn().expect("starting b2i");
        let peak = watch_memory(child.id());
        let status = child.wait().expect("waiting for b2i");
        let time = started.elapsed();
        assert!(status.success(), "b2i build --assemble {assemble} failed");
        self.remove_image("b2i-bench-b2i");
        (time, peak.join().expect("the memory watch ends with its process"))
    }

    fn remove_image(&self, name: &str) {
        let status =
            self.docker().args(["rmi", "-f", name]).stdout(Stdio::null()).status().expect("starting docker");
        assert!(status.success(), "docker rmi {name} failed");
    }
}

/// Reads the high-water mark of the process's resident memory, in MB, until it ends.
fn watch_memory(process: u32) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
            let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) else { break };
            let kibibytes: f64 =
                line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0);
            peak = peak.max(kibibytes * 1024.0 / 1e6);
            std::thread::sleep(Duration::from_millis(2));
        }
        peak
    })
}

/// Writes a real, dynamic executable followed by incompressible bytes.
fn write_program(path: &Path, size: usize, seed: u64) {
    let mut program = Vec::new();
    File::open("/bin/true").and_then(|mut file| file.read_to_end(&mut program)).expect("reading /bin/true");
    let mut out = BufWriter::new(File::create(path).expect("creating the artifact"));
    out.write_all(&program).expect("writing the artifact");
    write_noise(&mut out, size.saturating_sub(program.len()), seed);
    out.into_inner().expect("flushing the artifact").sync_all().expect("syncing the artifact");
}

fn write_jar(path: &Path, size: usize) {
    let mut jar = zip::ZipWriter::new(BufWriter::new(File::create(path).expect("creating the JAR")));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    jar.start_file("META-INF/MANIFEST.MF", stored).expect("starting the manifest");
    jar.write_all(b"Manifest-Version: 1.0\r\nMain-Class: example.Main\r\n").expect("writing the manifest");
    // Version 61 of the class file format is Java 17.
    let class = [&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61][..], &[0; 2000]].concat();
    for number in 0..20_000 {
        jar.start_file(format!("example/Class{number}.class"), stored).expect("starting a class");
        jar.write_all(&class).expect("writing a class");
    }
    jar.start_file("data.bin", stored).expect("starting the data");
    write_noise(&mut jar, size - 20_000 * class.len(), 1);
    jar.finish().expect("finishing the JAR").into_inner().expect("flushing the JAR");
}

/// Writes bytes that no compressor shrinks (xorshift64*).
fn write_noise(out: &mut impl Write, mut size: usize, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut block = vec![0_u8; 1 << 16];
    while size > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            word.copy_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        let count = size.min(block.len());
        out.write_all(&block[..count]).expect("writing noise");
        size -= count;
    }
}

fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("starting the command");
    let time = started.elapsed();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    time
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn report(name: &str, time: Duration, target: Option<Duration>) {
    let target = target.map(|target| format!("   (target {} ms)", target.as_millis())).unwrap_or_default();
    println!("{name:<32} {:>9.1} ms{target}", time.as_secs_f64() * 1e3);
}

fn ratio(name: &str, time: Duration, peer: Duration, target: f64) {
    let ratio = time.as_secs_f64() / peer.as_secs_f64();
    println!(
        "{name:<32} {:>9.1} ms   {ratio:.2} x docker build (target {target:.2})",
        time.as_secs_f64() * 1e3
    );
}
