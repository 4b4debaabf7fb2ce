//! Docker and Podman load and run what b2i writes, on bases whose layers are compressed in each way.

use super::*;
use b2i::store::archive::ArchiveSink;

#[test]
fn archives_with_compressed_layers_are_loaded_and_run() {
    for compression in ["gzip", "zstd"] {
        let place = Place::new();
        let base = place.base(compression);
        for daemon in TestEnvironment::get().daemons() {
            let name = daemon.owned_image("layout");
            let (image, path) = (image_of(base.clone(), name.reference()), place.path("app.tar"));
            // Docker 20.10 knows no zstd: such layers go in unpacked.
            let (lease, events) = (place.lease.clone(), Events::silent());
            let sink = ArchiveSink { path: path.clone(), lease, events };
            let written = written(&sink, &image, &[name.reference()]);
            daemon.stdout(&["load", "--input", &path.display().to_string()]);
            let loaded = daemon.inspect_image(name.reference()).expect("it has its name");
            let id = loaded["Id"].as_str().expect("an image has an ID");
            assert_eq!(
                id.trim_start_matches("sha256:"),
                written.image_id.hex(),
                "{compression}, {}",
                daemon.name
            );
            greets(&daemon, name.reference());
        }
    }
}

#[test]
fn layouts_reach_the_daemons_and_run() {
    let place = Place::new();
    let (docker, podman) = (TestEnvironment::get().docker(), TestEnvironment::get().podman());
    // Podman takes an archive of a layout as it is, and names the image.
    let name = podman.owned_image("layout");
    let image = image_of(place.base("gzip"), name.reference());
    let written = place.archive(&image, &[name.reference()], "podman.tar");
    podman.stdout(&["load", "--input", &place.path("podman.tar").display().to_string()]);
    let loaded = podman.inspect_image(name.reference()).expect("it has its name");
    let id = loaded["Id"].as_str().expect("an image has an ID").trim_start_matches("sha256:");
    assert_eq!(id, written.image_id.hex());
    greets(&podman, name.reference());
    // Docker 20.10 reads no layout; skopeo brings it there.
    let name = docker.owned_image("layout");
    let tag = name.reference().rsplit(':').next().expect("a tag");
    place.write(&image, &[name.reference()], "layout");
    let (from, to) =
        (format!("{}:{tag}", place.at("oci", "layout")), format!("docker-daemon:{}", name.reference()));
    run("skopeo", &["copy", "--quiet", "--dest-daemon-host", docker.host(), &from, &to]);
    greets(&docker, name.reference());
}
