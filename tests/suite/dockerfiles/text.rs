//! The text of Dockerfiles, whole. `B2I_TEST_WRITE=1` writes what is expected anew; read what changed.

use super::Written;
use crate::build::fixture;
use crate::environment::TestEnvironment;

/// Compares with `tests/suite/fixtures/dockerfiles/NAME`. The artifact's digest depends on the compiler.
fn assert_text(name: &str, written: &Written) {
    let text: Vec<String> = written.text().lines().map(without_digest).collect();
    let text = text.join("\n") + "\n";
    let path = format!("{}/tests/suite/fixtures/dockerfiles/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("B2I_TEST_WRITE").is_some() {
        std::fs::write(&path, &text).expect("writes");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{path}");
}

fn without_digest(line: &str) -> String {
    match line.split_once("sha256:") {
        Some((start, rest)) => {
            format!(
                "{start}sha256:DIGEST{}",
                rest.trim_start_matches(|digit: char| digit.is_ascii_hexdigit())
            )
        }
        None => line.to_owned(),
    }
}

#[test]
fn of_an_artifact_that_is_placed() {
    let daemon = TestEnvironment::get().docker();
    let program = fixture("program");
    let beside = format!("{}:conf/app.properties", fixture("app/application.properties"));
    let arguments = [
        &program,
        "--add",
        &beside,
        "--env",
        "TEXT=a \"b\" $c",
        "--label",
        "example/key=1",
        "--port",
        "8080",
        "--stop-signal",
        "SIGINT",
        "--",
        "--print",
        "it's",
    ];
    assert_text("artifact", &Written::on(&daemon, &arguments));
}

#[test]
fn of_sources_whose_assembled_builder_is_the_image() {
    let daemon = TestEnvironment::get().docker();
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    let project = sources.path().join("service");
    std::fs::create_dir_all(project.join(".s2i/bin")).expect("makes");
    std::fs::write(project.join(".s2i/bin/assemble"), "#!/bin/sh\n").expect("writes");
    std::fs::write(project.join(".s2i/environment"), "MODE=built here\n").expect("writes");
    let builder = TestEnvironment::get().image("s2i-foreign:1");
    let project = project.display().to_string();
    let options = ["--env", "SEEN=$HOME", "--incremental", "--health-cmd", "[ -f /tmp/up ]"];
    let arguments = [&[&*project, "--source-builder", &builder], &options[..]].concat();
    assert_text("assembled-builder", &Written::on(&daemon, &arguments));
}

#[test]
fn of_sources_that_become_an_artifact() {
    let daemon = TestEnvironment::get().docker();
    let golang = format!("{}/examples/golang", env!("CARGO_MANIFEST_DIR"));
    let arguments = [&golang, "--env", "MODE=x y", "--", "--port", "8080"];
    assert_text("multi-stage", &Written::on(&daemon, &arguments));
}
