//! The rules of S2I's contract that an engine has to keep: the same on Docker, on Podman and in the sandbox.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::{Image, Place, Sources, assert_built, b2i_build, everywhere};
use crate::environment::{B2iOutput, TestEnvironment};
use crate::failures::assert_clean;
use crate::registry::unique;

const COPIES: &str = "cp /tmp/src/program .";

/// What a script sees of network devices, of its network and of its own capabilities, each in one line.
const SEES: &str = "cp /tmp/src/program .; \
    echo devices: $(sed -n 's/^ *\\([^ :]*\\):.*/\\1/p' /proc/net/dev | sort)!; \
    echo network: $(readlink /proc/self/ns/net)!; \
    echo capabilities: $(sed -n 's/^Cap\\(Eff\\|Bnd\\):[[:space:]]*//p' /proc/self/status)!";

fn sources(assemble: &str) -> Sources {
    Sources::new().with_script(".s2i/bin/assemble", assemble)
}

/// Builds and expects a failure with this code, which leaves nothing.
fn refused(place: &Place, builder: &str, sources: &Sources, arguments: &[&str], code: i32) -> B2iOutput {
    let mut command = b2i_build(place, builder, sources).args(arguments);
    let output = command.run();
    assert_eq!(output.code, Some(code), "{} {arguments:?}: {}", place.name(), output.stderr);
    assert_clean(&command.cache());
    output
}

fn assert_says(place: &Place, messages: &str, words: &[&str]) {
    for word in words {
        assert!(messages.contains(word), "{}: no {word:?} in {messages}", place.name());
    }
}

#[test]
fn volumes_are_there_for_the_script_and_not_in_the_image() {
    let host = tempfile::tempdir().expect("a temporary directory can be made");
    let (shared, settings) = (host.path().join("shared"), host.path().join("settings.xml"));
    for directory in [host.path(), &shared] {
        std::fs::create_dir_all(directory).expect("made");
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o777)).expect("its owner");
    }
    std::fs::write(shared.join("input"), "of the host\n").expect("written");
    std::fs::write(&settings, "settings\n").expect("written");
    let sources = sources(
        "cp /tmp/src/program .; cat /data/in/input /opt/conf/settings.xml; \
         echo made > /data/in/made; ! (echo x > /read/only/x) 2>/dev/null; ! (echo x >> /opt/conf/settings.xml) 2>/dev/null",
    );
    let volumes = [
        format!("{}:/data/in", shared.display()),
        format!("{}:/read/only:ro", shared.display()),
        format!("{}:/opt/conf/settings.xml:ro", settings.display()),
    ];
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments: Vec<&str> = volumes.iter().flat_map(|volume| ["--volume", volume]).collect();
        let image = Image::build(place, builder, &sources, &arguments);
        assert_says(place, &image.messages, &["| of the host\n", "| settings\n"]);
        assert_eq!(std::fs::read_to_string(shared.join("made")).expect("written"), "made\n");
        std::fs::remove_file(shared.join("made")).expect("the directory is the test's");
        let absent = "for f in /data/in/input /data/in/made /read/only/input /opt/conf/settings.xml; do \
                      [ -s $f ] && echo $f; done; echo end";
        assert_eq!(image.shell(absent), "end", "{}", place.name());
        if let Place::Sandbox = place {
            let places = "ls -d /data /read /opt/conf 2>/dev/null; echo end";
            assert_eq!(image.shell(places), "end", "what was made to mount at is not there");
        }
        if place.name() == "podman" {
            // It makes the directory, whatever it is asked.
            return;
        }
        let missing = format!("{}:/data", host.path().join("missing").display());
        let mut command = b2i_build(place, builder, &sources).args(["--volume", &missing]);
        let output = command.run();
        assert_ne!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
        assert_says(place, &output.stderr, &["/missing"]);
        assert_clean(&command.cache());
    });
}

#[test]
fn a_volume_of_a_daemon_names_the_way_out_in_the_sandbox() {
    let sources = sources(COPIES);
    everywhere("s2i-kubesphere:1", |place, builder| {
        if let Place::Sandbox = place {
            let output = refused(place, builder, &sources, &["--volume", "data:/data"], 2);
            assert_says(place, &output.stderr, &["the volume `data`", "/PATH:PLACE", "--assemble docker"]);
        }
    });
}

