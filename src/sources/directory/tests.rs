//! Directories of every kind, the hostile and the clumsy too.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::*;
use crate::events::Event;

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("temporary directory");
    for (path, text) in files {
        let path = directory.path().join(path);
        fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        fs::write(path, text).expect("writes");
    }
    directory
}

fn walked(root: &Path, options: &SourceOptions) -> Result<Vec<TreeEntry>, SourceError> {
    let request = WalkRequest { root, shown: "project", is_own: true, options };
    walk(&request, &Events::silent(), &Stop::default())
}

fn listed(root: &Path, options: &SourceOptions) -> Vec<String> {
    let entries = walked(root, options).unwrap_or_else(|error| panic!("{error}"));
    entries.iter().map(|entry| format!("{:04o} {}", entry.mode, entry.path)).collect()
}

fn paths(root: &Path, options: &SourceOptions) -> Vec<String> {
    listed(root, options).iter().map(|line| line[5..].to_owned()).collect()
}

fn message(root: &Path, options: &SourceOptions) -> String {
    walked(root, options).map(|entries| entries.len()).expect_err("is an error").to_string()
}

fn text(entry: &TreeEntry) -> std::io::Result<String> {
    let TreeEntryKind::File { content, .. } = &entry.kind else { panic!("no file") };
    let mut text = String::new();
    content.open()?.read_to_string(&mut text).map(|_| text)
}

#[test]
fn entries_are_sorted_and_modes_are_normal_whatever_the_disk_says() {
    let project = project(&[("b/x", "1"), ("b-c", "2"), ("a", "3"), ("é ü", "4")]);
    fs::set_permissions(project.path().join("a"), fs::Permissions::from_mode(0o4701)).expect("chmod");
    fs::set_permissions(project.path().join("b-c"), fs::Permissions::from_mode(0o677)).expect("chmod");
    fs::set_permissions(project.path().join("b"), fs::Permissions::from_mode(0o700)).expect("chmod");
    symlink("b/x", project.path().join("link")).expect("links");
    assert_eq!(
        listed(project.path(), &SourceOptions::default()),
        ["0755 a", "0755 b", "0644 b-c", "0644 b/x", "0777 link", "0644 é ü"]
    );
}

#[test]
fn git_never_comes_along() {
    let project =
        project(&[(".git/config", ""), ("sub/.git", "gitdir: x"), (".gitignore", ""), ("a.git/x", "")]);
    let options = SourceOptions { exclude: Some("nothing".to_owned()), ..SourceOptions::default() };
    assert_eq!(paths(project.path(), &options), [".gitignore", "a.git", "a.git/x", "sub"]);
}

#[test]
fn ignore_files_and_exclude_leave_out_together() {
    let project = project(&[
        (".s2iignore", "target\n*.log\n"),
        (".dockerignore", "**/node_modules\nweb/dist\n"),
        ("a.log", ""),
        ("web/b.log", ""),
        ("target/x/y", ""),
        ("web/node_modules/m/index.js", ""),
        ("web/dist/app.js", ""),
        ("web/src/app.js", ""),
        ("web/src/app.test.js", ""),
    ]);
    let options = SourceOptions { exclude: Some(r"\.test\.js$".to_owned()), ..SourceOptions::default() };
    assert_eq!(
        paths(project.path(), &options),
        [".dockerignore", ".s2iignore", "web", "web/b.log", "web/src", "web/src/app.js"]
    );
    let options = SourceOptions { docker_ignore: false, ..SourceOptions::default() };
    assert!(paths(project.path(), &options).contains(&"web/dist/app.js".to_owned()));
}

#[test]
fn what_is_left_out_need_not_be_readable() {
    let project = project(&[(".s2iignore", "secret\nmissing\n"), ("secret/x", ""), ("a", "")]);
    symlink("/etc/passwd", project.path().join("missing")).expect("links");
    assert_eq!(paths(project.path(), &SourceOptions::default()), [".s2iignore", "a"]);
}

#[test]
fn docker_exceptions_come_with_the_directories_they_are_in() {
    let project = project(&[
        (".dockerignore", "*\n!target/deep/app.jar\n"),
        ("target/deep/app.jar", ""),
        ("target/deep/other", ""),
        ("target/classes/x", ""),
        ("pom.xml", ""),
        ("src/Main.java", ""),
    ]);
    let options = SourceOptions::default();
    assert_eq!(paths(project.path(), &options), ["target", "target/deep", "target/deep/app.jar"]);
    // S2I's file brings back what was left out for another image.
    fs::write(project.path().join(".s2iignore"), "!pom.xml\n!src\n").expect("writes");
    assert_eq!(
        paths(project.path(), &options),
        ["pom.xml", "src", "src/Main.java", "target", "target/deep", "target/deep/app.jar"]
    );
}

