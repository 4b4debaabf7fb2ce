//! Where scripts come from: what the user names, then the sources, then the builder; each script by itself.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use super::made_image::MadeImage;
use super::{Image, Place, Sources, b2i_build, everywhere};
use crate::environment::{B2iCommand, TestEnvironment};

const OF_SOURCES: &str = "echo assemble-of-sources; cp /tmp/src/program .";

fn directory(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let scripts: Vec<(&str, String)> =
        scripts.iter().map(|(name, text)| (*name, format!("#!/bin/sh\nset -e\n{text}\n"))).collect();
    directory_of(&scripts.iter().map(|(name, text)| (*name, text.as_str())).collect::<Vec<_>>())
}

/// A directory with these files.
pub(super) fn directory_of(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).expect("writes");
    }
    directory
}

/// Serves files of a directory by HTTP as long as the process lives, and gives the URL.
pub(super) fn serve(directory: &std::path::Path) -> String {
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

#[test]
fn a_url_in_the_label_of_the_builder_is_followed_after_the_sources() {
    let scripts = directory(&[
        ("assemble", "echo assemble-of-the-label; cp /tmp/src/program /opt/app-root/src/"),
        ("run", "exec /opt/app-root/src/program of-the-label"),
    ]);
    let (url, local) = (serve(scripts.path()), format!("file://{}", scripts.path().display()));
    let label = |value: &str| format!("LABEL io.openshift.s2i.scripts-url={value}");
    let variants = [label(&url), label(&local), format!("ENV STI_SCRIPTS_URL={url}")];
    let fixture = TestEnvironment::get().fixture("program");
    for line in variants {
        let text = format!("FROM s2i-foreign:no-labels\nENTRYPOINT []\n{line}\n");
        let builder = MadeImage::new("elsewhere", &text);
        everywhere("s2i-kubesphere:1", |place, _| {
            let image = Image::build(place, builder.name(), &Sources::new(), &[]);
            assert!(image.messages.contains("| assemble-of-the-label"), "{line}: {}", image.messages);
            assert_eq!(image.report()["arguments"], json!(["of-the-label"]), "{line} {}", place.name());
            let own =
                Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program /opt/app-root/src/");
            let image = Image::build(place, builder.name(), &own, &[]);
            assert!(!image.messages.contains("| assemble-of-the-label"), "{line}: {}", image.messages);
            let command = match place {
                Place::Daemon(daemon) => B2iCommand::new().daemon(daemon),
                Place::Sandbox => B2iCommand::without_daemon(),
            };
            let command = command.args(["build", "--builder", builder.name()]).arg(&fixture);
            let image = Image::build_by(place, command);
            assert_eq!(image.report()["arguments"], json!(["of-the-label"]), "{line} {}", place.name());
        });
    }
}

#[test]
fn a_url_for_a_builder_without_label_is_used_by_s2i() {
    let scripts = directory(&[
        ("assemble", "echo assemble-of-the-option; cp /tmp/src/program /opt/app-root/src/"),
        ("run", "exec /opt/app-root/src/program of-the-option"),
    ]);
    let url = serve(scripts.path());
    let docker = TestEnvironment::get().docker();
    let (image, builder) =
        (docker.owned_image("option"), TestEnvironment::get().image("s2i-foreign:no-labels"));
    let sources = Sources::new();
    let path = sources.path().display().to_string();
    let arguments =
        ["s2i", "build", "--copy", "--image-scripts-url", &url, &path, &builder, image.reference()];
    let output = B2iCommand::new().daemon(&docker).args(arguments).run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("| assemble-of-the-option"), "{}", output.stderr);
}

#[test]
fn assemble_of_a_label_runs_after_onbuild_instructions() {
    let scripts = directory(&[("assemble", "echo assemble-of-the-label in $(pwd); echo yes >invoked")]);
    let url = serve(scripts.path());
    let text = format!(
        "FROM s2i-foreign:no-labels\nWORKDIR /opt/app-root/src\nENTRYPOINT [\"/opt/app-root/src/program\"]\nCMD []\n\
         LABEL io.openshift.s2i.scripts-url={url}\nONBUILD COPY . .\n"
    );
    let builder = MadeImage::new("onbuild-elsewhere", &text);
    everywhere("s2i-kubesphere:1", |place, _| {
        let image = Image::build(place, builder.name(), &Sources::new(), &[]);
        assert!(
            image.messages.contains("| assemble-of-the-label in /opt/app-root/src"),
            "{}",
            image.messages
        );
        assert_eq!(image.shell("cat /opt/app-root/src/invoked"), "yes", "{}", place.name());
    });
}
