//! Foreign builders from a registry, whose assemble runs in the sandbox: as root and as an ordinary user, equal to what
//! Docker makes of them.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::*;
use crate::build::Image;
use crate::build::tree::{assert_same_config, assert_same_tree};
use crate::fault_server::{FaultServer, answer};

/// Builds with a builder, without a daemon, as root and as an ordinary user, and by Docker; compares all.
fn equals_dockers(builder: &'static str, words: &[&str]) {
    let builder = PushedBase::new(builder);
    let docker = TestEnvironment::get().docker();
    let artifact = crate::build::fixture("program");
    docker.stdout(&["pull", &builder.name]);
    let arguments = [&["--builder", &builder.name, "--assemble", "docker", &artifact], words].concat();
    let command = B2iCommand::new().daemon(&docker);
    let assembled = Image::build_by(command, &docker, &arguments);
    for (who, command) in [("root", B2iCommand::without_daemon()), ("nobody", B2iCommand::as_nobody())] {
        let name = result_name("sandbox");
        // Nobody may read what is below the directory of the fixtures' owner.
        let mut command = command
            .args(["build", "--push", "--builder", &builder.name, "--tag", &name, &artifact])
            .args(words);
        let output = command.run();
        assert_eq!(output.code, Some(0), "{who}: {}", output.stderr);
        let digest = printed_digest(&output, &name);
        assert_clean(&command.cache());
        assert_eq!(manifest_digest(&format!("docker://{name}")), digest, "{who}");
        let pulled = Image::pull(&docker, &name);
        assert_same_config(&pulled, &assembled);
        assert_same_tree(&pulled, &assembled);
    }
}

#[test]
fn kubespheres_builder() {
    equals_dockers("s2i-kubesphere:1", &["--", "--port", "8080"]);
}

#[test]
fn sclorgs_builder() {
    equals_dockers("s2i-sclorg:1", &[]);
}

#[test]
fn an_upgrade_while_it_runs_does_no_harm() {
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    let installed: Arc<OnceLock<PathBuf>> = Arc::default();
    let upgraded = Arc::clone(&installed);
    // b2i runs, and has started no process yet.
    let server = FaultServer::start(move |_, to| {
        let path = upgraded.get().expect("set before the run");
        std::fs::remove_file(path)?;
        std::fs::write(path, "#!/bin/false\n")?;
        answer(to, "200 OK", &[], &program)
    });
    let url = server.url("/program");
    let command = B2iCommand::as_nobody().args(["build", &url, "--assemble", "sandbox"]);
    let mut command = command.args(["--output", "oci-archive:out.tar"]);
    installed.set(command.directory().join("b2i")).expect("set once");
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert_eq!(server.requests().len(), 1);
    assert_clean(&command.cache());
}
