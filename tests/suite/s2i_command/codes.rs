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
    // Flags of s2i that b2i has too, with another meaning.
    let volume = b2i(&["build", "-v", "nonsense", ".", "builder", "tag"]);
    assert!(volume.code == 1 && volume.stderr.contains("`nonsense` is no mount"), "{}", volume.stderr);
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
        (&["build", ".", "b", "UPPER"], "the tag `UPPER` is wrong"),
        (&["build", ".", "b", "t", "--run", "--as-dockerfile", "x"], "`--as-dockerfile` builds none"),
        (&["build", "nowhere", "b", "t"], "nowhere"),
        (&["build", "-E", "nowhere", ".", "b", "t"], "nowhere"),
        (&["build", "--tls", ".", "b", "t"], "--tlsverify"),
        (&["build", "--dockercfg-path", "nowhere", ".", "b", "t"], "--dockercfg-path"),
        (&["build", "-u", "x", ".", "b", "t"], "no range of user numbers"),
        (&["completion", "fish"], "bash and one for zsh"),
        (&["completion"], "write bash or zsh"),
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
