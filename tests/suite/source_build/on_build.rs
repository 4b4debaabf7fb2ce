//! ONBUILD builders: their instructions are carried out, on daemons and in the sandbox alike, or named and refused.

use std::cell::RefCell;

use serde_json::json;

use super::made_image::{MadeImage, tree};
use super::{Image, Place, Sources, b2i_build, everywhere};
use crate::environment::{B2iCommand, DaemonGate, Hold, TestEnvironment};
use crate::failures::{assert_clean, held_by};
use crate::registry::unique;

/// In the style of language images: files of the package first, then a command, then everything.
const STEPS: &str = "FROM s2i-foreign:no-labels\nUSER 0\nENV BASE=b PORT=1\nENTRYPOINT []\nCMD [\"/usr/src/app/program\", \"of-the-image\"]\n\
    ONBUILD ARG MODE=release\n\
    ONBUILD ENV APP=/usr/src/app PORT=\"80 80\" MODE=$MODE\n\
    ONBUILD WORKDIR $APP\n\
    ONBUILD COPY package*.json ./\n\
    ONBUILD RUN chown 1001 .; ls; echo $MODE $BASE $PORT $(id -u) $(pwd); echo installed >modules; echo $GIVEN $TOKEN\n\
    ONBUILD COPY --chown=1001:0 . .\n\
    ONBUILD ADD conf/one.txt /etc/renamed.txt\n\
    ONBUILD COPY conf /etc/conf\n\
    ONBUILD USER 1001\n\
    ONBUILD RUN [\"/bin/sh\", \"-c\", \"cat modules; id -u; echo $MODE >built\"]\n\
    ONBUILD LABEL built.by=\"the $MODE\"\n\
    ONBUILD EXPOSE 8080 53/udp\n\
    ONBUILD VOLUME /var/data\n\
    ONBUILD STOPSIGNAL SIGINT\n\
    ONBUILD HEALTHCHECK CMD test -e built\n";

fn project() -> Sources {
    Sources::new().with("package.json", "{}").with("package-lock.json", "{}").with("conf/one.txt", "one")
}

#[test]
fn instructions_are_carried_out_one_after_the_other_everywhere() {
    let builder = MadeImage::new("onbuild", &format!("{STEPS}ONBUILD RUN chmod g+w built\n"));
    let sources = project();
    let results = RefCell::new(Vec::new());
    everywhere("s2i-kubesphere:1", |place, _| {
        let token = ["--build-env", "TOKEN=secret"];
        let image = Image::build(place, builder.name(), &sources, &token);
        let messages = &image.messages;
        for line in
            ["| package-lock.json", "| release b 80 80 0 /usr/src/app", "| secret", "| installed", "| 1001"]
        {
            assert!(messages.contains(line), "{}: no {line:?} in {messages}", place.name());
        }
        assert!(!messages.contains("| program"), "only what the first COPY names is there then: {messages}");
        let config = image.config();
        let wanted = [
            ("User", json!("1001")),
            ("WorkingDir", json!("/usr/src/app")),
            ("Cmd", json!(["/usr/src/app/program", "of-the-image"])),
            ("ExposedPorts", json!({"53/udp": {}, "8080/tcp": {}})),
            ("Volumes", json!({"/var/data": {}})),
            ("StopSignal", json!("SIGINT")),
        ];
        for (field, value) in wanted {
            assert_eq!(config[field], value, "{} {field}", place.name());
        }
        assert_eq!(config["OnBuild"].as_array().map_or(0, Vec::len), 0, "{config}");
        assert_eq!(image.label("built.by"), "the release");
        let environment = config["Env"].to_string();
        for variable in ["MODE=release", "PORT=80 80", "APP=/usr/src/app", "BASE=b"] {
            assert!(environment.contains(variable), "{}: {environment}", place.name());
        }
        assert!(!environment.contains("TOKEN"), "{environment}");
        assert_eq!(image.report()["arguments"], json!(["of-the-image"]), "{}", place.name());
        assert_eq!(image.shell("cat /etc/renamed.txt /etc/conf/one.txt built"), "oneonerelease");
        results
            .borrow_mut()
            .push((place.name().to_owned(), tree(&image, "/usr/src/app") + &tree(&image, "/etc/conf")));
        if let Place::Daemon(daemon) = place {
            let since = format!("since={}", builder.name());
            for id in daemon.image_ids(&["--all", "--filter", &since, "--filter", "label=io.b2i.lease"]) {
                let env = daemon
                    .inspect_image(&id)
                    .map(|image| image["Config"]["Env"].to_string())
                    .unwrap_or_default();
                assert!(!env.contains("TOKEN=secret"), "{}: nothing between the steps is left", place.name());
            }
        }
    });
    let results = results.into_inner();
    for (place, tree) in &results {
        assert_eq!(tree, &results[0].1, "{place} and {}", results[0].0);
    }
    let tree = &results[0].1;
    for line in [
        "./modules -rw-r--r-- 0:0",
        "./program -rwxr-xr-x 1001:0",
        "./built -rw-rw-r-- 1001:",
        "./one.txt -rw-r--r-- 0:0",
    ] {
        assert!(tree.contains(line), "no {line:?} in {tree}");
    }
}

