//! Foreign builders from a registry, whose assemble runs in the sandbox: as root and as an ordinary user, equal to what
//! Docker makes of them.

use super::*;
use crate::build::Image;
use crate::build::tree::{assert_same_config, assert_same_tree};

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
