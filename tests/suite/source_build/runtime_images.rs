//! Runtime images: they get what was built, finish it themselves if they can, and are started and asked.

use std::cell::RefCell;

use serde_json::json;

use super::made_image::{MadeImage, script, tree};
use super::{Image, Place, Sources, assert_built, b2i_build, everywhere};
use crate::environment::{B2iCommand, TestEnvironment};
use crate::failures::{assert_clean, files, held_by};

const BUILDS: &str = "mkdir -p /opt/app-root/src/out/lib/deep; cp /tmp/src/program /opt/app-root/src/out/; \
    cd /opt/app-root/src/out; echo library >lib/deep/a; ln lib/deep/a lib/b; ln -s deep/a lib/link; \
    ln -s /etc/passwd lib/away; chmod 640 lib/deep/a; echo left behind >/opt/app-root/src/compiler; \
    echo built for $COLOUR $TOKEN";

/// A plain image with a working directory of its own and no scripts.
const PLAIN: &str = "FROM s2i-foreign:no-labels\nUSER 0\nWORKDIR /srv/app\nRUN chown 1001:0 /srv/app\nUSER 1001\n\
    ENTRYPOINT []\nCMD [\"/srv/app/program\", \"of-the-image\"]\n";

fn finishing() -> String {
    let assemble = "cd /srv/app/bin; id -u; pwd; test -x program; mv lib ../library\necho finished $COLOUR >../made\n\
        mkdir /tmp/.s2i; echo \"{\\\"labels\\\":[{\\\"finished.by\\\":\\\"runtime\\\"}]}\" >/tmp/.s2i/image_metadata.json";
    format!(
        "FROM s2i-foreign:no-labels\nUSER 0\nWORKDIR /srv/app\nRUN chown 1001:0 /srv/app\n{}{}\
         USER 1001\nENTRYPOINT []\nLABEL io.openshift.s2i.scripts-url=image:///usr/lib/rt kept=yes \
         io.openshift.s2i.assemble-input-files='/opt/app-root/src/out/program:bin;/opt/app-root/src/out/lib:bin'\n",
        script("/usr/lib/rt/assemble-runtime", assemble),
        script("/usr/lib/rt/run", "exec /srv/app/bin/program of-the-runtime"),
    )
}

#[test]
fn the_label_says_what_it_gets_and_its_own_scripts_finish_and_start_it() {
    let runtime = MadeImage::new("finishing", &finishing());
    let sources =
        Sources::new().with_script(".s2i/bin/assemble", BUILDS).with(".s2i/environment", "COLOUR=blue\n");
    let trees = RefCell::new(Vec::new());
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments = ["--runtime-image", runtime.name(), "--build-env", "TOKEN=secret"];
        let image = Image::build(place, builder, &sources, &arguments);
        for line in ["| built for blue secret", "| 1001", "| /srv/app/bin"] {
            assert!(image.messages.contains(line), "{}: no {line:?} in {}", place.name(), image.messages);
        }
        let config = image.config();
        assert_eq!(config["Cmd"], json!(["/usr/lib/rt/run"]), "{}", place.name());
        assert_eq!((&config["User"], &config["WorkingDir"]), (&json!("1001"), &json!("/srv/app")));
        assert_eq!(image.label("finished.by"), "runtime");
        assert_eq!(image.label("kept"), "yes");
        assert!(image.label("io.openshift.s2i.build.image").ends_with(builder));
        assert_eq!(image.label("org.opencontainers.image.base.name"), runtime.name());
        let environment = config["Env"].to_string();
        assert!(environment.contains("COLOUR=blue") && !environment.contains("TOKEN"), "{environment}");
        assert_eq!(image.report()["arguments"], json!(["of-the-runtime"]));
        assert_eq!(image.shell("cat /srv/app/made"), "finished blue");
        let nothing =
            "ls -d /tmp/src /tmp/scripts /srv/app/scripts /opt/app-root/src/compiler 2>/dev/null; true";
        assert_eq!(image.shell(nothing), "", "{}: nothing of the build is left", place.name());
        // A link is a link: what it led to in the builder stayed there.
        assert_eq!(
            image.shell("readlink /srv/app/library/away; cat /srv/app/library/link"),
            "/etc/passwd\nlibrary"
        );
        trees.borrow_mut().push((place.name().to_owned(), tree(&image, "/srv/app")));
    });
    let trees = trees.into_inner();
    assert_eq!(trees.len(), 3);
    for (place, tree) in &trees {
        assert_eq!(tree, &trees[0].1, "{place} and {}", trees[0].0);
    }
    assert!(trees[0].1.contains("./library/deep/a -rw-r----- 1001:0"), "{}", trees[0].1);
}

