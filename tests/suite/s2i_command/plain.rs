//! Plain s2i, built from its source: it builds with every builder that b2i exports, and the results run.

use super::*;
use crate::build::asked;
use crate::build::builder_images::docker_build;
use crate::build::source_builder_images::MAVEN_SETTINGS;
use crate::environment::{Daemon, OwnedImage};

/// A template, its base, and what s2i uploads: a fixture, or else the example of that name.
const BUILDERS: [(&str, &str, Option<&str>); 8] = [
    ("binary", "glibc:12", Some("program-glibc")),
    ("java", "jre:17", Some("standalone.jar")),
    ("tomcat", "tomcat:9", Some("shop-javax.war")),
    ("golang", "golang:1.19", None),
    ("maven", "maven:3.8", None),
    ("nginx", "nginx:1.22", None),
    ("nodejs", "nodejs:18", None),
    ("python", "python:3.11", None),
];

/// A program that reports its arguments.
const MAIN: &str = r#"package example;

public final class Main {
    public static void main(String[] arguments) {
        String words = String.join("\", \"", arguments);
        System.out.println("{\"pid\": " + ProcessHandle.current().pid() + ", \"arguments\": [\"" + words + "\"]}");
    }
}
"#;

#[test]
fn every_exported_builder_builds_with_plain_s2i() {
    let docker = TestEnvironment::get().docker();
    for (template, base, artifact) in BUILDERS {
        let builder = docker_build(&docker, template, base);
        let place = Place::new();
        sources(&place, template, artifact);
        let image = docker.owned_image("plain-s2i");
        let mut command = place.command(TestEnvironment::get().s2i());
        command.args(["build", "--copy", "--pull-policy", "never", "sources"]);
        let ended = Ended::of(
            command.args([builder.reference(), image.reference()]).output().expect("s2i can be started"),
        );
        assert_eq!(ended.code, 0, "{template}: {}{}", ended.stdout, ended.stderr);
        assert_runs(&docker, &image, template);
    }
}

/// Puts the sources where s2i is called.
fn sources(place: &Place, template: &str, artifact: Option<&str>) {
    let directory = place.work().join("sources");
    let copied = match artifact {
        Some(artifact) => {
            std::fs::create_dir(&directory).expect("makes");
            std::fs::copy(TestEnvironment::get().fixture(artifact), directory.join(artifact)).map(drop)
        }
        None => {
            let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(template);
            Command::new("cp").args(["-R", "--"]).args([&example, &directory]).status().map(drop)
        }
    };
    copied.expect("copies");
    if template == "maven" {
        // The example makes a WAR, which has no program of its own.
        let pom = std::fs::read_to_string(directory.join("pom.xml")).expect("the example has one");
        let pom = pom.replace("<packaging>war</packaging>", "<packaging>jar</packaging>").replace(
            "<artifactId>maven-war-plugin</artifactId>\n        <version>3.3.2</version>",
            "<artifactId>maven-jar-plugin</artifactId>\n        <version>3.3.0</version>\n        \
             <configuration><archive><manifest><mainClass>example.Main</mainClass></manifest></archive></configuration>",
        );
        place.write("sources/pom.xml", &pom);
        place.write("sources/src/main/java/example/Main.java", MAIN);
        place.write("sources/configuration/settings.xml", MAVEN_SETTINGS);
    }
}

fn assert_runs(docker: &Daemon, image: &OwnedImage, template: &str) {
    match template {
        "binary" | "java" | "maven" => {
            let output = docker.run(&["--network", "none", "-e", "ARGS=--print 'a b'", image.reference()]);
            assert!(output.status.success(), "{template}: {output:?}");
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
            assert_eq!(report["pid"], 1, "{template}");
            assert!(report["arguments"].to_string().contains("\"a b\""), "{template}: {report}");
        }
        "nginx" => {
            let container = docker.start(&["--publish", "127.0.0.1::8080", image.reference()]);
            assert!(container.get(8080, "/").1.contains("<h1>Hello, world!</h1>"), "{}", container.logs());
        }
        _ => {
            let arguments = if template == "golang" { "ARGS=--port 8080" } else { "ARGS=" };
            let container =
                docker.start(&["--publish", "127.0.0.1::8080", "-e", arguments, image.reference()]);
            let report = asked(&container, "/hello");
            assert_eq!(report["pid"], 1, "{template}: {report}");
        }
    }
}
