//! `--created`: the date of the image, while the files in its layers keep theirs.

use std::process::Command;

use super::*;
use crate::commands::ended;

/// Builds a layout, and returns what b2i said and the config.
fn build(directory: &Path, arguments: &[&str], epoch: Option<&str>) -> (String, Value) {
    let mut command = B2iCommand::without_daemon().current_dir(directory);
    if let Some(epoch) = epoch {
        command = command.env("SOURCE_DATE_EPOCH", epoch);
    }
    let layout = directory.join("image");
    if layout.exists() {
        std::fs::remove_dir_all(&layout).expect("the directory is the test's");
    }
    let output = ended(&mut command.args(["build", "program", "-o", "oci:image"]).args(arguments), 0);
    let config = Command::new("skopeo")
        .args(["inspect", "--config", &format!("oci:{}", layout.display())])
        .output()
        .expect("skopeo starts");
    (output.stderr, serde_json::from_slice(&config.stdout).expect("a config is JSON"))
}

fn git(directory: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@b.example"])
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "2024-02-03T04:05:06Z")
        .env("GIT_AUTHOR_DATE", "2020-01-01T00:00:00Z")
        .current_dir(directory)
        .output()
        .expect("git starts");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn the_image_has_the_date_and_the_layer_keeps_its_own() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::copy(fixture("program"), directory.path().join("program")).expect("copies");
    let date = |arguments: &[&str], epoch| {
        let (_, config) = build(directory.path(), arguments, epoch);
        let label = &config["config"]["Labels"]["org.opencontainers.image.created"];
        assert_eq!(config["created"], *label, "{config}");
        (label.as_str().expect("a date").to_owned(), config["rootfs"]["diff_ids"].clone())
    };
    let (standard, layers) = date(&[], None);
    assert_eq!(standard, "1980-01-01T00:00:00Z");
    for (value, expected) in [
        ("epoch", "1970-01-01T00:00:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("2023-11-14T23:13:20+01:00", "2023-11-14T22:13:20Z"),
    ] {
        assert_eq!(date(&["--created", value], None), (expected.to_owned(), layers.clone()));
    }
    let (now, same) = date(&["--created", "now"], None);
    assert!(now.as_str() > "2024" && same == layers, "{now}");
    // The variable dates files and image; the flag has priority for the image.
    let (of_variable, others) = date(&[], Some("1700000000"));
    assert_eq!(of_variable, "2023-11-14T22:13:20Z");
    assert_ne!(others, layers);
    assert_eq!(
        date(&["--created", "epoch"], Some("1700000000")),
        ("1970-01-01T00:00:00Z".to_owned(), others)
    );
}

#[test]
fn the_commit_of_the_work_tree_dates_the_image() {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let target = directory.path().join("target");
    std::fs::create_dir(&target).expect("creates");
    std::fs::copy(fixture("program"), target.join("program")).expect("copies");
    let outside = ended(
        &mut B2iCommand::without_daemon().current_dir(&target).args([
            "build",
            "program",
            "-o",
            "oci:image",
            "--created",
            "git",
        ]),
        3,
    );
    assert!(outside.stderr.contains("is not in a git work tree with a commit"), "{}", outside.stderr);
    write(&directory.path().join(".gitignore"), "target\n");
    write(&directory.path().join("source"), "one\n");
    for arguments in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "-m", "first"]] {
        git(directory.path(), arguments);
    }
    let (messages, config) = build(&target, &["--created", "git"], None);
    assert_eq!(config["created"], "2024-02-03T04:05:06Z");
    assert!(messages.contains("whose work tree is clean"), "{messages}");
    write(&directory.path().join("source"), "two\n");
    let (messages, _) = build(&target, &["--created", "git"], None);
    assert!(messages.contains("whose work tree has uncommitted changes"), "{messages}");
    let mut remote = B2iCommand::without_daemon().args(["build", "-", "--created", "git", "-o", "oci:image"]);
    let refused = ended(&mut remote, 2);
    assert!(refused.stderr.contains("needs an artifact or sources on this machine"), "{}", refused.stderr);
}
