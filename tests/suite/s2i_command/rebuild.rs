//! An image of sources is built again from what it says of itself: sources, scripts, variables, directory, commit.

use super::*;
use crate::environment::{Daemon, OwnedImage};
use crate::source::git_server::{GitServer, Kind};

/// An image of sources, and the place in which `s2i` made it.
struct Built {
    place: Place,
    daemon: Daemon,
    image: OwnedImage,
}

impl Built {
    /// Sources in `work/src`, where a script of their own says what it was given.
    fn place() -> Place {
        let place = Place::new();
        let assemble = "#!/bin/sh\necho \"built with $GIVEN as $(cat /tmp/src/version)\" >built\n\
                        echo '#!/bin/sh\ncat /opt/app-root/src/built' >app && chmod 755 app\n";
        place.write("src/service/.s2i/bin/assemble", assemble);
        place.write("src/service/.s2i/environment", "FROM_FILE=first\n");
        place.write("src/service/version", "first");
        place
    }

    fn build(place: Place, arguments: &[&str]) -> Self {
        let daemon = TestEnvironment::get().docker();
        let image = daemon.owned_image("rebuilt");
        let builder = TestEnvironment::get().image("s2i-sclorg:1");
        let flags = ["build", "--pull-policy=never", "-e", "GIVEN=a, b", "-e", "EMPTY="];
        let ended = place.s2i(&[&flags, arguments, &[&builder, image.reference()]].concat());
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        Self { place, daemon, image }
    }

