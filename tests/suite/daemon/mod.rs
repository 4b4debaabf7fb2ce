//! The daemon as image source, sink and engine, on a real Docker and a real Podman.
//!
//! `B2I_TEST_DOCKER_HOST` and `B2I_TEST_PODMAN_HOST` name them; `B2I_TEST_BUSYBOX`, or
//! `/bin/busybox`, is a static busybox. A part that is missing fails the test.

mod changes;
mod containers;
mod faults;
mod images;

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::ProgramStreams;
use b2i::engine::docker::{DockerEngine, Program, ProgramOptions};
use b2i::engine::{ContainerLimits, ContainerSpec, Diff, Engine, EngineError, TarStream};
use b2i::events::{Event, Events, ScriptStream};
use b2i::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{BaseImage, ConfigEdits, Digest, Image, ImagePath, ImageReference, NewLayer, Platform};
use b2i::request::PullPolicy;
use b2i::store::WrittenImage;
use b2i::store::daemon::{
    Daemon, DaemonError, DaemonFlavour, DaemonSettings, PublishContext, PullCause, ResolveOptions,
    remove_leftovers,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;

/// Date of every image that the tests make.
const CREATED: &str = "1980-01-01T00:00:00Z";

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("a valid path")
}

fn file(at: &str, bytes: &[u8], mode: u32) -> Entry {
    let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes.to_vec()) };
    Entry { path: path(at), kind, mode, owner: Owner { uid: 1001, gid: 0 } }
}

/// A name that no other test and no other run uses.
fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("b2i-test-{what}-{}-{number}", std::process::id())
}

/// One daemon, a lease of its own, and a small base image in it.
pub(crate) struct Setup {
    pub(crate) daemon: Daemon,
    pub(crate) context: PublishContext,
    spool: tempfile::TempDir,
    base: ImageReference,
    names: Vec<String>,
}

async fn connect(variable: &str) -> Daemon {
    let host = std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: it names the daemon for this test, such as unix:///run/docker.sock")
    });
    let settings = DaemonSettings { host: Some(host), ..DaemonSettings::default() };
    Daemon::find(&settings).await.expect("the daemon answers").expect("it is configured")
}

impl Setup {
    async fn new(variable: &str, base: &str) -> Self {
        let daemon = connect(variable).await;
        let spool = tempfile::tempdir().expect("a directory");
        let context = PublishContext {
            lease: unique("lease"),
            spool_directory: spool.path().to_owned(),
            events: Events::silent(),
        };
        let base: ImageReference = base.parse().expect("a name");
        let setup = Self { daemon, context, spool, names: vec![base.familiar()], base };
        let image = busybox(&setup.daemon.info().platform, &setup.base.familiar());
        setup.daemon.publish(&image, std::slice::from_ref(&setup.base), &setup.context).await.expect("base");
        setup
    }

    /// One for each daemon.
    async fn both() -> [Self; 2] {
        let base = unique("base");
        [Self::new("B2I_TEST_DOCKER_HOST", &base).await, Self::new("B2I_TEST_PODMAN_HOST", &base).await]
    }

    fn engine(&self) -> DockerEngine {
        DockerEngine::new(self.daemon.clone(), self.spool.path().to_owned())
    }

    async fn resolve(&self) -> BaseImage {
        let options = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
        self.daemon.resolve(&self.base, &options, &Events::silent()).await.expect("the base is there")
    }

    fn tag(&mut self, what: &str) -> ImageReference {
        let tag: ImageReference = format!("{}:1", unique(what)).parse().expect("a name");
        self.names.push(tag.familiar());
        tag
    }

    fn spec(&self, command: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: self.base.to_string(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            environment: Vec::new(),
            user: None,
            limits: ContainerLimits::default(),
            network: None,
            lease: self.context.lease.clone(),
            ..ContainerSpec::default()
        }
    }

    /// Runs a command in a new container of the base; gives how it ended and what it printed.
    async fn run(
        &self,
        spec: ContainerSpec,
    ) -> Result<(b2i::engine::ExitStatus, Vec<(ScriptStream, String)>), EngineError> {
        let container = self.engine().create(spec).await?;
        let (events, seen) = recorder();
        let ended = container.run(&events).await;
        container.remove().await?;
        let lines = std::mem::take(&mut *seen.lock().expect("not poisoned"));
        Ok((ended?, lines))
    }

    /// Removes what the test made, and checks that nothing else is left of it.
    async fn clean_up(self) {
        let lease = std::slice::from_ref(&self.context.lease);
        remove_leftovers(&self.daemon, lease).await.expect("removed");
        let (daemon, names) = (&self.daemon, &self.names);
        for name in names {
            remove(daemon, name);
        }
    }
}

/// Removes an image with the client: what removes names is not what is tested.
fn remove(daemon: &Daemon, name: &str) {
    let address = daemon.info().address.clone();
    let mut command = client(daemon.info().flavour, &address);
    command.args(["rmi", "--force", name]).output().expect("the client runs");
}

fn client(flavour: DaemonFlavour, address: &str) -> std::process::Command {
    let (program, flag) = match flavour {
        DaemonFlavour::Docker => ("docker", "--host"),
        DaemonFlavour::Podman => ("podman", "--url"),
    };
    let mut command = std::process::Command::new(program);
    command.args([flag, address]);
    command
}

