//! The callback: what is posted, how often, and that it never changes how a build ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use super::{Place, Sources, everywhere};
use crate::environment::{B2iCommand, TestEnvironment};

/// Answers the first requests with 500 and the next with 200; gives each request's body.
fn receiver(failures: usize) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/ended", listener.local_addr().expect("bound"));
    let (sender, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for (number, mut client) in listener.incoming().map_while(Result::ok).enumerate() {
            let mut request = String::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let count = client.read(&mut buffer).unwrap_or(0);
                request.push_str(&String::from_utf8_lossy(&buffer[..count]));
                if let Some((head, body)) = request.split_once("\r\n\r\n") {
                    let length = head.lines().find_map(|line| {
                        line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                    });
                    if count == 0 || body.len() >= length.unwrap_or(0) {
                        break body.to_owned();
                    }
                } else if count == 0 {
                    break String::new();
                }
            };
            // Before the answer: whoever has it may end, and then the test looks.
            let _ = sender.send(body);
            let status = if number < failures { "500 Sorry" } else { "200 OK" };
            let _ = write!(client, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (url, bodies)
}

#[test]
fn the_end_is_posted_whole_on_every_try() {
    let good = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    let bad = Sources::new().with_script(".s2i/bin/assemble", "exit 9");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let run = |sources: &Sources, failures: usize| {
            let (url, bodies) = receiver(failures);
            let name = TestEnvironment::get().docker().owned_image("callback");
            let command = match place {
                Place::Daemon(daemon) => B2iCommand::new().daemon(daemon),
                Place::Sandbox => B2iCommand::without_daemon(),
            };
            let mut command = command
                .args(["s2i", "build", "--copy", "--callback-url", &url, "--output", "oci:image"])
                .arg(sources.path())
                .args([builder, name.reference()]);
            let output = command.run();
            (output, bodies.try_iter().collect::<Vec<_>>())
        };
        let (output, bodies) = run(&good, 2);
        assert_eq!(output.code, Some(0), "{}: {}", place.name(), output.stderr);
        assert_eq!(bodies.len(), 3, "{bodies:?}");
        for body in &bodies {
            let body: serde_json::Value = serde_json::from_str(body).expect("JSON, on retries too");
            assert_eq!(body["success"], true);
            assert!(body["labels"]["io.openshift.s2i.build.image"].is_string(), "{body}");
        }
        let (output, bodies) = run(&good, 9);
        assert_eq!(
            (output.code, bodies.len()),
            (Some(0), 3),
            "it never changes the exit code: {}",
            output.stderr
        );
        let (output, bodies) = run(&bad, 0);
        assert_ne!(output.code, Some(0));
        assert_eq!(bodies.len(), 1, "{bodies:?}");
        assert!(bodies[0].contains("\"success\":false"), "{bodies:?}");
    });
}

#[test]
fn without_network_nobody_is_told_and_that_is_said() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    let daemon = TestEnvironment::get().docker();
    let (url, bodies) = receiver(0);
    let name = daemon.owned_image("callback");
    let mut command = B2iCommand::new().daemon(&daemon).env("B2I_OFFLINE", "true");
    command = command.args(["s2i", "build", "--copy", "--callback-url", &url]).arg(sources.path());
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let output = command.args([builder.as_str(), name.reference()]).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(
        output.stderr.contains("cannot report the end of the build") && output.stderr.contains("`--offline`"),
        "{}",
        output.stderr
    );
    assert_eq!(bodies.try_iter().count(), 0);
}
