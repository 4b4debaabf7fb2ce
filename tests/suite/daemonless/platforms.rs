//! One program for several platforms: executables that become an index, and JARs that go on every platform of a base.

mod bases;
mod interrupted;
mod refused;
mod scripts;
mod single;

use std::path::Path;

use serde_json::Value;

use self::bases::base_for;
use super::counting::CountingRegistry;
use super::repeat::wait_until_old;
use super::*;

const AMD64: &str = "linux/amd64";
const ARM64: &str = "linux/arm64";
const PPC64LE: &str = "linux/ppc64le";

/// The static programs for two platforms, under the names that a release has.
struct Programs {
    directory: tempfile::TempDir,
}

impl Programs {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        for (fixture, name) in [("program", "app-linux-amd64"), ("program-arm64", "app-linux-arm64")] {
            std::fs::copy(TestEnvironment::get().fixture(fixture), directory.path().join(name))
                .expect("copied");
        }
        Self { directory }
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn both(&self) -> [String; 2] {
        ["app-linux-amd64", "app-linux-arm64"].map(|name| self.path(name))
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// The platforms of an index with the digests of their manifests.
fn entries(place: &str) -> Vec<(String, String)> {
    let index = json(&manifest(place));
    let entries = index["manifests"].as_array().unwrap_or_else(|| panic!("no index: {index}"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let platform = |entry: &Value| {
        let platform = &entry["platform"];
        let variant = platform["variant"].as_str().map(|variant| format!("/{variant}"));
        format!(
            "{}/{}{}",
            text(&platform["os"]),
            text(&platform["architecture"]),
            variant.unwrap_or_default()
        )
    };
    entries.iter().map(|entry| (platform(entry), text(&entry["digest"]))).collect()
}

fn platforms(place: &str) -> Vec<String> {
    entries(place).into_iter().map(|(platform, _)| platform).collect()
}

/// The config of the image for one architecture.
fn config(place: &str, architecture: &str) -> Value {
    let inspect =
        ["--override-arch", architecture, "inspect", "--config", "--raw", "--tls-verify=false", place];
    json(&skopeo(&inspect))
}

/// The file system of the image for one architecture, unpacked below `directory`.
fn unpacked(place: &str, architecture: &str, directory: &Path) -> std::path::PathBuf {
    let layout = directory.join("layout").display().to_string();
    let target = format!("oci:{layout}:1");
    skopeo(&["--override-arch", architecture, "copy", "--quiet", "--src-tls-verify=false", place, &target]);
    let bundle = directory.join("bundle");
    let unpacked = std::process::Command::new("umoci")
        .args(["unpack", "--rootless", "--image", &format!("{layout}:1")])
        .arg(&bundle)
        .output()
        .expect("umoci starts");
    assert!(unpacked.status.success(), "{unpacked:?}");
    bundle.join("rootfs")
}

fn is_there(name: &str) -> bool {
    let place = format!("docker://{name}");
    let inspected =
        std::process::Command::new("skopeo").args(["inspect", "--tls-verify=false", &place]).output();
    inspected.expect("skopeo starts").status.success()
}

fn emulated(program: &Path, words: &[&str]) -> String {
    let output = std::process::Command::new("qemu-aarch64-static").arg(program).args(words).output();
    let output = output.expect("qemu-user-static is installed");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn two_executables_become_an_index_whose_images_run() {
    let programs = Programs::new();
    let name = result_name("index");
    let mut command = B2iCommand::without_daemon()
        .args(["build", "--push", "--tag", &name, "--metadata-file", "built.json", "--iidfile", "id"])
        .args(["--label", "team=web", "--annotation", "org.example.note=kept", "--port", "8080"])
        .args(programs.both())
        .args(["--", "--print", "a b"]);
    let output = command.run();
    let digest = printed_digest(&output, &name);
    assert_clean(&command.cache());
    let place = format!("docker://{name}");
    assert_eq!(manifest_digest(&place), digest);
    assert_eq!(platforms(&place), [AMD64, ARM64]);
    // What is asked for holds for all, annotations also for the index.
    assert_eq!(json(&manifest(&place))["annotations"]["org.example.note"], "kept");
    for (_, image) in entries(&place) {
        let (repository, _) = name.rsplit_once(':').expect("a tag");
        let image = json(&manifest(&format!("docker://{repository}@{image}")));
        assert_eq!(image["annotations"]["org.example.note"], "kept");
    }
    for architecture in ["amd64", "arm64"] {
        let config = config(&place, architecture);
        assert_eq!(config["architecture"], architecture);
        let runtime = &config["config"];
        let env = runtime["Env"].as_array().expect("variables");
        assert!(env.contains(&"ARGS=--print 'a b'".into()), "{config}");
        assert_eq!(runtime["Labels"]["team"], "web");
        assert_eq!(runtime["ExposedPorts"], serde_json::json!({"8080/tcp": {}}));
    }
    // A daemon takes its own.
    for daemon in TestEnvironment::get().daemons() {
        let report = report_of(&daemon, &name, &["more"]);
        assert!(report.contains(r#""arguments":["--print","a b","more"]"#), "{}: {report}", daemon.name);
    }
    let root = unpacked(&place, "arm64", command.directory());
    assert_eq!(emulated(&root.join("opt/app-root/bin/binary"), &["a b", "*"]), "a b\n*\n");
    assert!(!emulated(&root.join("usr/libexec/s2i/usage"), &[]).is_empty(), "the launcher is for arm64 too");
    // What was built is told, of all and of each.
    let built = json(&std::fs::read(command.directory().join("work/built.json")).expect("written"));
    assert_eq!(
        (&built["manifestDigest"], &built["indexDigest"]),
        (&digest.clone().into(), &digest.clone().into())
    );
    assert_eq!(std::fs::read_to_string(command.directory().join("work/id")).expect("written"), digest);
    let images = built["images"].as_array().expect("images");
    assert_eq!(built["imageId"], images[0]["imageId"], "this machine's");
    for (image, (platform, manifest)) in images.iter().zip(entries(&place)) {
        assert_eq!((&image["platform"], &image["manifestDigest"]), (&platform.into(), &manifest.into()));
    }
    assert_eq!(images[1]["artifact"], "app-linux-arm64");
}

#[test]
fn each_image_of_an_index_is_the_one_that_is_built_alone() {
    let programs = Programs::new();
    let name = result_name("alone");
    let output =
        B2iCommand::without_daemon().args(["build", "--push", "-t", &name]).args(programs.both()).run();
    printed_digest(&output, &name);
    for ((platform, digest), path) in entries(&format!("docker://{name}")).into_iter().zip(programs.both()) {
        let alone = result_name("alone");
        let output = B2iCommand::without_daemon().args(["build", "--push", "-t", &alone, &path]).run();
        assert_eq!(printed_digest(&output, &alone), digest, "{platform}");
    }
}

#[test]
fn layouts_get_the_index_and_tools_find_each_platform() {
    let programs = Programs::new();
    let name = result_name("layouts");
    let mut command = B2iCommand::without_daemon()
        .args(["build", "--tag", &name, "-o", "oci:layout", "-o", "oci-archive:image.tar", "--push"])
        .args(programs.both());
    let digest = printed_digest(&command.run(), &name);
    assert_clean(&command.cache());
    let work = command.directory().join("work");
    assert_eq!(files(&work), ["image.tar", "layout"]);
    let layout = work.join("layout").display().to_string();
    let archive = work.join("image.tar").display().to_string();
    for (number, place) in [format!("oci:{layout}:1"), format!("oci-archive:{archive}:1")].iter().enumerate()
    {
        assert_eq!(manifest_digest(place), digest, "{place}");
        assert_eq!(platforms(place), [AMD64, ARM64]);
        // Copying reads and verifies every blob of both.
        let copy = format!("dir:{}", command.directory().join(format!("copy-{number}")).display());
        skopeo(&["copy", "--all", "--quiet", place, &copy]);
        assert_eq!(config(place, "arm64")["architecture"], "arm64");
    }
    // One blob in the archive for each digest, and a second run adds nothing to the directory.
    let blobs = || files(&work.join("layout/blobs/sha256"));
    let before = blobs();
    let again = B2iCommand::without_daemon()
        .args(["build", "--tag", &name, "-o", &format!("oci:{layout}")])
        .args(programs.both())
        .run();
    assert_eq!(printed_digest(&again, &name), digest);
    assert_eq!(blobs(), before);
    let podman = TestEnvironment::get().podman();
    let _owned = podman.adopted_image(&name);
    podman.stdout(&["load", "--input", &archive]);
    let ran = podman.run(&["--network", "none", &name, "--print", "a b"]);
    assert!(String::from_utf8_lossy(&ran.stdout).contains(r#""arguments":["--print","a b"]"#), "{ran:?}");
}

#[test]
fn several_names_in_several_repositories_mean_the_same_index() {
    let programs = Programs::new();
    let names = [result_name("several"), result_name("several"), result_name("several")];
    let more = names[0].replace(":1", ":2");
    let tags = names.iter().chain([&more]).flat_map(|name| ["--tag", name]);
    let output =
        B2iCommand::without_daemon().args(["build", "--push"]).args(tags).args(programs.both()).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    for name in names.iter().chain([&more]) {
        let place = format!("docker://{name}");
        assert_eq!(manifest_digest(&place), manifest_digest(&format!("docker://{}", names[0])));
        let copy = tempfile::tempdir().expect("a temporary directory");
        let target = format!("dir:{}", copy.path().join("all").display());
        skopeo(&["copy", "--all", "--quiet", "--src-tls-verify=false", &place, &target]);
    }
}

/// Builds a JAR for several platforms and counts what is asked.
fn jar_on_each_platform(format: &str) {
    let registry = CountingRegistry::new(TestEnvironment::get().registry());
    let base = base_for("jre:17", &[AMD64, ARM64, PPC64LE], format);
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let jar = directory.path().join("standalone.jar");
    std::fs::copy(TestEnvironment::get().fixture("standalone.jar"), &jar).expect("copied");
    wait_until_old(&jar);
    let name = format!("{}/{}:1", registry.address, unique("jar"));
    let push = |options: &[&str]| {
        let replaced = base.name.replacen(TestEnvironment::get().registry(), &registry.address, 1);
        let command = replace_bases_by(B2iCommand::without_daemon(), |test| {
            (test == "jre:17").then(|| replaced.clone())
        });
        let output = command
            .env("XDG_CACHE_HOME", directory.path().join("cache"))
            .args(["build", "--push", "--platform", "linux/amd64,linux/arm64,linux/ppc64le", "--tag", &name])
            .arg(&jar)
            .args(options)
            .run();
        assert_clean(&directory.path().join("cache/b2i"));
        (printed_digest(&output, &name), registry.take())
    };
    let (digest, requests) = push(&["--no-memo"]);
    let place =
        format!("docker://{}", name.replacen(&registry.address, TestEnvironment::get().registry(), 1));
    assert_eq!(manifest_digest(&place), digest);
    assert_eq!(platforms(&place), [AMD64, ARM64, PPC64LE]);
    // One layer, sent once, and three configs; the base's layers are mounted, each once.
    let sent = |requests: &[String]| {
        requests.iter().filter(|request| request.starts_with("PUT ") && request.contains("/blobs/")).count()
    };
    assert_eq!(sent(&requests), 4, "{requests:#?}");
    let mounts = requests.iter().filter(|request| request.contains("mount=")).collect::<Vec<_>>();
    let layers = |architecture: &str| {
        json(&skopeo(&["--override-arch", architecture, "inspect", "--tls-verify=false", &place]))["Layers"]
            .clone()
    };
    assert_eq!(layers("amd64"), layers("arm64"));
    assert_eq!(mounts.len() + 1, layers("amd64").as_array().expect("layers").len(), "{requests:#?}");
    let bases = requests.iter().filter(|request| request.contains("/manifests/base")).count();
    assert!(bases <= 2, "the base's name is asked for once: {requests:#?}");

    // Unchanged: one question for the base, one for the name.
    let (_, _) = push(&[]);
    let (again, requests) = push(&[]);
    assert_eq!(again, digest);
    assert_eq!(requests.len(), 2, "{requests:#?}");
    assert!(requests.iter().all(|request| request.starts_with("HEAD ")), "{requests:#?}");
    // Another image of the index: what is there is not sent again.
    let (other, requests) = push(&["--label", "changed=yes"]);
    assert_ne!(other, digest);
    assert_eq!(sent(&requests), 3, "the configs alone: {requests:#?}");
    for daemon in TestEnvironment::get().daemons() {
        let local = place.trim_start_matches("docker://");
        let report = report_of(&daemon, local, &["--print", "a b"]);
        assert!(report.contains("a b"), "{}: {report}", daemon.name);
    }
}

#[test]
fn a_jar_goes_on_each_platform_of_its_base_with_one_layer() {
    jar_on_each_platform("oci");
}

#[test]
fn a_jar_goes_on_each_platform_of_a_base_of_dockers_format() {
    jar_on_each_platform("v2s2");
}

#[test]
fn a_script_goes_on_processor_variants_of_its_base() {
    let base = base_for("glibc:12", &[AMD64, "linux/arm/v5", "linux/arm/v7", ARM64], "oci");
    let name = result_name("variants");
    let mut command = base
        .replaces_public(B2iCommand::without_daemon())
        .args([
            "build",
            "--push",
            "--tag",
            &name,
            "--platform",
            "linux/arm/v7",
            "--platform",
            "linux/arm64/v8",
        ])
        .arg(crate::build::fixture("shell-program"));
    printed_digest(&command.run(), &name);
    let place = format!("docker://{name}");
    assert_eq!(platforms(&place), ["linux/arm/v7", ARM64]);
    let variant = ["--override-arch", "arm", "--override-variant", "v7", "inspect", "--config", "--raw"];
    let config = json(&skopeo(&[&variant[..], &["--tls-verify=false", &place]].concat()));
    assert_eq!((&config["architecture"], &config["variant"]), (&"arm".into(), &"v7".into()));
    // One that the base has not, beside one that it has.
    let mut command = base
        .replaces_public(B2iCommand::without_daemon())
        .args([
            "build",
            "--push",
            "--tag",
            &result_name("variants"),
            "--platform",
            "linux/arm/v6,linux/amd64",
        ])
        .arg(crate::build::fixture("shell-program"));
    let output = command.run();
    assert_eq!(output.code, Some(5), "{}", output.stderr);
}