#[test]
fn a_docker_build_on_the_image_makes_the_same() {
    let builder = MadeImage::new("onbuild", STEPS);
    let sources = project();
    let docker = Place::Daemon(TestEnvironment::get().docker());
    let ours = Image::build(&docker, builder.name(), &sources, &[]);
    let context = sources.path();
    std::fs::write(context.join("Dockerfile"), format!("FROM {}\n", builder.name())).expect("writes");
    let name = ours.daemon.owned_image("onbuild-docker");
    ours.daemon.stdout(&["build", "--quiet", "--tag", name.reference(), &context.display().to_string()]);
    let theirs = Image { daemon: ours.daemon.clone(), name, messages: String::new() };
    let without_dockerfile = |tree: String| {
        let lines: Vec<&str> = tree.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("./Dockerfile")).expect("it was copied");
        [&lines[..at], &lines[at + 2..]].concat().join("\n")
    };
    assert_eq!(tree(&ours, "/usr/src/app"), without_dockerfile(tree(&theirs, "/usr/src/app")));
    assert_eq!(tree(&ours, "/etc/conf"), tree(&theirs, "/etc/conf"));
    let renamed = |image: &Image| image.shell("stat -c '%A %u:%g' /etc/renamed.txt; cat /etc/renamed.txt");
    assert_eq!(renamed(&ours), renamed(&theirs));
    let (ours, theirs) = (ours.config(), theirs.config());
    for field in ["User", "WorkingDir", "Cmd", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck"] {
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    let sorted = |config: &serde_json::Value| {
        let mut list: Vec<String> = serde_json::from_value(config["Env"].clone()).expect("texts");
        list.sort();
        list
    };
    assert_eq!(sorted(&ours), sorted(&theirs));
}

#[test]
fn scripts_of_the_sources_run_behind_the_instructions_and_start_the_result() {
    let builder =
        MadeImage::new("onbuild-copy", "FROM s2i-foreign:no-labels\nONBUILD COPY . /opt/app-root/src/\n");
    let sources = Sources::new()
        .with_script(
            ".s2i/bin/assemble",
            "echo assembling as $(id -u) in $(pwd) with $COLOUR; touch assembled",
        )
        .with_script(".s2i/bin/run", "exec ./program of-the-sources")
        .with(".s2i/environment", "COLOUR=blue\n");
    let found = Sources::new()
        .with_script("start.sh", "exec /opt/app-root/src/program found")
        .with("assemble", "no line");
    everywhere("s2i-kubesphere:1", |place, _| {
        let image = Image::build(place, builder.name(), &sources, &[]);
        let line = "| assembling as 1001 in /opt/app-root/src with blue";
        // `COPY` makes root's files, and the directory is the image's own.
        assert!(image.messages.contains(line), "{}: {}", place.name(), image.messages);
        assert_eq!(image.config()["Entrypoint"], json!(["/opt/app-root/src/run"]));
        assert_eq!(image.report()["arguments"], json!(["of-the-sources"]), "{}", place.name());
        assert_eq!(image.shell("stat -c %u assembled run program | sort -u | tr '\\n' ' '"), "0 1001");
        let image = Image::build(place, builder.name(), &found, &[]);
        assert_eq!(image.config()["Entrypoint"], json!(["/opt/app-root/src/start.sh"]));
        assert_eq!(image.report()["arguments"], json!(["found"]), "{}", place.name());
    });
}

#[test]
fn what_is_not_carried_out_is_named_before_anything_runs() {
    let sources = project();
    for (instruction, words) in [
        ("RUN --mount=type=cache,target=/x true", "the option `--mount=type=cache,target=/x`"),
        ("ADD https://host.example/x /x", "is not in the sources"),
        ("COPY missing.txt /x", "the sources have no `missing.txt`"),
        ("SHELL [\"/bin/sh\", \"-ec\"]", "with the shell of the image"),
        ("HEALTHCHECK --interval=5s CMD true", "without options"),
    ] {
        let config = format!("ONBUILD RUN echo it ran\nONBUILD {instruction}\n");
        let dockerfile = format!("FROM s2i-foreign:no-labels\n{config}");
        let builder = MadeImage::new("onbuild-refused", &dockerfile);
        everywhere("s2i-kubesphere:1", |place, _| {
            let mut command = b2i_build(place, builder.name(), &sources).args(["-o", "docker-archive:x.tar"]);
            let output = command.run();
            assert_eq!(output.code, Some(5), "{} {instruction}: {}", place.name(), output.stderr);
            let named = format!("`ONBUILD {instruction}` of the builder image");
            for word in [&*named, words] {
                assert!(output.stderr.contains(word), "{}: no {word:?} in {}", place.name(), output.stderr);
            }
            assert!(!output.stderr.contains("| it ran"), "{}", output.stderr);
            assert_clean(&command.cache());
        });
    }
}

