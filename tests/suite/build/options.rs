//! Options reach the image, results are reported as asked, and of the base is kept what is its own.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;
use crate::fault_server::FaultServer;

/// The runtime part of an image's config.
pub(super) fn config(image: &Image) -> Value {
    image.inspect()["Config"].clone()
}

/// The health check of a container of the image; Podman leaves it out where it describes the image in Docker's place.
fn health_check(image: &Image) -> Value {
    let container = image.daemon.start(&["--entrypoint", "/bin/true", image.reference()]);
    container.inspect()["Config"]["Healthcheck"].clone()
}

/// A build whose public bases are replaced by one image of the tests.
fn on_base(daemon: &Daemon, base: &str) -> B2iCommand {
    let command = b2i(daemon);
    let base = TestEnvironment::get().image(base);
    let text = format!("[bases]\n\"docker.io/library/debian:13-slim\" = \"{base}\"\n");
    write(&command.directory().join("home/.config/b2i/config.toml"), &text);
    command
}

#[test]
fn options_reach_the_image() {
    for daemon in TestEnvironment::get().daemons() {
        for assembly in ["place", "docker"] {
            let command = b2i(&daemon).env("TAKEN", "from here");
            let file = command.directory().join("variables");
            write(&file, "# comment\nFILE=of the file\nREPLACED=file\n");
            let file = file.display().to_string();
            let options = [
                "--assemble",
                assembly,
                "--env",
                "SET=two words=1",
                "-e",
                "REPLACED=typed",
                "-e",
                "TAKEN",
                "--env-file",
                &file,
                "--label",
                "team=web",
                "--label",
                "io.k8s.display-name=mine",
                "--annotation",
                "note=kept",
                "--port",
                "8080",
                "--port",
                "53/udp",
                "--workdir",
                "/tmp",
                "--user",
                "2000:0",
                "--stop-signal",
                "INT",
                "--health-cmd",
                "test -e '/tmp'",
            ];
            let program = fixture("program-musl");
            let image = Image::build_by(command, &daemon, &[&[program.as_str()], &options[..]].concat());
            let config = config(&image);
            for variable in [
                "SET=two words=1",
                "REPLACED=typed",
                "TAKEN=from here",
                "FILE=of the file",
                "APP_ROOT=/opt/app-root",
            ] {
                assert!(words(&config, "Env").contains(&variable.to_owned()), "{variable}: {config}");
            }
            for (name, value) in [
                ("team", "web"),
                ("io.k8s.display-name", "mine"),
                ("io.b2i.artifact.name", "program-musl"),
                ("org.opencontainers.image.title", "program-musl"),
                // The configuration replaces Alpine by this image, which is not a mirror of it.
                (
                    "org.opencontainers.image.base.name",
                    &*format!("docker.io/{}", TestEnvironment::get().image("musl:1")),
                ),
                ("org.opencontainers.image.created", "1980-01-01T00:00:00Z"),
                ("io.b2i.builder", "binary:alpine3.22"),
            ] {
                assert_eq!(config["Labels"][name], value, "{name} on {}", daemon.name);
            }
            assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}, "53/udp": {}}));
            assert_eq!(config["WorkingDir"], "/tmp");
            assert_eq!(config["User"], "2000:0");
            assert_eq!(config["StopSignal"], "SIGINT");
            assert_eq!(config["Entrypoint"], json!(["/usr/libexec/s2i/run"]));
            assert_eq!(health_check(&image)["Test"], json!(["CMD-SHELL", "test -e '/tmp'"]));
            let report = image.report(&[], &["--print"]);
            assert_eq!((&report["uid"], &report["directory"]), (&json!(2000), &json!("/tmp")));
        }
    }
}