/// A base with a shell, an entrypoint that must never run around a script, and a health check.
///
/// `owner` makes it an image of its own with a layer of its own. Under two names it would be one image, and Podman may
/// remove an image with its last name at the very moment when another test gives it a new one; in the same way, it
/// may remove a layer with the last image that has it just when another test loads an image with that layer.
fn busybox(platform: &Platform, owner: &str) -> Image {
    let path = std::env::var("B2I_TEST_BUSYBOX").unwrap_or_else(|_| "/bin/busybox".into());
    let program = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // The name of the dynamic loader stands at the beginning of an ELF file that needs one.
    let start = &program[..program.len().min(4096)];
    let interpreted = start.windows(8).any(|window| window == b"ld-linux" || window == b"/ld-musl");
    assert!(
        !interpreted,
        "{path} is not a static busybox (package busybox-static); B2I_TEST_BUSYBOX names one"
    );
    let mut entries = vec![file("/bin/busybox", &program, 0o755)];
    for name in
        ["sh", "cat", "id", "ls", "sleep", "head", "tar", "printf", "echo", "env", "mkdir", "mv", "stat"]
    {
        let kind = EntryKind::Symlink { target: "busybox".into() };
        entries.push(Entry { kind, ..file(&format!("/bin/{name}"), b"", 0o777) });
    }
    entries.push(Entry { kind: EntryKind::Directory, ..file("/tmp", b"", 0o1777) });
    entries.push(file("/etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644));
    entries.push(file("/etc/owner", owner.as_bytes(), 0o644));
    let layer = Layer::new(entries, 0).expect("consistent");
    let edits = ConfigEdits {
        env: vec![("PATH".into(), "/bin".into()), ("OF_BASE".into(), "1".into())],
        labels: [("kept".to_owned(), "yes".to_owned()), ("owner".to_owned(), owner.to_owned())].into(),
        exposed_ports: vec!["8080/tcp".into()],
        user: Some("1001:0".into()),
        entrypoint: Some(vec!["/bin/echo".into(), "AROUND".into()]),
        health_cmd: Some("true".into()),
        stop_signal: Some("SIGINT".into()),
        created: CREATED.into(),
        history: "busybox".into(),
        ..ConfigEdits::default()
    };
    on(BaseImage::scratch(platform), layer, edits)
}

fn on(base: BaseImage, layer: impl Into<NewLayer>, edits: ConfigEdits) -> Image {
    with_layers(base, vec![layer.into()], edits)
}

/// `layers` on `base`, lowest first.
fn with_layers(base: BaseImage, layers: Vec<NewLayer>, edits: ConfigEdits) -> Image {
    let config = base.config.clone();
    let make = move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        let ids: Vec<Digest> = written.iter().map(|layer| layer.diff_id).collect();
        config.apply(&edits, &ids);
        config
    };
    Image::new(base, layers, make)
}

fn edits() -> ConfigEdits {
    ConfigEdits {
        env: vec![("APP".into(), "a b".into())],
        entrypoint: Some(vec!["/bin/sh".into(), "/opt/run".into()]),
        cmd: Some(Vec::new()),
        user: Some("1001:0".into()),
        created: CREATED.into(),
        history: "b2i".into(),
        ..ConfigEdits::default()
    }
}

fn placed(base: &BaseImage, script: &str) -> Image {
    let layer = Layer::new(vec![file("/opt/run", script.as_bytes(), 0o755)], 0).expect("consistent");
    on(base.clone(), layer, edits())
}

/// What scripts printed, in order.
type Lines = Arc<Mutex<Vec<(ScriptStream, String)>>>;

fn recorder() -> (Events, Lines) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let receiver = seen.clone();
    let events = Events::new(move |event| {
        if let Event::ScriptOutput { stream, line } = event {
            receiver.lock().expect("not poisoned").push((stream, line));
        }
    });
    (events, seen)
}

/// Starts an image and gives its exit code and standard output.
async fn start(setup: &Setup, image: &str, options: ProgramOptions, stdin: &'static [u8]) -> (i64, String) {
    let options = ProgramOptions { lease: setup.context.lease.clone(), ..options };
    let program = Program::create(&setup.daemon, image, options).await.expect("created");
    let (mut reader, stdout) = tokio::io::duplex(1 << 16);
    let streams = ProgramStreams {
        stdin: Box::new(stdin),
        stdout: Box::new(stdout),
        stderr: Box::new(tokio::io::sink()),
    };
    let mut text = String::new();
    let silent = Events::silent();
    let (code, read) = tokio::join!(program.run(streams, &silent), reader.read_to_string(&mut text));
    read.expect("text");
    (code.expect("it ran"), text)
}

fn tar_of(name: &'static str, bytes: &'static [u8]) -> TarStream {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o640);
    header.set_uid(1001);
    header.set_gid(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, bytes).expect("memory");
    let tar = builder.into_inner().expect("memory");
    futures_util::stream::iter([Ok::<_, io::Error>(tar.into())]).boxed()
}

async fn inspect(setup: &Setup, image: &str) -> BaseImage {
    let options = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
    let reference = image.parse().expect("a name");
    setup.daemon.resolve(&reference, &options, &Events::silent()).await.expect("it is there")
}
