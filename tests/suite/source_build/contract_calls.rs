//! A build on a daemon asks it for little: the calls are counted, and the image that is committed in one of them is the
//! one that would be made of more.

use std::io::Read;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::made_builders::image_on;
use super::{Image, Place, Sources, b2i_build};
use crate::build::replace_bases_by;
use crate::environment::{B2iCommand, Daemon, DaemonGate, Hold, TestEnvironment};
use crate::failures::{assert_clean, held_by};
use crate::request_log::pass_requests;

/// The date that a build has for which none is asked.
const FIXED_DATE: &str = "315532800";

/// A socket before a daemon's that notes what passes it.
struct CountingDaemon {
    directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CountingDaemon {
    fn new(daemon: &Daemon) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let listener = UnixListener::bind(directory.path().join("counting.sock")).expect("binds");
        let path = daemon.host().strip_prefix("unix://").expect("the tests' daemons have sockets");
        let (path, requests) = (PathBuf::from(path), Arc::new(Mutex::new(Vec::new())));
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (path, seen) = (path.clone(), Arc::clone(&seen));
                std::thread::spawn(move || {
                    pass(client, UnixStream::connect(path).expect("it listens"), &seen)
                });
            }
        });
        Self { directory, requests }
    }

    fn host(&self) -> String {
        format!("unix://{}", self.directory.path().join("counting.sock").display())
    }

    /// Takes what was asked since the last call: method and path, without what differs from run to run.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("not poisoned"))
    }
}