#[test]
fn an_image_without_scripts_is_started_by_its_own_command() {
    let runtime = MadeImage::new("plain", PLAIN);
    let sources = Sources::new().with_script(".s2i/bin/assemble", BUILDS);
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments =
            ["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/out/program"];
        let image = Image::build(place, builder, &sources, &arguments);
        assert_eq!(image.config()["Cmd"], json!(["/srv/app/program", "of-the-image"]));
        assert_eq!(image.report()["arguments"], json!(["of-the-image"]), "{}", place.name());
        assert_eq!(tree(&image, "/srv/app").lines().next(), Some(". drwxr-xr-x 1001:0"));
    });
}

#[test]
fn scripts_of_the_sources_go_before_the_images() {
    let runtime = MadeImage::new("finishing", &finishing());
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", BUILDS)
        .with_script(".s2i/bin/assemble-runtime", "echo of-the-sources; id -u; touch /srv/app/bin/here")
        .with_script(".s2i/bin/run", "exec /srv/app/bin/program of-the-sources");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--runtime-image", runtime.name()]);
        assert!(image.messages.contains("| of-the-sources"), "{}: {}", place.name(), image.messages);
        assert_eq!(image.config()["Cmd"], json!(["/srv/app/scripts/run"]));
        assert_eq!(image.report()["arguments"], json!(["of-the-sources"]), "{}", place.name());
        assert_eq!(image.shell("stat -c %u /srv/app/bin/here"), "1001");
    });
}

#[test]
fn the_user_of_assemble_runtime_is_its_label_or_asked_for_and_not_the_images() {
    let label = format!("{}LABEL io.openshift.s2i.assemble-runtime-user=1002\n", finishing());
    let runtime = MadeImage::new("labelled", &label);
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", BUILDS)
        .with_script(".s2i/bin/assemble-runtime", "echo user $(id -u)");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--runtime-image", runtime.name()]);
        assert!(image.messages.contains("| user 1002"), "{}: {}", place.name(), image.messages);
        assert_eq!(image.config()["User"], "1001");
        let mut command = b2i_build(place, builder, &sources).args([
            "--runtime-image",
            runtime.name(),
            "--allowed-uids",
            "1001",
            "-o",
            "docker-archive:x.tar",
        ]);
        let output = command.run();
        assert_eq!(output.code, Some(5), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("`assemble-runtime` of the runtime image"), "{}", output.stderr);
        assert!(output.stderr.contains("runs as `1002`"), "{}", output.stderr);
    });
}

#[test]
fn allowed_users_hold_for_the_runtime_image_too() {
    let runtime = MadeImage::new("root", "FROM s2i-foreign:no-labels\nUSER 0\nCMD [\"true\"]\n");
    let sources = Sources::new().with_script(".s2i/bin/assemble", "exit 1");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let artifact = ["--runtime-artifact", "/opt/app-root/src/program"];
        let mut command = b2i_build(place, builder, &sources)
            .args(["--runtime-image", runtime.name(), "--allowed-uids", "1000-"])
            .args(artifact);
        let output = command.run();
        assert_eq!(output.code, Some(5), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("runs as `0`; allowed users: 1000-"), "{}", output.stderr);
    });
    let place = crate::s2i_command::Place::new();
    place.write("app/assemble", "");
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let ended = place.s2i(&[
        "build",
        "--copy",
        "app",
        &builder,
        "runtime-refused:1",
        "-u",
        "1000-",
        "--runtime-image",
        runtime.name(),
        "-a",
        "/opt/app-root/src",
    ]);
    assert_eq!(ended.code, 15, "{}", ended.stderr);
}

