//! When a registry is asked for a builder, and when it must not be: policies, names, digests and IDs.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Sources;
use super::made_builders::image_on;
use crate::daemonless::CountingRegistry;
use crate::environment::{B2iCommand, B2iOutput, Daemon, OwnedImage, TestEnvironment};
use crate::failures::assert_clean;
use crate::registry::unique;

/// A registry that refuses everything and counts who comes.
struct RefusingRegistry {
    address: String,
    seen: Arc<AtomicUsize>,
}

impl RefusingRegistry {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                drop(client);
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }
}

/// Builds by both command lines, with the pull policy in the words of each; what came of each, and the image's name.
fn built(docker: &Daemon, builder: &str, pull: Option<&str>) -> [(B2iOutput, OwnedImage); 2] {
    let sources = Sources::new();
    ["build", "s2i"].map(|shape| {
        let image = docker.owned_image("pull");
        let mut command = B2iCommand::new().daemon(docker).env("B2I_RETRIES", "0");
        if shape == "build" {
            command = command.args(["build", "--source-builder", builder, "--tag", image.reference()]);
            command = command.args(pull.map(|pull| format!("--pull={pull}"))).arg(sources.path());
        } else {
            let policy = pull.map(|pull| if pull == "missing" { "if-not-present" } else { pull });
            command =
                command.args(["s2i", "build", "--copy"]).args(policy.map(|policy| format!("-p{policy}")));
            command = command.arg(sources.path()).args([builder, image.reference()]);
        }
        let output = command.run();
        assert_clean(&command.cache());
        (output, image)
    })
}

fn assert_built(docker: &Daemon, builder: &str, pull: Option<&str>) -> [(B2iOutput, OwnedImage); 2] {
    let results = built(docker, builder, pull);
    for (output, image) in &results {
        assert_eq!(output.code, Some(0), "{builder} {pull:?}: {}", output.stderr);
        assert!(docker.inspect_image(image.reference()).is_some(), "{builder} {pull:?}");
    }
    results
}

fn assert_failed(docker: &Daemon, builder: &str, pull: &str, codes: [i32; 2], word: &str) {
    for ((output, image), code) in built(docker, builder, Some(pull)).iter().zip(codes) {
        assert_eq!(output.code, Some(code), "{builder} {pull}: {}", output.stderr);
        assert!(output.stderr.contains(word), "{builder} {pull}: no {word:?} in {}", output.stderr);
        assert_eq!(docker.inspect_image(image.reference()), None, "{builder} {pull}");
    }
}

#[test]
fn a_local_builder_is_looked_up_in_no_registry() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let refusing = RefusingRegistry::new();
    let name = format!("{}/team/builder:1", refusing.address);
    docker.stdout(&["tag", &environment.image("s2i-sclorg:1"), &name]);
    let _owned = docker.adopted_image(&name);
    let id = docker.inspect_image(&name).expect("it is there")["Id"].as_str().expect("an ID").to_owned();
    let short = id.trim_start_matches("sha256:")[..12].to_owned();
    for builder in [&name, &id, &short] {
        for pull in [None, Some("missing"), Some("never")] {
            assert_built(&docker, builder, pull);
        }
    }
    // What the label says is what was asked for, not another name of it.
    for builder in [&name, &id, &short] {
        for (_, image) in &assert_built(&docker, builder, None) {
            let labels = docker.inspect_image(image.reference()).expect("there")["Config"]["Labels"].clone();
            assert_eq!(&labels["io.openshift.s2i.build.image"], builder);
        }
    }
    assert_eq!(refusing.seen(), 0, "nobody may come");
    // And the registry is one: whoever has to ask it comes.
    assert_failed(&docker, &name, "always", [5, 2], &refusing.address);
    assert_ne!(refusing.seen(), 0);
    let missing = "0123456789ab";
    assert_failed(&docker, missing, "missing", [5, 1], "image ID");
}

#[test]
fn a_builder_by_its_digest_is_looked_up_in_no_registry_once_it_is_there() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let registry = CountingRegistry::new(environment.registry());
    let name = format!("{}/{}:1", registry.address, unique("by-digest"));
    docker.stdout(&["tag", &environment.image("s2i-sclorg:1"), &name]);
    let _owned = docker.adopted_image(&name);
    docker.stdout(&["push", &name]);
    let there = docker.inspect_image(&name).expect("there")["RepoDigests"].to_string();
    let (_, digest) = there.split_once("@sha256:").expect("a push gives it a digest");
    let by_digest = format!("{}@sha256:{}", name.trim_end_matches(":1"), &digest[..64]);
    assert!(!registry.take().is_empty(), "the push came by");
    assert_built(&docker, &by_digest, None);
    assert_built(&docker, &by_digest, Some("never"));
    assert_eq!(registry.take(), [""; 0]);
    let absent = format!("{}@sha256:{}", name.trim_end_matches(":1"), "0".repeat(64));
    assert_failed(&docker, &absent, "never", [5, 1], "--pull never");
    assert_eq!(registry.take(), [""; 0]);
}

#[test]
fn policies_hold_for_builders() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let registry = CountingRegistry::new(environment.registry());
    let name = format!("{}/{}:1", registry.address, unique("policies"));
    let owned = docker.adopted_image(&name);
    let publish = |generation: &str| {
        let made = image_on(&docker, "s2i-sclorg:1", &format!("LABEL generation={generation}"));
        docker.stdout(&["tag", made.reference(), &name]);
        docker.stdout(&["push", &name]);
        docker.stdout(&["image", "rm", &name]);
        registry.take();
        made
    };
    let generation = |image: &OwnedImage| {
        let made = docker.inspect_image(image.reference()).expect("it is there");
        made["Config"]["Labels"]["generation"].as_str().unwrap_or_default().to_owned()
    };
    let first = publish("first");
    assert_failed(&docker, &name, "never", [5, 1], "--pull never");
    assert_eq!(registry.take(), [""; 0], "never is never");
    // The first of the two pulls what the second finds.
    for (_, image) in &assert_built(&docker, &name, Some("missing")) {
        assert_eq!(generation(image), "first");
    }
    assert!(!registry.take().is_empty());
    let local = docker.inspect_image(&name).expect("pulled")["Id"].clone();
    let second = publish("second");
    docker.stdout(&["tag", first.reference(), &name]);
    assert_eq!(docker.inspect_image(&name).expect("tagged")["Id"], local);
    for pull in ["missing", "never"] {
        for (_, image) in &assert_built(&docker, &name, Some(pull)) {
            assert_eq!(generation(image), "first", "{pull}");
        }
        assert_eq!(registry.take(), [""; 0], "{pull}");
    }
    for (_, image) in &assert_built(&docker, &name, Some("always")) {
        assert_eq!(generation(image), "second");
    }
    assert!(!registry.take().is_empty());
    drop((owned, second));
}
