//! Scripts without a `#!` line: S2I starts every script from a shell, so they work there, and here.

use serde_json::json;

use super::made_image::MadeImage;
use super::scripts::{directory_of, serve};
use super::{Image, Place, Sources, assert_built, b2i_build, everywhere};
use crate::environment::{B2iCommand, TestEnvironment};

/// Lines of a Dockerfile that make a script without a first line.
fn bare(path: &str, text: &str) -> String {
    assert!(!text.contains(['\'', '\n']), "it stands in quotes, on one line");
    format!("RUN mkdir -p $(dirname {path}) && echo '{text}' >{path} && chmod 755 {path}\n")
}

const ASSEMBLES: &str = "cp /tmp/src/program /opt/app-root/src/; echo assembled by $0; \
    [ -f /tmp/artifacts/saved ] && echo restored $(cat /tmp/artifacts/saved); echo once >/opt/app-root/src/saved";

/// A builder image all of whose scripts are bare.
fn bare_builder() -> MadeImage {
    let scripts = [
        bare("/usr/lib/s2i/assemble", ASSEMBLES),
        bare("/usr/lib/s2i/run", "exec /opt/app-root/src/program bare \"$@\""),
        bare("/usr/lib/s2i/save-artifacts", "tar -C /opt/app-root/src -cf - saved"),
        bare("/usr/lib/s2i/usage", "echo this is a bare builder"),
    ];
    MadeImage::new(
        "bare",
        &format!(
            "FROM s2i-foreign:no-labels\nUSER 0\n{}USER 1001\nENTRYPOINT []\n\
             LABEL io.openshift.s2i.scripts-url=image:///usr/lib/s2i\n",
            scripts.concat()
        ),
    )
}

#[test]
fn scripts_of_the_builder_start_through_a_shell() {
    let builder = bare_builder();
    let sources = Sources::new();
    everywhere("s2i-kubesphere:1", |place, _| {
        let image = Image::build(place, builder.name(), &sources, &[]);
        assert!(image.messages.contains("| assembled by /usr/lib/s2i/assemble"), "{}", image.messages);
        assert_eq!(image.report()["arguments"], json!(["bare"]), "{}", place.name());
        assert_eq!(image.config()["Cmd"], json!(["/bin/sh", "/usr/lib/s2i/run"]), "{}", place.name());
    });
}

#[test]
fn an_artifact_is_assembled_by_a_bare_script() {
    let builder = bare_builder();
    let fixture = TestEnvironment::get().fixture("program");
    everywhere("s2i-kubesphere:1", |place, _| {
        let command = match place {
            Place::Daemon(daemon) => B2iCommand::new().daemon(daemon),
            Place::Sandbox => B2iCommand::without_daemon(),
        };
        let command = command.args(["build", "--builder", builder.name()]).arg(&fixture);
        let image = Image::build_by(place, command);
        assert_eq!(image.report()["arguments"], json!(["bare"]), "{}", place.name());
    });
}

#[test]
fn a_bare_script_saves_for_the_next_build() {
    let builder = bare_builder();
    let sources = Sources::new();
    for daemon in TestEnvironment::get().daemons() {
        let place = Place::Daemon(daemon.clone());
        let name = daemon.owned_image("bare");
        for expected in ["assembled by", "restored once"] {
            let command = b2i_build(&place, builder.name(), &sources);
            let command = command.args(["--incremental", "--tag", name.reference()]);
            let mut command = command;
            let output = command.run();
            assert_built(&place, &command, &output);
            assert!(output.stderr.contains(expected), "{}: {}", place.name(), output.stderr);
        }
    }
}

#[test]
fn scripts_of_the_sources_and_of_a_url_start_through_a_shell() {
    let assemble = "cp /tmp/src/program /opt/app-root/src/; echo bare assemble\n";
    let run = "exec /opt/app-root/src/program of-the-sources\n";
    let sources = Sources::new().with(".s2i/bin/assemble", assemble).with(".s2i/bin/run", run);
    let named = directory_of(&[("run", "exec /opt/app-root/src/program of-the-url\n")]);
    let url = serve(named.path());
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &[]);
        assert!(image.messages.contains("| bare assemble"), "{}: {}", place.name(), image.messages);
        assert_eq!(image.report()["arguments"], json!(["of-the-sources"]), "{}", place.name());
        assert!(!image.messages.contains("has no `#!` line"), "it is known before: {}", image.messages);
        let image = Image::build(place, builder, &sources, &["--scripts-url", &url]);
        assert_eq!(image.report()["arguments"], json!(["of-the-url"]), "{}", place.name());
    });
}