#[test]
fn what_is_missing_or_fails_ends_the_build_and_leaves_nothing() {
    let plain = MadeImage::new("plain", PLAIN);
    let good = Sources::new().with_script(".s2i/bin/assemble", BUILDS);
    let fails = Sources::new()
        .with_script(".s2i/bin/assemble", BUILDS)
        .with_script(".s2i/bin/assemble-runtime", "echo no licence; exit 23");
    let circle = Sources::new()
        .with_script(".s2i/bin/assemble", "ln -s b a; ln -s a b; ln -s ../../../../proc/self c");
    let absent = format!("{}/absent/runtime:1", TestEnvironment::get().registry());
    let program = "/opt/app-root/src/out/program";
    everywhere("s2i-kubesphere:1", |place, builder| {
        for (sources, image, artifact, code, words) in [
            (
                &good,
                plain.name(),
                Some("/opt/app-root/src/nothing"),
                4,
                &["`/opt/app-root/src/nothing`", "left no file or directory there"][..],
            ),
            (
                &good,
                plain.name(),
                Some("/opt/app-root/src/out/program/x"),
                4,
                &["left no file or directory there"],
            ),
            (&circle, plain.name(), Some("/opt/app-root/src/a"), 4, &["`/opt/app-root/src/a`"]),
            (
                &fails,
                plain.name(),
                Some(program),
                6,
                &["/srv/app/scripts/assemble-runtime", "exit code 23", "no licence"],
            ),
            (
                &good,
                plain.name(),
                None,
                2,
                &["no artifacts are set for the runtime image", "--runtime-artifact"],
            ),
            (&good, &*absent, Some(program), 5, &["absent/runtime:1"]),
        ] {
            let mut command =
                b2i_build(place, builder, sources).args(["--runtime-image", image, "-o", "oci:out"]);
            if let Some(artifact) = artifact {
                command = command.args(["--runtime-artifact", artifact]);
            }
            let output = command.run();
            assert_eq!(output.code, Some(code), "{} {artifact:?}: {}", place.name(), output.stderr);
            for word in words {
                assert!(output.stderr.contains(word), "{}: no {word:?} in {}", place.name(), output.stderr);
            }
            assert_clean(&command.cache());
            assert!(!command.directory().join("work/out").exists(), "nothing half-made");
        }
    });
}

#[test]
fn a_link_at_the_place_is_followed_inside_of_the_builder() {
    let runtime = MadeImage::new("plain", PLAIN);
    let sources = Sources::new().with_script(
        ".s2i/bin/assemble",
        "mkdir -p out/v2; cp /tmp/src/program out/v2/; ln -s v2 out/current; \
         ln -s ../../../../../../opt/app-root/src/out/current/program out/program",
    );
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments = [
            "--runtime-image",
            runtime.name(),
            "--runtime-artifact",
            "/opt/app-root/src/out/current:versions",
            "--runtime-artifact",
            "/opt/app-root/src/out/program",
        ];
        let image = Image::build(place, builder, &sources, &arguments);
        assert_eq!(
            image.shell("cd /srv/app; find . -type f | sort"),
            "./program\n./versions/current/program",
            "{}",
            place.name()
        );
        assert_eq!(image.report()["arguments"], json!(["of-the-image"]));
    });
}

