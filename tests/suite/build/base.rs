//! `--base`: the user's base wherever it is, looked at before the build, and named as what it is.

use super::*;
use crate::commands::ended;

/// A test image in every form that a base may have.
struct Forms {
    directory: tempfile::TempDir,
    image: String,
}

impl Forms {
    fn new(test: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let forms = Self { directory, image: TestEnvironment::get().image(test) };
        let daemon = TestEnvironment::get().docker();
        let source = format!("docker-daemon:{}", forms.image);
        for target in ["oci:layout", "oci-archive:image.oci.tar", "docker-archive:image.tar"] {
            let command = B2iCommand::new().daemon(&daemon).current_dir(forms.directory.path());
            ended(&mut command.args(["copy", &source, target]), 0);
        }
        forms
    }

    fn of(&self, scheme: &str, file: &str) -> String {
        format!("{scheme}:{}", self.directory.path().join(file).display())
    }

    fn all(&self) -> [String; 5] {
        [
            self.of("oci", "layout"),
            self.of("oci-archive", "image.oci.tar"),
            self.of("docker-archive", "image.tar"),
            format!("docker-daemon:{}", self.image),
            self.image.clone(),
        ]
    }
}

fn label(image: &Image, name: &str) -> String {
    image.inspect()["Config"]["Labels"][name].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_jar_runs_on_a_base_of_any_form() {
    let forms = Forms::new("jre:17");
    let full = format!("docker.io/{}", forms.image);
    let jar = fixture("standalone.jar");
    for daemon in TestEnvironment::get().daemons() {
        for base in forms.all() {
            // The layers of a file are loaded for a container.
            let assemblies = if base.starts_with("oci:") { &["place", "docker"][..] } else { &["place"] };
            for assembly in assemblies {
                let command = B2iCommand::new().daemon(&daemon);
                let arguments = [&jar, "--base", &base, "--assemble", assembly, "--label", "test=base"];
                let image = Image::build_by(command, &daemon, &arguments);
                assert!(image.messages.contains("Planned java:17 on "), "{base}: {}", image.messages);
                let report = image.report(&[], &["--print", "a b"]);
                assert_eq!(words(&report, "arguments"), ["--print", "a b"], "{base} {assembly}");
                assert_eq!(label(&image, "org.opencontainers.image.base.name"), full, "{base} {assembly}");
            }
        }
    }
}

#[test]
fn without_a_daemon_a_layout_is_enough() {
    let forms = Forms::new("jre:17");
    let base = forms.of("oci", "layout");
    let mut command = B2iCommand::without_daemon()
        .args(["build", &fixture("standalone.jar"), "--offline"])
        .args(["--base", &base, "-o", "oci:image", "-o", "docker-archive:image.tar"]);
    let first = ended(&mut command, 0);
    let second = ended(&mut command, 0);
    assert_eq!(first.stdout, second.stdout);
    let docker = TestEnvironment::get().docker();
    let name = docker.owned_image("base");
    let loaded = format!("docker-daemon:{}", name.reference());
    let work = command.directory().join("work");
    ended(&mut B2iCommand::new().daemon(&docker).current_dir(&work).args(["copy", "oci:image", &loaded]), 0);
    let image = Image::adopt(&docker, name);
    assert_eq!(words(&image.report(&[], &["--print", "a"]), "arguments"), ["--print", "a"]);
    // In the sandbox, the script runs on the same layers.
    let mut sandbox = B2iCommand::without_daemon()
        .args(["build", &fixture("standalone.jar"), "--offline"])
        .args(["--base", &base, "--assemble", "sandbox", "-o", "oci:image"]);
    ended(&mut sandbox, 0);
}

#[test]
fn a_base_that_cannot_run_the_artifact_is_refused_before_the_build() {
    let (jre, musl, glibc) = (Forms::new("jre:17"), Forms::new("musl:1"), Forms::new("glibc:12"));
    for (artifact, options, base, parts) in [
        ("standalone.jar", &[][..], &musl, &["has no Java"][..]),
        ("shop-jakarta.war", &[], &jre, &["has no Tomcat"]),
        ("program-glibc", &[], &musl, &["linked against glibc", "has musl"]),
        ("program-musl", &[], &glibc, &["linked against musl", "has glibc"]),
        ("standalone.jar", &["--builder", "java:25"], &glibc, &["has no Java"]),
    ] {
        let base = base.of("oci", "layout");
        let mut command = B2iCommand::without_daemon()
            .args(["build", &fixture(artifact), "--base", &base, "-o", "oci:image", "--dry-run"])
            .args(options);
        let output = ended(&mut command, 5);
        for part in parts.iter().chain(&["omit `--base`"]) {
            assert!(output.stderr.contains(part), "{artifact} on {base}: {}", output.stderr);
        }
        assert!(!command.directory().join("work/image").exists());
    }
}

#[test]
fn what_cannot_be_a_base_is_said_so() {
    let forms = Forms::new("glibc:12");
    let layout = forms.of("oci", "layout");
    let foreign = TestEnvironment::get().image("s2i-foreign:1");
    let program = fixture("program-glibc");
    for (arguments, code, part) in [
        (&["--base", "containers-storage:x"][..], 2, "`containers-storage:` is not supported"),
        (&["--base", "oci:absent"], 5, "absent"),
        (&["--base", "docker-daemon:absent"], 9, "no daemon answers"),
        (&["--base", &layout, "--builder", &foreign], 2, "`--base` replaces the base of a template"),
        (&["--base", &format!("{layout}:none")], 5, "is named `none`"),
        (&["--base", &layout, "--dockerfile", "context"], 2, "a Dockerfile cannot name the base"),
    ] {
        let mut command = B2iCommand::without_daemon().args(["build", &program]).args(arguments);
        if !arguments.contains(&"--dockerfile") {
            command = command.args(["-o", "oci:image"]);
        }
        let output = ended(&mut command, code);
        assert!(output.stderr.contains(part), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn a_project_names_its_base_but_no_file_outside() {
    let forms = Forms::new("glibc:12");
    let program = fixture("program-glibc");
    let build = |text: &str, code| {
        let command = B2iCommand::without_daemon().current_dir(forms.directory.path());
        write(&forms.directory.path().join("b2i.toml"), text);
        ended(&mut command.args(["build", &program, "-o", "oci:image", "--dry-run"]), code)
    };
    let planned = build("[build]\nbase = \"oci:layout\"\n", 0);
    assert!(planned.stdout.contains("oci:"), "{}", planned.stdout);
    for outside in ["oci:../layout", "docker-archive:/var/lib/image.tar", "oci-archive:a/../../b.tar"] {
        let refused = build(&format!("[build]\nbase = \"{outside}\"\n"), 2);
        assert!(refused.stderr.contains("leaves the project"), "{}", refused.stderr);
    }
    let project = tempfile::tempdir().expect("a temporary directory can be made");
    std::os::unix::fs::symlink(forms.directory.path().join("layout"), project.path().join("layout"))
        .expect("the directory is the test's");
    write(&project.path().join("b2i.toml"), "[build]\nbase = \"oci:layout\"\n");
    let linked = |options: &[&str], code| {
        let command = B2iCommand::without_daemon().current_dir(project.path());
        ended(&mut command.args(["build", &program, "-o", "oci:image", "--dry-run"]).args(options), code)
    };
    let refused = linked(&[], 2);
    assert!(refused.stderr.contains("is a link to"), "{}", refused.stderr);
    linked(&["--base", "oci:layout"], 0);
}

#[test]
fn the_configuration_replaces_a_public_base_by_a_layout() {
    let forms = Forms::new("glibc:12");
    let base = forms.of("oci", "layout");
    let full = format!("docker.io/{}", forms.image);
    for daemon in TestEnvironment::get().daemons() {
        let command = replace_bases_by(B2iCommand::new(), |_| Some(base.clone())).daemon(&daemon);
        let arguments = [&fixture("program-glibc"), "--label", "test=layout"];
        let image = Image::build_by(command, &daemon, &arguments);
        assert_eq!(words(&image.report(&[], &["--print", "a"]), "arguments"), ["--print", "a"]);
        assert_eq!(label(&image, "org.opencontainers.image.base.name"), full);
        // The daemon's image, also for an output that takes none of the daemon.
        let in_daemon = format!("docker-daemon:{}", forms.image);
        let command = replace_bases_by(B2iCommand::new(), |_| Some(in_daemon.clone())).daemon(&daemon);
        let program = fixture("program-glibc");
        ended(&mut command.args(["build", &program, "-o", "oci:image", "--offline"]), 0);
    }
}

#[test]
fn a_base_without_effect_is_said_so() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-sclorg:1");
    let sources = tempfile::tempdir().expect("a temporary directory can be made");
    write(&sources.path().join("README"), "text\n");
    let command = B2iCommand::new().daemon(&docker).arg("build").arg(sources.path());
    let options = ["--as", "source", "--source-builder", &builder, "--base", "oci:absent", "--dry-run"];
    let output = ended(&mut command.args(options), 0);
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(all.contains("the base `oci:absent` has no effect"), "{all}");
}

#[test]
fn a_layout_among_the_mirrors_has_bases_by_their_names() {
    let docker = TestEnvironment::get().docker();
    let layout = tempfile::tempdir().expect("a temporary directory can be made");
    let bases = format!("oci:{}", layout.path().join("bases").display());
    let named = docker.owned_image("mirrored");
    let base = named.reference();
    for (test, name) in [("glibc:12", base), ("musl:1", &format!("{base}-musl"))] {
        docker.stdout(&["tag", &TestEnvironment::get().image(test), name]);
        let source = format!("docker-daemon:{name}");
        ended(&mut B2iCommand::new().daemon(&docker).args(["copy", &source, &bases]), 0);
        docker.stdout(&["image", "rm", name]);
    }
    let with_mirror = |command: B2iCommand| {
        let configuration = command.directory().join("home/.config/b2i/config.toml");
        let text = format!("[registries.\"docker.io\"]\nmirrors = [\"oci:/absent\", \"{bases}\"]\n");
        std::fs::create_dir_all(configuration.parent().expect("it has one"))
            .expect("the directory is the test's");
        write(&configuration, &text);
        command
    };
    let program = fixture("program-glibc");
    let full = format!("docker.io/{base}");
    for option in [&["--offline"][..], &["--pull", "never"], &[]] {
        let command = with_mirror(B2iCommand::without_daemon());
        let mut command = command.args(["build", &program, "--base", base, "-o", "oci:image"]).args(option);
        let output = ended(&mut command, 0);
        let found = format!("Resolved {base} (from `{bases}`)");
        assert!(output.stderr.contains(&found), "{found}: {}", output.stderr);
        assert_eq!(output.stderr.matches("the mirror `oci:/absent` failed").count(), 1, "{}", output.stderr);
    }
    let copy = with_mirror(B2iCommand::without_daemon());
    ended(&mut copy.args(["--offline", "copy", base, "oci-archive:copy.tar"]), 0);
    let copy = with_mirror(B2iCommand::without_daemon());
    ended(&mut copy.args(["--offline", "copy", &format!("{base}-other"), "oci-archive:copy.tar"]), 5);
    // A daemon that lacks the base gets it from the layout.
    for daemon in TestEnvironment::get().daemons() {
        for assembly in ["place", "docker"] {
            let command = with_mirror(B2iCommand::new()).daemon(&daemon);
            let arguments = [&program, "--base", base, "--assemble", assembly, "--label", "test=mirror"];
            let image = Image::build_by(command, &daemon, &arguments);
            assert_eq!(words(&image.report(&[], &["--print", "a"]), "arguments"), ["--print", "a"]);
            assert_eq!(label(&image, "org.opencontainers.image.base.name"), full, "{assembly}");
        }
    }
}

#[test]
fn labels_of_a_base_are_not_the_images() {
    for daemon in TestEnvironment::get().daemons() {
        let program = fixture("program-glibc");
        let below = Image::build(&daemon, &[&program, "--label", "test=below", "--label", "kept=yes"]);
        let base = format!("docker-daemon:{}", below.reference());
        let image = Image::build(&daemon, &[&program, "--base", &base, "--label", "test=above"]);
        let full = format!("docker.io/{}", below.reference());
        for (name, value) in [
            ("org.opencontainers.image.base.name", full.as_str()),
            ("io.openshift.s2i.build.image", ""),
            ("io.b2i.builder", "binary:debian12"),
            ("test", "above"),
            ("kept", "yes"),
        ] {
            assert_eq!(label(&image, name), value, "{name} on {}", daemon.name);
        }
        // Podman gives every image a digest.
        let digests = [&below, &image].map(|image| label(image, "org.opencontainers.image.base.digest"));
        assert!(digests[0] != digests[1] || digests[1].is_empty(), "{digests:?}");
        assert_eq!(words(&image.report(&[], &["--print", "a"]), "arguments"), ["--print", "a"]);
    }
}

#[test]
fn a_builder_or_base_that_only_the_daemon_has_is_taken_from_it() {
    let builder = TestEnvironment::get().image("s2i-foreign:1");
    let base = TestEnvironment::get().image("glibc:12");
    let (program, dynamic) = (fixture("program"), fixture("program-glibc"));
    for daemon in TestEnvironment::get().daemons() {
        // Podman gives every image a digest, so b2i looks in the registry first.
        let pull: &[&str] = if daemon.name == "docker" { &[] } else { &["--pull", "never"] };
        for arguments in [
            &[&program, "--builder", &builder, "--assemble", "sandbox"][..],
            &[&dynamic, "--base", &base, "--assemble", "sandbox"],
            &[&dynamic, "--base", &base],
        ] {
            let mut command = B2iCommand::new().daemon(&daemon).arg("build").args(arguments);
            command = command.args(["-o", "oci:image"]).args(pull);
            let output = ended(&mut command, 0);
            assert!(output.stderr.contains("from the daemon"), "{arguments:?}: {}", output.stderr);
        }
        // `always` means the registry's.
        let arguments = [&program, "--builder", &builder, "--assemble", "sandbox", "--pull", "always"];
        let command = B2iCommand::new().daemon(&daemon).arg("build").args(arguments);
        let output = ended(&mut command.args(["-o", "oci:image"]), 5);
        assert!(!output.stderr.contains("from the daemon"), "{}", output.stderr);
    }
}
