//! Downloads that fail, and credentials that must go nowhere else. (Every fault of a server is a test of `input`;
//! here is what the user sees of them.)

use std::io::Write;
use std::sync::{Arc, Mutex};

use super::{assert_clean, assert_fails, files};
use crate::environment::{B2iCommand, RunningB2i, TestEnvironment};
use crate::fault_server::{FaultServer, Request, answer, head, serve_part};

fn program() -> Vec<u8> {
    std::fs::read(TestEnvironment::get().fixture("program")).expect("reads")
}

fn build(url: &str) -> B2iCommand {
    B2iCommand::new().env("B2I_RETRIES", "1").args(["build", url, "--output", "docker-archive:out.tar"])
}

#[test]
fn answers_that_are_no_artifact_are_reported_with_the_status() {
    let server = FaultServer::start(|request, to| {
        let page = b"<!DOCTYPE html><html><title>Sign in</title></html>";
        match request.line.split(' ').nth(1) {
            Some("/gone.jar") => answer(to, "404 Not Found", &[], page),
            Some("/closed.jar") => answer(to, "401 Unauthorized", &[("WWW-Authenticate", "Basic")], page),
            Some("/busy.jar") => answer(to, "503 Service Unavailable", &[], page),
            _ => answer(to, "200 OK", &[("Content-Type", "text/html")], page),
        }
    });
    for (path, code, words) in [
        ("/gone.jar", 3, &["404", "hint: "][..]),
        ("/closed.jar", 3, &["401", "netrc"]),
        ("/busy.jar", 3, &["503"]),
        ("/page.jar", 4, &["HTML page", "Sign in", "credentials"]),
    ] {
        let url = server.url(path);
        assert_fails(&mut build(&url), code, words);
    }
    let mut closed = build("http://127.0.0.1:1/a.jar");
    assert_fails(&mut closed, 3, &["127.0.0.1:1", "refused"]);
    assert_fails(&mut build("http://no-such-host.invalid/a.jar"), 3, &["no-such-host.invalid"]);
    assert_fails(&mut build("ftp://host.example/a.jar"), 2, &["`ftp://host.example/a.jar`", "hint: "]);
}

#[test]
fn a_download_that_is_cut_again_and_again_fails_and_leaves_nothing() {
    let body = program();
    // The compiler decides how many it has.
    let stopped = format!("stopped after 0 of {} bytes", body.len());
    let server = FaultServer::start(move |request, to| serve_part(request, to, "\"1\"", &body, 0));
    let output = assert_fails(&mut build(&server.url("/program")), 3, &[&stopped, "tried 2 times", "hint: "]);
    assert!(server.requests().len() > 1, "{}", output.stderr);
}

#[test]
fn a_download_with_another_digest_is_not_kept() {
    let body = program();
    let actual = format!("actual   {}", b2i::image::Digest::of(&body));
    let server = FaultServer::start(move |_, to| answer(to, "200 OK", &[], &body));
    let zeros = "0".repeat(64);
    let mut command = build(&server.url("/program")).args(["--sha256", &zeros]);
    assert_fails(&mut command, 3, &["SHA-256 digest of", "expected sha256:0000", &actual]);
    assert_eq!(files(&command.cache().join("downloads-v1/blobs/sha256")), [""; 0]);
}

#[test]
fn a_download_stops_at_the_size_limit() {
    for announces in [true, false] {
        let server = FaultServer::start(move |_, to: &mut dyn Write| {
            if announces {
                head(to, "200 OK", &[("Content-Length", "5000000000")])?;
            } else {
                head(to, "200 OK", &[])?;
            }
            loop {
                to.write_all(&[0; 64 * 1024])?;
            }
        });
        let mut command = build(&server.url("/endless")).args(["--max-size", "1MB"]);
        assert_fails(&mut command, 3, &["1000000", "--max-size"]);
    }
}

/// Two servers; the first redirects to the second, which serves the program.
struct Redirect {
    from: FaultServer,
    to: FaultServer,
}

impl Redirect {
    fn start() -> Self {
        let body = program();
        let to = FaultServer::start(move |_, to| answer(to, "200 OK", &[], &body));
        let target = to.url("/program?signature=s3cr3t-signature");
        let from = FaultServer::start(move |_, to| {
            answer(to, "302 Found", &[("Location", &target), ("Set-Cookie", "c=s3cr3t-cookie")], b"")
        });
        Self { from, to }
    }
}

