//! `b2i copy` between real places; other programs say whether what arrived is the same.

use std::path::Path;

use serde_json::Value;

use super::ended;
use crate::environment::{B2iCommand, Daemon, TestEnvironment};
use crate::registry::unique;

fn copy(arguments: &[&str]) -> B2iCommand {
    B2iCommand::new().arg("copy").args(arguments)
}

/// A new name in the test registry.
fn name(what: &str) -> String {
    format!("{}/{}:1", TestEnvironment::get().registry(), unique(what))
}

fn skopeo(arguments: &[&str]) -> String {
    let output = std::process::Command::new("skopeo").args(arguments).output();
    let output = output.expect("skopeo can be started (tests/run installs it)");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The manifest or index as it is.
fn raw(name: &str) -> String {
    skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")])
}

fn manifest(name: &str) -> Value {
    serde_json::from_str(&raw(name)).expect("JSON")
}

fn image_id(daemon: &Daemon, image: &str) -> String {
    let inspected = daemon.inspect_image(image).expect("the image is there");
    inspected["Id"].as_str().expect("an ID").trim_start_matches("sha256:").to_owned()
}

/// A pushed image with several platforms, made of one image under two names.
fn pushed_index(directory: &Path) -> String {
    let program = TestEnvironment::get().fixture("program").display().to_string();
    let layout = format!("oci:{}", directory.join("built").display());
    ended(&mut B2iCommand::new().args(["build", &program, "-t", "app:1", "-o", &layout]), 0);
    let path = directory.join("built/index.json");
    let text = std::fs::read_to_string(&path).expect("there");
    let index: Value = serde_json::from_str(&text).expect("JSON");
    let mut entry = index["manifests"][0].clone();
    entry.as_object_mut().expect("an entry").remove("annotations");
    let mut other = entry.clone();
    other["platform"] = serde_json::json!({"os": "linux", "architecture": "s390x"});
    // Spaces: nothing but the same bytes has the same digest.
    let nested = serde_json::to_string_pretty(&serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry, other]
    }));
    let nested = nested.expect("JSON");
    let digest = b2i::image::Digest::of(nested.as_bytes());
    std::fs::write(directory.join("built/blobs/sha256").join(digest.hex()), &nested).expect("written");
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest, "size": nested.len(),
        "annotations": {"org.opencontainers.image.ref.name": "all"}
    }]});
    std::fs::write(&path, outer.to_string()).expect("written");
    let tag = name("index");
    ended(&mut copy(&[&format!("{layout}:all"), &tag]), 0);
    assert_eq!(raw(&tag), nested, "out of a layout, too, every byte stays");
    tag
}

#[test]
fn indexes_stay_whole_and_keep_every_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = pushed_index(directory.path());
    let (copied, one) = (name("copied"), name("one"));
    let said = ended(&mut copy(&[&index, &format!("docker://{copied}")]), 0);
    assert_eq!(raw(&copied), raw(&index));
    let digest = b2i::image::Digest::of(raw(&index).as_bytes());
    assert_eq!(said.stdout, format!("{copied} {digest}\n"));

    ended(&mut copy(&[&index, &one, "--platform", &b2i::image::Platform::host().to_string()]), 0);
    let chosen = manifest(&index)["manifests"][0]["digest"].as_str().expect("a digest").to_owned();
    assert_eq!(b2i::image::Digest::of(raw(&one).as_bytes()).to_string(), chosen);
    let failed = ended(&mut copy(&[&index, &one, "--platform", "linux/riscv64"]), 5);
    assert!(failed.stderr.contains("linux/riscv64"), "{}", failed.stderr);

    // Into a layout and a tar of one, and back.
    for kind in ["oci", "oci-archive"] {
        let place = format!("{kind}:{}:all", directory.path().join(kind).display());
        ended(&mut copy(&[&index, &place]), 0);
        let back = name("back");
        ended(&mut copy(&[&place, &back]), 0);
        assert_eq!(raw(&back), raw(&index), "{kind}");
    }
}

