//! Whole builds of real artifacts on real daemons: from `b2i build` to the answer of the started program.

mod arguments;
mod base;
mod base_files;
pub(crate) mod builder_images;
mod created;
mod daemonless;
mod distributions;
mod dockerfile;
mod java;
pub(crate) mod kinds;
mod options;
mod owner;
mod payloads;
mod releases;
mod reproducible;
mod run;
mod scripts;
pub(crate) mod source_builder_images;
pub(crate) use source_builder_images::MAVEN_SETTINGS;
pub(crate) mod tree;
mod trees;

use std::path::Path;

use serde_json::Value;

use crate::environment::{B2iCommand, Daemon, OwnedImage, RunningContainer, TestEnvironment};

/// The public bases that the catalog may choose for the fixtures, and the test images that stand for them.
const BASES: [(&str, &str); 30] = [
    ("debian:11-slim", "glibc:12"),
    ("debian:12-slim", "glibc:12"),
    ("debian:13-slim", "glibc:12"),
    ("alpine:3.22", "musl:1"),
    ("eclipse-temurin:8-jre", "jre:17"),
    ("eclipse-temurin:11-jre", "jre:17"),
    ("eclipse-temurin:17-jre", "jre:17"),
    ("tomcat:9.0-jre8", "tomcat:9"),
    ("tomcat:9.0-jre11", "tomcat:9"),
    ("tomcat:9.0-jre17", "tomcat:9"),
    ("tomcat:10.1-jre11", "tomcat:10"),
    ("tomcat:10.1-jre17", "tomcat:10"),
    ("tomcat:11.0-jre17", "tomcat:10"),
    ("golang:1.24-bookworm", "golang:1.19"),
    ("golang:1.25-bookworm", "golang:1.19"),
    ("maven:3.9-eclipse-temurin-11", "maven:3.8"),
    ("maven:3.9-eclipse-temurin-17", "maven:3.8"),
    ("node:20-slim", "nodejs:18"),
    ("node:22-slim", "nodejs:18"),
    ("node:24-slim", "nodejs:18"),
    ("node:24-alpine", "musl-cxx:1"),
    ("eclipse-temurin:17-jdk", "maven:3.8"),
    ("eclipse-temurin:21-jdk", "maven:3.8"),
    ("eclipse-temurin:25-jdk", "maven:3.8"),
    ("python:3.10-slim", "python:3.11"),
    ("python:3.11-slim", "python:3.11"),
    ("python:3.12-slim", "python:3.11"),
    ("python:3.13-slim", "python:3.11"),
    ("python:3.14-slim", "python:3.11"),
    ("nginx:1.28-alpine-slim", "nginx:1.22"),
];

/// Words that a shell, a splitter or an encoding would spoil.
const WORDS: [&str; 15] = [
    "a b",
    "it's \"quoted\"",
    "*",
    "/bin/*",
    "$(id)",
    "`id`",
    "${HOME} $HOME",
    "two\nlines\n",
    "\ttab",
    "\u{e9}\u{6f22}\u{5b57}\u{1f980}",
    "",
    "back\\slash\\",
    "--",
    "~ & ; | > #",
    "last",
];

/// Writes what every test needs into the configuration of this call: other bases instead of the public ones.
pub(crate) fn replace_bases(command: B2iCommand) -> B2iCommand {
    let environment = TestEnvironment::get();
    replace_bases_by(command, |test| Some(environment.image(test)))
}

/// As `replace_bases`, by the names that `name_of` gives for the test images.
pub(crate) fn replace_bases_by(command: B2iCommand, name_of: impl Fn(&str) -> Option<String>) -> B2iCommand {
    write_bases(&command.directory().join("home"), name_of);
    command
}

/// Writes the configuration that `replace_bases_by` writes, into any home directory.
pub(crate) fn write_bases(home: &Path, name_of: impl Fn(&str) -> Option<String>) {
    let line = |(public, test): (&str, &str)| {
        name_of(test).map(|name| format!("\"docker.io/library/{public}\" = \"{name}\"\n"))
    };
    let lines: Vec<String> = BASES.into_iter().filter_map(line).collect();
    let directory = home.join(".config/b2i");
    std::fs::create_dir_all(&directory).expect("the home directory is the test's");
    std::fs::write(directory.join("config.toml"), format!("[bases]\n{}", lines.concat()))
        .expect("the directory is the test's");
}

/// b2i with the bases replaced and a daemon.
fn b2i(daemon: &Daemon) -> B2iCommand {
    replace_bases(B2iCommand::new()).daemon(daemon)
}

