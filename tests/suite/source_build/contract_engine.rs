//! What `assemble` may use and see on a daemon: entrypoint, limits, network, hosts, capabilities, volumes.

use serde_json::json;

use super::made_builders::image_on;
use super::{Image, Place, Sources, b2i_build};
use crate::environment::{B2iOutput, Daemon, TestEnvironment};
use crate::failures::assert_clean;

/// Sources whose `assemble` does this.
fn assembled_by(script: &str) -> Sources {
    Sources::new().with_script(".s2i/bin/assemble", &format!("cp /tmp/src/program .\n{script}"))
}

fn on_each_daemon(check: impl Fn(&Place, &Daemon, &str)) {
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    for daemon in TestEnvironment::get().daemons() {
        check(&Place::Daemon(daemon.clone()), &daemon, &builder);
    }
}

/// Builds what has to fail, and checks that nothing is left of it.
fn refused(place: &Place, builder: &str, sources: &Sources, arguments: &[&str], code: i32) -> B2iOutput {
    let Place::Daemon(daemon) = place else { unreachable!("these are tests of daemons") };
    let image = daemon.owned_image("refused");
    let mut command = b2i_build(place, builder, sources).args(["--tag", image.reference()]).args(arguments);
    let output = command.run();
    assert_eq!(output.code, Some(code), "{} {arguments:?}: {}", place.name(), output.stderr);
    assert_eq!(daemon.inspect_image(image.reference()), None, "{arguments:?}");
    assert_clean(&command.cache());
    output
}

#[test]
fn the_entrypoint_of_the_builder_does_not_run_around_assemble() {
    for daemon in TestEnvironment::get().daemons() {
        let entrypoint = "ENTRYPOINT [\"/bin/sh\", \"-c\", \"echo AROUND; exec \\\"$@\\\"\", \"around\"]";
        let builder = image_on(&daemon, "s2i-sclorg:1", entrypoint);
        let place = Place::Daemon(daemon.clone());
        let sources = assembled_by("echo \"command: $(tr '\\0' ' ' < /proc/1/cmdline)\"");
        let image = Image::build(&place, builder.reference(), &sources, &[]);
        assert!(!image.messages.contains("AROUND"), "{}: {}", daemon.name, image.messages);
        assert!(image.messages.contains("command: /bin/sh /tmp/scripts/assemble"), "{}", image.messages);
        // The result keeps it, and its command is S2I's.
        assert_eq!(image.config()["Entrypoint"][3], "around");
        assert_eq!(image.config()["Cmd"], json!(["/usr/libexec/s2i/run"]), "{}", daemon.name);
        let output = daemon.run(&["--network", "none", image.name.reference()]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.starts_with("AROUND\n") && printed.contains("\"pid\":1"), "{printed}");
    }
}

#[test]
fn limits_hold_and_are_named() {
    let eats = assembled_by("exec awk 'BEGIN { text = \"xxxxxxxx\"; while (1) text = text text }'");
    // None of them ends while others are started, however slow the machine is; they end with the script.
    let forks = assembled_by("for number in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done");
    let sleeps = assembled_by("echo sleeping; sleep 1000");
    on_each_daemon(|place, daemon, builder| {
        let output = refused(place, builder, &eats, &["--memory", "32MiB", "--timeout", "1m"], 6);
        for word in ["exit code 137", "more memory than allowed", "--memory"] {
            assert!(output.stderr.contains(word), "{}: {}", daemon.name, output.stderr);
        }
        let output = refused(place, builder, &forks, &["--pids-limit", "8"], 6);
        assert!(output.stderr.contains("fork"), "{}: {}", daemon.name, output.stderr);
        let output = refused(place, builder, &sleeps, &["--timeout", "3s"], 6);
        for word in ["| sleeping", "3 s"] {
            assert!(output.stderr.contains(word), "{}: {}", daemon.name, output.stderr);
        }
        let enough = ["--memory", "64MiB", "--pids-limit", "30", "--timeout", "2m", "--cpus", "1"];
        Image::build(place, builder, &forks, &enough);
    });
}

#[test]
fn the_network_is_the_one_that_is_asked_for() {
    let sources = assembled_by("echo \"interfaces: $(ls /sys/class/net | tr '\\n' ' ')\"");
    on_each_daemon(|place, daemon, builder| {
        let none = Image::build(place, builder, &sources, &[]);
        assert!(none.messages.contains("interfaces: lo \n"), "{}: {}", daemon.name, none.messages);
        let host = Image::build(place, builder, &sources, &["--network", "host"]);
        assert!(!host.messages.contains("interfaces: lo \n"), "{}: {}", daemon.name, host.messages);
        let missing = refused(place, builder, &sources, &["--network", "no-such-network"], 2);
        assert!(missing.stderr.contains("no-such-network"), "{}", missing.stderr);
    });
}

