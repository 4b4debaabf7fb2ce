//! What an image says of the git repository that it was built from, and that it can be built again from that.

use super::{Image, Place, b2i_build};
use crate::environment::{B2iCommand, TestEnvironment};
use crate::failures::assert_clean;
use crate::source::git_server::{GitServer, Kind};
use crate::source::repository::Repository;

const ASSEMBLE: &str = "#!/bin/sh\nset -e\ncp -R /tmp/src/. .\n";

#[test]
fn the_commit_is_in_the_labels_and_is_built_again() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    let builder = environment.image("s2i-sclorg:1");
    let files = [
        ("web/version", "one\n"),
        ("web/.s2i/bin/assemble", ASSEMBLE),
        ("web/.s2i/environment", "OF_SOURCES=1\n"),
        ("other/file", "x"),
    ];
    let repository = Repository::of(&files);
    repository.git(&["branch", "stable"]);
    let second = repository.commit("a second one\n\nwith a body", &[("web/version", "two\n")]);
    let first = repository.git(&["rev-parse", "stable"]);
    let server = GitServer::start(repository.parent(), Kind::Smart);
    let url = server.url("shop/.git");
    let place = Place::Daemon(docker.clone());
    let build = |arguments: &[&str]| {
        let name = docker.owned_image("git");
        let mut command = B2iCommand::new().daemon(&docker);
        command = command.args(["build", "--source-builder", &builder, "--tag", name.reference(), &url]);
        command = command.args(["--context-dir", "web"]).args(arguments);
        let output = command.run();
        super::assert_built(&place, &command, &output);
        Image { daemon: docker.clone(), name, messages: output.stderr }
    };
    let image = build(&[]);
    for (label, value) in [
        ("io.openshift.s2i.build.commit.id", &*second),
        ("io.openshift.s2i.build.commit.ref", "main"),
        ("io.openshift.s2i.build.commit.author", "Ada Löve <ada@example.org>"),
        ("io.openshift.s2i.build.commit.message", "a second one"),
        ("io.openshift.s2i.build.source-location", &url),
        ("io.openshift.s2i.build.source-context-dir", "web"),
        ("org.opencontainers.image.source", &url),
        ("org.opencontainers.image.revision", &second),
    ] {
        assert_eq!(image.label(label), value, "{label}");
    }
    let date = image.label("io.openshift.s2i.build.commit.date");
    assert!(date.contains("2023") && date.contains("+0100"), "the author's date and zone: {date}");
    assert_eq!(image.shell("cat version; ls"), "two\nbin\nversion");

    let stable = build(&["--ref", "stable", "--env", "GIVEN=a b"]);
    assert_eq!(stable.label("io.openshift.s2i.build.commit.id"), first);
    assert_eq!(stable.label("io.openshift.s2i.build.commit.ref"), "stable");
    assert_eq!(stable.shell("cat version"), "one");

    // A rebuild takes what the branch has by now.
    repository.git(&["checkout", "--quiet", "stable"]);
    let third = repository.commit("a fix", &[("web/version", "one, mended\n")]);
    let again = docker.owned_image("git");
    let mut command = B2iCommand::new().daemon(&docker);
    command = command.args(["s2i", "rebuild", "-p", "never", stable.name.reference(), again.reference()]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_clean(&command.cache());
    let again = Image { daemon: docker.clone(), name: again, messages: output.stderr };
    assert_eq!(again.label("io.openshift.s2i.build.commit.id"), third);
    assert_eq!(again.shell("cat version; ls; echo $GIVEN $OF_SOURCES"), "one, mended\nbin\nversion\na b 1");
    for label in ["commit.ref", "source-location", "source-context-dir", "image"] {
        let label = format!("io.openshift.s2i.build.{label}");
        assert_eq!(again.label(&label), stable.label(&label), "{label}");
    }
    assert_eq!(again.config()["Env"], stable.config()["Env"]);
    assert_eq!(again.config()["Cmd"], stable.config()["Cmd"]);
}

#[test]
fn a_path_of_this_machine_is_not_told() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let repository = Repository::of(&[("version", "one\n"), (".s2i/bin/assemble", ASSEMBLE)]);
    let sources = super::Sources::new();
    let name = docker.owned_image("git");
    let mut command = B2iCommand::new().daemon(&docker);
    command = command.args(["build", "--source-builder", &builder, "--tag", name.reference()]);
    let output = command.arg(repository.file_url()).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let made = docker.inspect_image(name.reference()).expect("there").to_string();
    assert!(!made.contains(&repository.parent().display().to_string()), "{made}");
    assert!(made.contains("io.openshift.s2i.build.commit.id"), "{made}");
    // Nor that of a directory that is no repository.
    let mut command = b2i_build(&Place::Daemon(docker.clone()), &builder, &sources);
    command = command.args(["--tag", name.reference()]);
    assert_eq!(command.run().code, Some(0));
    let made = docker.inspect_image(name.reference()).expect("there").to_string();
    assert!(!made.contains(&sources.path().parent().expect("below").display().to_string()), "{made}");
}
