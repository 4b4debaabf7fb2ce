//! Each Dockerfile of a template for sources gives a builder image that plain S2I builds the examples with, as any user,
//! without a network, and incrementally.

use super::builder_images::{docker_build, plain_s2i};
use super::*;

/// Users that no image knows, as OpenShift has them.
const BUILDS: [&str; 2] = ["--user", "23456:0"];
const RUNS: [&str; 5] = ["--read-only", "--tmpfs", "/tmp", "--user", "34567:0"];

/// The command of an image of plain S2I, which has no entrypoint: arguments of the program follow it.
const RUN: &str = "/usr/libexec/s2i/run";

/// A project of `examples/`.
fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// Maven's settings for the repository that the test image has.
pub(crate) const MAVEN_SETTINGS: &str = r#"<settings>
  <profiles><profile><id>image</id>
    <repositories><repository><id>central</id><url>file:///usr/share/maven-repo</url>
      <releases><checksumPolicy>ignore</checksumPolicy></releases></repository></repositories>
    <pluginRepositories><pluginRepository><id>central</id><url>file:///usr/share/maven-repo</url>
      <releases><checksumPolicy>ignore</checksumPolicy></releases></pluginRepository></pluginRepositories>
  </profile></profiles>
  <activeProfiles><activeProfile>image</activeProfile></activeProfiles>
</settings>
"#;

/// What S2I uploads: the sources (an example's, if it is named), further files, and what save-artifacts gave before.
fn upload(example_name: &str, more: &[(&str, &str)], artifacts: Option<&[u8]>) -> Vec<u8> {
    let mut upload = tar::Builder::new(Vec::new());
    if !example_name.is_empty() {
        upload.append_dir_all("src", example(example_name)).expect("an example can be read");
    }
    let mut add = |path: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(bytes.len() as u64);
        upload.append_data(&mut header, path, bytes).expect("writing to memory");
    };
    for (path, text) in more {
        add(&format!("src/{path}"), text.as_bytes());
    }
    if let Some(artifacts) = artifacts {
        add("artifacts.tar", artifacts);
    }
    upload.into_inner().expect("writing to memory")
}

fn saved(daemon: &Daemon, image: &OwnedImage) -> Vec<u8> {
    let command = ["--network", "none", "--entrypoint", "/usr/libexec/s2i/save-artifacts", image.reference()];
    let output = daemon.run(&command);
    assert!(output.status.success(), "save-artifacts: {output:?}");
    output.stdout
}

/// Builds an example twice, the second time with what the first left, and returns the second image with what its
/// `assemble` said.
fn built_twice(template: &str, base: &str, more: &[(&str, &str)]) -> (Daemon, OwnedImage, String) {
    let daemon = TestEnvironment::get().docker();
    let builder = docker_build(&daemon, template, base);
    let (first, _) = plain_s2i(&daemon, builder.reference(), upload(template, more, None), &BUILDS);
    let artifacts = saved(&daemon, &first);
    let (second, said) =
        plain_s2i(&daemon, builder.reference(), upload(template, more, Some(&artifacts)), &BUILDS);
    let left = daemon.run(&["--entrypoint", "/bin/sh", second.reference(), "-c", "ls -A /tmp"]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "{template}: nothing is left in /tmp");
    (daemon, second, said)
}

/// Starts an image as another user on a read-only root, asks it, and stops it by its signal.
fn serves(daemon: &Daemon, image: &OwnedImage, options: &[&str], arguments: &[&str]) -> Value {
    let published = ["--publish", "127.0.0.1::8080"];
    let container =
        daemon.start(&[&published, &RUNS[..], options, &[image.reference(), RUN], arguments].concat());
    let report = asked(&container, "/hello");
    let code = container.stop();
    assert_ne!(code, 137, "it ends by the signal and need not be killed: {}", container.logs());
    report
}

