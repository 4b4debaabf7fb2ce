//! Owns tests of the meaning of texts, and of the refused ones.

use super::*;
use crate::diagnostic::{Diagnostic, FailureKind};

fn git(repository: &str, reference: Option<&str>) -> SourceLocation {
    SourceLocation::Git(GitLocation {
        repository: repository.to_owned(),
        reference: reference.map(str::to_owned),
    })
}

#[test]
fn repositories_are_known_by_their_form() {
    for (text, repository, reference) in [
        ("https://h.example/org/shop", "https://h.example/org/shop", None),
        ("https://h.example/org/shop.git#v2", "https://h.example/org/shop.git", Some("v2")),
        ("https://h.example/a.tar.gz#main", "https://h.example/a.tar.gz", Some("main")),
        ("https://h.example/shop#", "https://h.example/shop", None),
        ("git+https://h.example/a.zip", "https://h.example/a.zip", None),
        ("git+ssh://git@h.example/a#b/c", "ssh://git@h.example/a", Some("b/c")),
        ("ssh://git@h.example:22/a", "ssh://git@h.example:22/a", None),
        ("git://h.example/a", "git://h.example/a", None),
        ("git@h.example:org/shop.git#x#y", "git@h.example:org/shop.git", Some("x#y")),
        ("h.example:shop", "h.example:shop", None),
        ("HTTPS://h.example/shop", "HTTPS://h.example/shop", None),
    ] {
        let parsed = SourceLocation::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed, git(repository, reference), "{text}");
    }
}

#[test]
fn archives_are_known_by_their_names() {
    for text in ["https://h.example/a.tar.gz", "http://h.example/x/a.ZIP?token=1", "https://h.example/a.tar"]
    {
        let parsed = SourceLocation::parse(text).expect(text);
        assert!(matches!(parsed, SourceLocation::Archive(InputSource::Url(_))), "{text}");
    }
    assert_eq!(SourceLocation::parse("-").expect("valid"), SourceLocation::Archive(InputSource::Stdin));
}

#[test]
fn what_is_on_this_machine_comes_first() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = |name: &str| directory.path().join(name);
    let text = |name: &str| path(name).to_str().expect("UTF-8").to_owned();
    for name in ["plain", "repo/.git", "bare/objects", "bare/refs", "a#b"] {
        std::fs::create_dir_all(path(name)).expect("creates");
    }
    std::fs::write(path("bare/HEAD"), "ref: refs/heads/main\n").expect("writes");
    std::fs::write(path("sources.tgz"), "").expect("writes");
    let real = directory.path().canonicalize().expect("is there");
    let repository = |name: &str| real.join(name).to_str().expect("UTF-8").to_owned();

    let parse = |text: &str| SourceLocation::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(parse(&text("plain")), SourceLocation::Directory(path("plain")));
    assert_eq!(parse(&text("repo")), SourceLocation::Directory(path("repo")), "as it is, no clone");
    assert_eq!(parse(&text("bare")), git(&repository("bare"), None));
    assert_eq!(parse(&format!("{}#v1", text("repo"))), git(&repository("repo"), Some("v1")));
    assert_eq!(parse(&text("a#b")), SourceLocation::Directory(path("a#b")));
    let file = SourceLocation::Archive(InputSource::File(path("sources.tgz")));
    assert_eq!(parse(&text("sources.tgz")), file);
    assert_eq!(parse(&format!("file://{}", text("sources.tgz"))), file);
    let url = format!("file://{}", text("repo"));
    assert_eq!(parse(&url), git(&url, None));
    assert_eq!(parse(&format!("file://{}", text("plain"))), SourceLocation::Directory(path("plain")));

    let named = parse(&text("repo")).with_reference("v1").expect("is a repository");
    assert_eq!(named, git(&repository("repo"), Some("v1")));
    let error = parse(&text("plain")).with_reference("v1").expect_err("is none");
    assert!(error.to_string().contains("not a git repository"), "{error}");
    let error = SourceLocation::parse(&text("missing")).expect_err("is not there");
    assert_eq!(error.kind(), FailureKind::Input);
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn references_agree_or_are_an_error() {
    let location = || SourceLocation::parse("https://h.example/a#v1").expect("valid");
    assert_eq!(location().with_reference("v1").expect("the same"), location());
    assert_eq!(location().with_reference("").expect("none"), location());
    let error = location().with_reference("v2").expect_err("another").to_string();
    assert!(error.contains("#v1") && error.contains("--ref v2"), "{error}");
    let bad = [
        "-x",
        "--upload-pack=x",
        "a b",
        "a..b",
        "v1~3",
        "a^{}",
        "main:web",
        "a//b",
        "/a",
        "@{1}",
        "x.lock",
        ".x",
        "a\nb",
        "*",
    ];
    for reference in bad {
        let error = SourceLocation::parse("https://h.example/a").expect("valid").with_reference(reference);
        assert_eq!(error.expect_err(reference).kind(), FailureKind::Usage);
    }
}

#[test]
fn credentials_and_tricks_are_refused_and_not_shown() {
    for text in [
        "https://me:hunter2@h.example/a.git",
        "https://hunter2@h.example/a",
        "https://hunter2@h.example/a.tar.gz",
        "ssh://git:hunter2@h.example/a",
        "git+https://hunter2:x@h.example/a#b",
        "me:hunter2@h.example:a",
        "https://me:hunter2@[::/x",
    ] {
        let error = SourceLocation::parse(text).expect_err(text);
        let shown = format!("{error} {:?}", error.hints());
        assert_eq!(error.kind(), FailureKind::Usage, "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for text in [
        "ext::sh -c touch% /tmp/x",
        "fd::17",
        "-u/tmp/x",
        "--upload-pack=x",
        "ssh://-oProxyCommand=x/a",
        "-oProxyCommand=x:a",
        "user@-oProxyCommand=x:a",
        "ftp://h.example/a",
        "file://other.example/a",
        "https://",
        "host:",
        "",
    ] {
        let error = SourceLocation::parse(text).expect_err(text);
        assert_eq!(error.kind(), FailureKind::Usage, "{text}: {error}");
    }
}

#[test]
fn what_is_shown_has_no_names_of_people_and_no_queries() {
    for (text, shown) in [
        ("ssh://alice@h.example/a#v1", "ssh://h.example/a#v1"),
        ("ssh://git@h.example/a", "ssh://git@h.example/a"),
        ("alice@h.example:a", "h.example:a"),
        ("git@h.example:a", "git@h.example:a"),
        ("https://h.example/a.git?token=x", "https://h.example/a.git"),
        ("https://h.example/a.zip?token=x", "https://h.example/a.zip"),
        ("-", "standard input"),
    ] {
        assert_eq!(SourceLocation::parse(text).expect(text).to_string(), shown);
    }
}

#[test]
fn sources_are_meant_by_form_alone() {
    for text in [
        ".",
        "https://h.example/a.git",
        "https://h.example/a.git#x",
        "https://h.example/a#v2",
        "ssh://h.example/a",
        "git://h.example/a",
        "git+https://h.example/a",
        "git@h.example:org/a",
        "missing/a.git",
    ] {
        assert!(SourceLocation::is_certain(text), "{text}");
    }
    for text in
        ["-", "app.jar", "a:b.jar", "https://h.example/app.jar", "https://h.example/a.tgz", "Cargo.toml"]
    {
        assert!(!SourceLocation::is_certain(text), "{text}");
    }
}