/// The path of a fixture as text.
pub(crate) fn fixture(name: &str) -> String {
    TestEnvironment::get().fixture(name).into_os_string().into_string().expect("the path is UTF-8")
}

/// An image that b2i has built, removed when the value is dropped.
pub(crate) struct Image {
    pub(crate) daemon: Daemon,
    name: OwnedImage,
    pub(crate) id: String,
    /// What b2i wrote to standard error.
    pub(crate) messages: String,
}

impl Image {
    /// Builds an image of `arguments`, which are those of `b2i build` without `-t`.
    fn build(daemon: &Daemon, arguments: &[&str]) -> Self {
        Self::build_by(b2i(daemon), daemon, arguments)
    }

    /// As `build`, by a call that is prepared already.
    pub(crate) fn build_by(command: B2iCommand, daemon: &Daemon, arguments: &[&str]) -> Self {
        let name = daemon.owned_image("build");
        let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let output = command
            .args(["build", "--offline", "--tag", name.reference()])
            .args(&arguments[..end])
            .args(&arguments[end..])
            .run();
        assert_eq!(
            output.code,
            Some(0),
            "{}: b2i build {arguments:?}\n{}{}",
            daemon.name,
            output.stdout,
            output.stderr
        );
        let (first, id) = output.stdout.trim_end().split_once(' ').expect("a name and an ID");
        assert_eq!(first, name.reference());
        let image = Self { daemon: daemon.clone(), id: id.to_owned(), name, messages: output.stderr };
        let inspected = image.inspect();
        let found = inspected["Id"].as_str().expect("an image has an ID");
        assert_eq!(found.trim_start_matches("sha256:"), image.id.trim_start_matches("sha256:"));
        image
    }

    /// Pulls `name` from its registry.
    pub(crate) fn pull(daemon: &Daemon, name: &str) -> Self {
        let owned = daemon.adopted_image(name);
        daemon.stdout(&["pull", name]);
        Self::adopt(daemon, owned)
    }

    /// Takes over an image that something else than b2i made.
    pub(crate) fn adopt(daemon: &Daemon, name: OwnedImage) -> Self {
        let inspected = daemon.inspect_image(name.reference()).expect("it is in the daemon");
        let id = inspected["Id"].as_str().expect("an image has an ID").to_owned();
        Self { daemon: daemon.clone(), name, id, messages: String::new() }
    }

    pub(crate) fn reference(&self) -> &str {
        self.name.reference()
    }

    pub(crate) fn inspect(&self) -> Value {
        // Podman loses sight of an image while another test removes one that shares layers with it.
        let find = || self.daemon.inspect_image(self.reference());
        let again = || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            find()
        };
        find().or_else(again).or_else(again).or_else(again).expect("the image is in the daemon")
    }

    /// Runs it to its end and returns what it printed.
    pub(crate) fn print(&self, options: &[&str], arguments: &[&str]) -> String {
        let output = self.daemon.run(&[options, &[self.reference()], arguments].concat());
        let (stdout, stderr) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let name = self.daemon.name;
        assert!(output.status.success(), "{name} {options:?} {arguments:?}: {output:?}\n{stdout}{stderr}");
        stdout.into_owned()
    }

    /// Runs it to its end and returns the report that it printed.
    pub(crate) fn report(&self, options: &[&str], arguments: &[&str]) -> Value {
        let text = self.print(options, arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no report: {error}: {text}"))
    }

    /// Starts it with the port 8080 published.
    pub(crate) fn serve(&self, options: &[&str], arguments: &[&str]) -> RunningContainer {
        let published = ["--publish", "127.0.0.1::8080"];
        self.daemon.start(&[&published[..], options, &[self.reference()], arguments].concat())
    }
}

/// Asks a server for its report.
pub(crate) fn asked(container: &RunningContainer, path: &str) -> Value {
    let (status, body) = container.get(8080, path);
    assert_eq!(status, 200, "{path}: {body}\n{}", container.logs());
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("no report: {error}: {body}"))
}

/// The words of a report's field, which is a list.
pub(crate) fn words(report: &Value, field: &str) -> Vec<String> {
    let list = report[field].as_array().unwrap_or_else(|| panic!("no list `{field}` in {report}"));
    list.iter().map(|word| word.as_str().expect("a text").to_owned()).collect()
}

fn write(path: &Path, content: &str) {
    std::fs::write(path, content).expect("the directory is the test's");
}
