//! A `b2i.toml` that comes with a cloned repository and means harm.

use super::assert_fails;
use crate::environment::{B2iCommand, TestEnvironment};

/// A project with this `b2i.toml` and the static program.
fn project(configuration: &str) -> B2iCommand {
    let command = B2iCommand::new().args(["build", "program", "--output", "docker-archive:out.tar"]);
    let work = command.directory().join("work");
    std::fs::write(work.join("b2i.toml"), configuration).expect("writes");
    std::fs::copy(TestEnvironment::get().fixture("program"), work.join("program")).expect("copies");
    command
}

#[test]
fn keys_that_a_project_may_not_set_are_named() {
    for (key, configuration) in [
        ("docker.host", "[docker]\nhost = \"tcp://evil.example:2375\""),
        ("cache.directory", "[cache]\ndirectory = \"/tmp/evil\""),
        ("bases", "[bases]\n\"docker.io/library/debian:12-slim\" = \"evil.example/debian:12\""),
        ("build.env", "[build]\nenv = { LD_PRELOAD = \"/evil.so\" }"),
        ("build.assemble", "[build]\nassemble = \"docker\""),
        ("build.pull", "[build]\npull = \"always\""),
        ("build.platform", "[build]\nplatform = \"linux/arm64\""),
        ("network.proxies.http", "[network.proxies]\nhttp = \"http://evil.example:3128\""),
        ("network.proxies.https", "[network]\nproxies = { https = \"http://evil.example:3128\" }"),
        ("network.ca-files", "[network]\nca-files = [\"evil.pem\"]"),
        ("network.offline", "network.offline = false"),
        ("network.max-size", "[network]\nmax-size = \"1TB\""),
        ("network.retries", "[network]\nretries = 1000000"),
        ("limits.memory", "[limits]\nmemory = \"1TB\""),
        ("limits.timeout", "[limits]\ntimeout = \"10000h\""),
    ] {
        let mut command = project(configuration);
        assert_fails(
            &mut command,
            2,
            &[&format!("`{key}`"), "project's configuration may not", "hint: ", "b2i.toml:"],
        );
    }
}

#[test]
fn what_a_link_leads_to_is_not_shown() {
    let link = |target: &std::path::Path, command: &B2iCommand| {
        let path = command.directory().join("work/b2i.toml");
        std::fs::remove_file(&path).expect("removes");
        std::os::unix::fs::symlink(target, path).expect("links");
    };
    let mut outwards = project("");
    let secret = outwards.directory().join("token");
    std::fs::write(&secret, "hunter2\n").expect("writes");
    link(&secret, &outwards);
    let output = assert_fails(
        &mut outwards,
        2,
        &["`b2i.toml`", "the link leaves the project", &secret.display().to_string()],
    );
    assert!(!output.stderr.contains("hunter2"), "{}", output.stderr);

    // Within the project, a link is as good as a file.
    let mut inwards = project("");
    std::fs::write(inwards.directory().join("work/own.toml"), "[build]\nports = [\"80\"]").expect("writes");
    link(std::path::Path::new("own.toml"), &inwards);
    assert_eq!(inwards.run().code, Some(0));
}

