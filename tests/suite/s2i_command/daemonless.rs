//! Where there is no daemon: the scripts run in the sandbox with a network, as with s2i, and the image becomes an archive.

use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, TestEnvironment};

/// What a script sees of networks: which it is, devices, and who knows names.
const SEES: &str = "#!/bin/sh\nset -e\ncp /tmp/src/program .\n\
    echo network: $(readlink /proc/self/ns/net)\n\
    echo devices: $(sed -n 's/^ *\\([^ :]*\\):.*/\\1/p' /proc/net/dev)\n\
    echo servers: $(cat /etc/resolv.conf)\n";

/// The same of this machine, but for devices: bridges and those of other tests' containers come and go.
fn of_this_machine() -> [String; 2] {
    let network = std::fs::read_link("/proc/self/ns/net").expect("every machine has it");
    let servers = std::fs::read_to_string("/etc/resolv.conf").expect("every machine has it");
    let servers: Vec<&str> = servers.split_whitespace().collect();
    [format!("| network: {}\n", network.display()), format!("| servers: {}\n", servers.join(" "))]
}

#[test]
fn a_build_has_this_machines_network_and_says_so_unless_it_is_to_have_none() {
    const NOTE: &str = "the scripts use this machine's network";
    let builder = PushedBase::new("s2i-kubesphere:1");
    let build = |flags: &[&str]| {
        let mut command = B2iCommand::without_daemon();
        let source = command.directory().join("work/app");
        std::fs::create_dir_all(source.join(".s2i/bin")).expect("made");
        std::fs::copy(TestEnvironment::get().fixture("program"), source.join("program")).expect("copies");
        std::fs::write(source.join(".s2i/bin/assemble"), SEES).expect("written");
        command = command.args(["s2i", "build", "--copy", "app", &builder.name, "made/app:1"]).args(flags);
        let output = command.run();
        let archive = std::fs::metadata(command.directory().join("work/app.tar"));
        (output, archive.is_ok_and(|archive| archive.len() > 1_000_000))
    };
    for flags in [&[][..], &["--network", "host"]] {
        let (output, has_archive) = build(flags);
        assert_eq!((output.code, has_archive), (Some(0), true), "{}", output.stderr);
        for line in of_this_machine() {
            assert!(output.stderr.contains(&line), "no {line:?} in {}", output.stderr);
        }
        // Who writes it knows it.
        assert_eq!(output.stderr.contains(NOTE), flags.is_empty(), "{}", output.stderr);
    }
    let (output, _) = build(&["--network", "none"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("| devices: lo\n") && !output.stderr.contains(NOTE), "{}", output.stderr);
    let (output, _) = build(&["--network", "bridge"]);
    assert_eq!(output.code, Some(1), "{}", output.stderr);
    for words in ["no network `bridge`", "only `host`"] {
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn variables_of_the_sources_the_file_and_the_flag_reach_script_and_image() {
    let (builder, docker) = (PushedBase::new("s2i-sclorg:1"), TestEnvironment::get().docker());
    let image = docker.owned_image("variables");
    let mut command = B2iCommand::without_daemon();
    let work = command.directory().join("work");
    for (path, text) in [
        ("app/.s2i/environment", "OF_SOURCES=1\nTWICE=sources\nALL=sources\n"),
        (
            "app/.s2i/bin/assemble",
            "#!/bin/sh\ncp /tmp/src/program . && echo \"$OF_SOURCES $OF_FILE $OF_FLAG $TWICE $ALL\"\n",
        ),
        ("variables", "# of the file\nOF_FILE=a b\nALL=file\n"),
    ] {
        let path = work.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    std::fs::copy(TestEnvironment::get().fixture("program"), work.join("app/program")).expect("copies");
    command =
        command.args(["s2i", "build", "--copy", "-e", "OF_FLAG=x,y", "-e", "TWICE=flag", "-e", "ALL=flag"]);
    command = command.args(["-E", "variables", "--output", "docker-archive:image.tar", "--network", "none"]);
    command = command.args(["app", &builder.name, image.reference()]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("| 1 a b x,y flag file\n"), "{}", output.stderr);
    docker.stdout(&["load", "-i", &work.join("image.tar").display().to_string()]);
    let config = docker.inspect_image(image.reference()).expect("it is there")["Config"].clone();
    let variables: Vec<String> = serde_json::from_value(config["Env"].clone()).expect("texts");
    for variable in ["OF_SOURCES=1", "OF_FILE=a b", "OF_FLAG=x,y", "TWICE=flag", "ALL=file"] {
        let (name, _) = variable.split_once('=').expect("a variable");
        let of_name: Vec<&String> =
            variables.iter().filter(|one| one.starts_with(&format!("{name}="))).collect();
        assert_eq!(of_name, [variable], "each once, and the last wins");
    }
}
