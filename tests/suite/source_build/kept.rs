//! What builds leave for the next one or take away: artifacts that an extended build keeps in the cache, and the image
//! before, which `--rm` removes.

use super::made_image::MadeImage;
use super::{Image, Place, Sources, b2i_build, everywhere};
use crate::environment::{B2iCommand, OwnedImage, TestEnvironment};
use crate::failures::assert_clean;

const PLAIN: &str =
    "FROM s2i-foreign:no-labels\nENTRYPOINT []\nCMD [\"/opt/app-root/src/program\", \"plain\"]\n";

const ASSEMBLE: &str = "cp /tmp/src/program .; mkdir deps; \
    cp /tmp/artifacts/deps/count deps/ 2>/dev/null || echo 0 >deps/count; \
    echo $(( $(cat deps/count) + 1 )) >deps/count; echo build $(cat deps/count)";

/// A build of the project with the cache of another call.
fn next(first: &B2iCommand, command: B2iCommand) -> B2iCommand {
    command.env("XDG_CACHE_HOME", first.directory().join("cache"))
}

#[test]
fn an_extended_build_finds_what_the_one_before_kept() {
    let runtime = MadeImage::new("kept", PLAIN);
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", ASSEMBLE)
        .with_script(".s2i/bin/save-artifacts", "echo saving as $(id -u) >&2; exec tar -cf - deps");
    let other = Sources::new()
        .with_script(".s2i/bin/assemble", ASSEMBLE)
        .with_script(".s2i/bin/save-artifacts", "exec tar -cf - deps");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let build = |sources: &Sources| {
            b2i_build(place, builder, sources)
                .args(["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/program"])
                .args(["--incremental", "-o", "docker-archive:out.tar"])
        };
        let mut first = build(&sources);
        let output = first.run();
        super::assert_built(place, &first, &output);
        for line in ["| build 1", "| saving as 1001"] {
            assert!(output.stderr.contains(line), "{}: no {line:?} in {}", place.name(), output.stderr);
        }
        let mut second = next(&first, build(&sources));
        let output = second.run();
        super::assert_built(place, &first, &output);
        assert!(output.stderr.contains("| build 2"), "{}: {}", place.name(), output.stderr);
        let mut third = next(&first, build(&other));
        let output = third.run();
        super::assert_built(place, &first, &output);
        assert!(output.stderr.contains("| build 1"), "another project's: {}", output.stderr);
        let mut info = next(&first, B2iCommand::new().args(["cache", "info", "--format", "json"]));
        let info: serde_json::Value = serde_json::from_str(&info.run().stdout).expect("JSON");
        assert!(info.to_string().contains("build-caches"), "{info}");
        let mut plan = next(&first, build(&sources).arg("--dry-run"));
        let output = plan.run();
        assert!(output.stdout.contains("what the last build of this project kept"), "{}", output.stdout);
    });
}

#[test]
fn a_build_that_waits_for_another_project_says_for_which_key() {
    let runtime = MadeImage::new("kept", PLAIN);
    let sources = |save: &str| {
        Sources::new().with_script(".s2i/bin/assemble", ASSEMBLE).with_script(".s2i/bin/save-artifacts", save)
    };
    let (slow, other) = (sources("echo saving >&2; sleep 60"), sources("exec tar -cf - deps"));
    everywhere("s2i-kubesphere:1", |place, builder| {
        let build = |sources: &Sources| {
            b2i_build(place, builder, sources)
                .args(["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/program"])
                .args(["--incremental", "--cache-key", "team 7", "-o", "docker-archive:out.tar"])
        };
        let first = build(&slow);
        let mut holds = first.spawn();
        holds.wait_for("| saving");
        let second = next(&first, build(&other));
        let mut waits = second.spawn();
        waits.wait_for("waiting for another build that uses the saved artifacts of the key `team 7`");
        holds.kill();
        let output = waits.wait();
        assert_eq!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
        let plan = second.arg("--dry-run").run();
        assert!(plan.stdout.contains("what the last build of the key `team 7` kept"), "{}", plan.stdout);
    });
}

#[test]
fn a_build_that_can_keep_nothing_says_so_and_goes_on() {
    let runtime = MadeImage::new("kept", PLAIN);
    let fails = Sources::new()
        .with_script(".s2i/bin/assemble", ASSEMBLE)
        .with_script(".s2i/bin/save-artifacts", "echo cannot >&2; exit 9");
    let outside = Sources::new()
        .with_script(".s2i/bin/assemble", ASSEMBLE)
        .with_script(".s2i/bin/save-artifacts", "ln -s /etc/passwd deps/away; exec tar -cf - deps");
    everywhere("s2i-kubesphere:1", |place, builder| {
        for (sources, words) in [(&fails, "exit code 9"), (&outside, "leads out of the artifacts")] {
            let arguments =
                ["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/program"];
            let image = Image::build(place, builder, sources, &[&arguments[..], &["--incremental"]].concat());
            let messages = &image.messages;
            for word in ["the next build cannot restore artifacts of this one", words] {
                assert!(messages.contains(word), "{}: no {word:?} in {messages}", place.name());
            }
            assert_eq!(image.report()["arguments"], serde_json::json!(["plain"]));
        }
    });
}

#[test]
fn secrets_of_assemble_are_not_there_for_save_artifacts() {
    let runtime = MadeImage::new("kept", PLAIN);
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(files.path().join("token"), "hunter2").expect("writes");
    let secret = format!("id=token,src={}", files.path().join("token").display());
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", &format!("test -r /run/secrets/token; {ASSEMBLE}"))
        .with_script(".s2i/bin/save-artifacts", "test ! -e /run/secrets/token; exec tar -cf - deps");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments =
            ["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/program"];
        let image = Image::build(
            place,
            builder,
            &sources,
            &[&arguments[..], &["--incremental", "--secret", &secret]].concat(),
        );
        let told = image.messages.contains("`save-artifacts` would see the secrets");
        assert_eq!(told, matches!(place, Place::Sandbox), "{}: {}", place.name(), image.messages);
        assert_eq!(
            image.messages.contains("the next build cannot restore"),
            told,
            "{}: {}",
            place.name(),
            image.messages
        );
    });
}