#[test]
fn template_directories_stay_in_the_project() {
    for directory in ["/etc", "../outside", "templates/../../outside"] {
        let mut command = project(&format!("[templates]\ndirectories = [\"{directory}\"]"));
        assert_fails(&mut command, 2, &[directory, "leaves the project", "b2i.toml:2"]);
    }
    let mut linked = project("[templates]\ndirectories = [\"templates\"]");
    let outside = linked.directory().join("outside");
    write_template(&outside);
    std::os::unix::fs::symlink(&outside, linked.directory().join("work/templates")).expect("links");
    assert_fails(
        &mut linked,
        2,
        &["`templates`", "leaves the project", &outside.display().to_string(), "hint: "],
    );

    // Nor does a link on the way, and not for other commands either.
    for arguments in
        [&["build", "program"][..], &["builders", "list"], &["builders", "export", "mine", "out"]]
    {
        let command = project("[templates]\ndirectories = [\"nested/mine\"]");
        let outside = command.directory().join("outside");
        write_template(&outside.join("mine"));
        std::os::unix::fs::symlink(&outside, command.directory().join("work/nested")).expect("links");
        let mut command = B2iCommand::new().current_dir(&command.directory().join("work")).args(arguments);
        assert_fails(&mut command, 2, &["`nested/mine`", "leaves the project", "hint: "]);
    }

    // Nor does a link in a template lead out.
    let mut inside = project("[templates]\ndirectories = [\"templates\"]");
    let templates = inside.directory().join("work/templates");
    write_template(&templates);
    std::fs::remove_file(templates.join("s2i/bin/run")).expect("removes");
    std::os::unix::fs::symlink("/etc/passwd", templates.join("s2i/bin/run")).expect("links");
    assert_fails(&mut inside, 5, &["s2i/bin/run"]);
}

#[test]
fn a_projects_template_is_run_and_never_placed() {
    let environment = TestEnvironment::get();
    let configuration = "[build]\nbuilder = \"mine\"\n\n[templates]\ndirectories = [\"templates\"]\n";
    let templates = |command: &B2iCommand| write_template(&command.directory().join("work/templates"));

    let mut placed = project(configuration).args(["--assemble", "place"]).daemon(&environment.docker());
    templates(&placed);
    assert_fails(&mut placed, 2, &["--assemble place", "`mine:1`", "hint: "]);

    // It overrides no template of b2i's so that it would be placed for it.
    let mut renamed = project("[templates]\ndirectories = [\"templates\"]\n").args(["--assemble", "place"]);
    templates(&renamed);
    let metadata = renamed.directory().join("work/templates/builder.toml");
    let text = std::fs::read_to_string(&metadata).expect("reads").replace("\"mine\"", "\"binary\"");
    std::fs::write(metadata, text).expect("writes");
    renamed = renamed.daemon(&environment.docker());
    assert_fails(&mut renamed, 2, &["--assemble place", "`binary:1`", "hint: "]);

    let mut without = project(configuration);
    templates(&without);
    assert_fails(&mut without, 9, &["does not answer"]);

    for daemon in environment.daemons() {
        let image = daemon.owned_image("project");
        let mut run =
            project(configuration).args(["--output", "docker", "--tag", image.reference()]).daemon(&daemon);
        templates(&run);
        let output = run.run();
        assert_eq!(output.code, Some(0), "{}: {}", daemon.name, output.stderr);
        assert!(output.stderr.contains("| the project's own assemble"), "{}: {}", daemon.name, output.stderr);
        assert_eq!(super::files(&run.cache().join("tmp")), [""; 0]);
    }
}

/// The binary template, with a base that is there and an `assemble` that says so.
fn write_template(directory: &std::path::Path) {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("builder-images/binary");
    std::fs::create_dir_all(directory.join("s2i/bin")).expect("writes");
    for script in ["assemble", "run", "usage"] {
        let mut text = std::fs::read_to_string(own.join("s2i/bin").join(script)).expect("reads");
        if script == "assemble" {
            text = text.replacen('\n', "\necho \"the project's own assemble\"\n", 1);
        }
        std::fs::write(directory.join("s2i/bin").join(script), text).expect("writes");
    }
    let metadata = std::fs::read_to_string(own.join("builder.toml")).expect("reads");
    let end = metadata.find("# Newest last").expect("the versions follow");
    let base = TestEnvironment::get().image("musl:1");
    let version = format!("[[versions]]\nversion = \"1\"\nbase = \"{base}\"\nlibc = \"musl\"\n");
    let metadata = metadata[..end].replace("\"binary\"", "\"mine\"") + &version;
    std::fs::write(directory.join("builder.toml"), metadata).expect("writes");
}
