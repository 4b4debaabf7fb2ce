//! Extended attributes and named pipes in a change: what an image keeps, as Docker's commit keeps it, and nothing of what
//! the sandbox and overlayfs note for themselves.

use std::collections::BTreeMap;
use std::io::Read;

use b2i::engine::{ContainerSpec, Diff, Engine};

use super::escapes::program;
use super::{Setup, Tar, as_everybody, base};
use crate::environment::TestEnvironment;

/// Capabilities of version 2: `cap_net_bind_service`, effective.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Files with attributes of all kinds, those of overlayfs and of the sandbox among them.
fn files() -> Vec<u8> {
    let hostile: &[(&str, &[u8])] = &[
        ("security.capability", CAPABILITY),
        ("user.overlay.opaque", b"y"),
        ("user.b2i.owner", b"7:7"),
        ("trusted.overlay.redirect", b"/etc"),
        ("user.kept", b"by the image"),
    ];
    Tar::new()
        .directory("data", 0o755, (0, 0))
        .attributes(hostile)
        .file("data/moved", 0o755, (0, 0), "moved")
        .attributes(hostile)
        .file("data/chmod", 0o755, (0, 0), "chmod")
        .attributes(&[("security.capability", CAPABILITY)])
        .file("data/written", 0o755, (0, 0), "written")
        .attributes(&[("security.capability", CAPABILITY)])
        .file("data/untouched", 0o755, (0, 0), "untouched")
        .attributes(hostile)
        .directory("data/directory", 0o755, (0, 0))
        .finish()
}

/// What busybox alone can do to them. Writing takes capabilities away.
const SCRIPT: &str = "cd /data; mv moved there; chmod 4711 chmod; echo more >> written; chmod 700 directory; ln there link; \
                      mkfifo -m 640 pipe";

/// Type, mode, and attributes of an entry.
type Kept = (char, u32, BTreeMap<String, Vec<u8>>);

fn kept(tar: &[u8]) -> BTreeMap<String, Kept> {
    let mut kept = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().trim_end_matches('/').to_owned();
        let header = entry.header().clone();
        let extensions = entry.pax_extensions().expect("pax").into_iter().flatten().flatten();
        let attributes = extensions.filter_map(|one| {
            let name = one.key().expect("text").strip_prefix("SCHILY.xattr.")?;
            Some((name.to_owned(), one.value_bytes().to_vec()))
        });
        let attributes = attributes.collect();
        let kind = char::from(header.entry_type().as_byte());
        kept.insert(path, (kind, header.mode().expect("a mode") & 0o7777, attributes));
    }
    kept
}

async fn change(setup: &Setup, layers: Vec<Vec<u8>>, script: &str, user: &str) -> BTreeMap<String, Kept> {
    let spec = ContainerSpec { user: Some(user.into()), ..setup.spec(script) };
    let container = setup.engine(layers).create(spec).await.expect("created");
    let ended = container.run(&setup.events()).await.expect("ran");
    assert_eq!(ended.exit_code, 0, "{script}: {:?}", ended.last_lines);
    let changes = container.take_changes(&setup.events()).await.expect("taken");
    container.remove().await.expect("removed");
    let Diff::Layer(layer) = &changes else { panic!("the sandbox makes layers") };
    let mut bytes = Vec::new();
    layer.write_to(&mut bytes).expect("written");
    kept(&bytes)
}

fn names(attributes: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    attributes.keys().map(String::as_str).collect()
}

#[test]
fn attributes_of_the_image_stay_and_those_of_the_sandbox_stay_in() {
    as_everybody(
        "sandbox::attributes::attributes_of_the_image_stay_and_those_of_the_sandbox_stay_in",
        async |who| {
            let setup = Setup::new();
            let found = change(&setup, vec![files()], SCRIPT, "0").await;
            let all = [("security.capability", CAPABILITY), ("user.kept", &b"by the image"[..])];
            let all: BTreeMap<_, _> =
                all.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
            assert_eq!((found["data/link"].0, &found["data/link"].2), ('0', &all), "{who:?}");
            // As Docker has it.
            assert_eq!((found["data/there"].0, &found["data/there"].2), ('1', &all), "{who:?}");
            assert_eq!(found["data/chmod"], ('0', 0o4711, all.clone()), "{who:?}");
            assert_eq!(names(&found["data/written"].2), [""; 0], "writing takes capabilities away");
            assert_eq!(found["data/directory"], ('5', 0o700, all.clone()), "{who:?}");
            assert_eq!(found["data/pipe"], ('6', 0o640, BTreeMap::new()), "{who:?}");
            assert!(!found.contains_key("data/untouched") && !found.contains_key("data/moved"), "{found:?}");
        },
    );
}

