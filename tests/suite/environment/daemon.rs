//! Owns what tests do with a daemon that is not b2i's own work: run, ask, inspect, export, remove — by the `docker`
//! program, which speaks to Docker and to Podman's API alike.
//!
//! Must not use b2i's engine: what a test asserts must not come from the code under test.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use serde_json::Value;

/// Longer than anything a test waits for; a daemon that hangs fails the test instead of the whole run.
const PATIENCE: Duration = Duration::from_secs(120);

/// Podman takes no lock between seeing that it has a layer and using it: loading or building an image fails if another
/// test removes the last image with the layer just then. So nobody removes images there while others load or build.
static LAYERS_OF_PODMAN: RwLock<()> = RwLock::new(());

/// How often Podman is asked that was disturbed. b2i removes images too, and waits for no test.
const ATTEMPTS: usize = 10;

/// Whether Podman failed because something that it had just seen was removed meanwhile, which is no answer to what it was
/// asked: what it is asked about is there, and these can be asked again.
fn is_disturbed(arguments: &[&str], output: &Output) -> bool {
    let repeatable = matches!(arguments, ["load" | "pull" | "build" | "images", ..]);
    let said = String::from_utf8_lossy(&output.stderr);
    repeatable
        && !output.status.success()
        && ["layer not known", "image not known"].iter().any(|of| said.contains(of))
}

/// One daemon.
#[derive(Clone, Debug)]
pub(crate) struct Daemon {
    /// `docker` or `podman`, for messages.
    pub(crate) name: &'static str,
    host: String,
    program: PathBuf,
}

impl Daemon {
    pub(super) fn new(name: &'static str, host: &str, program: &Path) -> Self {
        Self { name, host: host.to_owned(), program: program.to_owned() }
    }

    /// Returns its address, as `DOCKER_HOST` takes it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Runs the `docker` program against this daemon and returns what came of it, whatever that is.
    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        self.output_of_input(arguments, Vec::new())
    }

    /// As `output`, with bytes on standard input.
    pub(crate) fn output_of_input(&self, arguments: &[&str], input: Vec<u8>) -> Output {
        let is_podman = self.name == "podman";
        let (loads, removes) =
            (matches!(arguments, ["load" | "pull" | "build", ..]), arguments.starts_with(&["image", "rm"]));
        let _loads =
            (is_podman && loads).then(|| LAYERS_OF_PODMAN.read().unwrap_or_else(PoisonError::into_inner));
        let _removes =
            (is_podman && removes).then(|| LAYERS_OF_PODMAN.write().unwrap_or_else(PoisonError::into_inner));
        // A step in the cache is an image that another test may remove before the next step uses it.
        let uncached =
            arguments.strip_prefix(&["build"]).map(|rest| [&["build", "--no-cache"], rest].concat());
        let arguments = uncached.as_deref().unwrap_or(arguments);
        for _ in 1..ATTEMPTS {
            let output = self.output_once(arguments, input.clone());
            if !is_podman || !is_disturbed(arguments, &output) {
                return output;
            }
        }
        self.output_once(arguments, input)
    }

    fn output_once(&self, arguments: &[&str], input: Vec<u8>) -> Output {
        Command::new(&self.program)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            // No such directory: neither contexts nor credentials of the developer.
            .env("DOCKER_CONFIG", "/nonexistent/docker")
            // Needs no plugin, and is what b2i is compared with.
            .env("DOCKER_BUILDKIT", "0")
            .write_stdin(input)
            .arg("--host")
            .arg(&self.host)
            .args(arguments)
            .timeout(PATIENCE)
            .output()
            .unwrap_or_else(|error| panic!("cannot run {}: {error}", self.program.display()))
    }

    /// Runs the `docker` program and returns its standard output.
    ///
    /// # Panics
    /// If it fails, with both of its streams.
    pub(crate) fn stdout(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.output(arguments);
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}\n{}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// As `stdout`, as text without the last newline.
    pub(crate) fn text(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.stdout(arguments)).expect("docker prints UTF-8").trim_end().to_owned()
    }

    /// The IDs of images, listed with these arguments of `docker images`.
    pub(crate) fn image_ids(&self, arguments: &[&str]) -> Vec<String> {
        let ids = self.text(&[&["images", "--quiet", "--no-trunc"], arguments].concat());
        ids.split_whitespace().map(str::to_owned).collect()
    }

    /// Runs a container to its end and returns its streams and exit code; it is removed. The arguments are those of
    /// `docker create`.
    ///
    /// Not `docker run --rm`: Podman 4.3 sometimes reports 0 for a container that is gone when its code is asked for.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let created = self.output(&[&["create", "--pull=never"], arguments].concat());
        if !created.status.success() {
            return created;
        }
        let id = String::from_utf8_lossy(&created.stdout).trim().to_owned();
        let container = RunningContainer { daemon: self.clone(), id };
        let mut output = self.output(&["start", "--attach", &container.id]);
        let code =
            container.inspect()["State"]["ExitCode"].as_i64().and_then(|code| i32::try_from(code).ok());
        // The code stands in bits 8 to 15 of a wait status.
        output.status = ExitStatus::from_raw(code.expect("a container that has ended has a code") << 8);
        output
    }

    /// Starts a container that goes on: `docker run --detach ARGUMENTS`. It is removed when the value is dropped.
    pub(crate) fn start(&self, arguments: &[&str]) -> RunningContainer {
        let id = self.text(&[&["run", "--detach", "--pull=never"], arguments].concat());
        RunningContainer { daemon: self.clone(), id }
    }

    /// Returns `docker image inspect` of an image, nothing if there is none of that name.
    pub(crate) fn inspect_image(&self, reference: &str) -> Option<Value> {
        let output = self.output(&["image", "inspect", reference]);
        output.status.success().then(|| {
            let list: Value = serde_json::from_slice(&output.stdout).expect("docker prints JSON");
            list[0].clone()
        })
    }

    /// Returns an image's files as a tar, without starting a container.
    pub(crate) fn export_image(&self, reference: &str) -> Vec<u8> {
        // Podman and Docker want a command where the image has none; it is not run.
        let id = self.text(&["create", "--pull=never", reference, "never-run"]);
        let tar = self.stdout(&["export", &id]);
        self.stdout(&["rm", &id]);
        tar
    }

    /// Returns a name for an image that a test is about to make; the image is removed when the value is dropped.
    pub(crate) fn owned_image(&self, stem: &str) -> OwnedImage {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        OwnedImage {
            daemon: self.clone(),
            reference: format!("b2i-test-made/{stem}:{}-{count}", std::process::id()),
        }
    }

    /// Takes over an image that a test is about to make by other means than b2i.
    pub(crate) fn adopted_image(&self, reference: &str) -> OwnedImage {
        OwnedImage { daemon: self.clone(), reference: reference.to_owned() }
    }

    /// Returns the ids of all containers, running or not, that pass a filter such as `label=KEY=VALUE`. (Podman's
    /// `ancestor=` does not find images by the names that Docker does.)
    pub(crate) fn containers(&self, filter: &str) -> Vec<String> {
        let text = self.text(&["ps", "--all", "--quiet", "--no-trunc", "--filter", filter]);
        text.lines().map(str::to_owned).collect()
    }
}

