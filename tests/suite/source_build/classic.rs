//! The classic scenario, whole: the examples are built from their sources, without a network, by the builder that their
//! build file chooses, on Docker and in the sandbox; what comes out is started, asked, and the same from both.

use std::process::Command;

use serde_json::{Value, json};

use crate::build::{Image, MAVEN_SETTINGS, asked, replace_bases_by, words};
use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, Daemon, TestEnvironment};
use crate::failures::assert_clean;
use crate::registry::unique;

/// An image is run as a user that it does not know, on a root that cannot be written to.
const RUNS: [&str; 5] = ["--read-only", "--tmpfs", "/tmp", "--user", "34567:0"];

/// A project of `examples/`, as somebody has it in a directory.
struct Project(tempfile::TempDir, &'static str);

impl Project {
    fn new(name: &'static str) -> Self {
        let project = Self(tempfile::tempdir().expect("a temporary directory can be made"), name);
        let example = format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"));
        // As a user of the sandbox reads it.
        let script = format!("chmod a+rx {0} && cp -R {example} {0}/", project.0.path().display());
        assert!(Command::new("sh").args(["-c", &script]).status().expect("sh starts").success());
        project
    }

    fn with(self, path: &str, text: &str) -> Self {
        super::write(&self.0.path().join(self.1).join(path), text);
        self
    }

    fn path(&self) -> String {
        self.0.path().join(self.1).display().to_string()
    }

    /// Builds it on Docker, and in the sandbox, for which the bases are in the registry. The images are both in Docker
    /// then, and `by` has chosen and built them.
    fn built(&self, by: &str, bases: &[&'static str]) -> [Image; 2] {
        let environment = TestEnvironment::get();
        let docker = environment.docker();
        let command =
            replace_bases_by(B2iCommand::new(), |test| Some(environment.image(test))).daemon(&docker);
        let on_docker = Image::build_by(command, &docker, &[&self.path()]);
        assert!(on_docker.messages.contains(&format!("Planned {by}")), "{}", on_docker.messages);
        [on_docker, self.built_in_sandbox(&docker, by, bases)]
    }

    fn built_in_sandbox(&self, docker: &Daemon, by: &str, bases: &[&'static str]) -> Image {
        let pushed: Vec<PushedBase> = bases.iter().map(|base| PushedBase::new(base)).collect();
        let name_of = |test: &str| {
            let position = bases.iter().position(|base| *base == test)?;
            Some(pushed[position].name.clone())
        };
        let name = format!("{}/{}:1", TestEnvironment::get().registry(), unique("classic"));
        let mut command = replace_bases_by(B2iCommand::without_daemon(), name_of)
            .args(["build", "--push", "--tag", &name])
            .arg(self.path());
        let output = command.run();
        assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
        assert!(output.stderr.contains(&format!("Planned {by}")), "{}", output.stderr);
        assert_clean(&command.cache());
        Image::pull(docker, &name)
    }
}

/// Starts an image, asks it, and stops it by its signal.
fn answer(image: &Image, options: &[&str], arguments: &[&str]) -> Value {
    let container = image.serve(&[&RUNS, options].concat(), arguments);
    let report = asked(&container, "/hello");
    let code = container.stop();
    assert_ne!(code, 137, "it ends by the signal and need not be killed: {}", container.logs());
    report
}

#[test]
fn a_go_program_with_vendored_modules_becomes_the_executable_on_the_static_base() {
    let images = Project::new("golang").built("golang:1.24", &["golang:1.19"]);
    assert_eq!(images[0].id, images[1].id, "the same artifact makes the same image");
    for image in &images {
        assert!(
            !image.inspect()["Config"]["Env"].to_string().contains("GOPATH"),
            "the toolchain stays behind"
        );
        let report = image.report(&[&RUNS, &["-e", "ARGS='a b' '$(id)'"][..]].concat(), &["last"]);
        assert_eq!(
            report,
            json!({"greeting": "Hello, a b, $(id) and last!", "arguments": ["a b", "$(id)", "last"], "pid": 1})
        );
        let report = answer(image, &["-e", "ARGS=--port 8080"], &["Ann"]);
        assert_eq!((&report["greeting"], &report["pid"]), (&json!("Hello, Ann!"), &json!(1)));
    }
}

#[test]
fn a_maven_project_becomes_a_war_on_tomcat() {
    let project = Project::new("maven").with("configuration/settings.xml", MAVEN_SETTINGS);
    let images = project.built("maven:3.9-jdk17", &["maven:3.8", "tomcat:9"]);
    // The names of the bases, which the configs tell, are two.
    let layers = images.each_ref().map(|image| image.inspect()["RootFS"].clone());
    assert_eq!(layers[0], layers[1], "the same sources make the same layers");
    for image in &images {
        let report = answer(image, &["-e", "JAVA_OPTS='-Dword=a b'"], &[]);
        assert_eq!((&report["greeting"], &report["pid"]), (&json!("Hello, shop!"), &json!(1)));
        assert!(words(&report, "arguments").contains(&"-Dword=a b".to_owned()), "{report}");
    }
}

#[test]
fn a_node_service_is_the_image() {
    let images = Project::new("nodejs").built("nodejs:20", &["nodejs:18"]);
    for image in &images {
        let report = answer(image, &["-e", "ARGS='a b' '$(id)'"], &["last"]);
        assert_eq!(
            (&report["greeting"], &report["pid"]),
            (&json!("Hello there, a b, $(id) and last!"), &json!(1))
        );
    }
}

#[test]
fn a_python_service_is_the_image() {
    let images = Project::new("python").built("python:3.14", &["python:3.11"]);
    for image in &images {
        let report = answer(image, &["-e", "ARGS='a b' '$(id)'"], &["last"]);
        assert_eq!((&report["greeting"], &report["pid"]), (&json!("Hello, a b, $(id) and last!"), &json!(1)));
    }
}

#[test]
fn a_site_is_the_image() {
    let images = Project::new("nginx").built("nginx:1.28", &["nginx:1.22"]);
    let pages = images.each_ref().map(|image| {
        let container = image.serve(&RUNS, &[]);
        assert_eq!(asked(&container, "/hello")["greeting"], "Hello, world!");
        let pages = ["/", "/style.css", "/none"].map(|path| container.get(8080, path));
        let code = container.stop();
        assert_eq!(code, 0, "{}", container.logs());
        pages
    });
    assert_eq!(pages[0], pages[1]);
    assert_eq!(pages[0].each_ref().map(|(status, _)| *status), [200, 200, 404]);
    assert!(pages[0][0].1.contains("<h1>Hello, world!</h1>"), "{:?}", pages[0][0]);
}