#[test]
fn an_entrypoint_replaces_the_script() {
    for daemon in TestEnvironment::get().daemons() {
        for entrypoint in
            ["[\"/opt/app-root/bin/binary\", \"--print\", \"a b\"]", "/opt/app-root/bin/binary --print 'a b'"]
        {
            let image = Image::build(&daemon, &[&fixture("program"), "--entrypoint", entrypoint]);
            assert_eq!(words(&image.report(&[], &["more"]), "arguments"), ["--print", "a b", "more"]);
        }
    }
}

#[test]
fn a_result_is_reported_as_asked() {
    for daemon in TestEnvironment::get().daemons() {
        let names = ["one", "two"].map(|stem| daemon.owned_image(stem));
        let mut command = b2i(&daemon);
        let file = |command: &B2iCommand, name| command.directory().join(name).display().to_string();
        let (id_file, metadata_file) = (file(&command, "id"), file(&command, "metadata.json"));
        command = command.args(["build", &fixture("program"), "--format", "json", "--iidfile", &id_file]);
        command = command.args(["--metadata-file", &metadata_file, "--port", "8080"]);
        command = command.args(["-t", names[0].reference(), "--tag", names[1].reference()]);
        let ended = command.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let printed: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
        let written = std::fs::read_to_string(&metadata_file).expect("it was asked for");
        assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), printed);
        assert_eq!(printed["schemaVersion"], 1);
        assert_eq!(printed["ports"], json!(["8080/tcp"]));
        assert_eq!(printed["assembly"], "place");
        assert_eq!(printed["assemblyReason"], "the template's script is unchanged");
        let id = printed["imageId"].as_str().expect("an ID").to_owned();
        assert_eq!(std::fs::read_to_string(&id_file).expect("it was asked for"), id);
        for name in &names {
            let image = daemon.inspect_image(name.reference()).expect("it was asked for");
            let found =
                image["Id"].as_str().expect("an image has an ID").trim_start_matches("sha256:").to_owned();
            assert_eq!(found, id.trim_start_matches("sha256:"), "{}", name.reference());
        }
        // The same again: the same ID.
        let mut again = b2i(&daemon).args(["build", &fixture("program"), "--quiet", "--port", "8080"]);
        again = again.args(["-t", names[0].reference()]);
        let ended = again.run();
        assert_eq!((ended.stdout.trim(), ended.stderr.as_str(), ended.code), (id.as_str(), "", Some(0)));
        let run = ["build", &fixture("program"), "--format", "json", "--assemble", "docker"];
        let ended = b2i(&daemon).args(run).args(["--port", "8080", "-t", names[0].reference()]).run();
        let printed: Value = serde_json::from_str(&ended.stdout).expect("JSON and nothing else");
        assert_eq!(printed["assembly"], "run");
        assert_eq!(printed["assemblyReason"], "requested with `--assemble docker`");
    }
}

#[test]
fn a_web_application_answers_where_it_is_asked_to() {
    for daemon in TestEnvironment::get().daemons() {
        for assembly in ["place", "docker"] {
            let war = fixture("shop-javax.war");
            let image = Image::build(&daemon, &[&war, "--context-path", "/shop/eu", "--assemble", assembly]);
            let container = image.serve(&[], &[]);
            let report = asked(&container, "/shop/eu/hello");
            assert!(words(&report, "arguments").contains(&"context=/shop/eu".to_owned()), "{report}");
            assert_eq!(container.get(8080, "/hello").0, 404);
        }
    }
}