#[test]
fn golang() {
    let (daemon, image, said) = built_twice("golang", "golang:1.19", &[]);
    assert!(said.contains("modules come from vendor/"), "{said}");
    assert!(said.contains("what the build before left as build is used"), "{said}");
    let output = daemon.run(&[&RUNS, &["-e", "ARGS='a b'", image.reference(), RUN, "c"][..]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(
        report,
        serde_json::json!({"greeting": "Hello, a b and c!", "arguments": ["a b", "c"], "pid": 1})
    );
    let report = serves(&daemon, &image, &["-e", "ARGS=--port 8080"], &["a b"]);
    assert_eq!(words(&report, "arguments"), ["--port", "8080", "a b"]);
}

#[test]
fn maven() {
    let settings = ("configuration/settings.xml", MAVEN_SETTINGS);
    let (daemon, image, said) = built_twice("maven", "maven:3.8", &[settings]);
    assert!(said.contains("what the build before left as repository is used"), "{said}");
    let list = ["--entrypoint", "/bin/ls", image.reference(), "/opt/app-root/out", "/opt/app-root/bin"];
    let listed = String::from_utf8(daemon.run(&list).stdout).expect("UTF-8");
    assert!(listed.contains("shop.war") && listed.contains("binary"), "{listed}");

    // What the build left is a repository that can be brought along; no settings lead elsewhere then.
    let mut sources = tar::Builder::new(Vec::new());
    sources.append_dir_all("src", example("maven")).expect("an example can be read");
    let saved = saved(&daemon, &image);
    let mut repository = tar::Archive::new(saved.as_slice());
    for entry in repository.entries().expect("save-artifacts writes a tar") {
        let mut entry = entry.expect("an entry");
        let path = Path::new("src/.m2").join(entry.path().expect("a path"));
        let mut header = entry.header().clone();
        sources.append_data(&mut header, path, &mut entry).expect("writing to memory");
    }
    let sources = sources.into_inner().expect("writing to memory");
    let builder = docker_build(&daemon, "maven", "maven:3.8");
    let (_, said) = plain_s2i(&daemon, builder.reference(), sources, &BUILDS);
    assert!(said.contains("plugins and dependencies come from .m2/repository"), "{said}");
    assert!(said.contains("BUILD SUCCESS"), "{said}");
}

#[test]
fn nodejs() {
    let (daemon, image, said) = built_twice("nodejs", "nodejs:18", &[]);
    assert!(said.contains("the node_modules of the build before are used"), "{said}");
    let report = serves(&daemon, &image, &["-e", "ARGS='a b' '$(id)'"], &["c"]);
    assert_eq!(report["greeting"], "Hello there, a b, $(id) and c!");
    assert_eq!((&report["pid"], words(&report, "arguments").len()), (&1.into(), 5));
}

#[test]
fn node_build_scripts_have_their_tools_and_leave_them_behind() {
    let package = r#"{"name": "built", "scripts": {"build": "make-page", "start": "NAME=built node page.js --x"},
        "devDependencies": {"tool": "file:tool"}}"#;
    let tool = "#!/usr/bin/env node\nrequire('fs').writeFileSync('page.js', \"require('http').createServer((q, r) => \
        r.end(JSON.stringify({pid: process.pid, name: process.env.NAME, arguments: process.argv.slice(2)}))).listen(8080)\")\n";
    let files = [
        ("package.json", package),
        ("tool/package.json", r#"{"name": "tool", "version": "1.0.0", "bin": {"make-page": "make.js"}}"#),
        ("tool/make.js", tool),
    ];
    let daemon = TestEnvironment::get().docker();
    let builder = docker_build(&daemon, "nodejs", "nodejs:18");
    let (image, said) = plain_s2i(&daemon, builder.reference(), upload("", &files, None), &BUILDS);
    assert!(said.contains("npm run build"), "{said}");
    let report = serves(&daemon, &image, &["-e", "ARGS='a b'"], &["c"]);
    assert_eq!(report, serde_json::json!({"pid": 1, "name": "built", "arguments": ["--x", "a b", "c"]}));
    let modules = [
        "--entrypoint",
        "/bin/sh",
        image.reference(),
        "-c",
        "ls node_modules; ls -A /opt/app-root/cache/npm",
    ];
    assert_eq!(String::from_utf8_lossy(&daemon.run(&modules).stdout), "", "tools and caches stay behind");
}

#[test]
fn python() {
    let (daemon, image, said) = built_twice("python", "python:3.11", &[]);
    assert!(said.contains("the packages of the build before are used"), "{said}");
    let report = serves(&daemon, &image, &["-e", "ARGS='a b' '$(id)'"], &["c"]);
    assert_eq!(
        report,
        serde_json::json!({"greeting": "Hello, a b, $(id) and c!", "arguments": ["a b", "$(id)", "c"], "pid": 1})
    );
    let caches = ["--entrypoint", "/bin/ls", image.reference(), "-A", "/opt/app-root/cache/pip"];
    assert!(daemon.run(&caches).stdout.is_empty(), "no cache is left");
}

#[test]
fn nginx() {
    let daemon = TestEnvironment::get().docker();
    let builder = docker_build(&daemon, "nginx", "nginx:1.22");
    let more = [(".env", "SECRET=1"), ("two words.txt", "words")];
    let (image, said) = plain_s2i(&daemon, builder.reference(), upload("nginx", &more, None), &BUILDS);
    assert!(said.contains("nginx-default-cfg/hello.conf is used"), "{said}");
    let published = ["--publish", "127.0.0.1::8080"];
    let container = daemon.start(&[&published, &RUNS[..], &[image.reference()]].concat());
    assert_eq!(asked(&container, "/hello")["greeting"], "Hello, world!");
    assert!(container.get(8080, "/").1.contains("<h1>Hello, world!</h1>"));
    assert_eq!(container.get(8080, "/two%20words.txt"), (200, "words".to_owned()));
    for hidden in ["/.env", "/nginx-default-cfg/hello.conf", "/none"] {
        assert_eq!(container.get(8080, hidden).0, 404, "{hidden}");
    }
    assert_eq!(container.stop(), 0, "{}", container.logs());
    // nginx notes a request after it has answered; what it has not noted when it ends it never will.
    assert!(container.logs().contains("GET /none"), "{}", container.logs());
    // A configuration that nginx does not take ends the build, not the container.
    let broken = upload("nginx", &[("nginx-cfg/broken.conf", "nonsense;")], None);
    let output = std::panic::catch_unwind(|| plain_s2i(&daemon, builder.reference(), broken, &BUILDS));
    let said = output.err().and_then(|error| error.downcast::<String>().ok()).expect("assemble fails");
    assert!(said.contains("unknown directive \"nonsense\""), "{said}");
}
