//! Owns the proof that the environment is what the other tests take it for: every base image runs on every daemon,
//! the fixtures behave, the registry answers.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{B2iCommand, Daemon, TestEnvironment};

fn out(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.run(arguments);
    let both = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{} run {arguments:?}: {}\n{both}", daemon.name, output.status);
    both
}

#[test]
fn every_image_has_the_same_id_on_both_daemons() {
    let environment = TestEnvironment::get();
    for image in environment.images() {
        let [docker, podman] = environment.daemons().map(|daemon| {
            let inspected =
                daemon.inspect_image(&image).unwrap_or_else(|| panic!("{} lacks {image}", daemon.name));
            inspected["Id"].as_str().expect("an image has an id").trim_start_matches("sha256:").to_owned()
        });
        assert_eq!(docker, podman, "{image}");
    }
}

#[test]
fn bases_with_a_libc_run_programs_for_it() {
    let environment = TestEnvironment::get();
    for (image, fixture, built) in [
        ("glibc:12", "program-glibc", "glibc"),
        ("glibc:12", "program", "static"),
        ("musl:1", "program-musl", "musl"),
        ("musl:1", "program", "static"),
        ("no-shell:1", "program", "static"),
    ] {
        let mount = format!("{}:/program:ro", environment.fixture(fixture).display());
        for daemon in environment.daemons() {
            let text = out(
                &daemon,
                &[
                    "-v",
                    &mount,
                    "-e",
                    "GIVEN=yes",
                    &environment.image(image),
                    "/program",
                    "--print",
                    "a \"b\"\n*",
                    "é",
                ],
            );
            let report: Value = serde_json::from_str(&text).expect("the program prints JSON");
            assert_eq!(report["built"], built, "{image} on {}", daemon.name);
            assert_eq!(report["pid"], 1);
            assert_eq!(report["arguments"], serde_json::json!(["--print", "a \"b\"\n*", "é"]));
            let variables = report["environment"].as_array().expect("a list");
            assert!(variables.contains(&Value::from("GIVEN=yes")), "{variables:?}");
        }
    }
}

#[test]
fn bases_with_a_shell_have_one() {
    let environment = TestEnvironment::get();
    for image in ["glibc:12", "musl:1", "jre:17", "tomcat:9", "tomcat:10", "s2i-foreign:1", "s2i-sclorg:1"] {
        for daemon in environment.daemons() {
            let text = out(
                &daemon,
                &["--entrypoint", "/bin/sh", &environment.image(image), "-c", "echo $((6 * 7))"],
            );
            assert_eq!(text.trim(), "42", "{image} on {}", daemon.name);
        }
    }
}

#[test]
fn the_jre_runs_the_jars() {
    let environment = TestEnvironment::get();
    let mount =
        format!("{}:/jars:ro", environment.fixture("boot.jar").parent().expect("a directory").display());
    for daemon in environment.daemons() {
        let image = environment.image("jre:17");
        let version = out(&daemon, &[&image, "/opt/java/openjdk/bin/java", "-version"]);
        assert!(version.contains("17."), "{version}");
        for (jar, beside) in
            [("app/app", "from the file beside"), ("standalone", ""), ("boot", ""), ("executable", "")]
        {
            let path = format!("/jars/{jar}.jar");
            let text = out(
                &daemon,
                &["-v", &mount, "--user", "12345:0", &image, "java", "-jar", &path, "--print", "a b"],
            );
            let report: Value = serde_json::from_str(&text).expect("the JAR prints JSON");
            assert_eq!(report["greeting"], "hello b2i", "{jar} on {}", daemon.name);
            assert_eq!(report["arguments"], serde_json::json!(["--print", "a b"]));
            assert_eq!(report["beside"], beside);
        }
    }
}

#[test]
fn tomcat_serves_the_wars() {
    let environment = TestEnvironment::get();
    for (major, api, servlet) in [("9", "javax", "version=4.0"), ("10", "jakarta", "version=6.0")] {
        let war = environment.fixture(&format!("shop-{api}.war"));
        let mount = format!("{}:/usr/local/tomcat/webapps/shop.war:ro", war.display());
        for daemon in environment.daemons() {
            let image = environment.image(&format!("tomcat:{major}"));
            let container = daemon.start(&["-v", &mount, "--publish", "127.0.0.1::8080", &image]);
            let (status, body) = container.get(8080, "/shop/hello");
            assert_eq!(status, 200, "Tomcat {major} on {}: {body}\n{}", daemon.name, container.logs());
            let report: Value = serde_json::from_str(&body).expect("the servlet answers JSON");
            let arguments = report["arguments"].as_array().expect("a list");
            assert!(arguments.contains(&Value::from(servlet)), "{arguments:?}");
            let (status, page) = container.get(8080, "/shop/index.jsp");
            assert_eq!((status, page.trim()), (200, format!("shop {api}: 42 café /shop").as_str()));
            assert_eq!(container.stop(), 143, "{}", container.logs());
        }
    }
}

