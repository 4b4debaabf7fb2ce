//! Builder images of others: what S2I's contract promises them, what is refused, and what their scripts may do.

mod contract;
mod limits;
mod refused;
mod result;
mod scripts;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::environment::{B2iCommand, B2iOutput, Daemon, OwnedImage, TestEnvironment};

/// Where scripts run, and the daemon in which results are looked at.
struct Place {
    name: &'static str,
    daemon: Daemon,
    in_sandbox: bool,
}

/// What came of `b2i build`, with the image it was to make.
struct Built {
    place: &'static str,
    daemon: Daemon,
    image: OwnedImage,
    output: B2iOutput,
}

/// Builds from the fixture `artifact` with the builder image `builder`, whatever comes of it, and checks that nothing
/// is left behind.
fn try_build(place: &Place, builder: &str, artifact: &str, arguments: &[&str]) -> Built {
    try_build_with(place, &TestEnvironment::get().image(builder), artifact, arguments)
}

/// The same with a builder image that a test made.
fn try_build_with(place: &Place, builder: &str, artifact: &str, arguments: &[&str]) -> Built {
    let image = place.daemon.owned_image("s2i");
    let (command, output) = match place.in_sandbox {
        true => (with_mirror(B2iCommand::without_daemon(), builder), "docker-archive:image.tar"),
        false => (B2iCommand::new().daemon(&place.daemon), "docker"),
    };
    let mut command = command
        .env("SECRET_OF_THE_CLIENT", "hunter2")
        .args(["build", "--builder", builder, "--tag", image.reference(), "-o", output])
        .arg(TestEnvironment::get().fixture(artifact))
        .args(arguments);
    let output = command.run();
    assert_nothing_left(&command.cache());
    if place.in_sandbox && output.code == Some(0) {
        let archive = command.directory().join("work/image.tar");
        place.daemon.stdout(&["load", "-i", &archive.display().to_string()]);
    }
    Built { place: place.name, daemon: place.daemon.clone(), image, output }
}

/// Lets a call have the daemon's image under the name that it has there: from a registry that mirrors Docker's.
fn with_mirror(command: B2iCommand, image: &str) -> B2iCommand {
    static PUSHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let environment = TestEnvironment::get();
    // Several working copies may test with one daemon and registry.
    let mirror = format!("{}/b2i-test-mirror-{}", environment.registry(), std::process::id());
    let mut pushed = PUSHED.lock().unwrap_or_else(PoisonError::into_inner);
    if pushed.insert(image.to_owned()) {
        let (docker, name) = (environment.docker(), format!("{mirror}/{image}"));
        docker.stdout(&["tag", image, &name]);
        docker.stdout(&["push", &name]);
        docker.stdout(&["image", "rm", &name]);
    }
    drop(pushed);
    let directory = command.directory().join("home/.config/b2i");
    std::fs::create_dir_all(&directory).expect("the home directory is the test's");
    let text = format!("[registries.\"docker.io\"]\nmirrors = [\"{mirror}\"]\n");
    std::fs::write(directory.join("config.toml"), text).expect("the directory is the test's");
    command
}

/// Builds the static program.
fn build(place: &Place, builder: &str, arguments: &[&str]) -> Built {
    let built = try_build(place, builder, "program", arguments);
    assert_eq!(built.output.code, Some(0), "{builder} on {}: {}", place.name, built.output.stderr);
    assert!(!built.output.stderr.contains("hunter2"));
    built
}