#[test]
fn a_command_that_fails_ends_the_build_with_its_code_shown_and_no_name() {
    let builder = MadeImage::new(
        "onbuild-fails",
        "FROM s2i-foreign:no-labels\nONBUILD RUN echo first\nONBUILD RUN echo no compiler; exit 37\nONBUILD RUN echo never\n",
    );
    let sources = Sources::new();
    everywhere("s2i-kubesphere:1", |place, _| {
        let docker = TestEnvironment::get().docker();
        let name = match place {
            Place::Daemon(daemon) => daemon.owned_image("onbuild-fails"),
            Place::Sandbox => docker.owned_image("onbuild-fails"),
        };
        let mut command = b2i_build(place, builder.name(), &sources).args(["--tag", name.reference()]);
        if let Place::Sandbox = place {
            command = command.args(["-o", "docker-archive:x.tar"]);
        }
        let output = command.run();
        assert_eq!(output.code, Some(6), "{}: {}", place.name(), output.stderr);
        for word in
            ["`ONBUILD RUN echo no compiler; exit 37` failed with exit code 37", "\n  no compiler", "| first"]
        {
            assert!(output.stderr.contains(word), "{}: no {word:?} in {}", place.name(), output.stderr);
        }
        assert!(!output.stderr.contains("| never"), "{}", output.stderr);
        if let Place::Daemon(daemon) = place {
            assert_eq!(daemon.inspect_image(name.reference()), None);
        }
        assert_clean(&command.cache());
        assert!(!command.directory().join("work/x.tar").exists());
    });
}

#[test]
fn allowed_users_hold_for_instructions() {
    let sources = Sources::new().with_script("run", "true");
    everywhere("s2i-foreign:onbuild", |place, builder| {
        let mut command =
            b2i_build(place, builder, &sources).args(["--allowed-uids", "1-", "-o", "docker-archive:x.tar"]);
        let output = command.run();
        assert_eq!(output.code, Some(5), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("an ONBUILD instruction of"), "{}", output.stderr);
        assert!(output.stderr.contains("runs as `0`; allowed users: 1-"), "{}", output.stderr);
    });
}

#[test]
fn what_they_make_can_be_the_artifact_or_go_into_a_runtime_image() {
    let builder = MadeImage::new(
        "onbuild-makes",
        "FROM s2i-foreign:no-labels\nONBUILD COPY program /opt/app-root/src/out/app\nONBUILD RUN test -x out/app\n",
    );
    let runtime = MadeImage::new(
        "onbuild-runtime",
        "FROM s2i-foreign:no-labels\nENTRYPOINT []\nCMD [\"/opt/app-root/src/app\", \"in-the-runtime\"]\n",
    );
    let sources = Sources::new();
    everywhere("s2i-kubesphere:1", |place, _| {
        let image = Image::build(place, builder.name(), &sources, &["--artifact", "out/app"]);
        assert_eq!(image.report()["program"], "/opt/app-root/bin/binary", "{}", place.name());
        let place_in_builder = ["--runtime-artifact", "/opt/app-root/src/out/app"];
        let arguments = [&["--runtime-image", runtime.name()][..], &place_in_builder].concat();
        let image = Image::build(place, builder.name(), &sources, &arguments);
        assert_eq!(image.report()["arguments"], json!(["in-the-runtime"]), "{}", place.name());
        assert!(!image.config()["Env"].to_string().contains("OnBuild"));
    });
}

#[test]
fn they_are_in_the_plan_and_go_to_a_registry() {
    let builder = MadeImage::new("onbuild", STEPS);
    let sources = project();
    let docker = TestEnvironment::get().docker();
    everywhere("s2i-kubesphere:1", |place, _| {
        let mut plan = b2i_build(place, builder.name(), &sources).args(["--dry-run"]);
        let output = plan.run();
        assert_eq!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
        for word in ["COPY package*.json ./", "USER 1001"] {
            assert!(output.stdout.contains(word), "{}: no {word:?} in {}", place.name(), output.stdout);
        }
        let name = format!("{}/{}:1", TestEnvironment::get().registry(), unique("onbuilt"));
        let mut command = b2i_build(place, builder.name(), &sources).args(["--push", "--tag", &name]);
        let output = command.run();
        super::assert_built(place, &command, &output);
        let owned = docker.adopted_image(&name);
        docker.stdout(&["pull", owned.reference()]);
        let ran = docker.run(&["--network", "none", owned.reference()]);
        let report: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("a report");
        assert_eq!(report["arguments"], json!(["of-the-image"]), "{}", place.name());
    });
}

