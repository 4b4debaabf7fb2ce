//! Builders of others for several platforms: their scripts run once for each.

use super::bases::retargeted;
use super::*;
use crate::environment::Daemon;

/// Builds a JAR with a builder for two platforms, whose programs are in truth this machine's.
fn runs_for_both(command: B2iCommand, engine: &str, outputs: &[&str]) -> B2iCommand {
    let builder = base_for("s2i-foreign:1", &[AMD64, ARM64], "oci");
    let name = result_name("scripts");
    let mut command = command
        .args([
            "build",
            "--builder",
            &builder.name,
            "--assemble",
            engine,
            "--platform",
            "linux/amd64,linux/arm64",
        ])
        .args(["--push", "--tag", &name, "--annotation", "org.example.note=kept"])
        .args(outputs)
        .arg(crate::build::fixture("standalone.jar"))
        .args(["--", "--print", "a b"]);
    let output = command.run();
    let digest = printed_digest(&output, &name);
    let place = format!("docker://{name}");
    assert_eq!(manifest_digest(&place), digest);
    assert_eq!(platforms(&place), [AMD64, ARM64]);
    assert_eq!(json(&manifest(&place))["annotations"]["org.example.note"], "kept");
    for architecture in ["amd64", "arm64"] {
        let config = config(&place, architecture);
        assert_eq!(config["architecture"], architecture);
        assert!(
            config["config"]["Env"].as_array().expect("variables").contains(&"ARGS=--print 'a b'".into())
        );
        let copy = format!("dir:{}", command.directory().join(architecture).display());
        let copied =
            ["--override-arch", architecture, "copy", "--quiet", "--src-tls-verify=false", &place, &copy];
        skopeo(&copied);
    }
    assert_clean(&command.cache());
    command
}

#[test]
fn the_sandbox_runs_them_for_each_platform() {
    let command = runs_for_both(B2iCommand::without_daemon(), "sandbox", &["-o", "oci:layout"]);
    let layout = format!("oci:{}:1", command.directory().join("work/layout").display());
    assert_eq!(platforms(&layout), [AMD64, ARM64]);
}

#[test]
fn docker_runs_them_for_each_platform_and_keeps_nothing() {
    let docker = TestEnvironment::get().docker();
    let command = B2iCommand::new().daemon(&docker);
    let command = runs_for_both(command, "docker", &["-o", "docker-archive:image.tar"]);
    let archive = format!("docker-archive:{}", command.directory().join("work/image.tar").display());
    assert_eq!(json(&skopeo(&["inspect", "--config", "--raw", &archive]))["architecture"], "amd64");
}

/// A builder whose `assemble` is a program for arm64, and that says so.
fn builder_for_arm64(docker: &Daemon) -> PushedBase {
    let own = PushedBase::new("s2i-foreign:1");
    docker.stdout(&["pull", &own.name]);
    let id = docker.text(&["create", "--pull=never", &own.name]);
    let program = crate::build::fixture("program-arm64");
    docker.stdout(&["cp", &program, &format!("{id}:/usr/local/s2i/assemble")]);
    let name = format!("{}-arm64", own.name);
    docker.stdout(&["commit", &id, &name]);
    docker.stdout(&["rm", &id]);
    docker.stdout(&["push", &name]);
    docker.stdout(&["image", "rm", &name]);
    let changed = PushedBase { test: own.test, name, _owned: own._owned };
    retargeted(&changed, &[ARM64], "oci")
}

#[test]
fn a_script_that_this_machine_cannot_run_is_said_to_need_emulation() {
    let docker = TestEnvironment::get().docker();
    let builder = builder_for_arm64(&docker);
    for (engine, code, command) in
        [("sandbox", 5, B2iCommand::without_daemon()), ("docker", 6, B2iCommand::new().daemon(&docker))]
    {
        let name = result_name("emulation");
        let mut command = command
            .args(["build", "--builder", &builder.name, "--assemble", engine, "--push", "--tag", &name])
            .args(["--platform", ARM64, &crate::build::fixture("standalone.jar")]);
        let output = command.run();
        assert_eq!(output.code, Some(code), "{engine}: {}", output.stderr);
        for word in ["linux/arm64", "linux/amd64", "emulation", "format error"] {
            assert!(
                output.stderr.to_lowercase().contains(word),
                "{engine}: no {word:?} in {}",
                output.stderr
            );
        }
        assert!(!is_there(&name));
        assert_clean(&command.cache());
    }
}