#[test]
fn a_program_serves_and_stops_at_once() {
    let environment = TestEnvironment::get();
    let mount = format!("{}:/program:ro", environment.fixture("program").display());
    // Several working copies may test on one daemon.
    let label = format!("b2i-test.check=serves-{}", std::process::id());
    for daemon in environment.daemons() {
        let image = environment.image("no-shell:1");
        let container = daemon.start(&[
            "--label",
            &label,
            "-v",
            &mount,
            "--publish",
            "127.0.0.1::8080",
            &image,
            "/program",
            "--port",
            "8080",
        ]);
        let (status, body) = container.get(8080, "/");
        assert_eq!(status, 200);
        assert!(body.contains("\"pid\":1,"), "{body}");
        // A program that had to be killed would have 137.
        assert_eq!(container.stop(), 0, "{}", daemon.name);
        let (id, label) = (container.id().to_owned(), format!("label={label}"));
        assert_eq!(daemon.containers(&label), [id], "{}", daemon.name);
        drop(container);
        assert_eq!(daemon.containers(&label), [""; 0]);
    }
}

#[test]
fn foreign_builders_assemble_as_s2i_calls_them() {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        let assemble = |image: &str| {
            let command = "mkdir -p /opt/s2i/destination/src && echo x > /opt/s2i/destination/src/tool && \
                           /usr/local/s2i/assemble </dev/null && stat -c %a /opt/app-root/src/bin/binary";
            daemon.run(&["--user", "1002", "--entrypoint", "sh", &environment.image(image), "-c", command])
        };
        for image in
            ["1", "metadata", "bad-metadata", "reads-stdin", "unterminated", "verbose", "escapes", "network"]
        {
            let output = assemble(&format!("s2i-foreign:{image}"));
            assert!(
                output.status.success() && output.stdout.ends_with(b"755\n"),
                "{image} on {}: {output:?}",
                daemon.name
            );
            if image == "verbose" {
                assert!(output.stdout.len() > 1 << 20, "{} bytes", output.stdout.len());
            }
        }
        assert_eq!(assemble("s2i-foreign:fails").status.code(), Some(37), "{}", daemon.name);
        assert_eq!(assemble("s2i-foreign:no-scripts").status.code(), Some(127), "{}", daemon.name);
    }
}

#[test]
fn an_image_that_a_test_makes_is_removed() {
    let environment = TestEnvironment::get();
    for daemon in environment.daemons() {
        let owned = daemon.owned_image("environment");
        let reference = owned.reference().to_owned();
        daemon.stdout(&["tag", &environment.image("no-shell:1"), &reference]);
        let tar = daemon.export_image(&reference);
        let mut archive = tar::Archive::new(tar.as_slice());
        let names: Vec<_> = archive
            .entries()
            .expect("an export is a tar")
            .map(|entry| entry.and_then(|entry| Ok(entry.path()?.into_owned())).expect("a readable entry"))
            .collect();
        assert!(names.iter().any(|name| name.ends_with("etc/os-release")), "{names:?}");
        drop(owned);
        assert_eq!(daemon.inspect_image(&reference), None, "{}", daemon.name);
    }
}

#[test]
fn the_registry_takes_an_image() {
    let environment = TestEnvironment::get();
    let mut connection = TcpStream::connect(environment.registry()).expect("the registry listens");
    write!(connection, "GET /v2/ HTTP/1.0\r\n\r\n").expect("the registry reads");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("the registry answers");
    assert!(answer.contains(" 200 "), "{answer}");
    let daemon = environment.docker();
    let reference = format!("{}/environment/check:{}", environment.registry(), std::process::id());
    daemon.stdout(&["tag", &environment.image("no-shell:1"), &reference]);
    daemon.stdout(&["push", &reference]);
    daemon.stdout(&["image", "rm", &reference]);
}

#[test]
fn b2i_runs_apart_from_the_developers_settings() {
    let environment = TestEnvironment::get();
    assert_ne!(environment.docker_host(), environment.podman_host());
    let elsewhere = tempfile::tempdir().expect("a temporary directory can be made");
    let mut command = B2iCommand::new()
        .daemon(&environment.docker())
        .args(["--version"])
        .env("NO_COLOR", "1")
        .env_remove("LC_ALL")
        .stdin("")
        .current_dir(elsewhere.path());
    assert!(command.directory().join("cache").is_dir());
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
}
