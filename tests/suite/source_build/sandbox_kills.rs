//! However a build in the sandbox ends, what was mounted in it stays as it was: cleaning up never reaches into it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;

use super::{Place, Sources, b2i_build};
use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, TestEnvironment};
use crate::failures::{assert_clean, files, leases};

/// Directories of a user, each with something below it.
fn home(root: &Path) -> Vec<std::path::PathBuf> {
    let directories: Vec<_> = ["written", "read", "written/inner"].map(|name| root.join(name)).into();
    for directory in &directories {
        std::fs::create_dir_all(directory.join("deep/er")).expect("made");
        std::fs::write(directory.join("file"), "mine").expect("written");
        std::fs::write(directory.join("deep/er/file"), "mine").expect("written");
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o777)).expect("its owner");
    }
    std::fs::set_permissions(root, PermissionsExt::from_mode(0o755)).expect("its owner");
    directories
}

#[test]
fn what_is_mounted_outlives_kills_and_signals() {
    let builder = PushedBase::new("s2i-kubesphere:1");
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", "echo x > /data/one/made; echo waiting; exec sleep 86400");
    for signal in [Signal::KILL, Signal::TERM] {
        let root = tempfile::tempdir().expect("a temporary directory can be made");
        let directories = home(root.path());
        let volumes = [
            format!("{}:/data/one", directories[0].display()),
            format!("{}:/data/two:ro", directories[1].display()),
            format!("{}:/data/one/deep/new", directories[2].display()),
        ];
        let volumes = volumes.iter().flat_map(|volume| ["--volume", volume]);
        let command = b2i_build(&Place::Sandbox, &builder.name, &sources)
            .args(["-o", "oci:image", "--tag", "killed:1"])
            .args(volumes);
        let mut running = command.spawn();
        running.wait_for("| waiting");
        running.signal(signal);
        let output = running.wait();
        let mut next = B2iCommand::without_daemon()
            .env("XDG_CACHE_HOME", command.directory().join("cache"))
            .args(["build", "--output", "docker-archive:next.tar"])
            .arg(TestEnvironment::get().fixture("program"));
        if signal == Signal::KILL {
            assert_eq!((output.code, leases(&command.cache()).len()), (None, 1), "{}", output.stderr);
            assert_eq!(next.run().code, Some(0));
        } else {
            assert_eq!(output.code, Some(143), "{}", output.stderr);
        }
        // The child that was left alone may still be about to end.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while !files(&command.cache().join("tmp")).is_empty() && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_clean(&command.cache());
        for directory in &directories {
            for file in ["file", "deep/er/file"] {
                let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
                assert_eq!(text, "mine", "{signal:?}: {}", directory.join(file).display());
            }
        }
        assert_eq!(std::fs::read_to_string(directories[0].join("made")).expect("written"), "x\n");
    }
}
