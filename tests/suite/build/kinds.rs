//! Every kind of artifact goes the whole way: built on both daemons by both assemblies, compared, started and asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::tree::{assert_same_config, assert_same_tree};
use super::*;

/// What runs an artifact, and so how it shows how it was started.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Runs {
    /// It is a program that prints or serves a report.
    Native,
    /// A Java program that does the same.
    Java,
    /// A script that prints its process id and its arguments.
    Script,
    /// A web application that serves a report of the Java program it runs in.
    Tomcat,
}

/// One artifact.
pub(crate) struct Case {
    pub(crate) runs: Runs,
    pub(crate) artifact: &'static str,
    pub(crate) added: &'static [&'static str],
    /// What b2i must choose.
    pub(crate) builder: &'static str,
    /// What of the report shows that it is this artifact.
    pub(crate) shows: (&'static str, &'static str),
    /// Whether all files of the images are compared: once for each template and kind of base.
    pub(crate) compared: bool,
}

/// Options of `docker create` and words of its command line.
pub(crate) type Given<'a> = (&'a [&'a str], &'a [&'a str]);

impl Case {
    pub(crate) fn of(runs: Runs, artifact: &'static str, builder: &'static str) -> Self {
        Self { runs, artifact, added: &[], builder, shows: ("pid", ""), compared: false }
    }

    pub(crate) fn showing(self, field: &'static str, value: &'static str) -> Self {
        Self { shows: (field, value), ..self }
    }

    pub(crate) fn compared(self) -> Self {
        Self { compared: true, ..self }
    }

    /// The arguments of `b2i build`, behind the options: the artifact, what is added, and the words for `ARGS`.
    ///
    /// `owner` makes an image of its own for each test: Podman may remove an image with its last name at the very moment
    /// when another test gives it a new one.
    pub(crate) fn arguments(&self, owner: &str) -> Vec<String> {
        let mut arguments = vec![fixture(self.artifact), "--label".to_owned(), format!("test={owner}")];
        arguments.extend(self.added.iter().flat_map(|name| ["--add".to_owned(), fixture(name)]));
        arguments.push("--".into());
        arguments.extend(self.words(&["--print", "default", "a b"]));
        arguments
    }

    fn build(&self, daemon: &Daemon, assembly: &str) -> Image {
        let own = self.arguments("kinds");
        let mut arguments = vec!["--assemble", assembly];
        arguments.extend(own.iter().map(String::as_str));
        let image = Image::build(daemon, &arguments);
        let planned = format!("Planned {}", self.builder);
        assert!(image.messages.contains(&planned), "{planned}: {}", image.messages);
        image
    }

    /// A web application has no arguments of its own: words are options of Java.
    fn words(&self, words: &[&str]) -> Vec<String> {
        match self.runs {
            Runs::Tomcat => words.iter().map(|word| format!("-Dword={word}")).collect(),
            Runs::Native | Runs::Java | Runs::Script => words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    /// Asks the started image and checks that it saw just `expected`.
    pub(crate) fn ask(&self, image: &Image, (options, given): Given<'_>, expected: &[&str]) -> Option<Value> {
        let (given, expected) = (self.words(given), self.words(expected));
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let (report, seen) = match self.runs {
            Runs::Script => {
                let lines: String = expected.iter().map(|word| format!("argument {word}\n")).collect();
                assert_eq!(image.print(options, &given), format!("pid 1\n{lines}"), "{}", self.artifact);
                return None;
            }
            Runs::Native | Runs::Java => {
                let report = image.report(options, &given);
                let seen = words(&report, "arguments");
                (report, seen)
            }
            Runs::Tomcat => {
                let container = image.serve(options, &given);
                let report = asked(&container, "/hello");
                let (status, page) = container.get(8080, "/index.jsp");
                let expected = format!("shop {}: 42 caf\u{e9}", self.shows.1.trim_end_matches(".servlet"));
                assert_eq!((status, page.trim()), (200, expected.as_str()));
                let mut seen = words(&report, "jvmArguments");
                seen.retain(|word| word.starts_with("-Dword="));
                stops(&container, 143);
                (report, seen)
            }
        };
        assert_eq!(seen, expected, "{} on {}", self.artifact, image.daemon.name);
        assert_eq!(report["pid"], 1, "{}", self.artifact);
        if self.runs != Runs::Native {
            assert_eq!(report["properties"]["user.home"], "/opt/app-root", "{}", self.artifact);
            assert_eq!(report["charset"], "UTF-8");
        }
        let (field, value) = self.shows;
        assert!(
            value.is_empty() || report[field] == value,
            "{field} of {}: {}",
            self.artifact,
            report[field]
        );
        Some(report)
    }

    fn goes_the_whole_way(&self) {
        let mut ids = Vec::new();
        for daemon in TestEnvironment::get().daemons() {
            let placed = self.build(&daemon, "place");
            let assembled = self.build(&daemon, "docker");
            assert_same_config(&placed, &assembled);
            if self.compared {
                assert_same_tree(&placed, &assembled);
            }
            self.ask(&placed, (&[], &[]), &["--print", "default", "a b"]);
            self.ask(&assembled, (&[], &["more *", ""]), &["--print", "default", "a b", "more *", ""]);
            // A web application takes seconds to start; without the image's own words it runs just below.
            if self.runs != Runs::Tomcat {
                let container_alone = (&["-e", "ARGS="][..], &["--print", "$(id)"][..]);
                self.ask(&placed, container_alone, &["--print", "$(id)"]);
            }
            self.confined(&placed);
            match self.runs {
                // It was served and stopped whenever it was asked; a script's end is a test of its own.
                Runs::Tomcat | Runs::Script => {}
                Runs::Native => self.served(&placed, 0),
                // Java's own code for SIGTERM: 128 + 15.
                Runs::Java => self.served(&placed, 143),
            }
            ids.push(placed.id.clone());
        }
        assert_eq!(ids[0], ids[1], "Docker and Podman hold different images of {}", self.artifact);
    }

    /// Runs it with a read-only root file system as a user that nobody knows, in group 0.
    pub(crate) fn confined(&self, image: &Image) {
        let confined = ["--read-only", "--user", "123456:0", "-e", "ARGS=--print 'of \"ARGS\"'"];
        let tomcat = ["--read-only", "--user", "123456:0", "-e", "ARGS=-Dword=--print '-Dword=of \"ARGS\"'"];
        let scratch = ["--tmpfs", "/tmp"];
        let options = match self.runs {
            Runs::Native | Runs::Script => confined.to_vec(),
            Runs::Java => [&confined[..], &scratch].concat(),
            Runs::Tomcat => [&tomcat[..], &scratch].concat(),
        };
        let report = self.ask(image, (&options, &["more"]), &["--print", "of \"ARGS\"", "more"]);
        if self.runs == Runs::Native {
            let report = report.expect("a program has a report");
            assert_eq!((&report["uid"], &report["gid"]), (&json!(123_456), &json!(0)));
        }
    }

    pub(crate) fn served(&self, image: &Image, code: i64) {
        let container = image.serve(&["-e", "ARGS=--port 8080"], &[]);
        let report = asked(&container, "/");
        assert_eq!(
            (&report["pid"], words(&report, "arguments")),
            (&json!(1), vec!["--port".to_owned(), "8080".into()])
        );
        stops(&container, code);
    }
}

/// Stops a container, which must end by its signal with `code`: one that is killed in the end has 137.
fn stops(container: &RunningContainer, code: i64) {
    assert_eq!(container.stop(), code, "{}", container.logs());
}

#[test]
fn a_static_executable_goes_the_whole_way() {
    Case::of(Runs::Native, "program", "binary:static")
        .showing("built", "static")
        .compared()
        .goes_the_whole_way();
}

#[test]
fn an_executable_for_glibc_goes_the_whole_way() {
    let case = Case::of(Runs::Native, "program-glibc", "binary:debian").showing("built", "glibc");
    case.compared().goes_the_whole_way();
}

#[test]
fn an_executable_for_musl_goes_the_whole_way() {
    let case = Case::of(Runs::Native, "program-musl", "binary:alpine").showing("built", "musl");
    case.compared().goes_the_whole_way();
}

#[test]
fn a_script_goes_the_whole_way() {
    Case::of(Runs::Script, "shell-program", "binary:debian").goes_the_whole_way();
}

#[test]
fn a_jar_with_added_dependencies_goes_the_whole_way() {
    let case = Case::of(Runs::Java, "app/app.jar", "java:8").showing("beside", "from the file beside");
    Case { added: &["app/lib/", "app/application.properties"], ..case }.compared().goes_the_whole_way();
}

#[test]
fn a_self_contained_jar_goes_the_whole_way() {
    let case = Case::of(Runs::Java, "standalone.jar", "java:8").showing("greeting", "hello b2i");
    case.compared().goes_the_whole_way();
}

#[test]
fn a_self_executing_jar_goes_the_whole_way() {
    Case::of(Runs::Java, "executable.jar", "java:8").showing("greeting", "hello b2i").goes_the_whole_way();
}

#[test]
fn a_jar_of_spring_boots_form_goes_the_whole_way() {
    Case::of(Runs::Java, "boot.jar", "java:8").showing("greeting", "hello b2i").goes_the_whole_way();
}

#[test]
fn a_javax_war_goes_the_whole_way() {
    let case = Case::of(Runs::Tomcat, "shop-javax.war", "tomcat:9-jre8").showing("greeting", "javax.servlet");
    case.compared().goes_the_whole_way();
}

#[test]
fn a_jakarta_war_goes_the_whole_way() {
    let case = Case::of(Runs::Tomcat, "shop-jakarta.war", "tomcat:10.1-jre11")
        .showing("greeting", "jakarta.servlet");
    case.compared().goes_the_whole_way();
}

#[test]
fn a_script_gets_the_signal_that_stops_it() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let script = directory.path().join("waits");
    write(
        &script,
        "#!/bin/sh\ntrap 'echo stopped; exit 0' TERM\necho started\nwhile :; do sleep 0.1; done\n",
    );
    for daemon in TestEnvironment::get().daemons() {
        let image = Image::build(&daemon, &[script.to_str().expect("the path is UTF-8")]);
        let container = daemon.start(&[image.reference()]);
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !container.logs().contains("started") {
            assert!(std::time::Instant::now() < until, "{}", container.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
        stops(&container, 0);
        assert_eq!(container.logs(), "started\nstopped\n", "{}", daemon.name);
    }
}
