//! One build, several outputs: each is the same image, and the same manifest where the format is the same.

use serde_json::Value;

use super::*;

/// Builds `artifact` into every output that has files or a registry, with a base of this name, and compares them.
/// `same_format` tells whether the registry gets an OCI manifest as the layouts do.
fn builds_all(artifact: &str, base: Option<(&'static str, &str)>, same_format: bool) {
    let name = result_name("outputs");
    let command = replace_bases_by(B2iCommand::without_daemon(), |test| {
        base.as_ref().filter(|(replaced, _)| test == *replaced).map(|(_, name)| (*name).to_owned())
    });
    let mut command = command
        .args(["build", "--tag", &name, "-o", "oci:layout", "-o", "oci-archive:image.oci.tar"])
        .args(["-o", "docker-archive:image.tar", "--push"])
        .arg(TestEnvironment::get().fixture(artifact));
    let output = command.run();
    let printed = printed_digest(&output, &name);
    assert_clean(&command.cache());
    let work = command.directory().join("work");
    assert_eq!(files(&work), ["image.oci.tar", "image.tar", "layout"]);
    let places = [
        format!("oci:{}:1", work.join("layout").display()),
        format!("oci-archive:{}:1", work.join("image.oci.tar").display()),
        format!("docker://{name}"),
        format!("docker-archive:{}:{name}", work.join("image.tar").display()),
    ];
    let digests: Vec<String> = places.iter().take(3).map(|place| manifest_digest(place)).collect();
    assert_eq!(digests[0], digests[1], "directory and archive");
    assert_eq!(digests[2] == digests[0], same_format, "{digests:?}");
    assert_eq!(digests[2], printed, "what is printed with a registry's name is what the registry has");
    let config = |place: &String| -> Value {
        let text = skopeo(&["inspect", "--config", "--tls-verify=false", place]);
        serde_json::from_slice(&text).expect("a config is JSON")
    };
    let configs: Vec<Value> = places.iter().map(config).collect();
    assert!(configs.iter().all(|config| *config == configs[0]), "{configs:?}");
    // All blobs are there and are what their digests say: skopeo checks each when it copies.
    for (number, place) in places.iter().enumerate() {
        let target = format!("dir:{}", command.directory().join(format!("copy-{number}")).display());
        skopeo(&["copy", "--quiet", "--src-tls-verify=false", place, &target]);
    }
    for daemon in TestEnvironment::get().daemons() {
        let seen = "\"arguments\":[\"--print\",\"a b\"]";
        let report = report_of(&daemon, &name, &["--print", "a b"]);
        assert!(report.contains(seen), "{}: {report}", daemon.name);
        let archive = work.join("image.tar").display().to_string();
        let _owned = daemon.adopted_image(&name);
        daemon.stdout(&["load", "--input", &archive]);
        let output = daemon.run(&["--network", "none", &name, "--print", "a b"]);
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(report.contains(seen), "{}, the archive: {report}", daemon.name);
    }
}

#[test]
fn on_the_built_in_base() {
    builds_all("program", None, true);
}

#[test]
fn on_a_base_of_dockers_format() {
    let base = PushedBase::new("glibc:12");
    builds_all("program-glibc", Some((base.test, &base.name)), false);
}

#[test]
fn on_a_base_of_oci_format() {
    let base = PushedBase::new("musl:1");
    let name = format!("{}-oci", base.name);
    let (from, to) = (format!("docker://{}", base.name), format!("docker://{name}"));
    let plain = ["copy", "--quiet", "--format", "oci", "--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo(&[&plain[..], &[&from, &to]].concat());
    builds_all("program-musl", Some((base.test, &name)), true);
}

#[test]
fn what_a_push_prints_is_pulled_by_other_tools() {
    let [name, second] = [result_name("printed"), result_name("printed")];
    let one = [TestEnvironment::get().fixture("program")];
    let both = ["program", "program-arm64"].map(|name| TestEnvironment::get().fixture(name));
    for artifacts in [&one[..], &both] {
        let build = |more: &[&str]| {
            let mut command = B2iCommand::without_daemon().arg("build").args(artifacts);
            command = command.args(["-t", &name, "-t", &second, "--push"]).args(more);
            let output = command.run();
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            let work = command.directory().join("work");
            let read = |name| std::fs::read_to_string(work.join(name)).unwrap_or_default();
            (output.stdout, read("digest"), read("id"))
        };
        let (printed, ..) = build(&[]);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), 2, "one for each repository: {printed}");
        for line in &lines {
            let (_, digest) = line.split_once('@').expect("a name by digest");
            let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{line}")]);
            assert_eq!(b2i::image::Digest::of(&raw).to_string(), digest);
        }
        let files = ["-q", "--digest-file", "digest", "--iidfile", "id"];
        let (quiet, digest, id) = build(&files);
        assert_eq!(quiet, format!("{}\n", lines[0]));
        assert_eq!(digest, printed);
        assert!(
            id.starts_with("sha256:") && (artifacts.len() == 2) == printed.contains(&id),
            "{id} {printed}"
        );
    }
}

#[test]
fn a_digest_file_needs_an_output_with_a_manifest() {
    let fixture = TestEnvironment::get().fixture("program");
    let build = |output: &str| {
        let command = B2iCommand::without_daemon().arg("build").arg(&fixture);
        let mut command = command.args(["-t", "app:1", "-o", output, "--digest-file", "digest"]);
        let output = command.run();
        let digest = std::fs::read_to_string(command.directory().join("work/digest"));
        (output, digest.unwrap_or_default())
    };
    let (refused, _) = build("docker-archive:app.tar");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--digest-file` requires"), "{}", refused.stderr);
    let (layout, digest) = build("oci:layout");
    assert_eq!(layout.code, Some(0), "{}", layout.stderr);
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert!(layout.stdout.contains(digest.trim_end()), "{} {digest}", layout.stdout);
}

#[test]
fn the_size_of_an_archive_is_the_files() {
    let jar = crate::build::fixture("standalone.jar");
    for output in ["docker-archive:app.tar", "oci-archive:app.tar"] {
        let base = PushedBase::new("jre:17");
        let command = base.replaces_public(B2iCommand::without_daemon());
        let mut command = command.args(["build", &jar, "--builder", "java:17", "-t", "app:1", "-o", output]);
        let ended = command.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let length = std::fs::metadata(command.directory().join("work/app.tar")).expect("written").len();
        let line = ended.stderr.lines().find(|line| line.contains("Wrote")).expect("a line").to_owned();
        let megabytes = format!("({}.", length / 1_000_000);
        assert!(line.contains(&megabytes), "{line}: {length} bytes");
    }
}
