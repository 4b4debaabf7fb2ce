//! Each template's Dockerfile gives a builder image that b2i and plain S2I both build with.

use super::*;

/// A template and an artifact for it: its name, base, the artifact, and a call that shows that it runs.
const TEMPLATES: [(&str, &str, &str); 4] = [
    ("binary", "glibc:12", "program-glibc"),
    ("binary", "musl:1", "program-musl"),
    ("java", "jre:17", "standalone.jar"),
    ("tomcat", "tomcat:9", "shop-javax.war"),
];

/// Asks the program of an image how it was started.
fn ask(daemon: &Daemon, reference: &str, template: &str) {
    let (report, field, expected) = if template == "tomcat" {
        let published = ["--publish", "127.0.0.1::8080", "-e", "ARGS='-Dword=a b'", reference];
        (asked(&daemon.start(&published), "/hello"), "jvmArguments", "-Dword=a b")
    } else {
        let output = daemon.run(&["-e", "ARGS=--print 'a b'", reference]);
        assert!(output.status.success(), "{output:?}");
        (serde_json::from_slice(&output.stdout).expect("a report"), "arguments", "a b")
    };
    assert_eq!(report["pid"], 1, "{template}");
    assert!(words(&report, field).contains(&expected.to_owned()), "{template}: {report}");
}

/// What `s2i build` uploads for a fixture.
fn upload(artifact: &str) -> Vec<u8> {
    let path = TestEnvironment::get().fixture(artifact);
    let mut upload = tar::Builder::new(Vec::new());
    upload.append_path_with_name(&path, format!("src/{artifact}")).expect("a fixture can be read");
    upload.into_inner().expect("writing to memory")
}

/// What `s2i build` does: files by standard input, `assemble`, and a commit with `run` as its command. Returns what
/// `assemble` wrote, too.
pub(super) fn plain_s2i(
    daemon: &Daemon,
    builder: &str,
    upload: Vec<u8>,
    options: &[&str],
) -> (OwnedImage, String) {
    // What an incremental build brings is a tar in the tar: s2i hands it through as save-artifacts wrote it.
    let script = "tar -C /tmp -xf - && if [ -e /tmp/artifacts.tar ]; then mkdir /tmp/artifacts && \
        tar -C /tmp/artifacts -xf /tmp/artifacts.tar && rm /tmp/artifacts.tar; fi && /usr/libexec/s2i/assemble";
    // The entrypoint of the builder stays: s2i changes it too late.
    let command = [builder, "/bin/sh", "-c", script];
    let create = [&["create", "--interactive", "--network", "none"], options, &command].concat();
    let id = daemon.text(&create);
    let output = daemon.output_of_input(&["start", "--attach", "--interactive", &id], upload);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{builder}: assemble: {said}");
    let result = daemon.owned_image("s2i");
    daemon.stdout(&["commit", "--change", "CMD [\"/usr/libexec/s2i/run\"]", &id, result.reference()]);
    daemon.stdout(&["rm", &id]);
    (result, said)
}

/// Exports a template and builds its Dockerfile on a test base.
pub(crate) fn docker_build(daemon: &Daemon, template: &str, base: &str) -> OwnedImage {
    let mut export = b2i(daemon);
    let directory = export.directory().join("work/builder").display().to_string();
    export = export.args(["builders", "export", template, &directory]);
    let ended = export.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let builder = daemon.owned_image("builder");
    let base = format!("BASE={}", TestEnvironment::get().image(base));
    daemon.stdout(&["build", "--quiet", "--build-arg", &base, "--tag", builder.reference(), &directory]);
    builder
}

#[test]
fn dockerfiles_give_builder_images() {
    let daemon = TestEnvironment::get().docker();
    for (template, base, artifact) in TEMPLATES {
        let builder = docker_build(&daemon, template, base);
        let image = Image::build(&daemon, &[&fixture(artifact), "--builder", builder.reference()]);
        ask(&daemon, image.reference(), template);
        let (image, _) = plain_s2i(&daemon, builder.reference(), upload(artifact), &[]);
        ask(&daemon, image.reference(), template);
    }
}