#[test]
fn hosts_are_added_for_the_run_alone() {
    let sources = sources("cp /tmp/src/program .; grep -e 10.1.2.3 -e localhost /etc/hosts");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(
            place,
            builder,
            &sources,
            &["--add-host", "db.example:10.1.2.3", "--add-host", "v6:::1"],
        );
        assert_says(place, &image.messages, &["| 10.1.2.3    db.example", "| 127.0.0.1    localhost"]);
        // Started, a daemon gives it a file of its own.
        let layers = image.daemon.stdout(&["save", image.name.reference()]);
        assert!(!layers.windows(10).any(|part| part == b"db.example"), "{}", place.name());
        let output = refused(place, builder, &sources, &["--add-host", "db.example"], 2);
        assert_says(place, &output.stderr, &["`db.example` is not HOST:ADDRESS"]);
    });
}

#[test]
fn the_network_is_none_or_the_one_that_is_asked_for() {
    let sources = sources(SEES);
    // Not its devices: bridges and those of other tests' containers come and go.
    let network = std::fs::read_link("/proc/self/ns/net").expect("every machine has it");
    let network = format!("| network: {}!", network.display());
    everywhere("s2i-kubesphere:1", |place, builder| {
        let none = Image::build(place, builder, &sources, &[]);
        assert_says(place, &none.messages, &["| devices: lo!"]);
        assert!(!none.messages.contains(&network), "{}: {}", place.name(), none.messages);
        let host = Image::build(place, builder, &sources, &["--network", "host"]);
        assert_says(place, &host.messages, &[&network]);
        let output = refused(place, builder, &sources, &["--network", "no-such-network"], 2);
        assert_says(place, &output.stderr, &["`no-such-network`"]);
    });
}

#[test]
fn capabilities_are_those_that_files_need_without_the_dropped_ones() {
    let sources = sources(SEES);
    everywhere("s2i-foreign:root-user", |place, builder| {
        for (dropped, left) in [
            (&[][..], "00000000000000fb"),
            (&["--cap-drop", "CAP_CHOWN", "--cap-drop", "setuid"], "000000000000007a"),
            (&["--cap-drop", "ALL"], "0000000000000000"),
        ] {
            // The label names another directory than this script.
            let arguments = [&["--allow-root", "--assemble-user", "0"], dropped].concat();
            let name = format!("{}:1", unique("capabilities"));
            let sources = Sources::new()
                .with_script(".s2i/bin/assemble", &SEES.replace("/tmp/src", "/opt/s2i/destination/src"));
            let mut command = b2i_build(place, builder, &sources)
                .args(["--tag", &name, "-o", "oci:image"])
                .args(&arguments);
            let output = command.run();
            assert_built(place, &command, &output);
            let line = format!("| capabilities: {left} {left}!");
            assert_says(place, &output.stderr, &[&line]);
        }
        for unknown in ["NET_ROW", "net raw", "CAP_"] {
            let output = refused(place, builder, &sources, &["--cap-drop", unknown], 2);
            assert_says(place, &output.stderr, &[&format!("`{unknown}` is not a valid capability")]);
        }
    });
    // Who is not root has none in any case, and can get none back.
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--cap-drop", "NET_RAW"]);
        assert_says(place, &image.messages, &["| capabilities: 0000000000000000 "]);
    });
}

#[test]
fn the_script_runs_as_its_user_and_the_image_keeps_its_own() {
    let sources = sources("cp /tmp/src/program .; echo I am $(id -u):$(id -g) in $PWD; touch made");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--assemble-user", "1002:0"]);
        assert_says(place, &image.messages, &["| I am 1002:0 in /opt/app-root/src"]);
        assert_eq!(image.config()["User"], "1001", "{}", place.name());
        assert_eq!(image.shell("stat -c %u:%g made program"), "1002:0\n1002:0");
        let output = refused(place, builder, &sources, &["--assemble-user", "nobody-here"], 5);
        assert_says(place, &output.stderr, &["nobody-here", "--assemble-user"]);
    });
}

#[test]
fn the_entrypoint_does_not_run_around_the_script() {
    let sources = Sources::new().with_script(
        ".s2i/bin/assemble",
        "cp /opt/s2i/destination/src/program .; echo entrypoint: $FOREIGN_ENTRYPOINT, process: $$!",
    );
    everywhere("s2i-foreign:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &[]);
        assert_says(place, &image.messages, &["| entrypoint: , process: 1!"]);
        assert_eq!(image.config()["Entrypoint"], json!(["/usr/local/bin/foreign-entrypoint"]));
    });
}

