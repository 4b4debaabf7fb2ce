//! Tests of the choice: tables over source trees, with the sample catalog and with the built-in one.

use super::*;
use crate::builder::tests::sample;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::request::BuilderRequest;

fn choose(files: &[(&str, &str)], builder: Option<&str>) -> Result<SourceChoice, BuilderError> {
    let (tree, builder) =
        (sample::source_tree(files), builder.map(|text| text.parse::<BuilderRequest>().expect(text)));
    let request =
        SourceSelectionRequest { name: "shop", tree: &tree, builder: builder.as_ref(), platform: None };
    match select_source(&sample::catalog(), &request)? {
        SourceSelection::Template(choice) => Ok(*choice),
        SourceSelection::Image(image) => panic!("a template was expected, not {image:?}"),
    }
}

fn chosen(files: &[(&str, &str)], builder: Option<&str>) -> (String, String) {
    let choice = choose(files, builder).expect("a builder fits");
    assert_eq!(choice.warnings, [], "{}", choice.reason);
    (format!("{}:{}", choice.template.name(), choice.version.version), choice.reason)
}

#[test]
fn the_build_file_chooses_and_the_project_says_which_version() {
    for (files, builder, reason) in [
        (
            &[("go.mod", "module a\ngo 1.22\n")][..],
            "golang:1.24",
            "it has `go.mod`; `go.mod` says `go 1.22`, and 1.24 is the lowest version that meets it",
        ),
        (
            &[("go.mod", "module a\ngo 1.25.1\n")],
            "golang:1.25",
            "it has `go.mod`; `go.mod` says `go 1.25.1`, and 1.25 is the lowest version that meets it",
        ),
        (
            &[("go.mod", "module a\n")],
            "golang:1.25",
            "it has `go.mod`; the project names no version, and 1.25 is the newest",
        ),
        (
            &[("pom.xml", "<project><properties><java.version>11</java.version></properties></project>")],
            "maven:3.9-jdk17",
            "it has `pom.xml`; `pom.xml` says `java.version 11`, and 3.9-jdk17 is the lowest version that meets it",
        ),
        (
            &[("package.json", r#"{"engines":{"node":"^22 || ^24"}}"#), ("index.js", "")],
            "nodejs:22",
            "it has `package.json`; `package.json` says `engines.node ^22 || ^24`, and 22 is the lowest version \
             that meets it",
        ),
        (
            &[("package.json", "{}"), (".nvmrc", "lts/*")],
            "nodejs:24",
            "it has `package.json`; `.nvmrc` says `lts/*`, and 24 is that",
        ),
        (
            &[("requirements.txt", "flask"), (".python-version", "3.9")],
            "python:3.11",
            "it has `requirements.txt`; `.python-version` says `3.9`, and 3.11 is the lowest version that meets it",
        ),
        (&[("public/index.html", "")], "nginx:1.28", "it has `public/index.html`"),
        (&[("index.html", ""), ("style.css", "")], "nginx:1.28", "it has `index.html`"),
    ] {
        assert_eq!(chosen(files, None), (builder.to_owned(), reason.to_owned()));
    }
}

#[test]
fn of_several_build_files_the_most_telling_wins() {
    let (name, reason) = chosen(&[("package.json", "{}"), ("go.mod", "go 1.24"), ("index.html", "")], None);
    assert_eq!(name, "golang:1.24");
    assert!(
        reason.starts_with(
            "it has `go.mod` (`package.json` is less specific: `--source-builder nodejs`) (`index.html` is less specific"
        ),
        "{reason}"
    );
    let (name, _) = chosen(&[("package.json", "{}"), ("requirements.txt", "")], None);
    assert_eq!(name, "python:3.13");
    assert_eq!(chosen(&[("package.json", "{}"), ("index.html", ""), ("Makefile", "")], None).0, "nodejs:24");
    let choice = choose(&[("package.json", "{}"), ("index.html", "")], Some("nginx")).expect("named");
    assert_eq!((choice.template.name(), choice.warnings.len()), ("nginx", 0), "it has `index.html`");
}

#[test]
fn what_no_builder_takes_is_an_error_that_says_which_there_are() {
    let error = choose(&[("README.md", "")], None).expect_err("nothing fits");
    assert_eq!(
        error.to_string(),
        "no builder of the catalog fits the sources `shop`: it has no build file that b2i knows"
    );
    assert_eq!(
        error.hints(),
        [
            "if it contains an artifact, pass that file, and its other files with `--add`",
            "choose a builder with `--source-builder NAME`: `golang` (go.mod), `maven` (pom.xml), `nginx` (index.html), `nodejs` \
             (package.json), `python` (pyproject.toml)",
            "or use any S2I builder image: `--source-builder IMAGE`"
        ]
    );
    assert_eq!(error.kind(), FailureKind::Builder);
    let error = choose(&[("Cargo.toml", "")], None).expect_err("nothing fits");
    assert!(error.to_string().contains("`Cargo.toml` makes it a Cargo project"), "{error}");
    // The front end of a Rust program is not the program.
    let error = choose(&[("Cargo.toml", ""), ("package.json", "{}")], None).expect_err("nothing fits");
    assert!(error.to_string().contains("`Cargo.toml` makes it a Cargo project"), "{error}");
    assert_eq!(error.hints()[0], "pass `--source-builder nodejs` to build it by its `package.json` anyway");
    let error =
        choose(&[("Makefile", ""), ("main.c", ""), ("index.html", "")], None).expect_err("nothing fits");
    assert!(error.to_string().contains("make project"), "{error}");
    // A directory of that name is no build file.
    assert!(choose(&[("go.mod/readme", "")], None).is_err());
}

#[test]
fn versions_that_will_not_do_are_said() {
    let error = choose(&[("go.mod", "go 1.30")], None).expect_err("too new");
    assert_eq!(
        error.to_string(),
        "the builder `golang` cannot build `shop`: `go.mod` says `go 1.30`, and it has 1.24, 1.25"
    );
    assert!(error.hints()[0].starts_with("pass `--source-builder golang:1.25` to use the newest"));
    let choice = choose(&[("go.mod", "go 1.30")], Some("golang:1.25")).expect("asked for");
    assert_eq!(choice.warnings[0].message, "`go.mod` says `go 1.30`, and the builder's version is 1.25");
    let choice = choose(&[("package.json", r#"{"engines":{"node":"^18"}}"#)], None).expect("the next");
    assert_eq!(choice.version.version, "20");
    assert_eq!(
        choice.warnings[0].message,
        "`package.json` says `engines.node ^18`, which no version has (20, 22, 24); using 20"
    );
    assert!(choose(&[("package.json", r#"{"engines":{"node":">=26"}}"#)], None).is_err());
    let choice = choose(&[("package.json", "{}"), (".nvmrc", "system")], None).expect("not understood");
    assert!(choice.warnings[0].message.contains("`system`, which b2i does not understand; using 24"));
}

#[test]
fn a_named_builder_is_taken_and_its_kind_checked() {
    assert_eq!(chosen(&[("go.mod", "go 1.20")], Some("golang:1.25")).1, "`golang:1.25` was requested");
    let choice = choose(&[("main.go", "")], Some("golang")).expect("named");
    assert_eq!(
        choice.warnings[0].message,
        "the builder `golang` takes sources with `go.mod`, and `shop` has none of these"
    );
    let error = choose(&[("go.mod", "")], Some("java")).expect_err("takes JARs");
    assert_eq!(error.to_string(), "the builder `java` takes JARs, not sources");
    assert_eq!(error.kind(), FailureKind::Usage);
    assert!(choose(&[("go.mod", "")], Some("golan")).is_err());
    let tree = sample::source_tree(&[("go.mod", "")]);
    let image = "centos/go:1".parse::<BuilderRequest>().expect("an image");
    let request = SourceSelectionRequest { name: "s", tree: &tree, builder: Some(&image), platform: None };
    let selection = select_source(&sample::catalog(), &request).expect("an image");
    assert!(
        matches!(selection, SourceSelection::Image(choice) if choice.reference.familiar() == "centos/go:1")
    );
}

#[test]
fn the_platform_has_to_be_offered() {
    let tree = sample::source_tree(&[("go.mod", "go 1.24")]);
    let only_listed = "golang:1.24".parse::<BuilderRequest>().expect("a builder");
    let catalog = sample::catalog();
    for (architecture, fits) in [("arm64", true), ("amd64", true), ("m68k", false)] {
        let platform = Platform::linux(architecture);
        let request = SourceSelectionRequest {
            name: "s",
            tree: &tree,
            builder: Some(&only_listed),
            platform: Some(&platform),
        };
        assert_eq!(select_source(&catalog, &request).is_ok(), fits, "{architecture}");
    }
}
