//! Sources that become an artifact: one image builds it, the other has the very files of b2i's own.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::{PushedBaseOf, Written};
use crate::build::tree::assert_same_tree_but;
use crate::build::{Image, MAVEN_SETTINGS, asked, fixture, replace_bases_by};
use crate::environment::{B2iCommand, Buildah, Daemon, TestEnvironment};

/// A copy of an example, which others may change.
struct Project(tempfile::TempDir, &'static str);

impl Project {
    fn new(name: &'static str) -> Self {
        let project = Self(tempfile::tempdir().expect("a temporary directory can be made"), name);
        let example = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        let copied = Command::new("cp").args(["-R", &example]).arg(project.0.path()).status();
        assert!(copied.expect("cp starts").success());
        project
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.0.path().join(self.1).join(path);
        std::fs::create_dir_all(path.parent().expect("it is in a directory")).expect("makes");
        std::fs::write(path, text).expect("writes");
        self
    }

    fn path(&self) -> String {
        self.0.path().join(self.1).display().to_string()
    }
}

/// What b2i itself makes of the same arguments.
fn direct(daemon: &Daemon, arguments: &[&str]) -> Image {
    let image = |test: &str| Some(TestEnvironment::get().image(test));
    Image::build_by(replace_bases_by(B2iCommand::new(), image).daemon(daemon), daemon, arguments)
}

/// Compares what a container of both gets: files, and how it is started.
fn assert_starts_the_same(built: &Image, direct: &Image, but: &[&str]) {
    assert_same_tree_but(built, direct, but);
    let (one, two) = (built.inspect()["Config"].clone(), direct.inspect()["Config"].clone());
    for field in ["Cmd", "Entrypoint", "Env", "User", "WorkingDir", "ExposedPorts", "Volumes", "StopSignal"] {
        let nothing = |value: &Value| [json!(null), json!([]), json!({}), json!("")].contains(value);
        let is_same = one[field] == two[field] || nothing(&one[field]) && nothing(&two[field]);
        assert!(is_same, "{field}: {one} {two}");
    }
}

/// The same, with the labels but for what is known only when the artifact is there.
fn assert_same(built: &Image, direct: &Image) {
    assert_starts_the_same(built, direct, &[]);
    let (one, two) = (built.inspect()["Config"].clone(), direct.inspect()["Config"].clone());
    let labels = |config: &Value| {
        let all: BTreeMap<String, Value> =
            serde_json::from_value(config["Labels"].clone()).expect("labels are texts");
        let is_later = |name: &str| {
            ["io.b2i.artifact.", "org.opencontainers.image.base.", "io.buildah."]
                .iter()
                .any(|start| name.starts_with(start))
                || ["org.opencontainers.image.title", "io.k8s.display-name"].contains(&name)
                || name == "io.openshift.s2i.build.source-location"
        };
        all.into_iter().filter(|(name, _)| !is_later(name)).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(labels(&one), labels(&two));
}

#[test]
fn a_go_program_is_the_executable_alone() {
    let project = Project::new("golang");
    let path = project.path();
    let beside = format!("{}:conf/app.properties", fixture("app/application.properties"));
    let arguments = [path.as_str(), "--add", &beside, "--env", "SEEN=a b", "--", "--port", "8080"];
    let tools = TestEnvironment::get().docker();
    let by_direct = direct(&tools, &arguments);
    for daemon in TestEnvironment::get().daemons() {
        let written = Written::on(&daemon, &arguments);
        let built = Image::adopt(&daemon, written.docker_build(&daemon));
        match daemon.name {
            "docker" => assert_same(&built, &by_direct),
            _ => assert_same(&built, &direct(&daemon, &arguments)),
        }
        let history =
            daemon.text(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", built.reference()]);
        assert!(!history.contains("upload"), "the sources are not in it: {history}");
        assert_eq!(asked(&built.serve(&["--read-only"], &["Ann"]), "/hello")["greeting"], "Hello, Ann!");
    }
    let base = PushedBaseOf::new("golang:1.19");
    let written = Written::on_registry(&[&base], &arguments);
    let buildah = Buildah::new();
    buildah.build(&written.context(), &[]);
    let (daemon, image) = buildah.into_docker();
    assert_same(&Image::adopt(&daemon, image), &by_direct);
}

#[test]
fn a_war_keeps_its_second_name() {
    let project = Project::new("maven").with("configuration/settings.xml", MAVEN_SETTINGS);
    let path = project.path();
    let arguments = [path.as_str(), "--context-path", "/shop"];
    let daemon = TestEnvironment::get().docker();
    let by_direct = direct(&daemon, &arguments);
    let written = Written::on(&daemon, &arguments);
    assert!(written.text().contains("(expected: WAR for Java 17, javax.servlet): tomcat:9-jre17"));
    let by_docker = Image::adopt(&daemon, written.docker_build(&daemon));
    let bases = [PushedBaseOf::new("maven:3.8"), PushedBaseOf::new("tomcat:9")];
    let written = Written::on_registry(&[&bases[0], &bases[1]], &arguments);
    let buildah = Buildah::new();
    buildah.build(&written.context(), &[]);
    let (daemon, image) = buildah.into_docker();
    for built in [by_docker, Image::adopt(&daemon, image)] {
        assert_same(&built, &by_direct);
        let names = ["/opt/app-root/bin/binary", "/opt/app-root/tomcat/webapps/shop.war"];
        let numbers =
            built.print(&["--entrypoint", "stat"], &[&["-c", "%i %h %a %u:%g"], &names[..]].concat());
        let lines: Vec<&str> = numbers.lines().collect();
        assert_eq!(lines[0], lines[1], "two names of one file");
        assert!(lines[0].ends_with(" 2 755 0:0"), "{numbers}");
        assert_eq!(asked(&built.serve(&[], &[]), "/shop/hello")["greeting"], "Hello, shop!");
    }
}

#[test]
fn an_assembled_builder_has_the_files_of_b2is_own() {
    let daemon = TestEnvironment::get().docker();
    let foreign = TestEnvironment::get().image("s2i-sclorg:1");
    let own = with_own_script();
    let own = own.path().display().to_string();
    let [node, site] = ["nodejs", "nginx"].map(Project::new);
    let (node, site) = (node.path(), site.path());
    let cases: [(&'static str, Vec<&str>); 3] = [
        ("nodejs:18", vec![&node, "--no-build-cache", "--env", "SEEN=a b"]),
        ("nginx:1.22", vec![&site]),
        ("s2i-sclorg:1", vec![&own, "--source-builder", &foreign, "--env", "SEEN=a b"]),
    ];
    for (base, arguments) in cases {
        let by_direct = direct(&daemon, &arguments);
        let written = Written::on(&daemon, &arguments);
        assert_same(&Image::adopt(&daemon, written.docker_build(&daemon)), &by_direct);
        let base = PushedBaseOf::new(base);
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == foreign { &*base.pushed.name } else { word }).collect();
        let written = Written::on_registry(&[&base], &arguments);
        let buildah = Buildah::new();
        buildah.build(&written.context(), &[]);
        let (docker, image) = buildah.into_docker();
        let built = Image::adopt(&docker, image);
        // buildah leaves the places at which it mounted something where a script ran.
        let mounted = ["dev", "etc/hosts", "etc/resolv.conf", "proc", "run", "run/.containerenv", "sys"];
        assert_starts_the_same(&built, &by_direct, &mounted);
    }
}

/// Sources whose own script makes a program at `out/app`.
fn with_own_script() -> tempfile::TempDir {
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    let script = sources.path().join(".s2i/bin/assemble");
    std::fs::create_dir_all(script.parent().expect("a directory")).expect("makes");
    std::fs::write(script, "#!/bin/sh\nset -e\nmkdir -p out\ncp /tmp/src/program out/app\n").expect("writes");
    std::fs::copy(TestEnvironment::get().fixture("program"), sources.path().join("program")).expect("copies");
    sources
}

#[test]
fn any_builder_makes_an_artifact_for_any_other() {
    let daemon = TestEnvironment::get().docker();
    let sources = with_own_script();
    let path = sources.path().display().to_string();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let made = ["--source-builder", &builder, "--artifact", "out/app", &path];
    // The built-in base, a base with a shell, a script that runs although b2i could place, and another builder image.
    let foreign = TestEnvironment::get().image("s2i-sclorg:1");
    let beside = format!("{}:conf/app.properties", fixture("app/application.properties"));
    for by in [
        &["--builder", "binary"][..],
        &["--builder", "binary:debian12"],
        &["--builder", "binary:debian12", "--assemble", "docker"],
        &["--builder", &foreign],
        &["--builder", &foreign, "--add", &beside],
    ] {
        let arguments = [&made, by].concat();
        let written = Written::on(&daemon, &arguments);
        let built = Image::adopt(&daemon, written.docker_build(&daemon));
        assert_same(&built, &direct(&daemon, &arguments));
        let report = built.report(&["--env", "ARGS=x"], &[]);
        // A foreign builder's own `run` knows no ARGS.
        let arguments = if by[1] == foreign { json!([]) } else { json!(["x"]) };
        assert_eq!((&report["arguments"], &report["pid"]), (&arguments, &json!(1)));
    }
}

#[test]
fn what_runs_an_artifact_has_to_be_known() {
    let daemon = TestEnvironment::get().docker();
    let sources = with_own_script();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let mut command = B2iCommand::new()
        .daemon(&daemon)
        .args(["build", "--source-builder", &builder, "--artifact", "out/app", "--dockerfile", "context"])
        .arg(sources.path());
    let output = command.run();
    assert_eq!(output.code, Some(2), "{}", output.stderr);
    assert!(output.stderr.contains("is known only after the build"), "{}", output.stderr);
    assert!(output.stderr.contains("--builder binary"), "{}", output.stderr);
    assert!(!command.directory().join("work/context").exists());
}

#[test]
fn a_secret_is_mounted_and_leaves_no_trace() {
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    let write = |path: &str, text: &str| {
        let path = sources.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("makes");
        std::fs::write(path, text).expect("writes");
    };
    let secret = "hunter2-b2i-secret";
    write("src/.s2i/bin/assemble", "#!/bin/sh\nset -e\nwc -c </run/secrets/token >length\n");
    write("token", secret);
    let base = PushedBaseOf::new("s2i-sclorg:1");
    let place = |name: &str| sources.path().join(name).display().to_string();
    let of_token = format!("id=token,src={}", place("token"));
    let arguments = ["--source-builder", &base.pushed.name, "--secret", &of_token, &place("src")];
    let written = Written::on_registry(&[], &arguments);
    assert!(written.text().contains("--secret id=token,src=FILE"), "{}", written.text());
    assert!(!written.text().contains(secret));
    let buildah = Buildah::new();
    buildah.build(&written.context(), &["--secret", &of_token]);
    let layout = sources.path().join("layout");
    buildah.push(&format!("oci:{}:built", layout.display()));
    let (daemon, image) = buildah.into_docker();
    let image = Image::adopt(&daemon, image);
    let length = image.print(&["--entrypoint", "cat"], &["/opt/app-root/src/length"]);
    assert_eq!(length.trim(), secret.len().to_string(), "the script has seen it");
    let found = Command::new("sh")
        .args(["-c", "for blob in \"$0\"/blobs/sha256/*; do zcat -f \"$blob\"; done | grep -c -a \"$1\""])
        .arg(&layout)
        .arg(secret)
        .output()
        .expect("sh starts");
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), "0", "no layer and no config has it");
}

#[test]
fn an_incremental_build_takes_over_what_the_image_before_saved() {
    let daemon = TestEnvironment::get().docker();
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    let write = |path: &str, text: &str| {
        let path = sources.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("makes");
        std::fs::write(path, text).expect("writes");
    };
    let (builder, image) = (TestEnvironment::get().image("s2i-sclorg:1"), daemon.owned_image("incremental"));
    write("first", "1");
    let path = sources.path().display().to_string();
    let mut first = B2iCommand::new().daemon(&daemon);
    first = first.args(["build", &path, "--source-builder", &builder, "--tag", image.reference()]);
    let output = first.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    std::fs::remove_file(sources.path().join("first")).expect("it is there");
    write("second", "2");
    let incremental = format!("--incremental={}", image.reference());
    let of = |image: &Image| image.print(&["--entrypoint", "ls"], &["/opt/app-root/src"]);
    let made = |save: Option<&str>| {
        if let Some(script) = save {
            write(".s2i/bin/save-artifacts", script);
        }
        let written = Written::on(&daemon, &[&path, "--source-builder", &builder, &incremental]);
        Image::adopt(&daemon, written.docker_build(&daemon))
    };
    let built = made(None);
    assert_eq!(of(&built).split_whitespace().collect::<Vec<_>>(), ["bin", "first", "second"]);
    // As with S2I, a script that fails is no reason not to build; half of what it says is not taken.
    let built = made(Some("#!/bin/sh\ntar -cf - first\nexit 3\n"));
    assert_eq!(of(&built).split_whitespace().collect::<Vec<_>>(), ["bin", "second"]);
    let built = made(Some("#!/bin/sh\nexit 0\n"));
    assert_eq!(of(&built).split_whitespace().collect::<Vec<_>>(), ["bin", "second"]);
}
