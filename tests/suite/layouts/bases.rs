//! What other tools write is a base for b2i, and gives the same image wherever the base lies.

use super::*;
use b2i::store::archive::DockerArchive;

#[test]
fn a_base_gives_the_same_image_from_a_directory_and_from_an_archive() {
    let place = Place::new();
    let directory = place.base("gzip");
    let from = format!("{}:base", place.at("oci", "base-gzip"));
    run("skopeo", &["copy", "--quiet", &from, &format!("{}:base", place.at("oci-archive", "base.tar"))]);
    let archive = resolve(&place.path("base.tar"), "base");
    assert_eq!(directory.manifest_digest, archive.manifest_digest);
    let one = place.write(&image_on(directory), &["app:1"], "one");
    let other = place.write(&image_on(archive), &["app:1"], "other");
    assert_eq!(one, other);
}

#[test]
fn what_docker_and_podman_save_is_read_in_place() {
    let place = Place::new();
    let environment = TestEnvironment::get();
    let name = environment.image("musl:1");
    let podman = environment.podman();
    let saved = |format: &str| {
        let path = place.path(format).display().to_string();
        run("podman", &["--url", podman.host(), "save", "--format", format, "--output", &path, &name]);
        path
    };
    let docker = place.save(&name, "docker.tar");
    let mut configs = Vec::new();
    for path in [docker.display().to_string(), saved("docker-archive")] {
        let archive = DockerArchive::open(Path::new(&path)).expect("an archive");
        let resolved = archive.resolve(Some(&name.parse().expect("a name")), &Platform::host());
        // Podman saves under the full name by which it knows the image.
        let resolved =
            resolved.or_else(|_| archive.resolve(None, &Platform::host())).expect("the image is there");
        configs.push(resolved.config.diff_ids().expect("valid"));
        let image = image_on(resolved.into_base());
        let written = place.write(&image, &["app:1"], "layout");
        let source = format!("{}:1", place.at("oci", "layout"));
        let copied = place.at("dir", "copied");
        run("skopeo", &["copy", "--quiet", &source, &copied]);
        assert_eq!(written.layers.first().map(|layer| layer.size), Some(image.new[0].layer().size()));
    }
    let layout = saved("oci-archive");
    let reference: LayoutReference = layout.parse().expect("a path");
    let resolved = Layout::open(Path::new(&layout)).expect("a layout").resolve(&reference, &Platform::host());
    configs.push(resolved.expect("the only image").config.diff_ids().expect("valid"));
    assert!(configs.iter().all(|ids| *ids == configs[0]), "{configs:?}");
}
