//! Outputs that store one platform: they receive the image for their machine, with a warning.

use super::*;
use crate::environment::Daemon;

#[test]
fn a_daemon_gets_its_own_platform_and_that_is_said() {
    let programs = Programs::new();
    for daemon in TestEnvironment::get().daemons() {
        let name = daemon.owned_image("own-platform");
        let mut command = B2iCommand::new()
            .daemon(&daemon)
            .args(["build", "--tag", name.reference(), "--format", "json"])
            .args(programs.both());
        let output = command.run();
        assert_eq!(output.code, Some(0), "{}: {}", daemon.name, output.stderr);
        let said = "`docker` stores one platform: linux/amd64, which the daemon runs; skipping linux/arm64";
        assert!(output.stderr.contains(said), "{}", output.stderr);
        let built = json(output.stdout.as_bytes());
        assert_eq!(built["indexDigest"], Value::Null);
        assert_eq!(built["images"].as_array().map(Vec::len), Some(1));
        assert_clean(&command.cache());
        let ran = daemon.run(&["--network", "none", name.reference(), "--print", "a b"]);
        assert!(String::from_utf8_lossy(&ran.stdout).contains(r#""arguments":["--print","a b"]"#), "{ran:?}");
    }
}

#[test]
fn the_index_is_pushed_and_the_daemon_gets_its_image_of_it() {
    let programs = Programs::new();
    let docker = TestEnvironment::get().docker();
    let name = result_name("both");
    let _owned = docker.adopted_image(&name);
    let mut command = B2iCommand::new()
        .daemon(&docker)
        .args(["build", "--tag", &name, "--push", "-o", "docker", "-o", "docker-archive:image.tar"])
        .args(programs.both());
    let output = command.run();
    let digest = printed_digest(&output, &name);
    assert_eq!(manifest_digest(&format!("docker://{name}")), digest);
    assert!(output.stderr.contains("each store one platform"), "{}", output.stderr);
    let id =
        json(&skopeo(&["inspect", "--config", "--raw", "--tls-verify=false", &format!("docker://{name}")]));
    let inspected = docker.inspect_image(&name).expect("it is in the daemon");
    assert_eq!(inspected["Architecture"], "amd64");
    let archive = format!("docker-archive:{}", command.directory().join("work/image.tar").display());
    assert_eq!(json(&skopeo(&["inspect", "--config", "--raw", &archive])), id);
    assert_clean(&command.cache());
}

#[test]
fn without_a_daemon_an_archive_gets_this_machines_platform() {
    let programs = Programs::new();
    let mut command = B2iCommand::without_daemon().args(["build"]).args(programs.both());
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("linux/amd64, which this machine runs"), "{}", output.stderr);
    // Named by what both names have in common.
    assert_eq!(files(&command.directory().join("work")), ["app.tar"]);
    assert!(output.stdout.starts_with("app:latest sha256:"), "{}", output.stdout);
}

#[test]
fn none_of_the_platforms_is_a_usage_error_that_names_all() {
    let base = base_for("jre:17", &[ARM64, "linux/arm/v7"], "oci");
    let refused = |command: B2iCommand, output: &str, runs: &str| {
        let mut command = base.replaces_public(command).args(["build", "-o", output]);
        command = command.args([
            "--platform",
            "linux/arm64,linux/arm/v7",
            &crate::build::fixture("standalone.jar"),
        ]);
        let output = command.run();
        assert_eq!(output.code, Some(2), "{}", output.stderr);
        for word in [runs, AMD64, "linux/arm64 and linux/arm/v7", "--push"] {
            assert!(output.stderr.contains(word), "no {word:?} in {}", output.stderr);
        }
        assert_eq!(files(&command.directory().join("work")), [""; 0]);
    };
    let docker: Daemon = TestEnvironment::get().docker();
    refused(B2iCommand::new().daemon(&docker), "docker", "the daemon runs");
    refused(B2iCommand::without_daemon(), "docker-archive:image.tar", "this machine runs");
}

#[test]
fn a_dry_run_tells_of_each_image_and_each_output() {
    let programs = Programs::new();
    let build = |format: &str| {
        B2iCommand::without_daemon()
            .args(["build", "--dry-run", "--format", format, "-t", "registry.example/app:1", "--push"])
            .args(["-o", "docker-archive:app.tar"])
            .args(programs.both())
            .run()
    };
    let plan = json(build("json").stdout.as_bytes());
    let platforms: Vec<&Value> =
        plan["stages"].as_array().expect("stages").iter().map(|stage| &stage["platform"]).collect();
    assert_eq!(platforms, [AMD64, ARM64]);
    assert_eq!(plan["tags"], serde_json::json!(["registry.example/app:1"]));
    assert_eq!(
        plan["outputs"],
        serde_json::json!([
            {"to": "registry", "takes": "index"},
            {"to": "docker-archive", "path": "app.tar", "takes": "image", "stage": 0},
        ])
    );
    // Configured, for what runs anywhere.
    let configured = B2iCommand::without_daemon()
        .env("B2I_PLATFORM", "linux/amd64, linux/arm64")
        .args(["build", "--dry-run", "--format", "json", "-o", "oci:layout"])
        .arg(crate::build::fixture("standalone.jar"))
        .run();
    let plan = json(configured.stdout.as_bytes());
    assert_eq!(plan["stages"].as_array().map(Vec::len), Some(2), "{}", configured.stderr);
    assert_eq!(plan["stages"][1]["platform"], ARM64);
    let text = build("text").stdout;
    for line in [
        "output      registry — an index of all images",
        "output      docker-archive:app.tar — the image for linux/amd64",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line:?} in {text}");
    }
}