#[test]
fn credentials_do_not_follow_a_redirect_and_are_nowhere_shown() {
    let redirect = Redirect::start();
    let environment = TestEnvironment::get();
    let daemon = environment.docker();
    let image = daemon.owned_image("credentials");
    let url = redirect.from.url("/start?token=s3cr3t-query");
    let mut command = B2iCommand::new()
        .daemon(&daemon)
        .env("TOKEN", "s3cr3t-bearer")
        .env("KEY", "s3cr3t-header")
        .args(["build", &url, "--bearer-env", "TOKEN", "--header-env", "X-Api-Key=KEY", "-vv"])
        .args(["--tag", image.reference(), "--metadata-file", "metadata.json"]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let first = &redirect.from.requests()[0];
    assert_eq!(first.header("authorization"), Some("Bearer s3cr3t-bearer"));
    assert_eq!(first.header("x-api-key"), Some("s3cr3t-header"));
    let second = &redirect.to.requests()[0];
    for header in ["authorization", "x-api-key", "cookie", "referer"] {
        assert_eq!(second.header(header), None, "{header} went to another port");
    }
    let metadata = std::fs::read_to_string(command.directory().join("work/metadata.json")).expect("written");
    let inspected = daemon.inspect_image(image.reference()).expect("made").to_string();
    for (place, text) in [
        ("stderr", &output.stderr),
        ("stdout", &output.stdout),
        ("metadata", &metadata),
        ("image", &inspected),
    ] {
        assert!(!text.contains("s3cr3t"), "{place}: {text}");
    }
    let history = String::from_utf8_lossy(&daemon.stdout(&["save", image.reference()])).into_owned();
    assert!(!history.contains("s3cr3t"), "the image or its history has it");
    // Kept with the download are its address and what revalidates it, and no secret.
    let mut kept = Vec::new();
    collect(&command.cache(), &mut kept);
    assert!(!kept.is_empty());
    for path in kept {
        let bytes = std::fs::read(&path).expect("reads");
        assert!(!String::from_utf8_lossy(&bytes).contains("s3cr3t"), "{}", path.display());
    }
}

#[test]
fn a_password_of_netrc_is_not_shown_when_the_download_fails() {
    let server = FaultServer::start(|_, to| answer(to, "403 Forbidden", &[], b"no"));
    let mut command = build(&server.url("/a.jar?key=s3cr3t-query")).args(["-vv"]);
    let netrc = command.directory().join("home/.netrc");
    std::fs::write(&netrc, "machine 127.0.0.1 login me password s3cr3t-password\n").expect("writes");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&netrc, mode).expect("a mode can be set");
    let output = assert_fails(&mut command, 3, &["403"]);
    let sent = server.requests()[0].header("authorization").expect("sent").to_owned();
    assert!(sent.starts_with("Basic "));
    for secret in ["s3cr3t", sent.trim_start_matches("Basic ")] {
        assert!(!output.stderr.contains(secret), "{}", output.stderr);
    }
}

fn collect(directory: &std::path::Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("lists") {
        let path = entry.expect("reads").path();
        if path.is_dir() { collect(&path, into) } else { into.push(path) }
    }
}

#[test]
fn two_builds_share_a_cache_at_the_same_time() {
    let body = program();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&lines);
    let server = FaultServer::start(move |request: &Request, to: &mut dyn Write| {
        seen.lock().expect("not poisoned").push(request.line.clone());
        std::thread::sleep(std::time::Duration::from_millis(200));
        serve_part(request, to, "\"1\"", &body, body.len())
    });
    let cache = tempfile::tempdir().expect("a temporary directory can be made");
    let commands = [(); 3].map(|()| build(&server.url("/program")).env("XDG_CACHE_HOME", cache.path()));
    let running = commands.each_ref().map(B2iCommand::spawn);
    let outputs = running.map(RunningB2i::wait);
    for output in &outputs {
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    let archives =
        commands.map(|command| std::fs::read(command.directory().join("work/out.tar")).expect("there"));
    assert!(archives.iter().all(|archive| *archive == archives[0]));
    assert_clean(&cache.path().join("b2i"));
    assert_eq!(files(&cache.path().join("b2i/downloads-v1/blobs/sha256")).len(), 1);
}
