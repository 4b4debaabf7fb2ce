//! Tests of adding files.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn directory() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("temporary directory");
    let path = root.path();
    fs::create_dir_all(path.join("lib/native/empty")).expect("creates");
    fs::write(path.join("lib/b.jar"), "PK").expect("writes");
    fs::write(path.join("lib/a.jar"), "PK").expect("writes");
    fs::write(path.join("lib/native/x.so.1"), b"\x7fELF...").expect("writes");
    symlink("x.so.1", path.join("lib/native/x.so")).expect("links");
    fs::write(path.join("run.sh"), "#!/bin/sh\n").expect("writes");
    fs::write(path.join("a.yml"), "").expect("writes");
    root
}

fn add(root: &Path, requests: &[(&str, Option<&str>)]) -> Result<Vec<String>, AddError> {
    let requests: Vec<_> = requests
        .iter()
        .map(|(source, destination)| AddRequest {
            source: root.join(source),
            destination: destination.map(str::to_owned),
        })
        .collect();
    let added = merge(resolve(&requests, None, &Stop::default())?, None)?;
    Ok(added
        .iter()
        .map(|file| match &file.content {
            AddedContent::Directory => format!("{}/", file.destination),
            AddedContent::Symlink { target } => format!("{} -> {target}", file.destination),
            AddedContent::File { executable: true, .. } => format!("{}*", file.destination),
            AddedContent::File { .. } => file.destination.to_string(),
        })
        .collect())
}

#[test]
fn parses_source_and_destination() {
    let parse = |text: &str| {
        text.parse::<AddRequest>()
            .ok()
            .map(|request| (request.source.display().to_string(), request.destination))
    };
    let some =
        |source: &str, destination: Option<&str>| Some((source.to_owned(), destination.map(str::to_owned)));
    assert_eq!(parse("lib/"), some("lib/", None));
    assert_eq!(parse("a.yml:conf/"), some("a.yml", Some("conf/")));
    assert_eq!(parse("a:b:c"), some("a:b", Some("c")));
    assert_eq!(parse("a:b:"), some("a:b", None));
    assert_eq!(parse(":"), None);
    assert_eq!(parse(":b"), None);
    assert_eq!(parse(""), None);
}

#[test]
fn a_directory_comes_with_everything_in_it() {
    let root = directory();
    let expected = [
        "lib/",
        "lib/a.jar",
        "lib/b.jar",
        "lib/native/",
        "lib/native/empty/",
        "lib/native/x.so -> x.so.1",
        "lib/native/x.so.1*",
    ];
    for source in ["lib", "lib/"] {
        assert_eq!(add(root.path(), &[(source, None)]).expect("adds"), expected);
    }
    let names = add(root.path(), &[("lib", Some("."))]).expect("adds");
    assert_eq!(names[..2], ["a.jar", "b.jar"]);
    let names = add(root.path(), &[("lib", Some("/opt/x/"))]).expect("adds");
    assert_eq!(names[..2], ["/opt/x/lib/", "/opt/x/lib/a.jar"]);
}

#[test]
fn what_is_added_to_a_tree_lies_beside_the_artifact_in_it() {
    let root = directory();
    let request = |source: &str, destination: Option<&str>| AddRequest {
        source: root.path().join(source),
        destination: destination.map(str::to_owned),
    };
    let paths = |requests: &[AddRequest]| {
        let added = resolve(requests, Some("bin/tool"), &Stop::default())?;
        let added = merge(added, Some("bin/tool"))?;
        Ok::<_, AddError>(added.iter().map(|file| file.destination.to_string()).collect::<Vec<_>>())
    };
    let requests =
        [request("a.yml", None), request("a.yml", Some("conf/")), request("a.yml", Some("/etc/a"))];
    let expected = ["bin", "bin/a.yml", "bin/conf", "bin/conf/a.yml", "/etc/a"];
    assert_eq!(paths(&requests).expect("adds"), expected);
    assert_eq!(paths(&[request("a.yml", Some("binary"))]).expect("adds"), ["bin", "bin/binary"]);
    assert_eq!(paths(&[]).expect("adds"), ["bin"], "the artifact's own directory");
    for taken in ["tool", "tool/x"] {
        let error = paths(&[request("a.yml", Some(taken))]).expect_err("refused");
        assert!(matches!(error, AddError::Reserved { .. }), "{error}");
    }
}

#[test]
fn destinations() {
    let root = directory();
    for (destination, place) in [
        (None, &["a.yml"][..]),
        (Some("b.yml"), &["b.yml"]),
        (Some("conf/"), &["conf/", "conf/a.yml"]),
        (Some("./"), &["a.yml"]),
        (Some("./conf//b.yml"), &["conf/", "conf/b.yml"]),
        (Some("a/b/c.yml"), &["a/", "a/b/", "a/b/c.yml"]),
        (Some("/etc/app/"), &["/etc/app/a.yml"]),
        (Some("/etc/a"), &["/etc/a"]),
    ] {
        assert_eq!(add(root.path(), &[("a.yml", destination)]).expect("adds"), place, "{destination:?}");
    }
    for destination in ["../a", "/../a", "a\0", ".", "binary", "binary/x"] {
        assert!(add(root.path(), &[("a.yml", Some(destination))]).is_err(), "{destination}");
    }
}

