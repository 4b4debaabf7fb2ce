//! skopeo and umoci read what b2i writes.

use super::*;
use b2i::image::Digest;

#[test]
fn skopeo_reads_layouts_and_archives_by_each_of_their_names() {
    let place = Place::new();
    let image = image_on(place.base("gzip"));
    assert!(is_described(&image.base));
    let tags = ["app:1", "registry.example/team/app:2"];
    let written = place.write(&image, &tags, "layout");
    assert_eq!(place.archive(&image, &tags, "layout.tar"), written);
    for (transport, name) in [("oci", "layout"), ("oci-archive", "layout.tar")] {
        for tag in ["1", "2"] {
            let source = format!("{}:{tag}", place.at(transport, name));
            let raw = run("skopeo", &["inspect", "--raw", &source]);
            assert_eq!(Digest::of(raw.as_bytes()), manifest(&written).digest, "{source}");
            assert_eq!(json(&raw)["annotations"]["org.example.note"], "kept");
            let config = run("skopeo", &["inspect", "--config", "--raw", &source]);
            assert_eq!(Digest::of(config.as_bytes()), written.image_id, "{source}");
        }
        // Copying reads and verifies every blob.
        let copied = place.at("dir", &format!("copy-of-{transport}"));
        run("skopeo", &["copy", "--quiet", &format!("{}:1", place.at(transport, name)), &copied]);
    }
}

#[test]
fn umoci_lists_unpacks_and_collects_what_b2i_wrote() {
    let place = Place::new();
    let image = image_on(place.base("gzip"));
    place.write(&image, &["app:1"], "layout");
    place.write(&image_on(place.base("gzip")), &["app:2"], "layout");
    let layout = place.path("layout").display().to_string();
    let tags = run("umoci", &["ls", "--layout", &layout]);
    assert_eq!(tags.split_whitespace().collect::<Vec<_>>(), ["1", "2"]);
    // Collecting garbage removes what nothing refers to: all that b2i wrote is referred to.
    let blobs = || std::fs::read_dir(place.path("layout/blobs/sha256")).expect("a layout").count();
    let before = blobs();
    run("umoci", &["gc", "--layout", &layout]);
    assert_eq!(blobs(), before);
    let bundle = place.path("bundle").display().to_string();
    run("umoci", &["unpack", "--rootless", "--image", &format!("{layout}:1"), &bundle]);
    let program = std::fs::read(place.path("bundle/rootfs/opt/program")).expect("unpacked");
    let expected = std::fs::read(TestEnvironment::get().fixture("program")).expect("the fixture is there");
    assert!(program == expected);
    assert!(place.path("bundle/rootfs/bin/sh").symlink_metadata().is_ok(), "the base is there too");
    // b2i goes on with a layout that umoci has written to.
    run("umoci", &["config", "--image", &format!("{layout}:1"), "--tag", "3", "--config.user", "7"]);
    place.write(&image, &["app:4"], "layout");
    let tags = run("umoci", &["ls", "--layout", &layout]);
    assert_eq!(tags.split_whitespace().collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    assert_eq!(resolve(&place.path("layout"), "3").config.user(), "7");
}

#[test]
fn b2i_adds_to_a_layout_of_skopeo_and_skopeo_to_one_of_b2i() {
    let place = Place::new();
    let image = image_on(place.base("gzip"));
    let base = place.at("oci", "base-gzip");
    let written = place.write(&image, &["app:1"], "base-gzip");
    run("skopeo", &["copy", "--quiet", &format!("{base}:base"), &format!("{base}:again")]);
    for (tag, digest) in [("1", Some(manifest(&written).digest)), ("base", None), ("again", None)] {
        let raw = run("skopeo", &["inspect", "--raw", &format!("{base}:{tag}")]);
        assert!(digest.is_none_or(|digest| digest == Digest::of(raw.as_bytes())), "{tag}");
    }
    // The same tag again takes its place, for both.
    let replaced = format!("{base}:1");
    run("skopeo", &["copy", "--quiet", &format!("{base}:base"), &replaced]);
    place.write(&image, &["app:1"], "base-gzip");
    assert_eq!(
        Digest::of(run("skopeo", &["inspect", "--raw", &replaced]).as_bytes()),
        manifest(&written).digest
    );
}
