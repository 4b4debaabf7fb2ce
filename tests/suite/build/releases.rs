//! Directories of releases: one program for several platforms, and their checksums.

use std::process::Command;

use super::*;
use crate::environment::{B2iCommand, B2iOutput};

/// A directory with the program for two platforms and `SHA256SUMS`.
fn dist() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (from, to) in [("program", "tool-linux-amd64"), ("program-arm64", "tool-linux-arm64")] {
        std::fs::copy(fixture(from), directory.path().join(to)).expect("copies");
    }
    let sums = Command::new("sha256sum")
        .args(["tool-linux-amd64", "tool-linux-arm64"])
        .current_dir(directory.path())
        .output()
        .expect("sha256sum starts");
    std::fs::write(directory.path().join("SHA256SUMS"), sums.stdout).expect("writes");
    directory
}

fn build(directory: &Path, arguments: &[&str]) -> B2iOutput {
    let work = B2iCommand::new();
    work.args(["build", "--offline", "-o", "oci:out", "--format", "json"])
        .arg(directory)
        .args(arguments)
        .run()
}

#[test]
fn platforms_choose_programs_of_a_directory_and_an_archive() {
    let dist = dist();
    let archive = dist.path().join("dist.tar");
    let packed = Command::new("tar")
        .args(["-cf", "dist.tar", "tool-linux-amd64", "tool-linux-arm64"])
        .current_dir(dist.path())
        .status();
    assert!(packed.expect("tar starts").success());
    let unpacked = tempfile::tempdir().expect("a temporary directory");
    std::fs::rename(archive, unpacked.path().join("dist.tar")).expect("moves");
    for input in [dist.path().to_owned(), unpacked.path().join("dist.tar")] {
        let one = build(&input, &["--platform", "linux/arm64"]);
        assert_eq!(one.code, Some(0), "{}", one.stderr);
        let one: Value = serde_json::from_str(&one.stdout).expect("JSON");
        assert_eq!(one["images"].as_array().map(Vec::len), Some(1));
        assert_eq!(one["images"][0]["platform"], "linux/arm64");
        let both = build(&input, &["--platform", "linux/amd64,linux/arm64"]);
        assert_eq!(both.code, Some(0), "{}", both.stderr);
        let both: Value = serde_json::from_str(&both.stdout).expect("JSON");
        let platforms: Vec<_> = both["images"].as_array().expect("images").iter().collect();
        assert_eq!(platforms.len(), 2);
        assert!(both["indexDigest"].is_string(), "{both}");
        let asked = build(&input, &[]);
        assert_eq!(asked.code, Some(4), "{}", asked.stderr);
        assert!(asked.stderr.contains("`--platform linux/amd64,linux/arm64`"), "{}", asked.stderr);
    }
}

#[test]
fn checksums_are_compared() {
    let dist = dist();
    let file = dist.path().join("tool-linux-amd64");
    let sums = dist.path().join("SHA256SUMS");
    let sums_text = sums.to_str().expect("UTF-8");
    assert_eq!(build(&file, &["--sha256-file", sums_text]).code, Some(0));
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes.push(0);
    std::fs::write(&file, bytes).expect("writes");
    for (input, arguments) in
        [(&*file, &["--sha256-file", sums_text][..]), (dist.path(), &["--platform", "linux/amd64"])]
    {
        let output = build(input, arguments);
        assert_eq!(output.code, Some(3), "{}", output.stderr);
        assert!(output.stderr.contains("is not the expected one"), "{}", output.stderr);
    }
    let unlisted = build(Path::new(&fixture("standalone.jar")), &["--sha256-file", sums_text]);
    assert_eq!(unlisted.code, Some(3), "{}", unlisted.stderr);
    assert!(unlisted.stderr.contains("has no SHA-256 digest of `standalone.jar`"), "{}", unlisted.stderr);
}
