//! What a killed run leaves behind, and that the next one removes it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use b2i::fs::{AtomicFile, Lease, abandoned};

use crate::environment::{B2iCommand, TestEnvironment};

const CACHE: &str = "B2I_TEST_LEASE_CACHE";
const OUTPUT: &str = "B2I_TEST_LEASE_OUTPUT";
const READY: &str = "half of it is written";

/// The half of the test that is killed: this very program, started again.
fn write_half(cache: &Path, output: &Path) {
    let lease = Lease::acquire(cache).expect("acquires");
    fs::write(lease.temporary_directory().join("download"), "half").expect("writes");
    let mut file = AtomicFile::create(output, None, &lease).expect("creates");
    file.write_all(b"half").expect("writes");
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "\n{READY}").and_then(|()| stdout.flush()).expect("somebody reads");
    std::thread::park_timeout(std::time::Duration::from_secs(60));
}

fn start(cache: &Path, output: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "--nocapture", "leases::a_killed_run_is_cleaned_up_by_the_next"])
        .env(CACHE, cache)
        .env(OUTPUT, output)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let stdout = BufReader::new(child.stdout.take().expect("is a pipe"));
    let ready = stdout.lines().map_while(Result::ok).any(|line| line == READY);
    assert!(ready, "the other process gave up");
    child
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("lists");
    entries.map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_killed_run_is_cleaned_up_by_the_next() {
    if let (Some(cache), Some(output)) = (std::env::var_os(CACHE), std::env::var_os(OUTPUT)) {
        return write_half(Path::new(&cache), Path::new(&output));
    }
    let (cache, outputs) = (tempfile::tempdir().expect("creates"), tempfile::tempdir().expect("creates"));
    let output = outputs.path().join("image.tar");
    let mut child = start(cache.path(), &output);
    assert_eq!((names(outputs.path()).len(), names(&cache.path().join("tmp")).len()), (1, 1));
    assert!(abandoned(cache.path()).is_empty(), "it is still running");
    child.kill().and_then(|()| child.wait()).expect("ends");

    assert!(!output.exists());
    assert_eq!(names(outputs.path()).len(), 1, "a killed process cleans nothing up");
    let other = tempfile::tempdir().expect("creates");
    assert!(abandoned(other.path()).is_empty(), "another cache has other leases");
    let leases = abandoned(cache.path());
    assert_eq!(leases.len(), 1);
    assert!(names(outputs.path())[0].contains(leases[0].id()));
    for lease in leases {
        lease.remove().expect("removes");
    }
    assert!(names(outputs.path()).is_empty());
    assert!(names(&cache.path().join("tmp")).is_empty() && names(&cache.path().join("leases")).is_empty());
}

/// No daemon is needed: the killed run used none.
#[test]
fn every_command_with_a_lease_removes_what_a_killed_run_left() {
    let environment = TestEnvironment::get();
    let program = environment.fixture("program");
    let program = program.to_str().expect("valid");
    for arguments in [
        &["inspect", program][..],
        &["copy", "oci:missing", "oci:copy"],
        &["cache", "prune"],
        &["cache", "prune", "--keep", "0"],
        &["build", program, "--output", "oci:image"],
    ] {
        let mut command = B2iCommand::new().args(arguments);
        let (cache, outputs) = (command.cache(), tempfile::tempdir().expect("creates"));
        let mut child = start(&cache, &outputs.path().join("image.tar"));
        child.kill().and_then(|()| child.wait()).expect("ends");
        assert_eq!(names(&cache.join("leases")).len(), 1);
        command.run();
        assert!(names(outputs.path()).is_empty(), "{arguments:?}");
        for directory in ["tmp", "leases"] {
            assert_eq!(names(&cache.join(directory)), [""; 0], "{arguments:?}: {directory}");
        }
    }
}
