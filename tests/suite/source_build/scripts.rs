//! Where scripts come from: what the user names, then the sources, then the builder; each script by itself.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use super::{Image, Sources, b2i_build, everywhere};

const OF_SOURCES: &str = "echo assemble-of-sources; cp /tmp/src/program .";

fn directory(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (name, text) in scripts {
        std::fs::write(directory.path().join(name), format!("#!/bin/sh\nset -e\n{text}\n")).expect("writes");
    }
    directory
}

/// Serves files of a directory by HTTP as long as the process lives, and gives the URL.
fn serve(directory: &std::path::Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/s2i/", listener.local_addr().expect("bound"));
    let directory = directory.to_owned();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let count = client.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..count]).into_owned();
            let name = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/s2i/")).unwrap_or("");
            let answer = match std::fs::read(directory.join(name)) {
                Ok(bytes) if !name.is_empty() => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                        bytes.len()
                    );
                    [head.into_bytes(), bytes].concat()
                }
                _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
            };
            let _ = client.write_all(&answer);
        }
    });
    url
}

#[test]
fn what_the_user_names_goes_first_script_by_script() {
    let named = directory(&[("run", "exec /opt/app-root/src/program of-the-url")]);
    let url = serve(named.path());
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", OF_SOURCES)
        .with_script(".s2i/bin/run", "exec /opt/app-root/src/program of-the-sources");
    everywhere("s2i-kubesphere:1", |place, builder| {
        for scripts in [&*url, &format!("file://{}", named.path().display())] {
            let image = Image::build(place, builder, &sources, &["--scripts-url", scripts]);
            assert!(image.messages.contains("| assemble-of-sources"), "{}: {}", place.name(), image.messages);
            assert_eq!(image.config()["Cmd"], json!(["/tmp/scripts/run"]));
            assert_eq!(image.report()["arguments"], json!(["of-the-url"]), "{scripts}");
        }
        let image =
            Image::build(place, builder, &Sources::new(), &["--scripts-url", "image:///usr/libexec/s2i"]);
        assert_eq!(image.config()["Cmd"], json!(["/usr/libexec/s2i/run"]));
    });
}

#[test]
fn a_place_without_any_script_is_an_error() {
    let empty = directory(&[("other", "true")]);
    let url = serve(empty.path());
    let sources = Sources::new();
    everywhere("s2i-kubesphere:1", |place, builder| {
        for (scripts, code, words) in [
            (&*url, 3, "has none of the scripts"),
            ("image:///nowhere", 5, "has no script `/nowhere/assemble`"),
        ] {
            let mut command = b2i_build(place, builder, &sources).args(["--scripts-url", scripts]);
            let output = command.run();
            assert_eq!(output.code, Some(code), "{}: {}", place.name(), output.stderr);
            assert!(output.stderr.contains(words), "{}: {}", place.name(), output.stderr);
        }
    });
}
