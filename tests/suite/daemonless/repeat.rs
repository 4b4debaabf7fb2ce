//! The same push again: the same digest, two requests, and the artifact is not read; a changed artifact always is.

use std::fs::{File, FileTimes};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::counting::CountingRegistry;
use super::*;
use crate::registry::noise;

/// Much more than b2i reads of anything but the artifact.
const SIZE: usize = 32 << 20;

/// A cache, an artifact that is old enough to be recognised, and a registry that counts.
struct Repeated {
    registry: CountingRegistry,
    directory: tempfile::TempDir,
    base: PushedBase,
    name: String,
}

/// What came of one run.
struct Pushed {
    digest: String,
    requests: Vec<String>,
    read: u64,
}

impl Repeated {
    fn new() -> Self {
        let registry = CountingRegistry::new(TestEnvironment::get().registry());
        let name = format!("{}/{}:1", registry.address, unique("repeat"));
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let repeated = Self { registry, directory, base: PushedBase::new("glibc:12"), name };
        let mut bytes = std::fs::read(TestEnvironment::get().fixture("program-glibc")).expect("a fixture");
        bytes.extend(noise(7, SIZE));
        std::fs::write(repeated.artifact(), bytes).expect("the directory is the test's");
        repeated.registry.take();
        wait_until_old(&repeated.artifact());
        repeated
    }

    fn artifact(&self) -> PathBuf {
        self.directory.path().join("program")
    }

    fn push(&self, options: &[&str]) -> Pushed {
        // By the same address as the result: a base elsewhere would need a request elsewhere.
        let base = self.base.name.replacen(TestEnvironment::get().registry(), &self.registry.address, 1);
        let command = replace_bases_by(B2iCommand::without_daemon(), |test| {
            (test == self.base.test).then(|| base.clone())
        });
        let command = command
            .env("XDG_CACHE_HOME", self.directory.path().join("cache"))
            .args(["build", "--push", "--tag", &self.name])
            .arg(self.artifact())
            .args(options);
        let (output, read) = command.spawn().wait_and_count();
        let digest = printed_digest(&output, &self.name);
        let requests = self.registry.take();
        assert_clean(&self.directory.path().join("cache/b2i"));
        let place = self.name.replacen(&self.registry.address, TestEnvironment::get().registry(), 1);
        assert_eq!(manifest_digest(&format!("docker://{place}")), digest);
        Pushed { digest, requests, read }
    }
}

/// Waits until nothing can have changed the file in the same step of the clock.
pub(super) fn wait_until_old(path: &Path) {
    let changed = std::fs::metadata(path).expect("it is there").modified().expect("it has a time");
    while changed.elapsed().unwrap_or_default() < Duration::from_millis(2500) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_unchanged_push_makes_two_requests_and_does_not_read_the_artifact() {
    let repeated = Repeated::new();
    let size = SIZE as u64;
    let first = repeated.push(&[]);
    assert!(first.read > size, "the first push reads the artifact: {} bytes", first.read);
    let again = repeated.push(&[]);
    assert_eq!(again.digest, first.digest);
    assert_eq!(again.requests.len(), 2, "{:?}", again.requests);
    assert!(again.requests.iter().all(|request| request.starts_with("HEAD ")), "{:?}", again.requests);
    assert!(again.read < size / 4, "an unchanged artifact is not read again: {} bytes", again.read);

    // Nothing is believed of the memo, nor of the artifact.
    let fresh = repeated.push(&["--no-memo"]);
    assert_eq!(fresh.digest, first.digest);
    assert!(fresh.read > size, "{} bytes", fresh.read);

    // Another ctime: read again, with the same result.
    let file = File::options().write(true).open(repeated.artifact()).expect("opens");
    file.set_modified(std::time::SystemTime::now()).expect("touched");
    let touched = repeated.push(&[]);
    assert_eq!(touched.digest, first.digest);
    assert!(touched.read > size, "{} bytes", touched.read);
}

#[test]
fn an_artifact_of_the_same_size_and_mtime_is_not_taken_for_the_old_one() {
    let repeated = Repeated::new();
    let first = repeated.push(&[]);
    let path = repeated.artifact();
    let metadata = std::fs::metadata(&path).expect("it is there");
    let times = FileTimes::new().set_modified(metadata.modified().expect("it has a time"));
    // In place, so that the inode is the same too.
    let mut bytes = std::fs::read(&path).expect("reads");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    File::options().write(true).open(&path).expect("opens").set_times(times).expect("sets the time");
    let changed = repeated.push(&[]);
    assert_ne!(changed.digest, first.digest);
    // Back again: another ctime, but the old bytes.
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    assert_eq!(repeated.push(&[]).digest, first.digest);
}

#[test]
fn an_artifact_that_changes_just_after_it_was_written_is_read_again() {
    // Both writes and the push may fall into one step of the file system's clock.
    let repeated = Repeated::new();
    let path = repeated.artifact();
    let mut digests = std::collections::BTreeSet::new();
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes.truncate(bytes.len() - SIZE + 100);
    for round in 0..4_u8 {
        *bytes.last_mut().expect("not empty") = round;
        std::fs::write(&path, &bytes).expect("writes");
        digests.insert(repeated.push(&[]).digest);
    }
    assert_eq!(digests.len(), 4);
}

#[test]
fn a_large_layer_that_is_compressed_on_the_way_arrives_whole() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let artifact = directory.path().join("program");
    let mut bytes = std::fs::read(TestEnvironment::get().fixture("program")).expect("a fixture");
    bytes.extend((0..6_000_000_u32).flat_map(|number| (number / 7).to_le_bytes()));
    std::fs::write(&artifact, bytes).expect("the directory is the test's");
    let mut digests = Vec::new();
    for compression in ["auto", "gzip:6", "zstd", "none"] {
        let name = result_name("large");
        let mut command = B2iCommand::without_daemon()
            .args(["build", "--push", "--no-memo", "--compression", compression, "--tag", &name])
            .arg(&artifact);
        let output = command.run();
        let digest = printed_digest(&output, &name);
        // skopeo unpacks nothing; it verifies every blob that it copies.
        let copy = format!("dir:{}", directory.path().join(compression).display());
        let copied = std::process::Command::new("skopeo")
            .args(["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{name}"), &copy])
            .output()
            .expect("skopeo is installed");
        assert!(copied.status.success(), "{compression}: {}", String::from_utf8_lossy(&copied.stderr));
        assert_eq!(manifest_digest(&format!("docker://{name}")), digest);
        digests.push(digest);
    }
    digests.sort();
    digests.dedup();
    assert_eq!(digests.len(), 4, "each is compressed in its own way");
}