/// The images that KubeSphere publishes, as far as their scripts matter: root's, with bare scripts, and a working directory
/// that the scripts count on.
const RUNTIMES: [(&str, &str, &str, &str); 3] = [
    (
        "java8-runtime",
        "/usr/local/s2i",
        "mv deployments /opt/run-java/",
        "cd /opt/run-java; exec deployments/app.jar",
    ),
    (
        "java11-runtime",
        "/usr/local/s2i",
        "mv deployments /opt/run-java/",
        "cd /opt/run-java; exec deployments/app.jar",
    ),
    (
        "tomcat85-runtime",
        "/",
        "echo nothing to do",
        "ln -s /deployments/app.jar /opt/webapp.war; exec /opt/webapp.war",
    ),
];

#[test]
fn kubespheres_runtime_images_work_unchanged() {
    let assemble =
        "mkdir /opt/app-root/src/deployments; cp /tmp/src/program /opt/app-root/src/deployments/app.jar\n";
    let sources = Sources::new().with(".s2i/bin/assemble", assemble);
    for (name, directory, assemble, run) in RUNTIMES {
        let text = format!(
            "FROM s2i-foreign:no-labels\nUSER 0\nRUN mkdir -p /opt/run-java\n{}{}WORKDIR {directory}\nENTRYPOINT []\n\
             LABEL io.openshift.s2i.scripts-url=image:///usr/local/s2i \
             io.openshift.s2i.assemble-input-files=/opt/app-root/src/deployments\n",
            bare("/usr/local/s2i/assemble-runtime", assemble),
            bare("/usr/local/s2i/run", run),
        );
        let runtime = MadeImage::new(name, &text);
        everywhere("s2i-kubesphere:1", |place, builder| {
            let image = Image::build(place, builder, &sources, &["--runtime-image", runtime.name()]);
            assert_eq!(image.report()["pid"], 1, "{name} on {}: {}", place.name(), image.messages);
        });
    }
}

#[test]
fn a_dockerfile_starts_bare_scripts_too() {
    let builder = bare_builder();
    let docker = TestEnvironment::get().docker();
    let sources = Sources::new().with(".s2i/bin/run", "exec /opt/app-root/src/program of-the-sources\n");
    let place = Place::Daemon(docker.clone());
    let command = b2i_build(&place, builder.name(), &sources).args(["--dockerfile", "context"]);
    let mut command = command;
    let output = command.run();
    assert_built(&place, &command, &output);
    let image = docker.owned_image("bare");
    let context = command.directory().join("work/context").display().to_string();
    docker.stdout(&["build", "--quiet", "--tag", image.reference(), &context]);
    let output = docker.run(&["--network", "none", image.reference()]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["arguments"], json!(["of-the-sources"]));
}

#[test]
fn usage_of_a_bare_builder_is_shown() {
    let builder = bare_builder();
    for daemon in TestEnvironment::get().daemons() {
        let mut command = B2iCommand::new().daemon(&daemon).args(["s2i", "usage", builder.name()]);
        let output = command.run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("this is a bare builder"), "{}", output.stderr);
    }
}

#[test]
fn contents_of_volumes_are_in_no_image() {
    let builder = MadeImage::new(
        "volume",
        "FROM s2i-sclorg:1\nUSER 0\nRUN mkdir /var/volume && chown 1001:0 /var/volume\nVOLUME /var/volume\nUSER 1001\n",
    );
    let assemble = "cp /tmp/src/program .; echo kept >kept; echo dropped >/var/volume/dropped\n";
    let sources = Sources::new().with(".s2i/bin/assemble", assemble);
    everywhere("s2i-kubesphere:1", |place, _| {
        let image = Image::build(place, builder.name(), &sources, &[]);
        assert_eq!(image.shell("cat kept; ls -A /var/volume"), "kept", "{}", place.name());
    });
}
