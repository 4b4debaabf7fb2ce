//! Scripts that come over the network and do not come well, and scripts that fail: what is told, and with which code.

use std::time::Duration;

use super::{Place, Sources, b2i_build, everywhere};
use crate::environment::{B2iCommand, TestEnvironment};
use crate::failures::assert_clean;
use crate::fault_server::{FaultServer, answer, head};

const SCRIPT: &[u8] = b"#!/bin/sh\ncp /tmp/src/program .\n";

/// Serves `assemble` in one of these ways, and no other script.
fn server(way: &'static str) -> FaultServer {
    FaultServer::start(move |request, to| {
        if !request.line.contains("/assemble") || request.line.contains("runtime") {
            return answer(to, "404 Not Found", &[], b"");
        }
        match way {
            "too large" => answer(to, "200 OK", &[], &vec![b'#'; (1 << 20) + 1]),
            "endless" => {
                head(to, "200 OK", &[])?;
                loop {
                    to.write_all(&[b'#'; 4096])?;
                }
            }
            "broken" => answer(to, "500 Broken", &[], b"sorry"),
            "drips" => {
                head(to, "200 OK", &[("Content-Length", "100000")])?;
                loop {
                    to.write_all(b"#")?;
                    to.flush()?;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
            _ => answer(to, "200 OK", &[], SCRIPT),
        }
    })
}

fn docker() -> Place {
    Place::Daemon(TestEnvironment::get().docker())
}

fn build(url: &str, sources: &Sources) -> B2iCommand {
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    b2i_build(&docker(), &builder, sources).env("B2I_RETRIES", "0").args(["--scripts-url", url])
}

#[test]
fn a_script_that_cannot_be_had_is_an_error_that_names_it() {
    let sources = Sources::new();
    for (way, words) in [
        ("too large", &["is larger than 1048576 bytes"][..]),
        ("endless", &["is larger than 1048576 bytes"]),
        ("broken", &["500"]),
        // Somebody who sends a byte now and then is never silent: the whole has its time.
        ("drips", &["took longer than 60 s"]),
    ] {
        let server = server(way);
        let url = server.url("/scripts");
        let image = TestEnvironment::get().docker().owned_image("scripts");
        let mut command = build(&url, &sources).args(["--tag", image.reference()]);
        let output = command.run();
        assert_eq!(output.code, Some(3), "{way}: {}", output.stderr);
        for word in words.iter().copied().chain([&*format!("{url}/assemble")]) {
            assert!(output.stderr.contains(word), "{way}: no {word:?} in {}", output.stderr);
        }
        assert_eq!(TestEnvironment::get().docker().inspect_image(image.reference()), None, "{way}");
        assert_clean(&command.cache());
    }
}

#[test]
fn each_script_that_is_not_found_comes_from_the_next_place() {
    let (sources, good) = (Sources::new(), server("good"));
    let image = TestEnvironment::get().docker().owned_image("scripts");
    let mut command = build(&good.url("/scripts/"), &sources).args(["--tag", image.reference()]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let config =
        TestEnvironment::get().docker().inspect_image(image.reference()).expect("there")["Config"].clone();
    assert_eq!(config["Cmd"], serde_json::json!(["/usr/libexec/s2i/run"]), "the builder's own");
    let asked: Vec<String> = good.requests().into_iter().map(|request| request.line).collect();
    for name in ["assemble", "run", "save-artifacts"] {
        assert!(asked.contains(&format!("GET /scripts/{name}")), "{asked:?}");
    }
}

#[test]
fn the_scripts_own_code_is_shown_by_every_command() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "echo no compiler here; exit 42");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let mut command = b2i_build(place, builder, &sources);
        let output = command.run();
        assert_eq!(output.code, Some(6), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("exit code 42"), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("no compiler here"), "{}: {}", place.name(), output.stderr);
        assert_clean(&command.cache());
    });
    let (docker, builder) =
        (TestEnvironment::get().docker(), TestEnvironment::get().image("s2i-kubesphere:1"));
    let image = docker.owned_image("scripts");
    for quiet in [&[][..], &["--quiet"]] {
        let mut command = B2iCommand::new().daemon(&docker).args(["s2i", "build", "--copy"]).args(quiet);
        command = command.arg(sources.path()).args([&builder, image.reference()]);
        let output = command.run();
        assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""), "{}", output.stderr);
        assert!(output.stderr.contains("exit code 42"), "{}", output.stderr);
        assert_eq!(docker.inspect_image(image.reference()), None);
        assert_clean(&command.cache());
    }
}
