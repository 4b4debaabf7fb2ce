//! Sources by the command line of s2i: the image, and the same as a Dockerfile.

use super::*;
use crate::environment::Daemon;

fn config(daemon: &Daemon, image: &str) -> serde_json::Value {
    daemon.inspect_image(image).expect("the image is there")["Config"].clone()
}

#[test]
fn an_image_is_built_quietly_and_again_as_a_dockerfile() {
    let daemon = TestEnvironment::get().docker();
    let place = Place::new();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    std::fs::create_dir(place.work().join("src")).expect("makes");
    std::fs::copy(TestEnvironment::get().fixture("program"), place.work().join("src/program"))
        .expect("copies");
    let (direct, rendered) = (daemon.owned_image("s2i-direct"), daemon.owned_image("s2i-rendered"));
    let (direct, rendered) = (direct.reference(), rendered.reference());
    let flags = ["build", "src", "-e", "SEEN=a b", &builder, direct, "--copy", "-pnever", "-nshop"];
    let built = place.s2i(&flags);
    assert_eq!((built.code, built.stdout.as_str()), (0, ""), "{}", built.stderr);
    assert!(built.stderr.contains(direct), "{}", built.stderr);

    // Other files beside the Dockerfile are nobody's business but their owner's.
    place.write("context/notes.txt", "mine");
    let flags =
        [&flags[..5], &[rendered], &flags[6..], &["--as-dockerfile", "context/Dockerfile.s2i"]].concat();
    for _ in 0..2 {
        let written = place.s2i(&flags);
        assert_eq!((written.code, written.stdout.as_str()), (0, ""), "{}", written.stderr);
    }
    let context = place.work().join("context");
    assert_eq!(std::fs::read_to_string(context.join("notes.txt")).expect("there"), "mine");
    let file = context.join("Dockerfile.s2i").display().to_string();
    daemon.stdout(&[
        "build",
        "--quiet",
        "--force-rm",
        "--tag",
        rendered,
        "--file",
        &file,
        &context.display().to_string(),
    ]);
    let (one, two) = (config(&daemon, direct), config(&daemon, rendered));
    for field in ["Cmd", "Entrypoint", "Env", "User", "WorkingDir", "ExposedPorts", "Labels"] {
        let (one, two) = (&one[field], &two[field]);
        assert_eq!(one, two, "{field}");
    }
    assert_eq!(one["Labels"]["io.k8s.display-name"], "shop");
    let text = |image| daemon.run(&["--hostname", "one", image]).stdout;
    assert_eq!(text(direct), text(rendered));

    // A Dockerfile of somebody else is not written over.
    place.write("context/Dockerfile.s2i", "FROM scratch\n");
    assert_eq!(place.s2i(&flags).code, 1);
}

#[test]
fn what_was_typed_once_is_kept_for_the_next_time() {
    let daemon = TestEnvironment::get().docker();
    let place = Place::new();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    std::fs::copy(TestEnvironment::get().fixture("program"), place.work().join("program")).expect("copies");
    place.write(".s2iignore", ".s2ifile\n");
    let image = daemon.owned_image("s2i-kept");
    let image = image.reference();
    let first = place.s2i(&["build", ".", &builder, image, "--copy", "-e", "KEPT=a,b", "--use-config"]);
    assert_eq!(first.code, 0, "{}", first.stderr);
    daemon.stdout(&["image", "rm", image]);
    let second = place.s2i(&["build", "--use-config", "-n", "new name"]);
    assert_eq!(second.code, 0, "{}", second.stderr);
    let config = config(&daemon, image);
    assert_eq!(config["Labels"]["io.k8s.display-name"], "new name");
    assert!(config["Env"].to_string().contains("KEPT=a,b"), "{}", config["Env"]);
}