#[test]
fn added_hosts_are_there_for_assemble_alone() {
    let sources = assembled_by("grep -q '^10.1.2.3.*mirror.example' /etc/hosts && echo known");
    on_each_daemon(|place, daemon, builder| {
        // A container without a network has a hosts file too, but Podman adds nothing to it.
        let arguments = ["--add-host", "mirror.example:10.1.2.3", "--network", "host"];
        let image = Image::build(place, builder, &sources, &arguments);
        assert!(image.messages.contains("| known"), "{}: {}", daemon.name, image.messages);
        assert_eq!(image.shell("grep -c mirror.example /etc/hosts || true"), "0", "{}", daemon.name);
    });
}

#[test]
fn root_keeps_what_is_not_taken_away() {
    let changes = "chown 4711 program && echo changed || echo refused; grep CapEff /proc/self/status";
    let sources = assembled_by(changes);
    on_each_daemon(|place, daemon, builder| {
        let root = ["--assemble-user", "0", "--allow-root"];
        let image = Image::build(place, builder, &sources, &root);
        assert!(image.messages.contains("| changed"), "{}: {}", daemon.name, image.messages);
        for dropped in ["CHOWN", "cap_chown", "ALL"] {
            let arguments = [&root[..], &["--cap-drop", dropped]].concat();
            let image = Image::build(place, builder, &sources, &arguments);
            assert!(image.messages.contains("| refused"), "{}: {}", daemon.name, image.messages);
            let left = image
                .messages
                .lines()
                .any(|line| line.contains("CapEff:") && line.ends_with("0000000000000000"));
            assert_eq!(left, dropped == "ALL", "{dropped}: {}", image.messages);
        }
    });
}

#[test]
fn volumes_are_mounted_and_stay_out_of_the_image() {
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(files.path().join("given"), "of the machine\n").expect("writes");
    std::os::unix::fs::chown(files.path(), Some(1001), Some(0)).expect("tests of daemons run as root");
    let sources = assembled_by(
        "cat /mnt/given; echo made > /mnt/made; ! touch /fixed/no 2>/dev/null && echo read-only; echo kept > /named/a/kept",
    );
    on_each_daemon(|place, daemon, builder| {
        let mine = files.path().display();
        let name = format!("b2i-test-volume-{}", std::process::id());
        let volumes = [format!("{mine}:/mnt"), format!("{mine}:/fixed:ro"), format!("{name}:/named/a")];
        daemon.stdout(&["volume", "create", &name]);
        let open = ["run", "--rm", "--user", "0", "--network", "none", "--entrypoint", "chmod", "-v"];
        daemon.stdout(&[&open[..], &[&format!("{name}:/named"), builder, "777", "/named"]].concat());
        let arguments = ["--volume", &volumes[0], "--volume", &volumes[1], "--volume", &volumes[2]];
        let image = Image::build(place, builder, &sources, &arguments);
        for line in ["| of the machine", "| read-only"] {
            assert!(image.messages.contains(line), "{}: {}", daemon.name, image.messages);
        }
        let made = std::fs::read_to_string(files.path().join("made")).expect("it is the machine's");
        assert_eq!(made, "made\n", "{}", daemon.name);
        std::fs::remove_file(files.path().join("made")).expect("there");
        assert_eq!(image.shell("cat /mnt/* /fixed/* /named/a/* 2>/dev/null | wc -c"), "0", "{}", daemon.name);
        let places = "for place in /fixed /named/a /named; do [ -e $place ] && echo $place; done; true";
        assert_eq!(image.shell(places), "", "{}: what was made to mount at is gone", daemon.name);
        let removed = daemon.output(&["volume", "rm", &name]);
        assert!(removed.status.success(), "the volume is not held any more: {removed:?}");
    });
}

#[test]
fn what_is_not_there_is_not_mounted_and_is_the_users_mistake() {
    let sources = assembled_by("true");
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let missing = sources.path().join("missing").display().to_string();
    let volume = format!("{missing}:/mnt");
    let output = refused(&Place::Daemon(docker), &builder, &sources, &["--volume", &volume], 2);
    for part in [&*format!("cannot mount `{missing}`: it does not exist"), "hint: pass `--volume`"] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    assert!(!std::path::Path::new(&missing).exists());
}