#[test]
fn a_command_sets_attributes_that_are_its_own() {
    as_everybody("sandbox::attributes::a_command_sets_attributes_that_are_its_own", async |who| {
        let setup = Setup::new();
        let set = libc::SYS_setxattr;
        let script = format!(
            "cd /tmp; mkdir d; touch a b; mkfifo p; try {set} /tmp/a @user.color @blue 4 0; try {set} /tmp/d @user.of @dir 3 0; \
             try {set} /tmp/a @user.b2i.owner @0:0 3 0; try {set} /tmp/a @user.overlay.opaque @y 1 0; \
             try {set} /tmp/d @trusted.overlay.opaque @y 1 0; try {set} /tmp/b @security.capability @x 1 0; true"
        );
        let layers = vec![program("bin/try", 0o755)];
        let found = change(&setup, layers, &script, "app").await;
        assert_eq!(found["tmp/a"].2, [("user.color".to_owned(), b"blue".to_vec())].into(), "{who:?}");
        assert_eq!(found["tmp/d"].2, [("user.of".to_owned(), b"dir".to_vec())].into(), "{who:?}");
        assert_eq!((names(&found["tmp/b"].2), found["tmp/p"].0), (vec![], '6'), "{who:?}");
        let lines = setup.lines();
        assert_eq!((&*lines[0], &*lines[1]), ("0", "0"), "{lines:?}");
    });
}

#[test]
fn an_attribute_that_no_layer_can_have_is_an_error() {
    as_everybody("sandbox::attributes::an_attribute_that_no_layer_can_have_is_an_error", async |_| {
        let setup = Setup::new();
        let script = format!("touch /tmp/a; try {} /tmp/a @user.a=b @x 1 0", libc::SYS_setxattr);
        let container = setup.engine(vec![program("bin/try", 0o755)]).create(setup.spec(&script)).await;
        let container = container.expect("created");
        container.run(&setup.events()).await.expect("ran");
        let error = container.take_changes(&setup.events()).await.expect_err("refused");
        assert!(error.to_string().contains("/tmp/a") && error.to_string().contains("user.a=b"), "{error}");
        container.remove().await.expect("removed");
    });
}

/// Docker 20.10 commits capabilities and no attribute of `user.`; those are the image's own, and Podman keeps them too.
#[test]
fn the_change_has_what_dockers_commit_has() {
    let docker = TestEnvironment::get().docker();
    let name = docker.owned_image("attributes");
    // One archive: an import makes one layer of it.
    let mut both = base();
    both.truncate(both.len() - 1024);
    both.extend(files());
    let imported = docker.output_of_input(&["import", "-", name.reference()], both);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let container = docker.start(&["--network", "none", name.reference(), "/bin/sh", "-c", SCRIPT]);
    docker.stdout(&["wait", container.id()]);
    docker.stdout(&["commit", container.id(), name.reference()]);
    let saved = docker.stdout(&["save", name.reference()]);
    let manifest = member(&saved, "manifest.json").expect("a saved image has one");
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("JSON");
    let layer = manifest[0]["Layers"][1].as_str().expect("the change is the second");
    let dockers = kept(&member(&saved, layer).expect("it is there"));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let ours = runtime.block_on(async {
        let setup = Setup::new();
        change(&setup, vec![files()], SCRIPT, "0").await
    });
    let comparable = |kept: BTreeMap<String, Kept>| -> BTreeMap<String, Kept> {
        let of_data = kept.into_iter().filter(|(path, _)| path.starts_with("data/"));
        let without_user = of_data.map(|(path, (kind, mode, mut attributes))| {
            attributes.retain(|name, _| !name.starts_with("user."));
            (path, (kind, mode, attributes))
        });
        without_user.collect()
    };
    assert_eq!(comparable(ours), comparable(dockers));
}

fn member(tar: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(tar);
    let entries = archive.entries().expect("a tar");
    entries.map(|entry| entry.expect("an entry")).find_map(|mut entry| {
        (entry.path().expect("a path").to_str() == Some(name)).then(|| {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).expect("in memory");
            bytes
        })
    })
}