/// Makes a builder image like `b2i-test/s2i-foreign:1` with another `assemble`.
fn builder_with(place: &Place, assemble: &str) -> OwnedImage {
    let daemon = &place.daemon;
    let docker = TestEnvironment::get().docker();
    let owned = docker.owned_image("builder");
    let write = format!("cat > /usr/local/s2i/assemble <<'END'\n{assemble}\nEND\n");
    let base = TestEnvironment::get().image("s2i-foreign:1");
    let root = ["create", "--pull=never", "--network", "none", "--user", "0", "--entrypoint", "/bin/sh"];
    let id = docker.text(&[&root[..], &[&base, "-c", &write]].concat());
    docker.stdout(&["start", "--attach", &id]);
    // The config of a commit is that of the container, which was started in its own way.
    let changes =
        ["--change", "USER 1001", "--change", r#"ENTRYPOINT ["/usr/local/bin/foreign-entrypoint"]"#];
    docker.stdout(&[&["commit"], &changes[..], &[&id, owned.reference()]].concat());
    docker.stdout(&["rm", &id]);
    if daemon.name == docker.name {
        return owned;
    }
    let adopted = daemon.adopted_image(owned.reference());
    let loaded = daemon.output_of_input(&["load"], docker.stdout(&["save", owned.reference()]));
    assert!(loaded.status.success(), "{loaded:?}");
    adopted
}

/// Does the same on Docker, on Podman and in the sandbox, at the same time.
fn everywhere(check: impl Fn(&Place) + Sync) {
    let environment = TestEnvironment::get();
    let [docker, podman] = environment.daemons();
    let places = [
        Place { name: docker.name, daemon: docker, in_sandbox: false },
        Place { name: podman.name, daemon: podman, in_sandbox: false },
        Place { name: "sandbox", daemon: environment.docker(), in_sandbox: true },
    ];
    let check = &check;
    std::thread::scope(|scope| {
        let started = places.each_ref().map(|place| scope.spawn(move || check(place)));
        for ended in started.map(std::thread::ScopedJoinHandle::join) {
            if let Err(panic) = ended {
                std::panic::resume_unwind(panic);
            }
        }
    });
}

fn assert_nothing_left(cache: &Path) {
    for directory in ["tmp", "leases"] {
        let left: Vec<_> = std::fs::read_dir(cache.join(directory)).into_iter().flatten().collect();
        assert!(left.is_empty(), "{directory}: {left:?}");
    }
}

impl Built {
    /// The runtime part of the image's config, as it was loaded: what `docker inspect` shows differs by daemon.
    fn config(&self) -> Value {
        self.saved_config()["config"].clone()
    }

    /// The image's config.
    fn saved_config(&self) -> Value {
        let tar = self.daemon.stdout(&["save", self.image.reference()]);
        let mut archive = tar::Archive::new(tar.as_slice());
        let entries = archive.entries().expect("a save is a tar").map(|entry| {
            let mut entry = entry.expect("readable");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("readable");
            (entry.path().expect("a path").display().to_string(), bytes)
        });
        let files: BTreeMap<String, Vec<u8>> = entries.collect();
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
        let config = manifest[0]["Config"].as_str().expect("a name");
        serde_json::from_slice(&files[config]).expect("JSON")
    }

    /// What the static program reports of itself when it is started with these arguments of `docker create`, the
    /// image's own command behind them.
    fn report(&self, arguments: &[&str]) -> Value {
        let offline = ["--network", "none"];
        let output = self.daemon.run(&[&offline, arguments, &[self.image.reference()]].concat());
        let all = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{}: {}\n{all}", self.place, output.status);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {all}"))
    }

    /// What a command prints in the image.
    fn prints(&self, command: &[&str]) -> String {
        let arguments =
            [&["--network", "none", "--entrypoint", command[0], self.image.reference()], &command[1..]]
                .concat();
        let output = self.daemon.run(&arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    fn assert_refused(&self, code: i32, words: &[&str]) {
        let stderr = &self.output.stderr;
        assert_eq!(self.output.code, Some(code), "{}: {stderr}", self.place);
        for word in words {
            assert!(stderr.contains(word), "{}: no {word:?} in {stderr}", self.place);
        }
        let image = self.daemon.inspect_image(self.image.reference());
        assert_eq!((image, self.output.stdout.as_str()), (None, ""), "nothing is half made");
    }
}
