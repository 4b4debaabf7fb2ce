//! The daemon as image source, sink and engine, on a real Docker and a real Podman.
//!
//! `B2I_TEST_DOCKER_HOST` and `B2I_TEST_PODMAN_HOST` name them; `/bin/busybox` is a static busybox. A part that is
//! missing fails the test.

use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use b2i::engine::docker::{DockerEngine, Program, ProgramOptions, ProgramStreams};
use b2i::engine::{Changes, Container, ContainerLimits, ContainerSpec, Engine, TarStream};
use b2i::events::{Event, Events, ScriptStream};
use b2i::failure::{Failure, FailureKind};
use b2i::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{ConfigEdits, Digest, ImageConfig, ImagePath, ImageReference, Platform};
use b2i::request::PullPolicy;
use b2i::store::daemon::{
    Daemon, DaemonError, DaemonFlavour, DaemonSettings, PublishContext, PullCause, ResolveOptions,
    remove_leftovers,
};
use b2i::store::{BaseImage, BaseLayers, UnfinishedImage, WrittenImage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;

/// Unpacked, the base and everything that is placed on it.
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
    async fn new(variable: &str) -> Self {
        let daemon = connect(variable).await;
        let spool = tempfile::tempdir().expect("a directory");
        let context = PublishContext {
            lease: unique("lease"),
            spool_directory: spool.path().to_owned(),
            events: Events::silent(),
        };
        let base: ImageReference = unique("base").parse().expect("a name");
        let setup = Self { daemon, context, spool, names: vec![base.familiar()], base };
        let image = busybox(&setup.daemon.info().platform);
        setup
            .daemon
            .publish(&image, None, std::slice::from_ref(&setup.base), &setup.context)
            .await
            .expect("base");
        setup
    }

    /// One for each daemon.
    async fn both() -> [Self; 2] {
        [Self::new("B2I_TEST_DOCKER_HOST").await, Self::new("B2I_TEST_PODMAN_HOST").await]
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
        }
    }

    /// Runs a command in a new container of the base; gives how it ended and what it printed.
    async fn run(
        &self,
        spec: ContainerSpec,
    ) -> Result<(b2i::engine::Ended, Vec<(ScriptStream, String)>), DaemonError> {
        let container = DockerEngine::new(self.daemon.clone()).create(spec).await?;
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
fn busybox(platform: &Platform) -> UnfinishedImage {
    let program = std::fs::read("/bin/busybox").expect("a static /bin/busybox (package busybox-static)");
    let mut entries = vec![file("/bin/busybox", &program, 0o755)];
    for name in
        ["sh", "cat", "id", "ls", "sleep", "head", "tar", "printf", "echo", "env", "mkdir", "mv", "stat"]
    {
        let kind = EntryKind::Symlink { target: "busybox".into() };
        entries.push(Entry { kind, ..file(&format!("/bin/{name}"), b"", 0o777) });
    }
    entries.push(Entry { kind: EntryKind::Directory, ..file("/tmp", b"", 0o1777) });
    entries.push(file("/etc/passwd", b"root:x:0:0::/:/bin/sh\n", 0o644));
    let layer = Layer::new(entries, 0).expect("consistent");
    let edits = ConfigEdits {
        env: vec![("PATH".into(), "/bin".into()), ("OF_BASE".into(), "1".into())],
        labels: [("kept".to_owned(), "yes".to_owned())].into(),
        exposed_ports: vec!["8080/tcp".into()],
        user: Some("1001:0".into()),
        entrypoint: Some(vec!["/bin/echo".into(), "AROUND".into()]),
        health_cmd: Some("true".into()),
        stop_signal: Some("SIGINT".into()),
        created: CREATED.into(),
        history: "busybox".into(),
        ..ConfigEdits::default()
    };
    on(BaseLayers::Scratch, ImageConfig::empty(platform), "scratch", layer, edits)
}

fn on(
    layers: BaseLayers,
    config: ImageConfig,
    name: &str,
    layer: Layer,
    edits: ConfigEdits,
) -> UnfinishedImage {
    let finish = {
        let config = config.clone();
        move |written: &WrittenLayer| {
            let mut config = config.clone();
            config.apply(&edits, &[written.diff_id]);
            config
        }
    };
    let base = BaseImage { name: name.into(), manifest_digest: None, config, layers };
    UnfinishedImage { base, layer, finish: Arc::new(finish) }
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

fn placed(base: &BaseImage, script: &str) -> UnfinishedImage {
    let layer = Layer::new(vec![file("/opt/run", script.as_bytes(), 0o755)], 0).expect("consistent");
    on(base.layers.clone(), base.config.clone(), &base.name, layer, edits())
}

fn recorder() -> (Events, Arc<Mutex<Vec<(ScriptStream, String)>>>) {
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

#[tokio::test]
async fn the_same_image_comes_out_of_both_daemons() {
    let mut results: Vec<WrittenImage> = Vec::new();
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        assert_eq!(base.config.label("kept"), Some("yes"));
        assert_eq!(base.config.env("OF_BASE"), Some("1"));
        assert_eq!(
            base.config.runtime("Healthcheck"),
            Some(&serde_json::json!({"Test": ["CMD-SHELL", "true"]}))
        );
        let image = placed(&base, "echo \"got $APP and $@\"; cat; exit 3");
        let (one, two) = (setup.tag("one"), setup.tag("two"));
        let published = setup.daemon.publish(&image, None, &[one.clone(), two.clone()], &setup.context).await;
        let published = published.expect("published");
        let layers = std::fs::read_dir(setup.spool.path()).expect("readable").count();
        assert_eq!(layers, 0, "no layer of the base was exported");
        for tag in [&one, &two] {
            let found = inspect(&setup, &tag.to_string()).await;
            assert!(
                matches!(found.layers, BaseLayers::Daemon { image_id } if image_id == published.image_id.to_string())
            );
            assert_eq!(found.config.list("Entrypoint"), ["/bin/sh", "/opt/run"]);
        }
        let options =
            ProgramOptions { args: vec!["x  y".into(), "$(z)".into()], stdin: true, ..Default::default() };
        let (code, text) = start(&setup, &one.to_string(), options, b"input").await;
        assert_eq!((code, text.as_str()), (3, "got a b and x  y $(z)\ninput"));
        // With what is known, nothing is read again: the layer's file is not there any more.
        let mut gone = image.clone();
        gone.layer = Layer::new(vec![file("/opt/other", b"never read", 0o644)], 0).expect("consistent");
        let again =
            setup.daemon.publish(&gone, published.layer, &[one], &setup.context).await.expect("known");
        assert_eq!(again, published);
        let relabelled = ConfigEdits { labels: [("new".to_owned(), "1".to_owned())].into(), ..edits() };
        let image = on(base.layers.clone(), base.config.clone(), &base.name, gone.layer.clone(), relabelled);
        let third = setup.tag("three");
        let other =
            setup.daemon.publish(&image, published.layer, std::slice::from_ref(&third), &setup.context).await;
        assert_ne!(other.expect("only the config is new").image_id, published.image_id);
        assert_eq!(inspect(&setup, &third.to_string()).await.config.label("new"), Some("1"));
        results.push(published);
        setup.clean_up().await;
    }
    assert_eq!(results[0], results[1], "Docker's and Podman's image have the same ID");
}

#[tokio::test]
async fn a_script_runs_and_its_changes_become_an_image_with_our_config() {
    let mut ids: Vec<Digest> = Vec::new();
    for mut setup in Setup::both().await {
        let engine = DockerEngine::new(setup.daemon.clone());
        let mut spec = setup.spec(&[
            "/bin/sh",
            "-c",
            "mkdir -p /tmp/out && cat /tmp/input > /tmp/out/file && echo done",
        ]);
        spec.environment = vec![("SECRET".into(), "not in the image".into())];
        let container = engine.create(spec).await.expect("created");
        container.upload(&path("/tmp"), tar_of("input", b"from the client")).await.expect("uploaded");
        let (events, seen) = recorder();
        let ended = container.run(&events).await.expect("ran");
        assert_eq!((ended.exit_code, ended.out_of_memory), (0, false));
        assert_eq!(*seen.lock().expect("not poisoned"), [(ScriptStream::Stdout, "done".to_owned())]);
        let read = container.download(&path("/tmp/out/file"), 100).await.expect("read");
        assert_eq!(read.as_deref(), Some(&b"from the client"[..]));
        let Changes::Committed { image_id, diff_ids } =
            container.take_changes(&events).await.expect("committed");
        let base = setup.resolve().await;
        let mut config = base.config.clone();
        assert_eq!(diff_ids[..diff_ids.len() - 1], config.diff_ids().expect("valid"));
        let edits =
            ConfigEdits { entrypoint: Some(vec!["/bin/cat".into(), "/tmp/out/file".into()]), ..edits() };
        config.apply(&edits, &diff_ids[diff_ids.len() - 1..]);
        let tag = setup.tag("committed");
        let published = setup
            .daemon
            .publish_committed(&image_id, &config, std::slice::from_ref(&tag), &setup.context)
            .await;
        assert_eq!(published.expect("published").image_id, config.digest());
        container.remove().await.expect("removed");
        let found = inspect(&setup, &tag.to_string()).await;
        assert_eq!(found.config.env("SECRET"), None);
        assert_eq!(found.config.label("io.b2i.lease"), None);
        assert_eq!(
            start(&setup, &tag.to_string(), ProgramOptions::default(), b"").await,
            (0, "from the client".into())
        );
        let committed: ImageReference = image_id.parse().expect("an ID");
        let offline = ResolveOptions { offline: true, ..ResolveOptions::default() };
        let error = setup
            .daemon
            .resolve(&committed, &offline, &Events::silent())
            .await
            .expect_err("the committed image is gone");
        assert!(matches!(error, DaemonError::ImageMissing { .. }), "{error}");
        ids.push(config.digest());
        setup.clean_up().await;
    }
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn what_a_script_prints_and_how_it_ends_is_told_as_it_was() {
    for setup in Setup::both().await {
        let script = "echo out; echo err >&2; printf '\\377\\n'; id -u; printf tail; exit 7";
        let (ended, lines) = setup.run(setup.spec(&["/bin/sh", "-c", script])).await.expect("ran");
        assert_eq!(ended.exit_code, 7);
        let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        assert!(!text.contains(&"AROUND"), "the image's entrypoint ran around the script: {text:?}");
        for expected in ["out", "err", "\u{fffd}", "1001", "tail"] {
            assert!(text.contains(&expected), "{expected} is missing in {text:?}");
        }
        assert!(lines.contains(&(ScriptStream::Stderr, "err".into())));
        assert_eq!(ended.last_lines.last().map(String::as_str), Some("tail"));
        let user = ContainerSpec { user: Some("0".into()), ..setup.spec(&["/bin/id", "-u"]) };
        assert_eq!(setup.run(user).await.expect("ran").1[0].1, "0");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_container_has_no_network_and_few_rights() {
    for setup in Setup::both().await {
        let script = "ls /sys/class/net; while read -r line; do case $line in NoNew*|CapBnd*) echo \"$line\";; esac; \
                      done < /proc/self/status";
        let spec = ContainerSpec { user: Some("0".into()), ..setup.spec(&["/bin/sh", "-c", script]) };
        let (_, lines) = setup.run(spec).await.expect("ran");
        let text: Vec<&str> = lines.iter().map(|(_, line)| line.as_str()).collect();
        let network = |line: &&&str| !line.contains(':');
        assert_eq!(text.iter().filter(network).copied().collect::<Vec<_>>(), ["lo"], "{text:?}");
        assert!(text.contains(&"NoNewPrivs:\t1"), "{text:?}");
        // chown, dac_override, fowner, fsetid, kill, setgid, setuid: bits 0, 1, 3 to 7.
        assert!(text.contains(&"CapBnd:\t00000000000000fb"), "{text:?}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_script_that_takes_too_long_is_killed() {
    for setup in Setup::both().await {
        let mut spec = setup.spec(&["/bin/sh", "-c", "echo begun; sleep 60"]);
        spec.limits.timeout = Some(Duration::from_millis(1500));
        let started = Instant::now();
        let error = setup.run(spec).await.expect_err("too long");
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
        assert_eq!(error.kind(), FailureKind::Assemble);
        let DaemonError::TimedOut { last_lines, .. } = &error else { panic!("{error}") };
        assert_eq!(last_lines[..], ["begun"]);
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn limits_hold() {
    for setup in Setup::both().await {
        let script = "busybox dd if=/dev/zero of=/dev/null bs=200M count=1";
        let mut spec = setup.spec(&["/bin/sh", "-c", script]);
        spec.limits =
            ContainerLimits { memory: Some(32 << 20), pids: Some(20), ..ContainerLimits::default() };
        match setup.run(spec).await {
            Ok((ended, _)) => assert_ne!(ended.exit_code, 0, "200 MB fit into 32 MiB"),
            // A daemon that cannot enforce it must say so instead.
            Err(error) => assert!(matches!(error, DaemonError::LimitNotEnforced { .. }), "{error}"),
        }
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn a_command_that_is_not_there_is_the_builders_fault() {
    for setup in Setup::both().await {
        let error = setup.run(setup.spec(&["/no/such/program"])).await.expect_err("not there");
        assert_eq!(error.kind(), FailureKind::Builder, "{error}");
        assert!(error.to_string().contains("/no/such/program"), "{error}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn only_regular_files_up_to_the_limit_are_downloaded() {
    for setup in Setup::both().await {
        let engine = DockerEngine::new(setup.daemon.clone());
        let container = engine.create(setup.spec(&["/bin/sh"])).await.expect("created");
        container.upload(&path("/tmp"), tar_of("five", b"12345")).await.expect("uploaded");
        assert_eq!(
            container.download(&path("/tmp/five"), 5).await.expect("fits").as_deref(),
            Some(&b"12345"[..])
        );
        let error = container.download(&path("/tmp/five"), 4).await.expect_err("too large");
        assert!(matches!(error, DaemonError::TooLarge { size: 5, limit: 4, .. }), "{error}");
        for (at, word) in [("/tmp", "a directory"), ("/bin/cat", "a link")] {
            let error = container.download(&path(at), 100).await.expect_err(at);
            assert!(matches!(error, DaemonError::NotAFile { found, .. } if found == word), "{error}");
        }
        assert_eq!(container.download(&path("/tmp/absent"), 100).await.expect("absent"), None);
        assert_eq!(container.download(&path("/absent/file"), 100).await.expect("absent"), None);
        // Podman makes the directory.
        if setup.daemon.info().flavour == DaemonFlavour::Docker {
            let error = container.upload(&path("/absent"), tar_of("x", b"")).await.expect_err("not there");
            assert!(error.to_string().contains("/absent"), "{error}");
        }
        container.remove().await.expect("removed");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn what_a_killed_run_leaves_is_removed_and_nothing_else() {
    for setup in Setup::both().await {
        let engine = DockerEngine::new(setup.daemon.clone());
        let silent = Events::silent();
        let platform = setup.daemon.info().platform.clone();
        let own = engine.create(setup.spec(&["/bin/echo"])).await.expect("created");
        own.run(&silent).await.expect("ran");
        let Changes::Committed { image_id, .. } = own.take_changes(&silent).await.expect("committed");
        let mut base = b2i::store::builtin::static_base(&platform);
        // The same base may be there under the name of another run's lease.
        base.config.add_label("of", &setup.context.lease);
        let loaded = setup.daemon.ensure_loaded(&base, &setup.context.lease).await.expect("loaded");
        assert_eq!(loaded, base.config.digest().to_string());
        let other_lease = ContainerSpec { lease: unique("lease"), ..setup.spec(&["/bin/echo"]) };
        let other = engine.create(other_lease).await.expect("created");
        let lease = std::slice::from_ref(&setup.context.lease);
        remove_leftovers(&setup.daemon, lease).await.expect("removed");
        assert!(own.run(&silent).await.is_err(), "the container is gone");
        for id in [&image_id, &loaded] {
            let options = ResolveOptions { offline: true, ..ResolveOptions::default() };
            let found = setup.daemon.resolve(&id.parse().expect("an ID"), &options, &silent).await;
            assert!(matches!(found, Err(DaemonError::ImageMissing { .. })), "{id} is still there");
        }
        assert_eq!(other.run(&silent).await.expect("untouched").exit_code, 0);
        other.remove().await.expect("removed");
        setup.resolve().await;
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn layers_come_out_as_they_are() {
    for setup in Setup::both().await {
        let base = setup.resolve().await;
        let BaseLayers::Daemon { image_id } = &base.layers else { panic!("in the daemon") };
        let wanted = base.config.diff_ids().expect("valid");
        let files = setup.daemon.layers(image_id, &wanted, setup.spool.path()).await.expect("exported");
        assert_eq!(files.len(), wanted.len());
        for (file, diff_id) in files.iter().zip(wanted) {
            assert_eq!(digest_of(&file.path), diff_id);
        }
        setup.clean_up().await;
    }
}

fn digest_of(path: &Path) -> Digest {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("readable");
    Digest::of(&bytes)
}

#[tokio::test]
async fn an_archive_is_taken_by_the_daemons_own_client() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let image = placed(&base, "echo loaded");
        let BaseLayers::Daemon { image_id } = &base.layers else { panic!("in the daemon") };
        let wanted = base.config.diff_ids().expect("valid");
        let files = setup.daemon.layers(image_id, &wanted, setup.spool.path()).await.expect("exported");
        let tag = setup.tag("archive");
        let archive = setup.spool.path().join("app.tar");
        let out = std::fs::File::create(&archive).expect("created");
        let written = b2i::store::archive::write_archive(&image, &files, std::slice::from_ref(&tag), out);
        let written = written.expect("written");
        let info = setup.daemon.info();
        let loaded = client(info.flavour, &info.address)
            .arg("load")
            .arg("--input")
            .arg(&archive)
            .output()
            .expect("runs");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let found = inspect(&setup, &written.image_id.to_string()).await;
        assert_eq!(found.config.list("Entrypoint"), ["/bin/sh", "/opt/run"]);
        let text = start(&setup, &written.image_id.to_string(), ProgramOptions::default(), b"").await.1;
        assert_eq!(text, "loaded\n");
        remove(&setup.daemon, &written.image_id.to_string());
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named_with_the_reason() {
    for setup in Setup::both().await {
        let absent: ImageReference = "b2i-test-absent:1".parse().expect("a name");
        let silent = Events::silent();
        let never = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
        let error = setup.daemon.resolve(&absent, &never, &silent).await.expect_err("absent");
        assert!(error.to_string().contains("--pull never"), "{error}");
        let offline = ResolveOptions { offline: true, ..ResolveOptions::default() };
        let error = setup.daemon.resolve(&absent, &offline, &silent).await.expect_err("absent");
        assert!(error.to_string().contains("--offline"), "{error}");
        assert_eq!(error.kind(), FailureKind::Builder);
        let foreign = ResolveOptions {
            platform: Some(Platform::linux("s390x")),
            pull: PullPolicy::Never,
            ..ResolveOptions::default()
        };
        let error = setup.daemon.resolve(&setup.base, &foreign, &silent).await.expect_err("other platform");
        let text = error.to_string();
        assert!(text.contains("linux/s390x") && text.contains("linux/amd64"), "{text}");
        let nowhere: ImageReference = "localhost:1/app:1".parse().expect("a name");
        let error =
            setup.daemon.resolve(&nowhere, &ResolveOptions::default(), &silent).await.expect_err("refused");
        assert!(matches!(error, DaemonError::Pull { .. }), "{error}");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn signals_reach_the_program() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let image = placed(&base, "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done");
        let tag = setup.tag("signal");
        setup
            .daemon
            .publish(&image, None, std::slice::from_ref(&tag), &setup.context)
            .await
            .expect("published");
        let options = ProgramOptions { lease: setup.context.lease.clone(), ..ProgramOptions::default() };
        let program = Program::create(&setup.daemon, &tag.to_string(), options).await.expect("created");
        let handle = program.handle();
        let (mut reader, stdout) = tokio::io::duplex(1 << 16);
        let streams = ProgramStreams {
            stdin: Box::new(tokio::io::empty()),
            stdout: Box::new(stdout),
            stderr: Box::new(tokio::io::sink()),
        };
        let talk = async {
            let mut ready = [0; 6];
            reader.read_exact(&mut ready).await.expect("it is ready");
            handle.signal("SIGTERM").await.expect("sent");
            let mut rest = String::new();
            reader.read_to_string(&mut rest).await.expect("text");
            rest
        };
        let silent = Events::silent();
        let (code, rest) = tokio::join!(program.run(streams, &silent), talk);
        assert_eq!((code.expect("ran"), rest.as_str()), (9, "caught\n"));
        handle.signal("SIGTERM").await.expect("a program that has ended gets none");
        setup.clean_up().await;
    }
}

/// A registry that has nothing, and says so only to those who know the password.
async fn registry(password: &'static str) -> String {
    let answer = move |headers: axum::http::HeaderMap| async move {
        let expected = format!("Basic {}", STANDARD.encode(format!("user:{password}")));
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        let (status, code) =
            if sent == Some(&expected) { (404, "MANIFEST_UNKNOWN") } else { (401, "UNAUTHORIZED") };
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{code}"}}]}}"#);
        let headers = [
            ("content-type", "application/json"),
            ("docker-distribution-api-version", "registry/2.0"),
            ("www-authenticate", "Basic realm=\"test\""),
        ];
        (axum::http::StatusCode::from_u16(status).expect("valid"), headers, body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    address
}

#[tokio::test]
async fn credentials_reach_the_registry_whatever_the_password() {
    let daemon = connect("B2I_TEST_DOCKER_HOST").await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.json");
    // In Base64 these need the two characters of which daemons and bollard think differently.
    for password in ["????>>>>", "p~~~~~~", "пароль"] {
        let address = registry(password).await;
        let auth = STANDARD.encode(format!("user:{password}"));
        let reference: ImageReference = format!("{address}/app:1").parse().expect("a name");
        let options = ResolveOptions { credential_files: vec![file.clone()], ..ResolveOptions::default() };
        for (key, expected) in [(address.as_str(), PullCause::NotFound), ("elsewhere:1", PullCause::Denied)] {
            std::fs::write(&file, format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#))
                .expect("written");
            let error = daemon.resolve(&reference, &options, &Events::silent()).await.expect_err("not there");
            let DaemonError::Pull { cause, reason, .. } = &error else { panic!("{error}") };
            assert_eq!(*cause, expected, "{password}: {reason}");
            assert!(!error.to_string().contains(password), "{error}");
        }
    }
}
