//! Streams and exit codes that scripts depend on.

use super::*;

#[test]
fn what_is_asked_for_is_on_the_standard_output_and_nothing_else() {
    let place = Place::new();
    let version = place.s2i(&["version"]);
    assert_eq!((version.code, version.stderr.as_str()), (0, ""));
    assert!(version.stdout.starts_with("s2i v1.6"), "{}", version.stdout);
    for help in [&[][..], &["--help"], &["build", "-h"], &["create", "--help"]] {
        let help = place.s2i(help);
        assert_eq!(help.code, 0, "{}", help.stderr);
        assert!(
            help.stdout.contains("Usage: s2i") && help.stderr.is_empty(),
            "{}{}",
            help.stdout,
            help.stderr
        );
    }
    for shell in ["bash", "zsh"] {
        let script = place.s2i(&["completion", shell]);
        assert_eq!(script.code, 0);
        assert!(script.stdout.contains("s2i") && script.stdout.contains("incremental"), "{shell}");
    }
    let completed = "source <(s2i completion bash) && complete -p s2i";
    let bash = place.command(Path::new("bash")).args(["-c", completed]).output();
    let bash = Ended::of(bash.expect("bash starts"));
    assert!(bash.code == 0 && bash.stdout.contains(" s2i"), "{}{}", bash.stdout, bash.stderr);
    let sti = place.root.path().join("bin/sti");
    let sti = Ended::of(place.command(&sti).arg("version").output().expect("sti starts"));
    assert!(sti.code == 0 && sti.stderr.contains("old name"), "{}", sti.stderr);
}

#[test]
fn as_a_command_of_b2i_it_is_the_same() {
    let place = Place::new();
    let b2i = |arguments: &[&str]| {
        let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_b2i")));
        Ended::of(command.arg("s2i").args(arguments).output().expect("b2i starts"))
    };
    assert_eq!(b2i(&["version"]).stdout, place.s2i(&["version"]).stdout);
    assert!(b2i(&["--help"]).stdout.contains("Usage: b2i s2i"));
    for shell in ["bash", "zsh"] {
        let script = b2i(&["completion", shell]);
        assert_eq!(script.code, 0, "{shell}: {}", script.stderr);
        assert_eq!(script.stdout, place.s2i(&["completion", shell]).stdout, "{shell}");
    }
    // Flags of s2i that b2i has too, with another meaning.
    let volume = b2i(&["build", "-v", "nonsense", ".", "builder", "tag"]);
    assert!(volume.code == 1 && volume.stderr.contains("`nonsense` is not a mount"), "{}", volume.stderr);
}

