//! A plan as a Dockerfile: `docker build` makes of it, on Docker and on Podman, the image that b2i makes itself.

use std::path::PathBuf;

use super::tree::{assert_same_settings, assert_same_tree, assert_same_tree_but};
use super::*;

/// Values that a Dockerfile would spoil.
const ODD: [&str; 16] = [
    "--env",
    "ODD=a\"b\\c$HOME ${X} 'd' `e` #f\ttab \\",
    "--env",
    "EMPTY=",
    "--label",
    "example.odd/key=\"quoted\" $HOME \\n",
    "--label",
    "a b=c",
    "--port",
    "53/udp",
    "--stop-signal",
    "SIGINT",
    "--user",
    "1234:0",
    "--workdir",
    "/opt/app-root",
];

/// Writes the Dockerfile of `arguments` (those of `b2i build`) and gives the directory.
fn written(daemon: &Daemon, arguments: &[&str]) -> (B2iCommand, PathBuf) {
    let mut command = b2i(daemon);
    let directory = command.directory().join("work/context");
    let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
    command = command
        .args(["build", "--offline", "--tag", "any:1", "--dockerfile", "context"])
        .args(&arguments[..end])
        .args(&arguments[end..]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{arguments:?}: {}{}", output.stdout, output.stderr);
    assert!(output.stdout.starts_with("context/Dockerfile\n"), "{}", output.stdout);
    assert!(output.stderr.contains("Build it: docker build -t any:1 context"), "{}", output.stderr);
    (command, directory)
}

/// The image that `docker build` makes of a directory.
fn docker_build(daemon: &Daemon, directory: &Path, options: &[&str]) -> Image {
    let owned = daemon.owned_image("dockerfile");
    let directory = directory.display().to_string();
    let build = ["build", "--quiet", "--force-rm", "--tag", owned.reference()];
    daemon.stdout(&[&build[..], options, &[&directory]].concat());
    Image::adopt(daemon, owned)
}

/// Compares what `docker build` and b2i make of the same arguments.
pub(super) fn same(daemon: &Daemon, arguments: &[&str], options: &[&str]) -> Image {
    let (_command, directory) = written(daemon, arguments);
    let built = docker_build(daemon, &directory, options);
    let direct = Image::build(daemon, arguments);
    assert_same_tree(&built, &direct);
    assert_same_settings(&built, &direct);
    built
}

#[test]
fn a_static_executable_stands_on_the_tree_of_the_built_in_base() {
    for daemon in TestEnvironment::get().daemons() {
        let program = fixture("program");
        let arguments = [&[program.as_str()], &ODD[..], &["--", "--print", "a b", "$(id)", "it's"]].concat();
        let image = same(&daemon, &arguments, &[]);
        let report = image.report(&["--read-only"], &["more"]);
        assert_eq!(words(&report, "arguments"), ["--print", "a b", "$(id)", "it's", "more"]);
        assert_eq!(report["pid"], 1);
    }
}

#[test]
fn jars_and_wars_keep_what_goes_with_them() {
    let (jar, lib) = (fixture("app/app.jar"), format!("{}:lib", fixture("app/lib/")));
    let properties = format!("{}:/tmp/seed/app.properties", fixture("app/application.properties"));
    let beside = fixture("app/application.properties");
    let war = fixture("shop-javax.war");
    for daemon in TestEnvironment::get().daemons() {
        let image = same(
            &daemon,
            &[
                &[&*jar, "--add", &lib, "--add", &beside, "--add", &properties],
                &["--health-cmd", "[ -f \"$HOME\" ] || echo 'a  b' # no", "--", "--print", "a b"][..],
            ]
            .concat(),
            &[],
        );
        assert_eq!(image.report(&[], &[])["beside"], "from the file beside");
        // The second name of the WAR is a hard link.
        let image = same(&daemon, &[&war, "--context-path", "/shop"], &[]);
        assert_eq!(asked(&image.serve(&[], &[]), "/shop/hello")["greeting"], "javax.servlet");
    }
}

#[test]
fn a_builders_script_runs_as_its_labels_say() {
    let program = fixture("program");
    for daemon in TestEnvironment::get().daemons() {
        for builder in ["s2i-foreign:1", "s2i-sclorg:1", "s2i-foreign:named-user"] {
            let builder = TestEnvironment::get().image(builder);
            let arguments = [&program, "--builder", &builder, "--env", "SEEN=a b", "--", "--print", "x y"];
            let (_command, directory) = written(&daemon, &arguments);
            let text = std::fs::read_to_string(directory.join("Dockerfile")).expect("it was written");
            // Whether the script has a `#!` line is not known here; a shell starts it in both cases, as with s2i.
            assert!(text.contains("RUN [\"/bin/sh\",\"-c\",\"/usr/"), "{text}");
            let built = docker_build(&daemon, &directory, &["--network", "none"]);
            let direct = Image::build(&daemon, &arguments);
            // The builder writes down what its script sees, and each container has a name of its own.
            let seen = "opt/app-root/src/assemble-environment";
            // buildah leaves the places at which it mounted something where a script ran.
            let mounted = [
                "dev",
                "etc",
                "etc/hostname",
                "etc/hosts",
                "etc/resolv.conf",
                "proc",
                "run",
                "run/.containerenv",
                "sys",
            ];
            let mounted = if daemon.name == "podman" { &mounted[..] } else { &[] };
            assert_same_tree_but(&built, &direct, &[&[seen], mounted].concat());
            // In a Dockerfile, the shell that starts the script counts itself.
            let of_the_engine = ["HOSTNAME=", "TERM=", "container=", "SHLVL="];
            let environment = |image: &Image| {
                let text = image.print(&["--entrypoint", "cat"], &[&format!("/{seen}")]);
                text.lines()
                    .filter(|line| !of_the_engine.iter().any(|name| line.starts_with(name)))
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            if !builder.contains("sclorg") {
                assert!(environment(&built).contains(&"SEEN=a b".to_owned()));
                assert_eq!(environment(&built), environment(&direct));
            }
            let labels = |image: &Image| image.inspect()["Config"]["Labels"].clone();
            assert_eq!(labels(&built)["io.b2i.artifact.digest"], labels(&direct)["io.b2i.artifact.digest"]);
            assert_eq!(built.inspect()["Config"]["User"], direct.inspect()["Config"]["User"]);
            let report = |image: &Image| image.print(&["--hostname", "one"], &["more"]);
            assert_eq!(report(&built), report(&direct));
        }
    }
}

#[test]
fn the_templates_own_script_does_the_same_in_a_dockerfile() {
    let daemon = TestEnvironment::get().docker();
    let program = fixture("program-glibc");
    let image = same(&daemon, &[&program, "--assemble", "docker", "--", "--print", "a b"], &[]);
    assert_eq!(words(&image.report(&[], &[]), "arguments"), ["--print", "a b"]);
    // No shell is there: the script is a program, and what it is to know are variables.
    let image = same(&daemon, &[&fixture("program"), "--assemble", "docker", "--", "--print"], &[]);
    assert_eq!(words(&image.report(&[], &["x"]), "arguments"), ["--print", "x"]);
}

#[test]
fn what_a_dockerfile_cannot_say_is_an_error() {
    let daemon = TestEnvironment::get().docker();
    // Its base has a shell, which a health check needs.
    let program = fixture("program-glibc");
    let onbuild = TestEnvironment::get().image("s2i-foreign:onbuild");
    let cases: [(&[&str], i32, &str); 4] = [
        (&["--env", "KEY=line one\nRUN evil"], 2, "cannot contain the value of the variable `KEY`"),
        (&["--health-cmd", "[\"a\"]"], 2, "it would be a list of words"),
        (&["--builder", &onbuild], 5, "ONBUILD"),
        (&["--push"], 2, "cannot be used with"),
    ];
    for (options, code, message) in cases {
        let mut command =
            b2i(&daemon).args(["build", "--offline", &program, "--dockerfile", "out"]).args(options);
        let output = command.run();
        assert_eq!(output.code, Some(code), "{options:?}: {}", output.stderr);
        assert!(output.stderr.contains(message), "{}", output.stderr);
        let work = command.directory().join("work");
        assert_eq!(work.read_dir().expect("it is there").count(), 0, "nothing is left of {options:?}");
    }
}

#[test]
fn only_a_directory_of_ones_own_is_replaced() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let names = |directory: &Path| {
        let entries = directory.read_dir().expect("it is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    let build = |artifact: &str| {
        let mut command = B2iCommand::without_daemon().current_dir(work.path());
        command = command.args(["build", "--offline", &fixture(artifact), "--dockerfile", "out"]);
        command.run()
    };
    let directory = work.path().join("out");
    for _ in 0..2 {
        let output = build("program");
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(names(&directory), ["Dockerfile", "base.tar", "rootfs.tar"]);
    }
    // A failure leaves what is there.
    let before = std::fs::read(directory.join("Dockerfile")).expect("readable");
    assert_eq!(build("library.so").code, Some(4));
    assert_eq!(std::fs::read(directory.join("Dockerfile")).expect("readable"), before);
    // A file of the user's, or a Dockerfile of the user's, is not b2i's to remove.
    write(&directory.join("notes.txt"), "mine");
    let output = build("program");
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("`out` already exists and is not empty"), "{}", output.stderr);
    std::fs::remove_file(directory.join("notes.txt")).expect("removable");
    write(&directory.join("Dockerfile"), "FROM scratch\n");
    assert_eq!(build("program").code, Some(2));
    assert_eq!(names(work.path()), ["out"], "nothing is left beside it");
}