#[test]
fn a_download_becomes_an_image_that_names_its_origin_and_no_secret() {
    let bytes = std::fs::read(TestEnvironment::get().fixture("archives/tool.tar.gz")).expect("a fixture");
    let server = FaultServer::start(move |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
        out.write_all(&bytes)
    });
    let url = server.url("/releases/tool-1.2.tar.gz");
    let secret = format!("{url}?token=hunter2");
    for daemon in TestEnvironment::get().daemons() {
        let name = daemon.owned_image("download");
        let mut command = b2i(&daemon).args(["build", &secret, "-t", name.reference(), "--", "--print"]);
        let netrc = command.directory().join("home/.netrc");
        write(&netrc, "machine 127.0.0.1 login somebody password hunter3\n");
        std::fs::set_permissions(&netrc, std::fs::Permissions::from_mode(0o600))
            .expect("the file is the test's");
        let ended = command.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let image = daemon.inspect_image(name.reference()).expect("it was built");
        let labels = &image["Config"]["Labels"];
        assert_eq!(labels["org.opencontainers.image.source"], url);
        assert_eq!(labels["io.b2i.artifact.name"], "tool", "the one artifact in the archive");
        for said in [&image.to_string(), &ended.stderr, &ended.stdout] {
            assert!(!said.contains("hunter") && !said.contains("somebody"), "{said}");
        }
        let report = daemon.run(&[name.reference()]).stdout;
        assert!(String::from_utf8_lossy(&report).contains("\"built\":\"static\""));
    }
    assert!(server.requests().iter().all(|request| request.header("authorization").is_some()));
}

#[test]
fn added_files_go_where_they_are_asked_to_and_take_no_directory_over() {
    let command = "stat -c '%a %u:%g %F' /etc /etc/app /etc/app/x.yml && cat /etc/app/x.yml";
    for daemon in TestEnvironment::get().daemons() {
        for assembly in ["place", "docker"] {
            let b2i = b2i(&daemon);
            let file = b2i.directory().join("work/settings.yml");
            write(&file, "key: value\n");
            let added = format!("{}:/etc/app/x.yml", file.display());
            let artifact = fixture("program-glibc");
            let arguments = [artifact.as_str(), "--add", &added, "--assemble", assembly];
            let image = Image::build_by(b2i, &daemon, &arguments);
            let text = image.print(&["--entrypoint", "/bin/sh"], &["-c", command]);
            let expected = "755 0:0 directory\n755 0:0 directory\n644 0:0 regular file\nkey: value\n";
            assert_eq!(text, expected, "{assembly} on {}", daemon.name);
        }
    }
}

#[test]
fn of_the_base_is_kept_what_is_its_own() {
    for daemon in TestEnvironment::get().daemons() {
        for assembly in ["place", "docker"] {
            let arguments = [&fixture("shell-program"), "--assemble", assembly].map(str::to_owned);
            let arguments = arguments.each_ref().map(String::as_str);
            let image = Image::build_by(on_base(&daemon, "s2i-foreign:inherited"), &daemon, &arguments);
            let kept = config(&image);
            let check = health_check(&image);
            assert_eq!(check["Test"], json!(["CMD", "/bin/true"]), "{assembly} on {}", daemon.name);
            assert_eq!(check["Retries"], 2);
            assert_eq!(kept["Volumes"], json!({"/opt/app-root/data": {}}));
            assert_eq!(kept["StopSignal"], "SIGINT");
            assert_eq!(kept["ExposedPorts"], json!({"8080/tcp": {}, "9090/udp": {}}));
            assert_eq!(kept["Labels"]["foreign.example/kept"], "yes");
            assert_eq!(kept["Labels"]["io.openshift.s2i.scripts-url"], "image:///usr/libexec/s2i");
            assert!(words(&kept, "Env").contains(&"FOREIGN_BUILDER=s2i-foreign 1".to_owned()));
            assert_eq!(kept["Entrypoint"], json!(["/usr/libexec/s2i/run"]));
            assert!(kept["Cmd"].as_array().is_none_or(Vec::is_empty), "{}", kept["Cmd"]);
            assert_eq!((&kept["User"], &kept["WorkingDir"]), (&json!("1001:0"), &json!("/opt/app-root/bin")));
            assert_eq!(image.print(&[], &["a b"]), "pid 1\nargument a b\n");

            let image = Image::build_by(on_base(&daemon, "s2i-foreign:onbuild"), &daemon, &arguments);
            let reset = &config(&image)["OnBuild"];
            assert!(reset.as_array().is_none_or(Vec::is_empty), "{reset}");
        }
    }
}