#[test]
fn mistakes_never_end_with_zero() {
    let place = Place::new();
    let cases: [(&[&str], &str); 16] = [
        (&["nonsense"], "unrecognized subcommand"),
        (&["build", "--nonsense", ".", "b"], "unexpected argument"),
        (&["build", "-p", "x", ".", "b"], "invalid value"),
        (&["build", "-e", "NOEQ", ".", "b"], "NAME=VALUE"),
        (&["build"], "the source is missing"),
        (&["build", "."], "the builder image is missing"),
        (&["build", ".", "b", "UPPER"], "the tag `UPPER` is not valid"),
        (
            &["build", ".", "b", "t", "--run", "--as-dockerfile", "x"],
            "conflicts with `--as-dockerfile`, which builds no image",
        ),
        (&["build", "nowhere", "b", "t"], "nowhere"),
        (&["build", "-E", "nowhere", ".", "b", "t"], "nowhere"),
        (&["build", "--tls", ".", "b", "t"], "--tlsverify"),
        (&["build", "--dockercfg-path", "nowhere", ".", "b", "t"], "--dockercfg-path"),
        (&["build", "-u", "x", ".", "b", "t"], "not a range of user IDs"),
        (&["completion", "fish"], "use bash or zsh"),
        (&["completion"], "use bash or zsh"),
        (&["rebuild"], "IMAGE"),
    ];
    for (arguments, message) in cases {
        let ended = place.s2i(arguments);
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(message), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
}

#[test]
fn a_daemon_or_a_builder_that_is_not_there_has_its_code() {
    let place = Place::new();
    place.write("app/app.sh", "#!/bin/sh\n");
    fn build<'a>(flags: &[&'a str]) -> Vec<&'a str> {
        [&["build", "--copy"], flags, &["app", "b2i-test/absent:1", "absent-result:1"]].concat()
    }
    let nothing = [("DOCKER_HOST", "unix:///nonexistent/docker.sock")];
    let ended = place.s2i_with(&build(&[]), &nothing);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let ended = place.s2i(&build(&["-U", "unix:///nonexistent/docker.sock"]));
    assert!(ended.code == 1 && ended.stderr.contains("/nonexistent/docker.sock"), "{}", ended.stderr);
    let ended = place.s2i(&build(&["--pull-policy=never"]));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let absent = format!("{}/absent/builder:1", TestEnvironment::get().registry());
    let ended = place.s2i(&["build", "--copy", "app", &absent, "absent-result:1"]);
    assert_eq!(ended.code, 2, "{}", ended.stderr);
    let no_scripts = TestEnvironment::get().image("s2i-foreign:no-labels");
    let ended = place.s2i(&["build", "--copy", "app", &no_scripts, "absent-result:1"]);
    assert_eq!(ended.code, 11, "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_user_that_is_not_allowed_ends_with_15_and_an_empty_repository_with_16() {
    let place = Place::new();
    place.write("app/app.sh", "#!/bin/sh\n");
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let root = TestEnvironment::get().image("s2i-foreign:root-user");
    let onbuild = TestEnvironment::get().image("s2i-foreign:onbuild");
    for (builder, ranges) in [(&builder, "1-1000,1002-"), (&root, "1-"), (&onbuild, "1-")] {
        let build = ["build", "--copy", "-pnever", "-u", ranges, "app", builder, "refused:1"];
        let ended = place.s2i(&build);
        assert_eq!((ended.code, ended.stdout.as_str()), (15, ""), "{builder}: {}", ended.stderr);
    }
    let named = ["build", "--copy", "-pnever", "-u1001", "--assemble-user=0", "app", &builder, "refused:1"];
    assert_eq!(place.s2i(&named).code, 15);

    std::fs::create_dir(place.work().join("empty")).expect("makes");
    let git = ["init", "--quiet", "empty"];
    assert!(place.command(Path::new("git")).args(git).status().expect("git starts").success());
    let url = format!("file://{}", place.work().join("empty").display());
    for source in ["empty", &url] {
        let ended = place.s2i(&["build", "-pnever", source, &builder, "refused:1"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (16, ""), "{source}: {}", ended.stderr);
    }
    assert_eq!(TestEnvironment::get().docker().inspect_image("refused:1"), None);
}

#[test]
fn a_script_that_fails_or_is_not_there_has_its_code() {
    let place = Place::new();
    place.write("app/app.sh", "#!/bin/sh\n");
    for (builder, code, word) in [
        ("s2i-foreign:fails", 1, "exit code"),
        ("s2i-foreign:no-scripts", 11, "assemble"),
        ("s2i-foreign:no-labels", 11, "scripts"),
    ] {
        let builder = TestEnvironment::get().image(builder);
        let ended = place.s2i(&["build", "--copy", "-pnever", "app", &builder, "failed:1"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{builder}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{builder}: {}", ended.stderr);
    }
    assert_eq!(TestEnvironment::get().docker().inspect_image("failed:1"), None);
}

/// What hands and scripts have typed, or may: none of it is a build, and none of it may look like one.
#[test]
fn no_clumsy_line_looks_like_a_success() {
    let place = Place::new();
    place.write("app/app.sh", "#!/bin/sh\n");
    place.write("not-json/.s2ifile", "{");
    place.write("file.txt", "no sources");
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let b = builder.as_str();
    let absent = "b2i-test/absent:1";
    let lines: [&[&str]; 40] = [
        &["bulid", "app", b, "t:1"],
        &["Build", "app", b, "t:1"],
        &["app", b, "t:1"],
        &["build", "", "", ""],
        &["build", "app", ""],
        &["build", "app", b, ":"],
        &["build", "app", b, "t:1:2"],
        &["build", "app", "b@sha256:short", "t:1"],
        &["build", "app", b, "-t", "t:1"],
        &["build", "app", b, "t:1", "--copy=maybe"],
        &["build", "app", b, "t:1", "-e"],
        &["build", "app", b, "t:1", "-e", "=value"],
        &["build", "app", b, "t:1", "-e", "NAME"],
        &["build", "app", b, "t:1", "-E", "."],
        &["build", "app", b, "t:1", "-E", "/nonexistent"],
        &["build", "app", b, "t:1", "--pull-policy", "sometimes"],
        &["build", "app", b, "t:1", "--pull-policy="],
        &["build", "app", b, "t:1", "--loglevel", "much"],
        &["build", "app", b, "t:1", "--context-dir", "../.."],
        &["build", "app", b, "t:1", "--context-dir", "nowhere"],
        &["build", "app", b, "t:1", "--exclude", "(", "--copy"],
        &["build", "app", b, "t:1", "--ref", "v1"],
        &["build", "app#v1", b, "t:1"],
        &["build", "file.txt", b, "t:1"],
        &["build", "file://other.example/app", b, "t:1"],
        &["build", "https://user:secret@host.example/a.git", b, "t:1"],
        &["build", "-oProxyCommand=x", b, "t:1"],
        &["build", "app", b, "t:1", "-s", "ftp://host.example/"],
        &["build", "app", b, "t:1", "-s", "file:///nonexistent", "--copy"],
        &["build", "app", b, "t:1", "-i", "nowhere:/tmp", "--copy"],
        &["build", "app", b, "t:1", "-v", "relative/x:/y", "--copy"],
        &["build", "app", b, "t:1", "--add-host", "nohost", "--copy"],
        &["build", "app", b, "t:1", "--network", "no-such-network", "--copy", "-pnever"],
        &["build", "app", b, "t:1", "--as-dockerfile", "app/", "--run"],
        &["usage"],
        &["usage", absent, "-pnever"],
        &["rebuild", b, "--nonsense"],
        &["generate", b],
        &["generate", "b@", "out/Dockerfile"],
        &["create", "name"],
    ];
    for line in lines {
        let ended = place.s2i(line);
        assert_ne!(ended.code, 0, "{line:?}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{line:?}");
        assert!(!ended.stderr.trim().is_empty(), "{line:?} is silent");
        assert!(!ended.stderr.contains("secret") && !ended.stderr.contains("panicked"), "{}", ended.stderr);
    }
    assert_eq!(TestEnvironment::get().docker().inspect_image("t:1"), None);
    let mut broken = place.command(&place.root.path().join("bin/s2i"));
    let broken = broken.args(["build", "--use-config"]).current_dir(place.work().join("not-json"));
    let ended = Ended::of(broken.output().expect("s2i starts"));
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("is not an s2i configuration"), "{}", ended.stderr);
}

#[test]
fn an_environment_file_counts_behind_what_is_typed() {
    let place = Place::new();
    let daemon = TestEnvironment::get().docker();
    let image = daemon.owned_image("environment-file");
    place.write("app/program", "#!/bin/sh\necho \"$A|$B|$C\"\n");
    let chmod = place.command(Path::new("chmod")).args(["755", "app/program"]).status();
    assert!(chmod.expect("chmod starts").success());
    place.write("variables", "# a comment\n// another\nA = from the file\nB=x=y\n");
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let flags = ["build", "--copy", "-pnever", "-E", "variables", "-e", "A=typed", "-e", "C=typed"];
    let ended = place.s2i(&[&flags[..], &["app", &builder, image.reference()]].concat());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let said = daemon.run(&[image.reference()]).stdout;
    assert_eq!(String::from_utf8_lossy(&said), "from the file|x=y|typed\n");
}