#[test]
fn whether_it_is_a_program_tells_the_content() {
    use std::os::unix::fs::PermissionsExt;
    let root = directory();
    fs::set_permissions(root.path().join("a.yml"), fs::Permissions::from_mode(0o755)).expect("chmod");
    assert_eq!(add(root.path(), &[("run.sh", None), ("a.yml", None)]).expect("adds"), ["a.yml", "run.sh*"]);
}

#[test]
fn conflicts_are_refused() {
    let root = directory();
    for requests in [
        [("a.yml", Some("x")), ("run.sh", Some("x"))],
        [("a.yml", Some("lib")), ("lib", None)],
        [("a.yml", Some("x")), ("run.sh", Some("x/y"))],
        [("lib", Some("x")), ("a.yml", Some("x/a.jar"))],
    ] {
        let error = add(root.path(), &requests).expect_err("refused");
        assert_eq!(
            crate::diagnostic::Diagnostic::kind(&error),
            crate::diagnostic::FailureKind::Usage,
            "{error}"
        );
    }
    assert!(add(root.path(), &[("lib", None), ("a.yml", Some("lib/c.jar"))]).is_ok());
}

#[test]
fn refuses_what_cannot_be_packaged() {
    let root = directory();
    let path = root.path();
    let _socket = std::os::unix::net::UnixListener::bind(path.join("lib/socket")).expect("binds");
    assert!(matches!(add(path, &[("lib", None)]), Err(AddError::NotAFile { .. })));
    fs::remove_file(path.join("lib/socket")).expect("removes");
    for target in ["/etc/passwd", "../a.yml", "native/../../a.yml"] {
        symlink(target, path.join("lib/out")).expect("links");
        assert!(matches!(add(path, &[("lib", None)]), Err(AddError::LinkOutside { .. })), "{target}");
        fs::remove_file(path.join("lib/out")).expect("removes");
    }
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"lib/\xff");
    fs::write(path.join(name), "").expect("writes");
    assert!(matches!(add(path, &[("lib", None)]), Err(AddError::NotUtf8 { .. })));
    let error = add(path, &[("missing", None)]).expect_err("refused");
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_link_that_the_user_names_is_followed() {
    let root = directory();
    symlink("a.yml", root.path().join("link")).expect("links");
    assert_eq!(add(root.path(), &[("link", None)]).expect("adds"), ["link"]);
}

#[test]
fn a_library_above_the_jar_may_be_added_there() {
    let root = directory();
    let request = |destination: &str| AddRequest {
        source: root.path().join("lib/a.jar"),
        destination: Some(destination.to_owned()),
    };
    let image = |path: &str| ImagePath::new(path).expect("valid");
    let missing = |destination: &str, tree_path: Option<&str>| {
        let added = resolve(&[request(destination)], tree_path, &Stop::default()).expect("adds");
        let added = merge(added, tree_path).expect("merges");
        let places = match tree_path {
            Some(path) => {
                (image("/opt/app-root/bin/app").join(path).expect("valid"), image("/opt/app-root/bin/app"))
            }
            None => (image("/opt/app-root/bin/binary"), image("/opt/app-root/bin")),
        };
        MissingJars::of(&["../lib/a.jar".to_owned()], (&places.0, &places.1), &added).relative.len()
    };
    assert_eq!(missing("/opt/app-root/lib/a.jar", None), 0);
    assert_eq!(missing("/opt/lib/a.jar", None), 1);
    assert_eq!(missing("lib/a.jar", None), 1);
    assert_eq!(missing("/opt/app-root/bin/app/lib/a.jar", Some("bin/app.jar")), 0);
    assert_eq!(missing("a.jar", Some("bin/app.jar")), 1);
}

#[test]
fn missing_jars_are_found() {
    let root = directory();
    let requests = [AddRequest { source: root.path().join("lib"), destination: None }];
    let added = merge(resolve(&requests, None, &Stop::default()).expect("adds"), None).expect("merges");
    let entries = [
        "lib/a.jar",
        "./lib/native/../b.jar",
        "lib/",
        ".",
        "./",
        "",
        "lib/..",
        "conf/",
        "https://h/x.jar",
        "/opt/x.jar",
        "file:/opt/y.jar",
        "/opt/conf/",
        "lib/c.jar",
        "../up.jar",
        "lib",
    ];
    let class_path: Vec<_> = entries.iter().map(|entry| (*entry).to_owned()).collect();
    let image = |path: &str| ImagePath::new(path).expect("valid");
    let (artifact, top) = (image("/opt/app-root/bin/binary"), image("/opt/app-root/bin"));
    let missing = MissingJars::of(&class_path, (&artifact, &top), &added);
    assert_eq!(missing.relative, ["lib/c.jar", "../up.jar", "lib"]);
    assert_eq!(missing.absolute, ["/opt/x.jar", "file:/opt/y.jar"]);
}