#[test]
fn a_plan_shows_the_runtime_image_and_runs_nothing() {
    let runtime = MadeImage::new("finishing", &finishing());
    let sources = Sources::new().with_script(".s2i/bin/assemble", "exit 1");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let mut command =
            b2i_build(place, builder, &sources).args(["--runtime-image", runtime.name(), "--dry-run"]);
        let output = command.run();
        assert_built(place, &command, &output);
        for word in [
            "/opt/app-root/src/out/lib into /srv/app/bin",
            "/usr/lib/rt/assemble-runtime",
            "/usr/lib/rt/run",
            "the runtime image with what was built",
        ] {
            assert!(output.stdout.contains(word), "{}: no {word:?} in {}", place.name(), output.stdout);
        }
    });
}

#[test]
fn it_goes_to_registries_and_layouts_like_any_image() {
    let runtime = MadeImage::new("plain", PLAIN);
    let sources = Sources::new().with_script(".s2i/bin/assemble", BUILDS);
    let docker = TestEnvironment::get().docker();
    everywhere("s2i-kubesphere:1", |place, builder| {
        let name = format!("{}/{}:1", TestEnvironment::get().registry(), crate::registry::unique("extended"));
        let mut command = b2i_build(place, builder, &sources)
            .args(["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/out/program"])
            .args(["--push", "-o", "oci:out", "--tag", &name]);
        let output = command.run();
        assert_built(place, &command, &output);
        assert!(command.directory().join("work/out/index.json").exists());
        let owned = docker.adopted_image(&name);
        docker.stdout(&["pull", owned.reference()]);
        let ran = docker.run(&["--network", "none", owned.reference()]);
        let report: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("a report");
        assert_eq!(report["arguments"], json!(["of-the-image"]), "{}", place.name());
    });
}

#[test]
fn the_dockerfile_makes_the_same_tree() {
    let runtime = MadeImage::new("finishing", &finishing());
    let sources = Sources::new().with_script(".s2i/bin/assemble", BUILDS);
    let docker = Place::Daemon(TestEnvironment::get().docker());
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let direct = Image::build(&docker, &builder, &sources, &["--runtime-image", runtime.name()]);
    let mut command: B2iCommand = b2i_build(&docker, &builder, &sources).args([
        "--runtime-image",
        runtime.name(),
        "--dockerfile",
        "context",
    ]);
    let output = command.run();
    assert_built(&docker, &command, &output);
    let context = command.directory().join("work/context").display().to_string();
    let name = direct.daemon.owned_image("extended-dockerfile");
    direct.daemon.stdout(&["build", "--quiet", "--network", "none", "--tag", name.reference(), &context]);
    let built = Image { daemon: direct.daemon.clone(), name, messages: String::new() };
    assert_eq!(tree(&built, "/srv/app"), tree(&direct, "/srv/app"));
    for field in ["Cmd", "User", "WorkingDir"] {
        assert_eq!(built.config()[field], direct.config()[field], "{field}");
    }
    assert_eq!(built.report()["arguments"], json!(["of-the-runtime"]));
}

#[test]
fn a_kill_while_assemble_runtime_runs_leaves_nothing_for_the_next_run() {
    let plain = MadeImage::new("plain", PLAIN);
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", BUILDS)
        .with_script(".s2i/bin/assemble-runtime", "echo waiting; sleep 60");
    let docker = TestEnvironment::get().docker();
    everywhere("s2i-kubesphere:1", |place, builder| {
        let command = b2i_build(place, builder, &sources)
            .args(["--runtime-image", plain.name(), "--runtime-artifact", "/opt/app-root/src/out/program"])
            .args(["-o", "docker-archive:out.tar"]);
        let mut running = command.spawn();
        running.wait_for("| waiting");
        let lease = files(&command.cache().join("leases")).remove(0);
        running.kill();
        let daemon = match place {
            Place::Daemon(daemon) => daemon,
            Place::Sandbox => &docker,
        };
        let mut next = B2iCommand::new()
            .daemon(daemon)
            .env("XDG_CACHE_HOME", command.directory().join("cache"))
            .args(["build", "--output", "docker-archive:next.tar"])
            .arg(TestEnvironment::get().fixture("program"));
        let output = next.run();
        assert_eq!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
        assert_eq!(held_by(daemon, &lease), [""; 0], "{}", place.name());
        assert_clean(&command.cache());
        assert_eq!(files(&command.directory().join("work")), [""; 0]);
    });
}

