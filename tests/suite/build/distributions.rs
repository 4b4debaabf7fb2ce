//! Distributions as build tools make them, in archives and directories: the start script finds its libraries and Java.

use std::process::Command;

use super::java::{MAIN, WORD, Workshop};
use super::*;

/// Finds its home through links, as the scripts of Gradle and of appassembler do. CLASSPATH stands for its JARs.
const START: &str = r#"#!/bin/sh
path=$0
while [ -h "$path" ]; do
    link=$(ls -ld "$path")
    link=${link#*' -> '}
    case $link in /*) path=$link ;; *) path=${path%/*}/$link ;; esac
done
home=$(cd "$(dirname "$path")/.." && pwd -P) || exit
exec "${JAVA_HOME:+$JAVA_HOME/bin/}java" -classpath "CLASSPATH" demo.Main "$@"
"#;

/// Kafka's scripts start each other, and take every JAR in `libs`.
const RUN_CLASS: &str = r#"#!/bin/sh
for jar in "$(dirname "$0")"/../libs/*; do CLASSPATH="$CLASSPATH:$jar"; done
exec java -cp "$CLASSPATH" "$@"
"#;
const RUN_SERVER: &str = "#!/bin/sh\nexec $(dirname $0)/run-class.sh demo.Main \"$@\"\n";

const PRINTED: &str = "main one|a b with a library\n";

/// A workshop with the JARs `main` and `word`.
fn distribution(main: &str, word: &str, scripts: &[(&str, String)]) -> Workshop {
    let workshop = Workshop::new();
    workshop.compile("main", MAIN, &["--release", "8"]);
    workshop.compile("word", WORD, &["--release", "8"]);
    workshop.jar(main, "main", "");
    workshop.jar(word, "word", "");
    for (path, text) in scripts {
        let path = workshop.path(path);
        std::fs::create_dir_all(Path::new(&path).parent().expect("below")).expect("makes");
        crate::environment::install_script(Path::new(&path), text);
    }
    workshop
}

fn start(jars: &[&str]) -> String {
    let jars: Vec<String> = jars.iter().map(|jar| format!("$home/{jar}")).collect();
    START.replace("CLASSPATH", &jars.join(":"))
}

/// Builds the directory, and an archive of it, on both daemons, and compares what they print.
fn starts(workshop: &Workshop, top: &str, options: &[&str]) {
    let archive = workshop.path("release.tar.gz");
    let packed = Command::new("tar").args(["-C", &workshop.path("."), "-czf", &archive, top]).status();
    assert!(packed.expect("tar starts").success());
    for daemon in TestEnvironment::get().daemons() {
        for input in [workshop.path(top), archive.clone()] {
            let arguments = [&[input.as_str()], options, &["--", "one"]].concat();
            let image = Image::build(&daemon, &arguments);
            assert!(!image.messages.contains("warning: "), "{}", image.messages);
            let printed = image.print(&["--read-only", "--tmpfs", "/tmp"], &["a b"]);
            assert_eq!(printed, PRINTED, "{input}");
        }
    }
}

#[test]
fn gradles_distribution_starts_by_its_script() {
    let script = start(&["lib/dist-1.0.jar", "lib/word-2.jar"]);
    let workshop = distribution(
        "dist-1.0/lib/dist-1.0.jar",
        "dist-1.0/lib/word-2.jar",
        &[("dist-1.0/bin/dist", script)],
    );
    std::fs::write(workshop.path("dist-1.0/bin/dist.bat"), "@echo off\r\n").expect("writes");
    starts(&workshop, "dist-1.0", &[]);
}

#[test]
fn appassemblers_scripts_are_listed_without_their_libraries() {
    let (main, word) = ("repo/demo/main/1/main-1.jar", "repo/demo/word/1/word-1.jar");
    let script = start(&[main, word]);
    let workshop = distribution(
        &format!("asm/{main}"),
        &format!("asm/{word}"),
        &[("asm/bin/server", script.clone()), ("asm/bin/client", script)],
    );
    let output =
        b2i(&TestEnvironment::get().docker()).args(["build", &workshop.path("asm"), "--dry-run"]).run();
    assert_eq!(output.code, Some(4), "{}", output.stderr);
    assert!(
        output.stderr.contains("bin/client") && output.stderr.contains("bin/server"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains(".jar"), "{}", output.stderr);
    let daemon = TestEnvironment::get().docker();
    let image = Image::build(&daemon, &[&workshop.path("asm"), "--path", "bin/server", "--", "one"]);
    assert_eq!(image.print(&[], &["a b"]), PRINTED);
}

#[test]
fn scripts_that_start_each_other_find_each_other() {
    let workshop = distribution(
        "kfk_2.13-1/libs/main.jar",
        "kfk_2.13-1/libs/word.jar",
        &[
            ("kfk_2.13-1/bin/run-class.sh", RUN_CLASS.to_owned()),
            ("kfk_2.13-1/bin/server-start.sh", RUN_SERVER.to_owned()),
        ],
    );
    std::fs::create_dir(workshop.path("kfk_2.13-1/config")).expect("makes");
    std::fs::write(workshop.path("kfk_2.13-1/config/server.properties"), "a=b\n").expect("writes");
    let daemon = TestEnvironment::get().docker();
    let chosen = ["--path", "bin/server-start.sh", "--", "one"];
    let image = Image::build(&daemon, &[&[&*workshop.path("kfk_2.13-1")], &chosen[..]].concat());
    assert_eq!(image.print(&["--read-only", "--tmpfs", "/tmp"], &["a b"]), PRINTED);
}

#[test]
fn quarkus_fast_jar_starts_from_its_directory() {
    let workshop = distribution("quarkus-app/app/app.jar", "quarkus-app/lib/boot/word.jar", &[]);
    std::fs::create_dir(workshop.path("empty")).expect("makes");
    workshop.jar(
        "quarkus-app/quarkus-run.jar",
        "empty",
        "Main-Class: demo.Main\nClass-Path: lib/boot/word.jar app/app.jar\n",
    );
    std::fs::create_dir(workshop.path("quarkus-app/quarkus")).expect("makes");
    std::fs::write(workshop.path("quarkus-app/quarkus/quarkus-application.dat"), "x").expect("writes");
    starts(&workshop, "quarkus-app", &[]);
    starts(&workshop, "quarkus-app", &["--builder", "java:17"]);
}

#[test]
fn a_program_in_a_package_of_npm_is_the_artifact() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let package = directory.path().join("package");
    std::fs::create_dir_all(package.join("bin")).expect("makes");
    std::fs::copy(fixture("program"), package.join("bin/tool")).expect("copies");
    let manifest = r#"{ "name": "@tool/linux-x64", "version": "1.0.0", "os": ["linux"], "cpu": ["x64"] }"#;
    std::fs::write(package.join("package.json"), manifest).expect("writes");
    std::fs::write(package.join("README.md"), "# tool\n").expect("writes");
    let archive = directory.path().join("tool-linux-x64-1.0.0.tgz");
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(directory.path()).arg("-czf").arg(&archive).arg("package");
    assert!(tar.status().expect("tar starts").success());
    for input in [&package, &archive] {
        let input = input.to_str().expect("UTF-8");
        let image = Image::build(&TestEnvironment::get().docker(), &[input, "--", "--print"]);
        assert!(image.messages.contains("Planned binary:static"), "{}", image.messages);
        assert_eq!(image.report(&[], &[])["arguments"].as_array().map(Vec::len), Some(1));
    }
}