#[test]
fn what_is_in_a_daemon_keeps_its_id() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let image = environment.image("musl:1");
    let id = image_id(&docker, &image);
    let directory = tempfile::tempdir().expect("a directory");
    let saved = directory.path().join("saved.tar").display().to_string();
    docker.stdout(&["save", "--output", &saved, &image]);
    for source in [format!("docker-daemon:{image}"), format!("docker-archive:{saved}")] {
        let tag = name("from-daemon");
        let mut command = B2iCommand::new().daemon(&docker).args(["copy", &source, &tag]);
        ended(&mut command, 0);
        let manifest = manifest(&tag);
        assert_eq!(manifest["config"]["digest"], format!("sha256:{id}"), "{source}");
        for layer in manifest["layers"].as_array().expect("a list") {
            assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
        }
        let _owned = docker.adopted_image(&tag);
        docker.stdout(&["pull", &tag]);
        assert_eq!(image_id(&docker, &tag), id, "{source}");
        let left = std::fs::read_dir(command.directory().join("cache/b2i/leases"));
        assert!(left.map_or(0, Iterator::count) == 0, "nothing stays behind");
    }
    // What Docker pushed has Docker's media types; a layout of it is one that skopeo reads.
    let (pushed, layout) = (name("pushed"), format!("oci:{}:1", directory.path().join("layout").display()));
    docker.stdout(&["tag", &image, &pushed]);
    let _owned = docker.adopted_image(&pushed);
    docker.stdout(&["push", &pushed]);
    ended(&mut copy(&[&pushed, &layout]), 0);
    let config = skopeo(&["inspect", "--raw", &layout]);
    let config: Value = serde_json::from_str(&config).expect("JSON");
    assert_eq!(config["config"]["digest"], format!("sha256:{id}"));
    assert_eq!(config["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    let again = format!("oci:{}", directory.path().join("again").display());
    skopeo(&["copy", "--quiet", &layout, &again]);
}

/// An image whose config Docker wrote, with what Go escapes in JSON and b2i does not; in a registry, a layout and an
/// archive, and no longer in the daemon. Gives the places and its ID.
fn made_by_docker(directory: &Path) -> ([String; 3], String) {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let image = docker.owned_image("made");
    let container = docker.text(&["create", "--pull=never", &environment.image("musl:1"), "true"]);
    let change = format!("LABEL made=<&>{}", unique("label"));
    docker.text(&["commit", "--change", &change, &container, image.reference()]);
    docker.text(&["rm", &container]);
    let (pushed, place) = (name("made"), directory.join("made.tar").display().to_string());
    docker.stdout(&["tag", image.reference(), &pushed]);
    let _owned = docker.adopted_image(&pushed);
    docker.stdout(&["push", &pushed]);
    let (layout, archive) =
        (format!("oci:{}:1", directory.join("made").display()), format!("docker-archive:{place}"));
    ended(&mut copy(&[&pushed, &layout]), 0);
    let source = format!("docker-daemon:{}", image.reference());
    ended(&mut B2iCommand::new().daemon(&docker).args(["copy", &source, &archive]), 0);
    let id = image_id(&docker, image.reference());
    ([pushed, layout, archive], id)
}

#[test]
fn a_daemon_gets_an_image_with_the_id_that_it_has() {
    let directory = tempfile::tempdir().expect("a directory");
    let (places, id) = made_by_docker(directory.path());
    for daemon in TestEnvironment::get().daemons() {
        for place in &places {
            let image = daemon.owned_image("taken");
            let target = format!("docker-daemon:{}", image.reference());
            let mut command = B2iCommand::new().daemon(&daemon).args(["copy", place, &target]);
            let said = ended(&mut command, 0);
            assert_eq!(said.stdout, format!("{target} sha256:{id}\n"), "{place} on {}", daemon.name);
            assert!(said.stderr.contains("all layers were sent"), "{}", said.stderr);
            assert_eq!(image_id(&daemon, image.reference()), id, "{place} on {}", daemon.name);
            assert!(daemon.run(&[image.reference(), "true"]).status.success());
            let again = ended(&mut command, 0);
            assert!(again.stderr.contains("was already there"), "{}", again.stderr);
            let left = std::fs::read_dir(command.directory().join("cache/b2i/leases"));
            assert!(left.map_or(0, Iterator::count) == 0, "nothing stays behind");
        }
        // And without b2i.
        let loaded = directory.path().join("for-load.tar").display().to_string();
        let source = places[0].as_str();
        ended(&mut copy(&[source, &format!("docker-archive:{loaded}")]), 0);
        let _owned = daemon.adopted_image(source);
        daemon.stdout(&["load", "--input", &loaded]);
        assert_eq!(image_id(&daemon, source), id, "{}", daemon.name);
    }
}

#[test]
fn a_daemon_gets_one_platform_and_layers_that_it_can_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let index = pushed_index(directory.path());
    let program = TestEnvironment::get().fixture("program").display().to_string();
    let packed = format!("oci:{}", directory.path().join("zstd").display());
    let build =
        ["build", &program, "-t", "app:1", "-o", &packed, "--compression", "zstd", "--label", "copied=yes"];
    ended(&mut B2iCommand::new().args(build), 0);
    for daemon in TestEnvironment::get().daemons() {
        let image = daemon.owned_image("one");
        let target = format!("docker-daemon:{}", image.reference());
        let said = ended(&mut B2iCommand::new().daemon(&daemon).args(["copy", &index, &target]), 0);
        assert!(
            said.stderr.contains("stores one platform: copying the image for linux/amd64"),
            "{}",
            said.stderr
        );
        assert!(daemon.run(&[image.reference()]).status.success());
        let image = daemon.owned_image("zstd");
        let target = format!("docker-daemon:{}", image.reference());
        let said = ended(&mut B2iCommand::new().daemon(&daemon).args(["copy", &packed, &target]), 0);
        assert!(!said.stderr.contains("stores one platform"), "{}", said.stderr);
        assert!(daemon.run(&[image.reference()]).status.success());
    }
}