#[test]
fn with_one_id_only_the_owners_are_the_same() {
    let finishing = MadeImage::new("finishing", &finishing());
    let plain = MadeImage::new("plain", PLAIN);
    let builder = crate::daemonless::PushedBase::new("s2i-kubesphere:1");
    let sources = Sources::new().with_script(".s2i/bin/assemble", BUILDS);
    let docker = TestEnvironment::get().docker();
    let program = ["--runtime-artifact", "/opt/app-root/src/out/program"];
    for (runtime, artifacts) in [(&finishing, &[][..]), (&plain, &program)] {
        let trees = [B2iCommand::without_daemon, B2iCommand::as_nobody].map(|who| {
            let name = docker.owned_image("one-id");
            let command =
                who().args(["build", "--source-builder", &builder.name, "--runtime-image", runtime.name()]);
            let mut command = command.args(artifacts).arg(sources.path());
            command = command.args(["-o", "docker-archive:image.tar", "--tag", name.reference()]);
            let output = command.run();
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            docker.stdout(&["load", "-i", &command.directory().join("work/image.tar").display().to_string()]);
            tree(&Image { daemon: docker.clone(), name, messages: String::new() }, "/srv/app")
        });
        assert_eq!(trees[0], trees[1]);
        assert!(trees[0].contains("1001:0"), "{}", trees[0]);
    }
}

#[test]
fn a_rebuild_runs_assemble_runtime_as_the_user_that_was_asked_for() {
    let runtime = MadeImage::new("finishing", &finishing());
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let place = crate::s2i_command::Place::new();
    place.write("app/.s2i/bin/assemble", &format!("#!/bin/sh\nset -e\n{BUILDS}\n"));
    place.write("app/.s2i/bin/assemble-runtime", "#!/bin/sh\necho finishing as $(id -u)\n");
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    std::fs::write(place.work().join("app/program"), program).expect("writes");
    let image = docker.owned_image("extended-user");
    let build = ["build", "--copy", "app", &builder, image.reference(), "--runtime-image", runtime.name()];
    let built = place.s2i(&[&build, &["--assemble-runtime-user", "1003"][..]].concat());
    assert_eq!(built.code, 0, "{}", built.stderr);
    assert!(built.stderr.contains("| finishing as 1003"), "{}", built.stderr);
    let again = place.s2i(&["rebuild", image.reference()]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(again.stderr.contains("| finishing as 1003"), "{}", again.stderr);
}

#[test]
fn a_rebuild_fills_the_runtime_image_again() {
    let plain = MadeImage::new("plain", PLAIN);
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let place = crate::s2i_command::Place::new();
    place.write(
        "app/.s2i/bin/assemble",
        "#!/bin/sh\nset -e\nmkdir out; cp /tmp/src/program out/; chmod 755 out/program\n",
    );
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    std::fs::write(place.work().join("app/program"), program).expect("writes");
    let (first, again) = (docker.owned_image("extended"), docker.owned_image("extended-again"));
    let artifact = "/opt/app-root/src/out/program:.";
    let arguments = [
        "build",
        "--copy",
        "app",
        &builder,
        first.reference(),
        "--runtime-image",
        plain.name(),
        "-a",
        artifact,
    ];
    let built = place.s2i(&arguments);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let rebuilt = place.s2i(&["rebuild", first.reference(), again.reference()]);
    assert_eq!(rebuilt.code, 0, "{}", rebuilt.stderr);
    let config = docker.inspect_image(again.reference()).expect("it is built")["Config"].clone();
    assert_eq!(config["Cmd"], json!(["/srv/app/program", "of-the-image"]));
    let report = docker.run(&["--network", "none", again.reference()]);
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).expect("a report");
    assert_eq!(report["arguments"], json!(["of-the-image"]));
}