#[test]
fn builders_with_neither_tar_nor_shell_work() {
    let sources = Sources::new();
    for name in ["assemble", "run"] {
        let script = sources.path().join(".s2i/bin").join(name);
        std::fs::create_dir_all(script.parent().expect("a directory")).expect("made");
        std::fs::copy(TestEnvironment::get().fixture("program"), &script).expect("copies");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("its owner");
    }
    everywhere("no-shell:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--allow-root"]);
        assert_says(place, &image.messages, &["\"program\":\"/tmp/scripts/assemble\""]);
        assert_eq!(image.config()["Cmd"], json!(["/tmp/scripts/run"]), "{}", place.name());
        let report = image.report();
        assert_eq!((&report["program"], &report["pid"]), (&json!("/tmp/scripts/run"), &json!(1)));
    });
}

#[test]
fn labels_of_the_script_are_added_and_override_nobodys() {
    let metadata = r#"{"labels": [{"from.metadata": "yes"}, {"team": "theirs"},
        {"io.openshift.s2i.build.image": "theirs"}, {"io.kubesphere.tags": "theirs"}]}"#;
    let script = |text: &str| {
        sources(&format!(
            "{COPIES}\nmkdir -p /tmp/.s2i\ncat > /tmp/.s2i/image_metadata.json <<'END'\n{text}\nEND"
        ))
    };
    let (good, broken) = (script(metadata), script(r#"{"labels": [{"number": 17}]}"#));
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &good, &["--label", "team=ours"]);
        assert_eq!(
            (&*image.label("from.metadata"), &*image.label("team")),
            ("yes", "ours"),
            "{}",
            place.name()
        );
        assert_ne!(image.label("io.openshift.s2i.build.image"), "theirs");
        // The builder's own label is its script's to change, as S2I has it.
        assert_eq!(image.label("io.kubesphere.tags"), "theirs");
        let output = refused(place, builder, &broken, &[], 6);
        assert_says(place, &output.stderr, &["/tmp/.s2i/image_metadata.json", "hint:"]);
    });
}

#[test]
fn limits_hold_for_the_script() {
    let greedy = sources("exec awk 'BEGIN { text = \"xxxxxxxx\"; while (1) text = text text }'");
    // None of them ends while others are started, however slow the machine is; they end with the script.
    let many =
        sources("cp /tmp/src/program .; for number in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done");
    let endless = sources("echo waiting; exec sleep 86400");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let output = refused(place, builder, &greedy, &["--memory", "32MiB", "--timeout", "1m"], 6);
        assert_says(place, &output.stderr, &["exit code 137", "memory", "--memory"]);
        refused(place, builder, &many, &["--pids-limit", "8"], 6);
        let output = refused(place, builder, &endless, &["--timeout", "3s", "--quiet"], 6);
        assert_says(place, &output.stderr, &["longer than 3 s", "--timeout", "waiting"]);
        let limits = ["--memory", "64MiB", "--cpus", "0.5", "--pids-limit", "40", "--timeout", "2m"];
        Image::build(place, builder, &many, &limits);
    });
}

#[test]
fn the_build_before_is_asked_with_the_same_means() {
    let host = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::set_permissions(host.path(), PermissionsExt::from_mode(0o755)).expect("its owner");
    std::fs::write(host.path().join("input"), "of the host\n").expect("written");
    let save = "grep 10.1.2.3 /etc/hosts >&2; cat /data/input >&2; echo saved > /tmp/saved; exec tar -C /tmp -cf - saved";
    let sources = sources("cp /tmp/src/program .; cat /tmp/artifacts/saved 2>/dev/null || echo nothing")
        .with_script(".s2i/bin/save-artifacts", save);
    let volume = format!("{}:/data:ro", host.path().display());
    everywhere("s2i-kubesphere:1", |place, builder| {
        let registry = TestEnvironment::get().registry();
        let before = format!("{registry}/{}:1", unique("before"));
        let mut command = b2i_build(place, builder, &sources).args(["--push", "--tag", &before]);
        let output = command.run();
        assert_built(place, &command, &output);
        let incremental = format!("--incremental={before}");
        let arguments = [&*incremental, "--volume", &volume, "--add-host", "db.example:10.1.2.3"];
        let image = Image::build(place, builder, &sources, &arguments);
        assert_says(place, &image.messages, &["| 10.1.2.3    db.example", "| of the host", "| saved"]);
        if let Place::Daemon(daemon) = place {
            drop(daemon.adopted_image(&before));
        }
    });
}