struct Removing {
    place: crate::s2i_command::Place,
    builder: String,
    name: OwnedImage,
}

impl Removing {
    fn new() -> Self {
        let place = crate::s2i_command::Place::new();
        let environment = TestEnvironment::get();
        let program = std::fs::read(environment.fixture("program")).expect("reads");
        std::fs::create_dir_all(place.work().join("app")).expect("makes");
        std::fs::write(place.work().join("app/program"), program).expect("writes");
        place.write("app/.s2i/bin/assemble", "#!/bin/sh\ncp /tmp/src/program .; date +%N >made\n");
        place.write("app/.s2i/bin/save-artifacts", "#!/bin/sh\nexec tar -cf - made\n");
        Self {
            place,
            builder: environment.image("s2i-kubesphere:1"),
            name: environment.docker().owned_image("rm"),
        }
    }

    fn build(&self, flags: &[&str]) -> (String, String) {
        let arguments =
            [&["build", "--copy"], flags, &["app", &self.builder, self.name.reference()]].concat();
        let ended = self.place.s2i(&arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let image =
            TestEnvironment::get().docker().inspect_image(self.name.reference()).expect("it is built");
        (image["Id"].as_str().expect("has one").to_owned(), ended.stderr)
    }
}

#[test]
fn the_image_before_is_removed_if_nothing_uses_it() {
    let docker = TestEnvironment::get().docker();
    let removing = Removing::new();
    let (first, _) = removing.build(&[]);
    let (second, said) = removing.build(&["--incremental", "--rm"]);
    assert_ne!(first, second);
    assert!(said.contains("removed the previous image of `") && said.contains(&first[7..19]), "{said}");
    assert_eq!(docker.inspect_image(&first), None);

    let other = docker.owned_image("rm-other");
    docker.stdout(&["tag", &second, other.reference()]);
    let (third, said) = removing.build(&["--incremental", "--rm"]);
    assert!(said.contains("stays: its other name is `"), "{said}");
    assert!(docker.inspect_image(&second).is_some());

    let container = docker.text(&["create", &third]);
    let (fourth, said) = removing.build(&["--incremental", "--rm"]);
    assert!(said.contains("stays: ") && said.contains(&third[7..19]), "{said}");
    assert!(docker.inspect_image(&third).is_some(), "a container that has ended stands on it");
    docker.stdout(&["rm", &container]);
    docker.stdout(&["image", "rm", &third]);

    let (fifth, said) = removing.build(&["--incremental"]);
    assert!(!said.contains("removed the previous image"), "{said}");
    assert!(docker.inspect_image(&fourth).is_some(), "only if it is asked for");
    docker.stdout(&["image", "rm", &fourth]);
    assert_ne!(fifth, fourth);
}

#[test]
fn the_first_build_and_one_that_fails_remove_nothing() {
    let docker = TestEnvironment::get().docker();
    let removing = Removing::new();
    let (first, said) = removing.build(&["--incremental", "--rm"]);
    assert!(!said.contains("removed the previous image"), "{said}");
    removing.place.write("app/.s2i/bin/assemble", "#!/bin/sh\nexit 4\n");
    let name = removing.name.reference();
    let ended =
        removing.place.s2i(&["build", "--copy", "--incremental", "--rm", "app", &removing.builder, name]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(docker.inspect_image(name).expect("it is as it was")["Id"], *first);
}

#[test]
fn a_removal_where_nothing_can_be_removed_is_a_usage_error() {
    let removing = Removing::new();
    let name = removing.name.reference();
    let arguments =
        ["build", "--copy", "--incremental", "--rm", "--output", "oci:out", "app", &removing.builder, name];
    let ended = removing.place.s2i(&arguments);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("cannot remove the previous image (`--rm`): the new image does not go to a daemon"),
        "{}",
        ended.stderr
    );
    assert!(!removing.place.work().join("out").exists());
}

#[test]
fn a_kill_while_artifacts_are_saved_leaves_what_was_kept() {
    let runtime = MadeImage::new("kept", PLAIN);
    let sources = |save: &str| {
        Sources::new().with_script(".s2i/bin/assemble", ASSEMBLE).with_script(".s2i/bin/save-artifacts", save)
    };
    let good = sources("exec tar -cf - deps");
    let place = Place::Daemon(TestEnvironment::get().docker());
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let build = |sources: &Sources| {
        b2i_build(&place, &builder, sources)
            .args(["--runtime-image", runtime.name(), "--runtime-artifact", "/opt/app-root/src/program"])
            .args(["--incremental", "-o", "docker-archive:out.tar"])
    };
    let mut first = build(&good);
    assert_eq!(first.run().code, Some(0));
    std::fs::write(
        good.path().join(".s2i/bin/save-artifacts"),
        "#!/bin/sh\necho saving >&2; tar -cf - deps; sleep 60\n",
    )
    .expect("writes");
    let slow = next(&first, build(&good));
    let mut running = slow.spawn();
    running.wait_for("| saving");
    running.kill();
    std::fs::write(good.path().join(".s2i/bin/save-artifacts"), "#!/bin/sh\nexec tar -cf - deps\n")
        .expect("writes");
    let mut after = next(&first, build(&good));
    let output = after.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("| build 2"), "what the first one kept is there: {}", output.stderr);
    assert_clean(&first.cache());
}