fn pass(mut client: UnixStream, mut daemon: UnixStream, seen: &Mutex<Vec<String>>) {
    let (mut answers, mut to_client) =
        (daemon.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
    std::thread::spawn(move || {
        drop(std::io::copy(&mut answers, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    pass_requests(&mut client, &mut daemon, |method, target| {
        seen.lock().expect("not poisoned").push(call(method, target));
    });
    drop(daemon.shutdown(Shutdown::Write));
}

/// Method and path without what differs from run to run.
fn call(method: &str, target: &str) -> String {
    let path = target.split('?').next().unwrap_or_default();
    let is_id = |part: &&str| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_version = |part: &&str| part.starts_with("v1.");
    let parts = path.split('/').filter(|part| !is_version(part));
    let parts: Vec<&str> = parts.map(|part| if is_id(&part) { "ID" } else { part }).collect();
    format!("{method} {}", parts.join("/"))
}

/// What a build from a small source on a local builder asks the daemon for, at most.
const CALLS: [&str; 10] = [
    "GET /version",
    "GET /images/docker.io/b2i-test/s2i-sclorg:1/json",
    "POST /containers/create",
    "PUT /containers/ID/archive",
    "POST /containers/ID/attach",
    "POST /containers/ID/start",
    "POST /containers/ID/wait",
    // What `assemble` may have left of labels.
    "GET /containers/ID/archive",
    "POST /commit",
    "DELETE /containers/ID",
];

#[test]
fn a_small_source_takes_ten_calls() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let (counting, builder) = (CountingDaemon::new(&docker), environment.image("s2i-sclorg:1"));
    let sources = Sources::new().with("README", "text\n").with(".s2i/environment", "A=1\n");
    let source = sources.path().display().to_string();
    for shape in ["build", "s2i", "user"] {
        let image = docker.owned_image("calls");
        let arguments: Vec<&str> = match shape {
            "build" => vec!["build", "--source-builder", &builder, "--tag", image.reference(), &source],
            "user" => {
                let own = ["--env", "B=2", "--label", "team=web", "--publish", "8080"];
                let build = ["build", "--source-builder", &builder, "--tag", image.reference(), &source];
                [&build[..], &own[..4]].concat()
            }
            _ => vec!["s2i", "build", "--copy", &source, &builder, image.reference()],
        };
        let mut command = B2iCommand::new().args(arguments).env("DOCKER_HOST", counting.host());
        let output = command.run();
        assert_eq!(output.code, Some(0), "{shape}: {}", output.stderr);
        assert_eq!(counting.take(), CALLS, "{shape}");
        assert_clean(&command.cache());
        let made = docker.inspect_image(image.reference()).expect("it has its name");
        let id = made["Id"].as_str().expect("an ID");
        assert!(shape == "s2i" || output.stdout.contains(id), "{}", output.stdout);
        assert!(!made.to_string().contains("lease"), "nothing of the run is in the image: {made}");
    }
}

/// Builds, and says whether the image was committed in one call.
fn built(docker: &Daemon, builder: &str, sources: &Sources, arguments: &[&str], date: bool) -> (Image, bool) {
    let place = Place::Daemon(docker.clone());
    let command = b2i_build(&place, builder, sources).args(arguments);
    let command = if date { command.env("SOURCE_DATE_EPOCH", FIXED_DATE) } else { command };
    let image = Image::build_by(&place, command);
    let committed = image.messages.contains("(committed by the daemon)");
    (image, committed)
}

/// The config without the difference between an empty list and none.
fn config(image: &Image) -> Value {
    let mut config = image.config();
    for (_, value) in config.as_object_mut().expect("an object") {
        if *value == json!([]) || *value == json!({}) {
            *value = Value::Null;
        }
    }
    // The daemon's own note of where a config comes from.
    config["Image"] = Value::Null;
    config
}

/// Paths with their modes, owners, kinds and contents.
fn tree(image: &Image) -> Vec<String> {
    let tar = image.daemon.export_image(image.name.reference());
    let mut archive = tar::Archive::new(&tar[..]);
    let mut lines: Vec<String> = archive
        .entries()
        .expect("a tar")
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("reads");
            let (header, link) = (entry.header(), entry.link_name().expect("a name"));
            format!(
                "{} {:o} {}:{} {:?} {link:?} {}",
                String::from_utf8_lossy(&entry.path_bytes()),
                header.mode().expect("a mode"),
                header.uid().expect("a number"),
                header.gid().expect("a number"),
                header.entry_type(),
                b2i::image::Digest::of(&bytes),
            )
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn what_is_committed_in_one_call_is_what_would_be_loaded() {
    let docker = TestEnvironment::get().docker();
    let sources = Sources::new()
        .with("README", "text\n")
        .with(".s2i/environment", "A=1\nPATH_OF=/x y=z\n")
        .with_script(
            ".s2i/bin/assemble",
            "cp $(dirname $0)/../src/program .; mkdir deep; echo 1 > deep/one; rm -r $(dirname $0)/../src",
        );
    let odd = "HEALTHCHECK --interval=7s CMD true\nVOLUME /data\nEXPOSE 8080 9090/udp\nSTOPSIGNAL SIGINT\n\
        SHELL [\"/bin/sh\", \"-ec\"]\nENV QUOTED=\"a \\\"b\\\" \\$c\" EMPTY=\nLABEL odd=\"x \\\"y\\\"\" empty=";
    let with_all = image_on(&docker, "s2i-sclorg:1", odd);
    let plain = ["s2i-sclorg:1", "s2i-kubesphere:1", "s2i-foreign:named-user", "s2i-foreign:inherited"];
    let plain = plain.map(|name| TestEnvironment::get().image(name));
    let arguments = ["--env", "EXTRA=v \"w\"", "--label", "team=web $x", "--workdir", "/opt/app-root"];
    for builder in plain.iter().map(String::as_str).chain([with_all.reference()]) {
        for arguments in [&[][..], &arguments[..]] {
            let (one, is_committed) = built(&docker, builder, &sources, arguments, false);
            let (other, is_committed_too) = built(&docker, builder, &sources, arguments, true);
            assert!(is_committed && !is_committed_too, "{builder}: {}{}", one.messages, other.messages);
            assert_eq!(config(&one), config(&other), "{builder} {arguments:?}");
            assert_eq!(tree(&one), tree(&other), "{builder} {arguments:?}");
            let layers = |image: &Image| {
                let made = image.daemon.inspect_image(image.name.reference()).expect("it is there");
                made["RootFS"]["Layers"].as_array().map(Vec::len)
            };
            assert_eq!(layers(&one), layers(&other), "{builder}");
        }
    }
}

#[test]
fn a_template_is_committed_as_it_would_be_loaded() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let place = Place::Daemon(docker.clone());
    let sources = Sources::new()
        .with("package.json", "{\"name\": \"service\", \"version\": \"1.0.0\"}\n")
        .with_script(".s2i/bin/assemble", "cp -R /tmp/src/. /opt/app-root/bin/; rm -rf /tmp/src");
    let built = |date: bool| {
        let command = b2i_build(&place, "nodejs:20", &sources).arg("--no-build-cache");
        let command = replace_bases_by(command, |test| Some(environment.image(test)));
        let command = if date { command.env("SOURCE_DATE_EPOCH", FIXED_DATE) } else { command };
        Image::build_by(&place, command)
    };
    let (one, other) = (built(false), built(true));
    assert!(one.messages.contains("(committed by the daemon)"), "{}", one.messages);
    assert!(!other.messages.contains("(committed by the daemon)"), "{}", other.messages);
    assert_eq!(config(&one), config(&other));
    assert_eq!(tree(&one), tree(&other));
}

#[test]
fn what_a_commit_would_keep_is_left_out_by_the_longer_way() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let assemble = "cp /tmp/src/program .; [ \"$PASSWORD\" = swordfish ]";
    let sources = Sources::new().with_script(".s2i/bin/assemble", assemble);
    // A container keeps its variables, and so would what is committed of it.
    let (image, is_committed) =
        built(&docker, &builder, &sources, &["--build-env", "PASSWORD=swordfish"], false);
    assert!(!is_committed, "{}", image.messages);
    let made = docker.inspect_image(image.name.reference()).expect("it is there");
    assert!(!made.to_string().contains("swordfish"), "{made}");
    assert_eq!(made["Created"], "1980-01-01T00:00:00Z");
}

#[test]
fn a_container_that_becomes_an_image_is_known_by_its_name() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    for (request, hold) in [
        ("/containers/create", Hold::Answer),
        ("/archive?path=%2F ", Hold::Request),
        ("/start", Hold::Nothing),
        ("/commit?", Hold::Request),
    ] {
        let image = docker.owned_image("calls");
        let gate = DaemonGate::new(&docker, request, hold);
        let command = b2i_build(&Place::Daemon(docker.clone()), &builder, &sources)
            .args(["--tag", image.reference()])
            .env("DOCKER_HOST", gate.host());
        let (running, lease) = gate.reach(&command, request);
        running.kill();
        gate.wait_until_settled();
        assert_ne!(held_by(&docker, &lease), [""; 0], "{request}: it was there");
        let mut next = B2iCommand::new()
            .daemon(&docker)
            .env("XDG_CACHE_HOME", command.directory().join("cache"))
            .args(["build", "--output", "docker-archive:next.tar"])
            .arg(TestEnvironment::get().fixture("program"));
        assert_eq!(next.run().code, Some(0), "{request}");
        assert_eq!(held_by(&docker, &lease), [""; 0], "{request}");
        assert_eq!(docker.inspect_image(image.reference()), None, "{request}");
        assert_clean(&command.cache());
    }
}