    fn says(&self) -> String {
        let output = self.daemon.run(&[self.image.reference()]);
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    fn config(&self) -> serde_json::Value {
        self.daemon.inspect_image(self.image.reference()).expect("it is there")["Config"].clone()
    }

    fn label(&self, name: &str) -> String {
        self.config()["Labels"][name].as_str().unwrap_or_default().to_owned()
    }

    fn variables(&self) -> Vec<String> {
        serde_json::from_value(self.config()["Env"].clone()).expect("a list of texts")
    }

    fn rebuild(&self, arguments: &[&str]) -> Ended {
        self.place.s2i(&[&["rebuild", "--pull-policy=never", self.image.reference()], arguments].concat())
    }
}

/// What is committed of `work/src`, by whom and when never changes.
fn commit(place: &Place, message: &str) {
    let git = "cd src && git init --quiet --initial-branch main && git add --all && \
        git -c user.name=A -c user.email=a@host.example commit --quiet --message \"$0\"";
    let ended = place.command(Path::new("sh")).args(["-c", git, message]).output().expect("sh starts");
    assert!(ended.status.success(), "{}", Ended::of(ended).stderr);
}

#[test]
fn a_relative_directory_is_built_again_with_its_scripts_and_variables() {
    let built = Built::build(Built::place(), &["--copy", "--context-dir", "service", "-n", "shop", "src"]);
    assert_eq!(built.says(), "built with a, b as first");
    assert_eq!(built.label("io.openshift.s2i.build.source-location"), "src");
    let before = built.config();

    // Nothing is new: the very same image.
    let again = built.rebuild(&[]);
    assert_eq!((again.code, again.stdout.as_str()), (0, ""), "{}", again.stderr);
    assert_eq!(built.config(), before);

    built.place.write("src/service/version", "second");
    built.place.write("src/service/.s2i/environment", "FROM_FILE=second\n");
    let again = built.rebuild(&[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(built.says(), "built with a, b as second");
    let variables = built.variables();
    for variable in ["GIVEN=a, b", "EMPTY=", "FROM_FILE=second"] {
        assert!(variables.iter().any(|one| one == variable), "{variable}: {variables:?}");
    }
    assert!(!variables.contains(&"FROM_FILE=first".to_owned()), "{variables:?}");
    for label in ["io.k8s.display-name", "io.openshift.s2i.build.source-context-dir"] {
        assert_eq!(built.config()["Labels"][label], before["Labels"][label], "{label}");
    }

    // Under another name, the first stays what it is.
    let other = built.daemon.owned_image("rebuilt-other");
    let before = built.daemon.inspect_image(built.image.reference());
    built.place.write("src/service/version", "third");
    let again = built.rebuild(&[other.reference()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(built.daemon.inspect_image(built.image.reference()), before);
    let said = built.daemon.run(&[other.reference()]).stdout;
    assert_eq!(String::from_utf8_lossy(&said).trim(), "built with a, b as third");
}

#[test]
fn a_branch_is_built_again_at_its_newest_commit() {
    for (source, reference) in
        [("src", &[][..]), ("src", &["--ref", "main"]), ("", &["--ref=main"]), ("", &[])]
    {
        let place = Built::place();
        commit(&place, "first");
        let server = GitServer::start(&place.work(), Kind::Smart);
        let url = server.url("src/.git");
        let source = if source.is_empty() { &url } else { source };
        let arguments = [&["--context-dir", "service", source], reference].concat();
        let built = Built::build(place, &arguments);
        assert_eq!(built.says(), "built with a, b as first", "{arguments:?}");
        assert_eq!(built.label("io.openshift.s2i.build.source-location"), *source);
        let first = built.label("io.openshift.s2i.build.commit.id");
        // What is not committed is not in it.
        built.place.write("src/service/version", "second");
        let again = built.rebuild(&[]);
        assert_eq!(again.code, 0, "{arguments:?}: {}", again.stderr);
        assert_eq!(built.says(), "built with a, b as first", "{arguments:?}");
        commit(&built.place, "second");
        let again = built.rebuild(&[]);
        assert_eq!(again.code, 0, "{arguments:?}: {}", again.stderr);
        assert_eq!(built.says(), "built with a, b as second", "{arguments:?}");
        assert_ne!(built.label("io.openshift.s2i.build.commit.id"), first);
        assert_eq!(built.label("io.openshift.s2i.build.commit.message"), "second");
    }
}

#[test]
fn what_says_nothing_of_its_build_is_not_built_again() {
    let place = Place::new();
    let ended = place.s2i(&["rebuild", &TestEnvironment::get().image("s2i-sclorg:1")]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot rebuild"), "{}", ended.stderr);
    let absent = format!("{}/absent/image:1", TestEnvironment::get().registry());
    assert_eq!(place.s2i(&["rebuild", &absent]).code, 2);

    // The directory has gone: the error says which, and the image stays.
    let built = Built::build(Built::place(), &["--copy", "--context-dir", "service", "src"]);
    let before = built.daemon.inspect_image(built.image.reference());
    std::fs::rename(built.place.work().join("src"), built.place.work().join("moved")).expect("moves");
    let again = built.rebuild(&[]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert!(again.stderr.contains("`src`"), "{}", again.stderr);
    assert_eq!(built.daemon.inspect_image(built.image.reference()), before);
}

/// Calls b2i by one of its names in a directory of the place.
fn call(place: &Place, directory: &Path, program: &str, arguments: &[&str]) -> Ended {
    let program = place.home().with_file_name("bin").join(program);
    let mut command = place.command(&program);
    Ended::of(command.current_dir(directory).args(arguments).output().expect("b2i starts"))
}

#[test]
fn users_and_what_was_left_out_are_the_same_again() {
    let place = Place::new();
    let script = "#!/bin/sh\necho as $(id -u) in $0: $(cd /deep/tmp/src && ls | tr '\\n' ' ')$(test -h /deep/tmp/src/link && echo links)\n";
    place.write("src/.s2i/bin/assemble", script);
    place.write("src/kept", "");
    place.write("src/secret.pem", "");
    std::os::unix::fs::symlink("kept", place.work().join("src/link")).expect("links");
    let docker = TestEnvironment::get().docker();
    let image = docker.owned_image("rebuilt-users");
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let said = "| as 1002 in /deep/tmp/scripts/assemble: kept link links";
    let flags = ["--assemble-user", "1002", "--exclude", "[.]pem$", "--keep-symlinks"];
    let build = ["build", "--copy", "--pull-policy=never", "--destination", "/deep/tmp"];
    let ended = place.s2i(&[&build, &flags[..], &["src", &builder, image.reference()]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let labels = || docker.inspect_image(image.reference()).expect("it is there")["Config"]["Labels"].clone();
    let before = labels();
    let again = place.s2i(&["rebuild", "--pull-policy=never", image.reference()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains(said), "{}", again.stderr);
    assert_eq!(labels(), before);
}

#[test]
fn scripts_of_a_directory_that_the_image_does_not_name_are_missed_aloud() {
    let place = Built::place();
    place.write("scripts/assemble", "#!/bin/sh\necho of the directory\n");
    let built = Built::build(place, &["--copy", "--context-dir", "service", "-s", "file://scripts", "src"]);
    let again = built.rebuild(&[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("does not record the directory of its scripts"), "{}", again.stderr);
    assert_eq!(built.says(), "built with a, b as first", "the sources' own ran");
}

#[test]
fn an_absolute_directory_is_found_by_its_name_and_missed_by_it() {
    let place = Built::place();
    let absolute = place.work().join("src").display().to_string();
    let built = Built::build(place, &["--copy", "--context-dir", "service", &absolute]);
    assert_eq!(built.label("io.openshift.s2i.build.source-location"), "src", "no path of the machine");
    built.place.write("src/service/version", "second");
    let again = built.rebuild(&[]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(built.says(), "built with a, b as second");
    let before = built.daemon.inspect_image(built.image.reference());
    let elsewhere = call(&built.place, &built.place.home(), "s2i", &["rebuild", built.image.reference()]);
    assert_eq!(elsewhere.code, 1, "{}", elsewhere.stderr);
    for part in ["its sources `src` were not found", "records no absolute path", "s2i build"] {
        assert!(elsewhere.stderr.contains(part), "{part}: {}", elsewhere.stderr);
    }
    assert_eq!(built.daemon.inspect_image(built.image.reference()), before);
}

#[test]
fn a_template_builds_again_what_it_built_and_an_artifact_is_not_built() {
    let environment = TestEnvironment::get();
    let (docker, place) = (environment.docker(), Place::new());
    crate::build::write_bases(&place.home(), |test| Some(environment.image(test)));
    place.write("site/index.html", "<p>first</p>\n");
    let image = docker.owned_image("rebuilt-template");
    let built = call(&place, &place.work(), "b2i", &["build", "--tag", image.reference(), "site"]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let page = || {
        let show = "cat /opt/app-root/site/index.html";
        docker.stdout(&[
            "run",
            "--rm",
            "--network",
            "none",
            "--entrypoint",
            "/bin/sh",
            image.reference(),
            "-c",
            show,
        ])
    };
    assert_eq!(String::from_utf8_lossy(&page()), "<p>first</p>\n");
    place.write("site/index.html", "<p>second</p>\n");
    let again = place.s2i(&["rebuild", image.reference()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(String::from_utf8_lossy(&page()), "<p>second</p>\n");

    let artifact = docker.owned_image("rebuilt-artifact");
    let program = environment.fixture("program").display().to_string();
    let built = call(&place, &place.work(), "b2i", &["build", "--tag", artifact.reference(), &program]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let again = place.s2i(&["rebuild", artifact.reference()]);
    assert_eq!(again.code, 1, "{}", again.stderr);
    assert!(
        again.stderr.contains("was built from the artifact `program`, not from sources"),
        "{}",
        again.stderr
    );
}