#[test]
fn a_base_that_is_a_builder_itself_says_nothing_about_our_scripts() {
    for daemon in TestEnvironment::get().daemons() {
        for base in ["s2i-foreign:1", "s2i-foreign:old-labels", "s2i-foreign:environment-only"] {
            for assembly in ["place", "docker"] {
                let arguments =
                    [&fixture("program-glibc"), "--builder", "binary:debian13", "--assemble", assembly];
                let image = Image::build_by(on_base(&daemon, base), &daemon, &arguments);
                let config = config(&image);
                let labels = config["Labels"].as_object().expect("labels");
                let of_s2i = |name: &&String| {
                    (name.starts_with("io.openshift.s2i.") || name.starts_with("io.s2i."))
                        && !name.starts_with("io.openshift.s2i.build.")
                };
                let found: Vec<&String> = labels.keys().filter(of_s2i).collect();
                assert_eq!(
                    found,
                    ["io.openshift.s2i.scripts-url"],
                    "{base} by {assembly} on {}",
                    daemon.name
                );
                assert_eq!(labels["io.openshift.s2i.scripts-url"], "image:///usr/libexec/s2i");
                let env = words(&config, "Env");
                assert!(!env.iter().any(|entry| entry.starts_with("STI_")), "{env:?}");
            }
        }
    }
}

#[test]
fn a_builders_bases_are_checked() {
    for daemon in TestEnvironment::get().daemons() {
        for (name, code, line) in [
            ("java:17", 0, "java: 17"),
            ("java:8", 5, "java: 8; found 17"),
            ("tomcat:9-jre17", 0, "tomcat"),
            ("binary:alpine3.22", 5, "libraries"),
        ] {
            let mut command = b2i(&daemon).args(["builders", "check", name]);
            let ended = command.run();
            assert_eq!(ended.code, Some(code), "{name} on {}: {}{}", daemon.name, ended.stdout, ended.stderr);
            assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
            assert_eq!(ended.stdout.contains("wrong"), code != 0, "{}", ended.stdout);
        }
    }
}

#[test]
fn every_base_is_checked_whatever_becomes_of_the_others() {
    for daemon in TestEnvironment::get().daemons() {
        // Nothing listens at the second one's registry; and nothing has to, offline.
        let image = TestEnvironment::get().image("jre:17");
        let bases =
            [("8", &*image), ("11", "127.0.0.1:1/absent:1"), ("17", &image), ("21", &image), ("25", &image)];
        let bases = bases.map(|(release, base)| {
            format!("\"docker.io/library/eclipse-temurin:{release}-jre\" = \"{base}\"\n")
        });
        let text = format!("[bases]\n{}", bases.concat());
        let check = |options: &[&str]| {
            let mut command =
                b2i(&daemon).args(["builders", "check", "java", "--format", "json"]).args(options);
            write(&command.directory().join("home/.config/b2i/config.toml"), &text);
            let ended = command.run();
            assert_eq!(
                ended.code,
                Some(5),
                "{options:?} on {}: {}{}",
                daemon.name,
                ended.stdout,
                ended.stderr
            );
            let report: Value = serde_json::from_str(&ended.stdout).expect("one document");
            assert_eq!(report["schemaVersion"], 1);
            report["bases"].as_array().expect("a list").clone()
        };
        for (options, why) in
            [(&["--offline"][..], "`--offline`"), (&["--pull", "never"], "`--pull never`"), (&[], "pulled")]
        {
            let bases = check(options);
            let outcomes: Vec<&Value> = bases.iter().map(|base| &base["outcome"]).collect();
            assert_eq!(outcomes, ["differs", "unavailable", "ok", "differs", "differs"], "{bases:?}");
            assert_eq!(bases[1]["base"], "127.0.0.1:1/absent:1");
            assert!(bases[1]["reason"].as_str().expect("text").contains(why), "{}", bases[1]);
        }
    }
}