/// The name of an image that belongs to one test.
#[derive(Debug)]
pub(crate) struct OwnedImage {
    daemon: Daemon,
    reference: String,
}

impl OwnedImage {
    /// Returns the name.
    pub(crate) fn reference(&self) -> &str {
        &self.reference
    }
}

impl Drop for OwnedImage {
    fn drop(&mut self) {
        // There may be no image: a test that expects an error makes none.
        self.daemon.output(&["image", "rm", "--force", &self.reference]);
    }
}

/// A container that belongs to one test.
#[derive(Debug)]
pub(crate) struct RunningContainer {
    daemon: Daemon,
    id: String,
}

impl RunningContainer {
    /// Returns its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns `docker inspect` of it.
    pub(crate) fn inspect(&self) -> Value {
        let list: Value =
            serde_json::from_slice(&self.daemon.stdout(&["inspect", &self.id])).expect("docker prints JSON");
        list[0].clone()
    }

    /// Returns what it has written so far: standard output, then standard error.
    pub(crate) fn logs(&self) -> String {
        let output = self.daemon.output(&["logs", &self.id]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    /// Asks a server in it by HTTP until it answers, and returns status and body. `port` is the container's, which
    /// must be published (`--publish 127.0.0.1::8080`).
    ///
    /// # Panics
    /// If there is no answer in time or the container has ended, with its logs.
    pub(crate) fn get(&self, port: u16, path: &str) -> (u16, String) {
        let published = self.daemon.text(&["port", &self.id, &format!("{port}/tcp")]);
        let address =
            published.lines().next().expect("the port is published").replace("0.0.0.0", "127.0.0.1");
        let until = Instant::now() + PATIENCE;
        loop {
            match ask(&address, path) {
                Ok(answer) => return answer,
                Err(error) => assert!(
                    Instant::now() < until && self.inspect()["State"]["Running"] == true,
                    "{}: no answer from {address}{path}: {error}; the container's logs:\n{}",
                    self.daemon.name,
                    self.logs()
                ),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it (its signal, after 30 s SIGKILL) and returns its exit code: 137 if it had to be killed.
    pub(crate) fn stop(&self) -> i64 {
        self.daemon.stdout(&["stop", "--time", "30", &self.id]);
        self.inspect()["State"]["ExitCode"].as_i64().expect("a stopped container has a code")
    }
}

impl Drop for RunningContainer {
    fn drop(&mut self) {
        self.daemon.output(&["rm", "--force", "--volumes", &self.id]);
    }
}

/// One HTTP/1.0 request; enough for servers on loopback that answer and close.
fn ask(address: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(connection, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let invalid = || std::io::Error::other(format!("not an HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(invalid)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(invalid)?;
    Ok((status, body.to_owned()))
}