#[test]
fn secrets_never_get_into_a_dockerfile() {
    let place = Place::new();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    place.write("src/program", "#!/bin/sh\n");
    place.write("secret/token", "hunter2");
    let b2i = |options: &[&str]| {
        let mut command = place.command(Path::new(env!("CARGO_BIN_EXE_b2i")));
        command.args(["build", "src", "--source-builder", &builder, "--dockerfile", "out"]).args(options);
        Ended::of(command.env("TOKEN", "hunter2").output().expect("b2i starts"))
    };
    for options in [&["--build-env", "TOKEN"][..], &["--inject", "secret:/etc"], &["--volume", "/etc:/mnt"]] {
        let ended = b2i(options);
        assert_eq!(ended.code, 2, "{options:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("a Dockerfile cannot have"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2") && !place.work().join("out").exists());
    }
    let ended = b2i(&["--secret", "id=token,src=secret/token"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let text = std::fs::read_to_string(place.work().join("out/Dockerfile")).expect("written");
    let mount = "RUN --mount=type=secret,id=token,target=/run/secrets/token,required=true,uid=1001,gid=0 [";
    assert!(text.contains(mount), "{text}");
    assert!(!text.contains("hunter2"));
}

#[test]
fn usage_is_printed_as_it_is() {
    let ended = Place::new().s2i(&["usage", &TestEnvironment::get().image("s2i-sclorg:1")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""));
    assert!(ended.stderr.starts_with("s2i build "), "{}", ended.stderr);
    let none = Place::new().s2i(&["usage", &TestEnvironment::get().image("s2i-kubesphere:1")]);
    assert_eq!(none.code, 11, "{}", none.stderr);
}

#[test]
fn a_dockerfile_without_sources_builds_what_is_put_beside_it() {
    let daemon = TestEnvironment::get().docker();
    let place = Place::new();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let image = daemon.owned_image("s2i-generated");
    let image = image.reference();
    let ended = place.s2i(&["generate", &builder, "out/Dockerfile.gen", "-e", "A=$HOME"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, ""), "{}", ended.stderr);
    let context = place.work().join("out");
    std::fs::copy(TestEnvironment::get().fixture("program"), context.join("upload/src/program"))
        .expect("copies");
    let file = context.join("Dockerfile.gen").display().to_string();
    daemon.stdout(&[
        "build",
        "--quiet",
        "--force-rm",
        "--tag",
        image,
        "--file",
        &file,
        &context.display().to_string(),
    ]);
    assert!(config(&daemon, image)["Env"].to_string().contains("A=$HOME"));
    assert!(daemon.run(&[image]).status.success());
}

#[test]
fn a_result_without_a_tag_has_no_name_and_takes_none() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let place = Place::new();
    // As Docker names what nobody has named by the source.
    let source = format!("source-{}", std::process::id());
    place.write(&format!("{source}/program"), "#!/bin/sh\n");
    let other = docker.adopted_image(&format!("{source}:latest"));
    docker.stdout(&["tag", &TestEnvironment::get().image("s2i-sclorg:1"), other.reference()]);
    let before = docker.inspect_image(other.reference()).expect("it was named")["Id"].clone();
    let ended = place.s2i(&["build", "--copy", &source, &builder]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(docker.inspect_image(other.reference()).expect("it stays")["Id"], before);
    let id = ended.stderr.lines().find_map(|line| line.trim().strip_prefix("sha256:")).expect("its ID");
    let made = docker.inspect_image(id).expect("it is in the daemon");
    assert_eq!(made["RepoTags"], serde_json::json!([]));
    assert_eq!(made["Config"]["Labels"]["io.k8s.display-name"], *source);
    docker.stdout(&["image", "rm", id]);
}

#[test]
fn a_fourth_word_is_ignored_and_the_tag_is_the_display_name() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let place = Place::new();
    place.write("source/program", "#!/bin/sh\n");
    let image = docker.owned_image("fourth");
    let ended = place.s2i(&["build", "source", &builder, image.reference(), "words", "--copy"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("`words` has no effect"), "{}", ended.stderr);
    let made = docker.inspect_image(image.reference()).expect("it has its name");
    assert_eq!(made["Config"]["Labels"]["io.k8s.display-name"], *image.reference());
}

#[test]
fn the_header_of_a_generated_dockerfile_names_it() {
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    for (file, command) in
        [("Dockerfile.gen", "docker build -f Dockerfile.gen .\n"), ("Dockerfile", "docker build .\n")]
    {
        let place = Place::new();
        let ended = place.s2i(&["generate", &builder, file]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let text = std::fs::read_to_string(place.work().join(file)).expect("written");
        assert!(text.contains(command), "{text}");
    }
}

#[test]
fn a_dockerfile_needs_no_image_if_its_scripts_are_named() {
    let place = Place::new();
    place.write("src/program", "#!/bin/sh\n");
    // Nothing listens there.
    let builder = "127.0.0.1:9/nobody/builder:1";
    let arguments = ["build", "--copy", "src", builder, "--as-dockerfile", "out/Dockerfile"];
    let ended = place.s2i(&arguments);
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    let named = [&arguments[..], &["--image-scripts-url", "image:///opt/scripts"]].concat();
    let ended = place.s2i(&named);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot look at the builder image"), "{}", ended.stderr);
    let text = std::fs::read_to_string(place.work().join("out/Dockerfile")).expect("written");
    for line in [&format!("FROM {builder}"), "USER 1001", "/opt/scripts/assemble", "/opt/scripts/run"] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