#[test]
fn twice_verbose_tells_the_way_and_no_secret() {
    for daemon in TestEnvironment::get().daemons() {
        for (assembly, told) in [
            ("place", &["only the new layer was sent", "sent an archive to the daemon bytes="][..]),
            ("docker", &["made a container", "the command ended", "committed the container"]),
        ] {
            let image = daemon.owned_image("verbose");
            let command = b2i(&daemon).env("TAKEN", "hunter2-taken");
            // A layer that is new every time, so that there is something to send, and that nobody else removes.
            let artifact = command.directory().join("program-glibc");
            let program = std::fs::read(fixture("program-glibc")).expect("a fixture can be read");
            let own = [&program, image.reference().as_bytes()].concat();
            std::fs::write(&artifact, own).expect("the directory is the test's");
            let command = command.arg("build").arg(artifact).args(["-vv", "--assemble", assembly]);
            let command = command.args(["--tag", image.reference(), "-e", "TAKEN"]);
            let command = command.args(["-e", "PASSWORD=hunter2-typed"]);
            let ended = command.args(["--", "--password", "hunter2-argument"]).run();
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            let everywhere = [
                "took a lease",
                "found a daemon",
                "read the facts",
                "planned",
                "found the base",
                "published",
                "request to the daemon",
                "milliseconds=",
            ];
            for word in everywhere.iter().chain(told) {
                assert!(ended.stderr.contains(word), "no {word:?} on {}: {}", daemon.name, ended.stderr);
            }
            assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
            let line = format!("{} sha256:", image.reference());
            assert!(ended.stdout.starts_with(&line) && ended.stdout.lines().count() == 1, "{}", ended.stdout);
        }
    }
}

#[test]
fn the_class_that_is_asked_for_is_started() {
    for daemon in TestEnvironment::get().daemons() {
        let (jar, library) = (fixture("app/app.jar"), fixture("app/lib"));
        let arguments = [&jar, "--add", &library, "--main-class", "example.app.Main", "--", "--print"];
        let image = Image::build(&daemon, &arguments);
        assert!(words(&config(&image), "Env").contains(&"JAVA_MAIN_CLASS=example.app.Main".to_owned()));
        assert_eq!(words(&image.report(&[], &["more"]), "arguments"), ["--print", "more"]);
        // One of the class path is as good, and what is set by hand wins.
        let arguments = [&jar, "--add", &library, "--main-class", "example.greeter.Greeter"];
        let env = ["-e", "JAVA_MAIN_CLASS=example.app.Main", "--", "--print"];
        let image = Image::build(&daemon, &[&arguments[..], &env].concat());
        assert_eq!(words(&image.report(&[], &[]), "arguments"), ["--print"]);
    }
}

#[test]
fn a_directory_that_is_made_for_an_added_file_is_the_programs_own() {
    let daemon = TestEnvironment::get().docker();
    let (program, file) = (fixture("program"), fixture("app/application.properties"));
    let added = format!("{file}:conf/deep/app.properties");
    // On a base with a shell the script moves it, on the built-in one the static program does.
    for builder in ["binary:debian12", "binary:static"] {
        let build = |assembly: &str| {
            let arguments = [&program, "--builder", builder, "--add", &added, "--assemble", assembly];
            Image::build(&daemon, &arguments)
        };
        let [placed, run] = ["place", "docker"].map(build);
        super::tree::assert_same_tree(&placed, &run);
    }
    let command = ["--builder", "binary:debian12", "--add", &added, &program];
    let image = Image::build(&daemon, &command);
    let owner = image.print(&["--entrypoint", "stat"], &["-c", "%a %u:%g", "conf", "conf/deep"]);
    assert_eq!(owner, "1775 0:0\n1775 0:0\n");
}
