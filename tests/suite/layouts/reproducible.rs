//! `b2i build -o oci:…`: equal builds give equal bytes, whoever makes them, and every output holds the same image.

use super::*;
use crate::environment::B2iCommand;

/// All files below a directory with their names.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for below in ["", "blobs/sha256"] {
        for entry in std::fs::read_dir(directory.join(below)).expect("a layout") {
            let path = entry.expect("it can be listed").path();
            if path.is_file() {
                let name = path.strip_prefix(directory).expect("it is below").to_owned();
                found.insert(name, std::fs::read(&path).expect("it can be read"));
            }
        }
    }
    found
}

/// Builds a program of some megabytes, so that several threads compress it, into both forms of a layout.
fn build(command: B2iCommand, name: &str) -> (BTreeMap<PathBuf, Vec<u8>>, Vec<u8>, String) {
    let work = command.directory().join("work");
    let mut program = std::fs::read(TestEnvironment::get().fixture("program")).expect("the fixture is there");
    program
        .extend((0..700_000_u32).flat_map(|number| (number / 5).wrapping_mul(2_654_435_761).to_le_bytes()));
    std::fs::write(work.join(name), program).expect("the directory is the test's");
    let file = format!("./{name}");
    let mut command = command.args(["build", &file, "--quiet", "-t", "app:1", "-t", "example.org/app:2"]);
    command =
        command.args(["-o", "oci:layout", "-o", "oci-archive:layout.tar", "-o", "docker-archive:app.tar"]);
    let ended = command.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let archive = std::fs::read(work.join("layout.tar")).expect("it was written");
    let layout = files(&work.join("layout"));
    // Again, into what is there.
    let ended = command.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(files(&work.join("layout")) == layout, "the second time changes nothing");
    (layout, archive, ended.stdout.trim().to_owned())
}

#[test]
fn every_user_directory_locale_and_number_of_cores_gives_the_same_bytes() {
    let expected = build(B2iCommand::new(), "program");
    let config = expected
        .0
        .keys()
        .find(|name| expected.2.ends_with(&*name.file_name().expect("one").to_string_lossy()));
    assert!(config.is_some(), "the image's ID is the digest of the config: {}", expected.2);
    let wrappers: [&[&str]; 3] = [
        &["sh", "-c", "umask 0077; exec \"$@\"", "sh"],
        // The first processor that this process may use, which need not be the machine's first.
        &[
            "sh",
            "-c",
            "first=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*\\([0-9]*\\).*/\\1/p' /proc/self/status); \
             exec taskset --cpu-list \"$first\" \"$@\"",
            "sh",
        ],
        &["sh", "-c", "mkdir -p deep/er; touch -d 2001-01-01 program; exec \"$@\"", "sh"],
    ];
    for wrapper in wrappers {
        let command = B2iCommand::through(wrapper)
            .env("TZ", "Asia/Kathmandu")
            .env("LC_ALL", "tr_TR.UTF-8")
            .env("USER", "somebody")
            .env("HOSTNAME", "elsewhere");
        assert!(build(command, "program") == expected, "{wrapper:?}");
    }
}

#[test]
fn a_script_that_ran_in_a_daemon_goes_into_layouts_and_registries_too() {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        let mut command = B2iCommand::new().daemon(&daemon);
        let work = command.directory().join("work");
        let program = environment.fixture("program").display().to_string();
        let name = format!("{}/layouts/{}:{}", environment.registry(), daemon.name, std::process::id());
        command = command.args(["build", &program, "--quiet", "--assemble", "docker", "-t", &name]);
        command = command.args([
            "-o",
            "oci:layout",
            "-o",
            "oci-archive:layout.tar",
            "-o",
            "docker-archive:app.tar",
        ]);
        command = command.args(["-o", "registry", "--iidfile", "id"]);
        let ended = command.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let tag = std::process::id();
        for source in [
            format!("oci:{}:{tag}", work.join("layout").display()),
            format!("oci-archive:{}:{tag}", work.join("layout.tar").display()),
            format!("docker-archive:{}", work.join("app.tar").display()),
            format!("docker://{name}"),
        ] {
            let config = run("skopeo", &["inspect", "--tls-verify=false", "--config", "--raw", &source]);
            let id = b2i::image::Digest::of(config.as_bytes()).to_string();
            let printed = match source.starts_with("docker:") {
                true => ended.stdout.clone(),
                false => std::fs::read_to_string(work.join("id")).expect("it was asked for"),
            };
            if source.starts_with("docker:") {
                let raw = run("skopeo", &["inspect", "--tls-verify=false", "--raw", &source]);
                let digest = b2i::image::Digest::of(raw.as_bytes()).to_string();
                assert!(printed.contains(&digest), "{source}: {digest}, {printed}");
            } else {
                assert_eq!(printed, id, "{source}");
            }
            // Copying reads and verifies every layer.
            let copied = format!("dir:{}", work.join(id.trim_start_matches("sha256:")).display());
            run("skopeo", &["copy", "--quiet", "--src-tls-verify=false", &source, &copied]);
        }
    }
}