/// A build of no interest with the same cache, which cleans up.
fn next_run(command: &B2iCommand) -> B2iCommand {
    B2iCommand::new()
        .daemon(&TestEnvironment::get().docker())
        .env("XDG_CACHE_HOME", command.directory().join("cache"))
        .args(["build", "--output", "docker-archive:next.tar"])
        .arg(TestEnvironment::get().fixture("program"))
}

#[test]
fn a_kill_between_two_commands_leaves_nothing_for_the_next_run() {
    let steps = "ONBUILD RUN echo one\nONBUILD RUN echo two\nONBUILD RUN echo three; sleep 60\n";
    let builder = MadeImage::new("onbuild-killed", &format!("FROM s2i-foreign:no-labels\n{steps}"));
    let sources = Sources::new();
    let docker = TestEnvironment::get().docker();
    let place = Place::Daemon(docker.clone());
    for (request, hold) in [("/commit?", Hold::Answer), ("/containers/create", Hold::Answer)] {
        let name = docker.owned_image("onbuild-killed");
        let gate = DaemonGate::new(&docker, request, hold);
        let command = b2i_build(&place, builder.name(), &sources).env("DOCKER_HOST", gate.host()).args([
            "-v",
            "--tag",
            name.reference(),
        ]);
        let (running, lease) = gate.reach(&command, request);
        running.kill();
        gate.wait_until_settled();
        assert_eq!(next_run(&command).run().code, Some(0), "{request}");
        assert_eq!(held_by(&docker, &lease), [""; 0], "{request}");
        assert_eq!(docker.inspect_image(name.reference()), None);
        assert_clean(&command.cache());
    }
    // Two images stand one on the other then.
    let name = docker.owned_image("onbuild-killed");
    let command = b2i_build(&place, builder.name(), &sources).args(["--tag", name.reference()]);
    let mut running = command.spawn();
    running.wait_for("| three");
    let lease = crate::failures::files(&command.cache().join("leases")).remove(0);
    running.kill();
    assert!(held_by(&docker, &lease).len() >= 3, "two images and a container");
    assert_eq!(next_run(&command).run().code, Some(0));
    assert_eq!(held_by(&docker, &lease), [""; 0]);
    assert_clean(&command.cache());
}

#[test]
fn with_one_id_only_all_commands_need_one_user() {
    let same = MadeImage::new(
        "onbuild-same",
        "FROM s2i-foreign:no-labels\nUSER 1001\nENTRYPOINT []\nCMD [\"/opt/app-root/src/program\"]\n\
         ONBUILD COPY . /opt/app-root/src/\nONBUILD RUN echo one >one\nONBUILD RUN cat one; echo two >two\n",
    );
    let other = MadeImage::new(
        "onbuild-other",
        "FROM s2i-foreign:no-labels\nUSER 0\nONBUILD RUN echo one\nONBUILD USER 1001\nONBUILD RUN echo two\n",
    );
    let sources = Sources::new();
    let docker = TestEnvironment::get().docker();
    let build = |who: fn() -> B2iCommand, builder: &MadeImage, name: &str| {
        who()
            .args(["build", "--source-builder", builder.name(), "--allow-root", "--tag", name])
            .args(["-o", "docker-archive:image.tar"])
            .arg(sources.path())
    };
    let trees = [B2iCommand::without_daemon, B2iCommand::as_nobody].map(|who: fn() -> B2iCommand| {
        let name = docker.owned_image("one-id");
        let mut command = build(who, &same, name.reference());
        let output = command.run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        docker.stdout(&["load", "-i", &command.directory().join("work/image.tar").display().to_string()]);
        tree(&Image { daemon: docker.clone(), name, messages: String::new() }, "/opt/app-root/src")
    });
    assert_eq!(trees[0], trees[1]);
    assert!(
        trees[0].contains("./two -rw-r--r-- 1001:0") && trees[0].contains("./program -rwxr-xr-x 0:0"),
        "{}",
        trees[0]
    );
    if rustix::process::geteuid().is_root() {
        let mut command = build(B2iCommand::as_nobody, &other, "never:1");
        let output = command.run();
        assert_eq!(output.code, Some(9), "{}", output.stderr);
        assert!(output.stderr.contains("run as 1001:0 after 0:0"), "{}", output.stderr);
        assert_clean(&command.cache());
    }
}