#[test]
fn what_cannot_be_copied_is_said_so() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("text"), "no image").expect("written");
    let text = directory.path().join("text").display().to_string();
    let target = name("never");
    let registry = TestEnvironment::get().registry();
    for (source, destination, code, part) in [
        (&*format!("{registry}/b2i-test-absent:1"), &*target, 5, "not found in the registry"),
        (&*format!("oci:{text}"), &target, 5, "not read"),
        (&*format!("docker-archive:{text}"), &target, 5, "text"),
        (&*format!("docker-archive:{text}.absent"), &target, 5, "absent"),
        ("docker-daemon:app:1", &target, 9, "no-daemon.sock"),
        ("oci:", &target, 2, "the path of the layout is missing"),
        ("UPPER", &target, 2, "UPPER"),
        // Refused at once, with no request to Docker Hub.
        (
            "containers-storage:x",
            &target,
            2,
            "`containers-storage:` is not supported; write docker-daemon:NAME",
        ),
        ("a", "b", 2, "`a` names neither a transport nor a registry; write docker.io/NAME"),
        (&*format!("oci:{text}"), "b:1", 2, "only Docker can push official images"),
        // Refused before the source is asked for.
        ("docker-daemon:app:1", "docker-daemon:app:2", 2, "cannot copy to"),
        ("docker-daemon:app:1", "docker-archive:app.tar", 9, "no-daemon.sock"),
        (&*format!("oci:{text}"), "docker-daemon:app:2", 9, "no-daemon.sock"),
    ] {
        let failed = ended(&mut copy(&[source, destination]), code);
        assert!(failed.stderr.contains(part), "{source}: {}", failed.stderr);
    }
    let daemon = TestEnvironment::get().docker();
    let failed = ended(&mut copy(&["docker-daemon:b2i-test-absent:1", &target]).daemon(&daemon), 5);
    assert!(failed.stderr.contains("`b2i-test-absent:1` is not in the daemon at"), "{}", failed.stderr);
    assert!(!failed.stderr.contains("--pull") && !failed.stderr.contains("--offline"), "{}", failed.stderr);
    // The other images of the archive would be gone.
    let own = format!("{text}.tar");
    std::fs::copy(text.as_str(), &own).expect("copies");
    let failed = ended(&mut copy(&[&format!("oci-archive:{own}:one"), &format!("oci-archive:{own}:two")]), 2);
    assert!(failed.stderr.contains("would overwrite an input"), "{}", failed.stderr);
    let both = format!("docker-archive:{own}");
    let failed = ended(&mut copy(&[&both, &both]), 2);
    assert!(failed.stderr.contains("would overwrite an input"), "{}", failed.stderr);
    let failed = ended(&mut copy(&[&target, &target, "--offline"]), 2);
    assert!(failed.stderr.contains("--offline"), "{}", failed.stderr);
}

#[test]
fn two_images_of_one_tag_are_told_apart_by_their_digests() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = TestEnvironment::get().fixture("program").display().to_string();
    let layout = format!("oci:{}", directory.path().join("both").display());
    let built: Vec<String> = ["one/app:1", "two/app:1"]
        .iter()
        .map(|tag| {
            ended(
                &mut B2iCommand::new().args([
                    "build",
                    &program,
                    "-t",
                    tag,
                    "--label",
                    &format!("name={tag}"),
                    "-o",
                    &layout,
                ]),
                0,
            )
        })
        .map(|output| output.stdout.split_whitespace().nth(1).expect("a digest").to_owned())
        .collect();
    let target = format!("oci:{}", directory.path().join("chosen").display());
    let failed = ended(&mut copy(&[&format!("{layout}:1"), &target]), 5);
    assert!(failed.stderr.contains("has 2 images that are named `1`"), "{}", failed.stderr);
    let second = format!("{layout}@{}", built[1]);
    let shown = second.strip_prefix("oci:").expect("it begins so");
    assert!(failed.stderr.contains(&format!("two/app:1 (`{shown}`)")), "{}", failed.stderr);
    let copied = ended(&mut copy(&[&second, &target]), 0);
    assert!(copied.stdout.contains(&built[1]), "{}", copied.stdout);
}