#[test]
fn a_build_file_that_docker_ignores_is_worth_a_warning() {
    let project = project(&[(".dockerignore", "*\n!target\n"), ("pom.xml", ""), ("target/a", "")]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let events = Events::new(move |event| sink.lock().expect("no panic").push(event));
    let options = SourceOptions::default();
    let entries = walked(project.path(), &options).unwrap_or_else(|error| panic!("{error}"));
    warn_of_docker_ignore(project.path(), &options, &entries, &events);
    let seen = seen.lock().expect("no panic");
    let [Event::Warning { message, hint: Some(hint) }] = seen.as_slice() else { panic!("{seen:?}") };
    assert!(message.contains("pom.xml") && hint.contains("!pom.xml"), "{message} {hint}");
}

#[test]
fn invalid_rules_are_named_with_their_line() {
    let project = project(&[(".s2iignore", "ok\n[x"), ("a", "")]);
    assert!(message(project.path(), &SourceOptions::default()).contains("line 2 of `project/.s2iignore`"));
    let options = SourceOptions { exclude: Some("(".to_owned()), ..SourceOptions::default() };
    fs::remove_file(project.path().join(".s2iignore")).expect("removes");
    assert!(message(project.path(), &options).contains("`--exclude (`"));
}

#[test]
fn the_context_directory_is_the_root() {
    let project = project(&[
        (".s2iignore", "x"),
        ("web/.s2iignore", "y"),
        ("web/x", ""),
        ("web/y", ""),
        ("other", ""),
        ("web/app/z", ""),
    ]);
    let options = |context: &str| SourceOptions {
        context_directory: Some(context.to_owned()),
        exclude: Some("^app/".to_owned()),
        ..SourceOptions::default()
    };
    for context in ["web", "./web/", "web//."] {
        assert_eq!(paths(project.path(), &options(context)), [".s2iignore", "app", "x"], "{context}");
    }
    for context in ["..", "web/../other", "/web", ".git"] {
        let error = walked(project.path(), &options(context)).map(|_| ()).expect_err(context);
        assert!(matches!(error, SourceError::ContextDirectory { .. }), "{error}");
    }
    assert!(message(project.path(), &options("missing")).contains("`project` has no directory `missing`"));
    assert!(message(project.path(), &options("other")).contains("it is not a directory"));
    // A link that leads out is no way out.
    let outside = tempfile::tempdir().expect("temporary directory");
    symlink(outside.path(), project.path().join("out")).expect("links");
    assert!(message(project.path(), &options("out")).contains("`project` has no directory `out`"));
}

#[test]
fn links_that_lead_out_are_refused_or_followed() {
    let outside = project(&[("shared/lib.txt", "lib"), ("shared/deep/x", "x"), ("file", "text")]);
    let project = project(&[("dir/a", "a")]);
    symlink("../a", project.path().join("dir/in")).expect("links");
    symlink(outside.path().join("file"), project.path().join("file")).expect("links");
    let error = message(project.path(), &SourceOptions::default());
    assert!(error.contains("file` leads out of the sources") && error.contains("to `/"), "{error}");

    symlink(outside.path().join("shared"), project.path().join("dir/shared")).expect("links");
    symlink("deep/x", outside.path().join("shared/inner")).expect("links");
    symlink("../file", outside.path().join("shared/up")).expect("links");
    symlink("/nowhere/at/all", project.path().join("broken")).expect("links");
    let options = SourceOptions { follow_links: true, ..SourceOptions::default() };
    let entries = walked(project.path(), &options).unwrap_or_else(|error| panic!("{error}"));
    let kinds: Vec<String> = entries
        .iter()
        .map(|entry| match &entry.kind {
            TreeEntryKind::Directory => format!("{}/", entry.path),
            TreeEntryKind::File { .. } => format!("{} = {}", entry.path, text(entry).expect("reads")),
            TreeEntryKind::Symlink { target } => format!("{} -> {target}", entry.path),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "broken -> /nowhere/at/all",
            "dir/",
            "dir/a = a",
            "dir/in -> ../a",
            "dir/shared/",
            "dir/shared/deep/",
            "dir/shared/deep/x = x",
            "dir/shared/inner -> deep/x",
            "dir/shared/lib.txt = lib",
            "dir/shared/up = text",
            "file = text",
        ]
    );
    // A repository, unlike a directory of the user, never names files of this machine.
    let request = WalkRequest { root: project.path(), shown: "repository", is_own: false, options: &options };
    let error = walk(&request, &Events::silent(), &Stop::default()).map(|_| ()).expect_err("refused");
    assert!(matches!(error, SourceError::LinkOutside { may_follow: false, .. }), "{error}");
}

#[test]
fn links_that_go_round_in_circles_are_an_error() {
    let options = SourceOptions { follow_links: true, ..SourceOptions::default() };
    let project = project(&[("a/b/x", "")]);
    symlink(project.path(), project.path().join("a/b/top")).expect("links");
    assert!(message(project.path(), &options).contains("leads to a directory that contains it"));
    let (one, two) = (tempfile::tempdir().expect("directory"), tempfile::tempdir().expect("directory"));
    symlink(two.path(), one.path().join("two")).expect("links");
    symlink(one.path(), two.path().join("one")).expect("links");
    assert!(message(one.path(), &options).contains("leads to a directory that contains it"));
}

#[test]
fn sockets_and_pipes_are_left_out_with_a_warning() {
    let project = project(&[("a", "")]);
    let _socket = std::os::unix::net::UnixListener::bind(project.path().join("socket")).expect("binds");
    rustix::fs::mkfifoat(rustix::fs::CWD, project.path().join("pipe"), rustix::fs::Mode::RWXU)
        .expect("makes");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let events = Events::new(move |event| sink.lock().expect("no panic").push(event));
    let options = SourceOptions::default();
    let request = WalkRequest { root: project.path(), shown: "project", is_own: true, options: &options };
    let entries = walk(&request, &events, &Stop::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(entries.len(), 1);
    let seen = seen.lock().expect("no panic");
    let [Event::Warning { message, .. }] = seen.as_slice() else { panic!("{seen:?}") };
    assert!(message.contains("`pipe`") && message.contains("`socket`"), "{message}");
}

#[test]
fn names_that_are_not_utf_8_are_named() {
    use std::os::unix::ffi::OsStrExt;
    let project = project(&[("a", "")]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::write(project.path().join(name), "").expect("writes");
    assert!(message(project.path(), &SourceOptions::default()).contains("caf\u{fffd}`: its name"));
}

#[test]
fn a_file_that_changes_or_is_replaced_meanwhile_is_an_error() {
    let project = project(&[("a", "old"), ("b", "old"), ("c", "old"), ("d", "old")]);
    let path = |name: &str| project.path().join(name);
    let entries = walked(project.path(), &SourceOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    fs::write(path("a"), "longer").expect("writes");
    fs::remove_file(path("b")).expect("removes");
    symlink("/etc/passwd", path("b")).expect("links");
    fs::remove_file(path("c")).expect("removes");
    rustix::fs::mkfifoat(rustix::fs::CWD, path("c"), rustix::fs::Mode::RWXU).expect("makes");
    for (entry, expected) in entries.iter().zip(["was changed", "cannot read", "was changed"]) {
        let error = text(entry).expect_err("is another file").to_string();
        assert!(error.contains(expected) && error.contains(&entry.path), "{error}");
    }
    assert_eq!(text(&entries[3]).expect("reads"), "old");
}

#[test]
fn a_tree_deeper_than_the_stack_is_walked_and_an_impossible_one_refused() {
    let project = project(&[]);
    let mut path = project.path().to_owned();
    for _ in 0..1500 {
        path.push("d");
    }
    fs::create_dir_all(&path).expect("creates");
    fs::write(path.join("bottom"), "").expect("writes");
    assert_eq!(
        walked(project.path(), &SourceOptions::default()).map(|entries| entries.len()).expect("walks"),
        1501
    );
    // Only relative steps make a path longer than the system takes.
    let mut directory = cap_std::fs::Dir::open_ambient_dir(&path, ambient_authority()).expect("opens");
    let name = "e".repeat(250);
    for _ in 0..5 {
        directory.create_dir(&name).expect("creates");
        directory = directory.open_dir(&name).expect("opens");
    }
    assert!(message(project.path(), &SourceOptions::default()).contains("is longer than 4096 bytes"));
    // The standard library removes it: it goes by handles.
    project.close().expect("removes");
}

#[test]
fn a_missing_directory_is_named() {
    assert!(message(Path::new("/nowhere/at/all"), &SourceOptions::default()).contains("`/nowhere/at/all`"));
}
