//! The same build gives the same image wherever, whenever and by whomever it is made; an archive holds the very image
//! that goes into a daemon.

use std::fs::{FileTimes, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use super::*;

/// Copies a fixture to another place, with another time and mode.
fn elsewhere(directory: &Path, name: &str) -> String {
    let from = TestEnvironment::get().fixture(name);
    let to = directory.join("other place").join(from.file_name().expect("a fixture has a name"));
    copy(&from, &to);
    to.into_os_string().into_string().expect("the path is UTF-8")
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in std::fs::read_dir(from).expect("a fixture can be read") {
            let entry = entry.expect("a fixture can be read");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
        return;
    }
    std::fs::create_dir_all(to.parent().expect("a file in a directory"))
        .expect("the directory is the test's");
    std::fs::write(to, std::fs::read(from).expect("a fixture can be read"))
        .expect("the directory is the test's");
    let file = std::fs::File::open(to).expect("it was just written");
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).expect("the file is the test's");
    std::fs::set_permissions(to, Permissions::from_mode(0o644)).expect("the file is the test's");
}

/// b2i as somebody else would have it: another umask, time zone and locale.
fn by_somebody_else() -> B2iCommand {
    B2iCommand::through(&["sh", "-c", "umask 0077; exec \"$@\"", "sh"])
        .env("TZ", "Asia/Kathmandu")
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("USER", "somebody")
        .env("HOSTNAME", "elsewhere")
}

#[test]
fn the_same_build_gives_the_same_image() {
    let cases: [(&str, &[&str]); 4] = [
        ("program", &[]),
        ("program-glibc", &[]),
        ("app/app.jar", &["app/lib/", "app/application.properties"]),
        ("shop-javax.war", &[]),
    ];
    for (artifact, added) in cases {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let options = ["--env", "A=1", "--label", "b=2", "--port", "8080"];
        let paths = |path: &dyn Fn(&str) -> String| -> Vec<String> {
            let added = added.iter().flat_map(|name| ["--add".to_owned(), path(name)]);
            [path(artifact)].into_iter().chain(added).collect()
        };
        let (here, there) = (paths(&fixture), paths(&|name| elsewhere(directory.path(), name)));
        let mut ids = Vec::new();
        for daemon in TestEnvironment::get().daemons() {
            let here: Vec<&str> =
                here.iter().map(String::as_str).chain(options).chain(["--", "x y"]).collect();
            let there: Vec<&str> =
                there.iter().map(String::as_str).chain(options).chain(["--", "x y"]).collect();
            ids.push(Image::build(&daemon, &here).id.clone());
            let other = replace_bases(by_somebody_else()).daemon(&daemon).current_dir(directory.path());
            ids.push(Image::build_by(other, &daemon, &there).id.clone());
        }
        assert!(ids.iter().all(|id| *id == ids[0]), "{artifact}: {ids:?}");
    }
}

#[test]
fn another_user_without_a_daemon_gets_the_same_image() {
    let mut command = B2iCommand::as_nobody();
    let program = command.directory().join("work/program");
    copy(&TestEnvironment::get().fixture("program"), &program);
    let archive = command.directory().join("work/out.tar").display().to_string();
    let output = format!("docker-archive:{archive}");
    command = command.args(["build", "./program", "--quiet", "-t", "nobody:1", "-o", &output]);
    // Of this test alone: Podman may remove an image with its last name just when another test gives it a new one.
    let own = ["--label", "test=another-user"];
    command = command.args(own);
    let ended = command.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for daemon in TestEnvironment::get().daemons() {
        let direct = Image::build(&daemon, &[&[fixture("program").as_str()], &own[..]].concat());
        assert_eq!(ended.stdout.trim(), direct.id, "on {}", daemon.name);
    }
}

#[test]
fn a_loaded_archive_is_the_same_image() {
    let own = ["--label", "test=loaded-archive"];
    // On the built-in base, and on a base of the daemon, which b2i gets out of it.
    for (artifact, assembly) in [("program", "place"), ("program-musl", "place"), ("program-musl", "docker")]
    {
        for daemon in TestEnvironment::get().daemons() {
            let name = daemon.owned_image("archive");
            let mut command = b2i(&daemon);
            let path = command.directory().join("out.tar").display().to_string();
            let output = format!("docker-archive:{path}");
            command = command.args(["build", "--offline", "--quiet", "--assemble", assembly, "-o", &output]);
            command = command.args(["-t", name.reference(), &fixture(artifact)]).args(own);
            let ended = command.run();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            assert_eq!(daemon.inspect_image(name.reference()), None, "only the archive was asked for");
            let id = ended.stdout.trim();
            if assembly == "place" {
                let direct = Image::build(&daemon, &[&[fixture(artifact).as_str()], &own[..]].concat());
                assert_eq!(id, direct.id, "{artifact} of {}", daemon.name);
            }
            for other in TestEnvironment::get().daemons() {
                let loaded = other.adopted_image(name.reference());
                other.stdout(&["load", "--input", &path]);
                let image = other.inspect_image(loaded.reference()).expect("the archive names the image");
                let found = image["Id"].as_str().expect("an image has an ID");
                assert_eq!(found.trim_start_matches("sha256:"), id.trim_start_matches("sha256:"));
                let report = other.run(&[loaded.reference(), "--print", "x"]).stdout;
                assert!(String::from_utf8_lossy(&report).contains("[\"--print\",\"x\"]"), "{artifact}");
            }
        }
    }
}

/// What README and docs/reproducible-builds.md say of placing and of the script.
#[test]
fn placing_and_the_sandbox_give_one_id_and_every_way_gives_the_same_files() {
    let [docker, podman] = TestEnvironment::get().daemons();
    let program = fixture("program");
    let placed = Image::build(&docker, &[&program]);
    assert_eq!(Image::build(&podman, &[&program]).id, placed.id, "placed on Podman");
    let sandbox = Image::build(&docker, &[&program, "--assemble", "sandbox"]);
    assert_eq!(
        Image::build(&podman, &[&program, "--assemble", "sandbox"]).id,
        sandbox.id,
        "the sandbox again"
    );
    let run = |daemon| Image::build(daemon, &[&program, "--assemble", "docker"]);
    for other in [run(&docker), run(&docker), sandbox] {
        super::tree::assert_same_tree(&placed, &other);
        assert_eq!(placed.inspect()["Config"]["Env"], other.inspect()["Config"]["Env"]);
    }
    super::tree::assert_same_tree(&Image::build(&podman, &[&program]), &run(&podman));
}
