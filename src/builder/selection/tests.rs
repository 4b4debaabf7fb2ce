//! Tests of the choice: tables over facts, with the sample catalog and with the built-in one.

use std::collections::BTreeSet;

use super::*;
use crate::builder::base::{BaseName, Bases};
use crate::builder::catalog::CatalogSettings;
use crate::builder::tests::sample;
use crate::detect::LinkedFile;
use crate::detect::facts::{
    ExecutableFacts, GlibcVersion, JarFacts, Libc, Linkage, Payload, ScriptFacts, ServletApi, ServletVersion,
    WarFacts,
};
use crate::diagnostic::{Diagnostic, FailureKind};

fn executable(linkage: Linkage, libc: Option<Libc>, glibc: Option<&str>) -> ExecutableFacts {
    ExecutableFacts {
        platform: Platform::linux("amd64"),
        linkage,
        interpreter: libc.map(|_| "/lib64/ld-linux-x86-64.so.2".into()),
        libc,
        glibc: glibc.map(|text| text.parse().expect("a version")),
        libraries: vec!["libc.so.6".into(), "ld-linux-x86-64.so.2".into()],
        run_path: Vec::new(),
        built_by: None,
        packed: false,
        payload: None,
        stripped: false,
    }
}

fn dynamic(glibc: &str) -> ExecutableFacts {
    executable(Linkage::Dynamic, Some(Libc::Glibc), Some(glibc))
}

fn jar(java: Option<u32>) -> Kind {
    Kind::Jar(JarFacts {
        main_class: "app.Main".into(),
        has_main_class: true,
        start_class: None,
        java,
        preview: false,
        multi_release: false,
        spring_boot: None,
        class_path: Vec::new(),
        libraries: Vec::new(),
        self_executing: false,
    })
}

fn war(servlet_api: Option<ServletApi>, java: Option<u32>, main_class: Option<&str>) -> Kind {
    Kind::War(WarFacts {
        self_executing: false,
        servlet_api,
        servlet_evidence: servlet_api.map(|_| "`WEB-INF/web.xml`".into()),
        java,
        main_class: main_class.map(Into::into),
        start_class: None,
        spring_boot: None,
        libraries: BTreeSet::new(),
        ..WarFacts::default()
    })
}

fn script(interpreter: &str, program: &str) -> Kind {
    Kind::Script(ScriptFacts {
        interpreter: interpreter.into(),
        program: program.into(),
        ..ScriptFacts::default()
    })
}

/// The input of a test beside the facts.
#[derive(Default)]
struct Asked<'a> {
    builder: Option<&'a str>,
    platform: Option<&'a str>,
    tree_path: Option<&'a str>,
    /// Libraries for amd64 beside the artifact.
    added: &'a [&'a str],
    /// The glibc that each of them needs, and the dynamic linker if they are programs.
    glibc: Option<&'a str>,
    interpreter: Option<&'a str>,
    /// The Java release of a JAR beside the artifact.
    java: Option<u32>,
    library_path: Option<&'a str>,
    allow_missing: bool,
}

fn select_in(catalog: &Catalog, kind: Kind, asked: &Asked<'_>) -> Result<Selection, BuilderError> {
    let facts = Facts { size: 1, kind };
    let builder = asked.builder.map(|text| text.parse::<crate::request::BuilderRequest>().expect(text));
    let platform = asked.platform.map(|text| text.parse::<Platform>().expect(text));
    let library = LinkedFile::from(&executable(Linkage::Dynamic, Some(Libc::Glibc), asked.glibc));
    let library = LinkedFile { interpreter: asked.interpreter.map(Into::into), ..library };
    let added: Vec<(&str, LinkedFile)> = asked.added.iter().map(|path| (*path, library.clone())).collect();
    let neighbours = Neighbours::sample(&added, asked.java);
    let library_path = asked.library_path.map(|path| ("LD_LIBRARY_PATH".to_owned(), path.to_owned()));
    select(
        catalog,
        &SelectionRequest {
            artifact: "app",
            facts: &facts,
            builder: builder.as_ref(),
            platform: platform.as_ref(),
            allow_missing: asked.allow_missing,
            tree_path: asked.tree_path,
            neighbours: &neighbours,
            environment: library_path.as_slice(),
            base: None,
        },
    )
}

fn chosen(selection: Selection) -> Choice {
    match selection {
        Selection::Template(choice) => *choice,
        Selection::Image(choice) => panic!("chose the image {}", choice.reference),
    }
}

fn choose(kind: Kind, asked: &Asked<'_>) -> Choice {
    chosen(select_in(&sample::catalog(), kind, asked).expect("something fits"))
}

fn refuse(kind: Kind, asked: &Asked<'_>) -> BuilderError {
    select_in(&sample::catalog(), kind, asked).expect_err("nothing fits")
}

fn builder(name: &str) -> Asked<'_> {
    Asked { builder: Some(name), ..Asked::default() }
}

#[test]
fn every_java_level() {
    for catalog in [sample::catalog(), Catalog::new(&CatalogSettings::default()).expect("valid")] {
        for level in 5..=25 {
            let expected = [8, 11, 17, 21, 25].into_iter().find(|release| *release >= level).expect("one");
            let choice = chosen(select_in(&catalog, jar(Some(level)), &Asked::default()).expect("fits"));
            assert_eq!(choice.version.level, Some(expected), "level {level}");
            assert!(choice.reason.contains(&format!("need Java {level}")), "{}", choice.reason);
            assert!(choice.warnings.is_empty());
        }
        for level in [26, 99, u32::MAX] {
            let error = select_in(&catalog, jar(Some(level)), &Asked::default()).expect_err("too high");
            assert_eq!(error.kind(), FailureKind::Builder);
            let text = error.to_string();
            assert!(text.contains(&format!("need Java {level}")) && text.contains("has 25"), "{text}");
        }
        let choice = chosen(select_in(&catalog, jar(None), &Asked::default()).expect("fits"));
        assert_eq!(choice.version.level, Some(21));
        assert!(choice.reason.contains("no class file"), "{}", choice.reason);
    }
}

#[test]
fn every_explicit_java() {
    for asked in [8, 11, 17, 21, 25] {
        for level in 5..=26 {
            let name = format!("java:{asked}");
            let result = select_in(&sample::catalog(), jar(Some(level)), &builder(&name));
            assert_eq!(result.is_ok(), level <= asked, "{level} on {asked}");
        }
    }
    let error = refuse(jar(Some(21)), &builder("java:17"));
    assert_eq!(
        error.to_string(),
        "the builder `java:17` cannot run `app`: its classes need Java 21, and this has 17"
    );
    assert_eq!(error.hints(), ["pass `--builder java:21`, which can run it"]);
    let choice = choose(jar(Some(11)), &builder("java:21"));
    assert_eq!(choice.reason, "`java:21` was requested; its classes need Java 11, and this has 21");
    assert_eq!(choose(jar(Some(12)), &builder("java")).version.version, "17");
}

#[test]
fn every_glibc() {
    for minor in 17..=99 {
        let facts = dynamic(&format!("2.{minor}"));
        let result = select_in(&sample::catalog(), Kind::Executable(facts), &Asked::default());
        match minor {
            ..=36 => assert_eq!(chosen(result.expect("fits")).version.version, "debian12", "2.{minor}"),
            37..=41 => assert_eq!(chosen(result.expect("fits")).version.version, "debian13", "2.{minor}"),
            _ => {
                let error = result.expect_err("too new").to_string();
                assert!(error.contains(&format!("needs glibc 2.{minor}, and this base has 2.41")), "{error}");
            }
        }
    }
    let built_in = Catalog::new(&CatalogSettings::default()).expect("valid");
    for (needed, version) in
        [("2.2.5", "debian11"), ("2.31", "debian11"), ("2.32", "debian12"), ("2.38", "debian13")]
    {
        let result = select_in(&built_in, Kind::Executable(dynamic(needed)), &Asked::default());
        assert_eq!(chosen(result.expect("fits")).version.version, version, "{needed}");
    }
    let choice = choose(Kind::Executable(dynamic("2.34")), &Asked::default());
    assert_eq!(choice.reason, "the executable needs glibc 2.34, and `debian12` has 2.36");
    let unknown = executable(Linkage::Dynamic, Some(Libc::Glibc), None);
    assert_eq!(choose(Kind::Executable(unknown), &Asked::default()).version.version, "debian12");
}

#[test]
fn static_executables_need_no_base() {
    for linkage in [Linkage::Static, Linkage::StaticPie] {
        for architecture in ["amd64", "arm64"] {
            let facts = ExecutableFacts {
                platform: Platform::linux(architecture),
                ..executable(linkage, None, None)
            };
            let choice = choose(Kind::Executable(facts), &Asked::default());
            assert_eq!(choice.base.image, BaseName::BuiltInStatic);
            assert_eq!(choice.platform, Some(Platform::linux(architecture)));
        }
    }
    let facts =
        ExecutableFacts { platform: Platform::linux("riscv64"), ..executable(Linkage::Static, None, None) };
    let choice = choose(Kind::Executable(facts.clone()), &Asked::default());
    assert_eq!(choice.version.version, "debian13");
    assert!(
        choice.reason.ends_with(
            "the static one: its base is published for linux/amd64, linux/arm64, not for linux/riscv64"
        ),
        "{}",
        choice.reason
    );
    let error = refuse(Kind::Executable(facts), &builder("binary:static"));
    assert!(
        error
            .to_string()
            .contains("its base is published for linux/amd64, linux/arm64, not for linux/riscv64"),
        "{error}"
    );
    assert_eq!(error.hints(), ["pass `--builder binary:debian13`, which can run it"]);
}

#[test]
fn own_scripts_need_a_shell() {
    let mut template = sample::template(sample::BINARY);
    template.origin = crate::builder::TemplateOrigin::Project { directory: "templates/binary".into() };
    let bases = Bases::parse("bases.toml", sample::BASES).expect("valid");
    let catalog =
        Catalog::from_parts(vec![template], bases, &std::collections::BTreeMap::new()).expect("valid");
    let facts = || Kind::Executable(executable(Linkage::Static, None, None));
    let choice = chosen(select_in(&catalog, facts(), &Asked::default()).expect("fits"));
    assert!(!choice.needs_launcher() && choice.base.image != BaseName::BuiltInStatic);
    assert!(choice.reason.ends_with("which the template's scripts need"), "{}", choice.reason);
    assert!(select_in(&catalog, facts(), &builder("binary:static")).is_err());
    assert!(choose(facts(), &Asked::default()).needs_launcher());
}

#[test]
fn c_libraries_are_not_mixed() {
    let musl = || Kind::Executable(executable(Linkage::Dynamic, Some(Libc::Musl), None));
    assert_eq!(choose(musl(), &Asked::default()).version.version, "alpine3.22");
    for (kind, name, needle) in [
        (musl(), "binary:debian12", "linked against musl, and this base has glibc"),
        (musl(), "binary:static", "this base has no C library"),
        (Kind::Executable(dynamic("2.17")), "binary:musl", "linked against glibc, and this base has musl"),
        (Kind::Executable(dynamic("2.38")), "binary:debian12", "needs glibc 2.38, and this base has 2.36"),
        (Kind::Executable(dynamic("2.38")), "binary:static", "this base has no C library"),
    ] {
        let error = refuse(kind, &builder(name));
        assert!(error.to_string().contains(needle), "{error}");
        assert!(error.hints()[0].contains("can run it"), "{:?}", error.hints());
    }
    for libc in [Some(Libc::Other), None] {
        let odd = executable(Linkage::Dynamic, libc, None);
        let odd = ExecutableFacts { interpreter: Some("/lib/ld-uClibc.so.0".into()), ..odd };
        let error = refuse(Kind::Executable(odd), &Asked::default());
        assert!(error.to_string().contains("`/lib/ld-uClibc.so.0`"), "{error}");
        assert!(error.hints()[0].contains("--builder IMAGE"));
    }
}

#[test]
fn the_platform_must_not_contradict_the_executable() {
    let asked = |platform| Asked { platform: Some(platform), ..Asked::default() };
    let error = refuse(Kind::Executable(dynamic("2.17")), &asked("linux/arm64"));
    assert_eq!(error.to_string(), "`app` is built for linux/amd64, not for linux/arm64");
    assert_eq!(error.kind(), FailureKind::Artifact);
    assert!(select_in(&sample::catalog(), Kind::Executable(dynamic("2.17")), &asked("linux/x86_64")).is_ok());
    let arm = ExecutableFacts { platform: Platform::linux("arm"), ..dynamic("2.17") };
    let choice = choose(Kind::Executable(arm.clone()), &asked("linux/arm/v7"));
    assert_eq!(choice.platform.map(|platform| platform.to_string()).as_deref(), Some("linux/arm/v7"));
    let s390x = ExecutableFacts { platform: Platform::linux("s390x"), ..dynamic("2.17") };
    let error = refuse(Kind::Executable(s390x), &Asked::default());
    assert!(error.to_string().contains("not for linux/s390x"), "{error}");
    let error = refuse(jar(Some(17)), &Asked { builder: Some("java:17"), ..asked("linux/s390x") });
    assert!(
        error.to_string().contains("its base is published for linux/amd64, linux/arm64, not for linux/s390x"),
        "{error}"
    );
    assert_eq!(choose(jar(Some(17)), &Asked::default()).platform, None);
}

#[test]
fn missing_libraries_are_named() {
    let with = |libraries: &[&str], run_path: &[&str]| {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Kind::Executable(ExecutableFacts {
            libraries: texts(libraries),
            run_path: texts(run_path),
            ..dynamic("2.17")
        })
    };
    let needed = ["libc.so.6", "libm.so.6", "libstdc++.so.6"];
    assert!(choose(with(&needed, &[]), &Asked::default()).warnings.is_empty());
    // One that only the newer base has.
    let choice = choose(with(&["libz.so.1"], &[]), &Asked::default());
    assert_eq!(choice.version.version, "debian13");
    assert!(choice.reason.ends_with("`debian12` lacks `libz.so.1`"), "{}", choice.reason);
    // One that none has, on the lowest base that fits.
    let error = refuse(with(&["libq.so.5", "libq.so.5", "libc.so.6"], &[]), &Asked::default());
    assert_eq!(
        error.to_string(),
        "`app` needs `libq.so.5`, which the base `docker.io/library/debian:12-slim` is not known to have"
    );
    assert_eq!(error.kind(), FailureKind::Builder);
    assert_eq!(
        error.hints(),
        [
            "add what is missing, from DIR, to where the dynamic linker looks: \
             `--add DIR/libq.so.5:/opt/app-root/bin/libq.so.5 --env LD_LIBRARY_PATH=/opt/app-root/bin`",
            "or pass an image that has everything, and S2I scripts: `--builder IMAGE`",
            "or pass `--allow-missing` if the program starts without",
        ]
    );
    let anyway = Asked { allow_missing: true, ..Asked::default() };
    let choice = choose(with(&["libq.so.5"], &[]), &anyway);
    assert_eq!(choice.version.version, "debian12");
    assert!(choice.warnings[0].message.contains("needs `libq.so.5`, which"), "{:?}", choice.warnings);
    // A base that has it is named.
    let error = refuse(with(&["libz.so.1"], &[]), &builder("binary:debian12"));
    assert_eq!(error.hints()[1], "or pass `--builder binary:debian13`, which has everything");
    // Added beside a program that looks there.
    let asked = Asked { added: &["libq.so.5"], ..Asked::default() };
    assert!(choose(with(&["libq.so.5"], &["$ORIGIN"]), &asked).warnings.is_empty());
    let hint = &refuse(with(&["libq.so.5"], &["$ORIGIN/../lib"]), &Asked::default()).hints()[0];
    assert!(hint.contains("`--add DIR/libq.so.5:/opt/app-root/lib/libq.so.5`"), "{hint}");
    // Added, but nothing makes the dynamic linker look there.
    let error = refuse(with(&["libq.so.5"], &[]), &asked);
    let place = "`/opt/app-root/bin/libq.so.5` is not where the dynamic linker looks";
    assert!(error.to_string().ends_with(place), "{error}");
    let hint = &error.hints()[0];
    assert!(hint.contains("`--env LD_LIBRARY_PATH=/opt/app-root/bin`"), "{hint}");
    let named = Asked { library_path: Some("/opt/app-root/bin"), added: asked.added, ..Asked::default() };
    assert!(choose(with(&["libq.so.5"], &[]), &named).warnings.is_empty());
    // In a tree, the run path starts at the program's own place.
    for (path, is_found) in [("bin/tool", true), ("tool", false), ("libexec/deep/tool", false)] {
        let asked = Asked { added: &["lib/libq.so.5"], tree_path: Some(path), ..Asked::default() };
        let result = select_in(&sample::catalog(), with(&["libq.so.5"], &["$ORIGIN/../lib"]), &asked);
        assert_eq!(result.is_ok(), is_found, "{path}");
    }
    // A library that the added library needs is missing, too.
    let asked = Asked { added: &["libq.so.5"], library_path: Some("/none"), ..Asked::default() };
    assert!(choose(with(&["libq.so.5"], &["$ORIGIN"]), &asked).warnings.is_empty());
}

#[test]
fn the_needs_of_files_that_come_along_count() {
    let along = |glibc| Asked { added: &["lib/libq.so.5"], glibc: Some(glibc), ..Asked::default() };
    let choice = choose(Kind::Executable(dynamic("2.17")), &along("2.38"));
    assert_eq!(choice.version.version, "debian13");
    assert_eq!(
        choice.reason,
        "the executable or a file that comes along needs glibc 2.38, and `debian13` has 2.41"
    );
    assert_eq!(choose(Kind::Executable(dynamic("2.38")), &along("2.17")).version.version, "debian13");
    let error = refuse(Kind::Executable(dynamic("2.17")), &along("2.99")).to_string();
    assert!(error.contains("a file that comes along needs glibc 2.99"), "{error}");
    // Libraries say nothing of what a static program needs; a program beside it does, and a script may call it.
    let fixed = || Kind::Executable(executable(Linkage::Static, None, None));
    assert_eq!(choose(fixed(), &along("2.38")).base.image, BaseName::BuiltInStatic);
    let program = |glibc| Asked { interpreter: Some("/lib64/ld-linux-x86-64.so.2"), ..along(glibc) };
    assert_eq!(choose(fixed(), &program("2.38")).version.version, "debian13");
    assert_eq!(choose(fixed(), &program("2.17")).version.version, "debian12");
    // Another processor's files do not count.
    let arm = ExecutableFacts { platform: Platform::linux("arm64"), ..dynamic("2.17") };
    assert_eq!(choose(Kind::Executable(arm), &along("2.38")).version.version, "debian12");
    for (own, along, expected) in
        [(Some(8), Some(17), 17), (Some(17), Some(8), 17), (None, Some(11), 11), (Some(8), None, 8)]
    {
        let choice = choose(jar(own), &Asked { java: along, ..Asked::default() });
        assert_eq!(choice.version.level, Some(expected));
        assert_eq!(
            choice.reason.contains("a JAR that comes along needs it"),
            along > own,
            "{}",
            choice.reason
        );
    }
}

#[test]
fn programs_of_bun_get_a_musl_base_with_the_libraries_of_gcc() {
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    let of = |libraries: &[&str]| {
        let libraries = libraries.iter().map(|text| (*text).to_owned()).collect();
        Kind::Executable(ExecutableFacts {
            libraries,
            ..executable(Linkage::Dynamic, Some(Libc::Musl), None)
        })
    };
    let bun = ["libstdc++.so.6", "libgcc_s.so.1", "libc.musl-x86_64.so.1"];
    for (libraries, version) in
        [(&bun[..], "node24-alpine"), (&["libz.so.1"], "alpine3.22"), (&[], "alpine3.22")]
    {
        let choice = chosen(select_in(&catalog, of(libraries), &Asked::default()).expect("fits"));
        assert_eq!(choice.version.version, version);
        assert!(choice.warnings.is_empty(), "{:?}", choice.warnings);
    }
    let error = select_in(&catalog, of(&bun), &builder("binary:alpine3.22")).expect_err("lacks both");
    assert_eq!(error.hints()[1], "or pass `--builder binary:node24-alpine`, which has everything");
}

#[test]
fn hidden_payloads_get_the_newest_base() {
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    let of = |payload, facts: ExecutableFacts| {
        let kind = Kind::Executable(ExecutableFacts { payload: Some(payload), ..facts });
        chosen(select_in(&catalog, kind, &Asked::default()).expect("fits"))
    };
    let fixed = || executable(Linkage::Static, None, None);
    let musl =
        || ExecutableFacts { libraries: Vec::new(), ..executable(Linkage::Dynamic, Some(Libc::Musl), None) };
    for (payload, facts, version, warning) in [
        (Payload::PyInstaller, dynamic("2.14"), "debian13", Some("unpacks itself into `/tmp`")),
        (Payload::PyInstaller, musl(), "alpine3.22", Some("unpacks itself into `/tmp`")),
        (Payload::Nuitka, dynamic("2.14"), "debian13", Some("unpacks itself into `/tmp`")),
        (Payload::AppImage { release: 2 }, fixed(), "debian13", Some("unpacks itself into `/tmp`")),
        (Payload::AppImage { release: 2 }, dynamic("2.14"), "debian13", Some("unpacks itself into `/tmp`")),
        (Payload::DotNet, dynamic("2.14"), "debian13", Some("no base has ICU")),
        (Payload::Staticx, fixed(), "static", Some("unpacks itself into `/tmp`")),
        (Payload::Bun, dynamic("2.14"), "debian11", None),
        (Payload::NodeSea, dynamic("2.28"), "debian11", None),
    ] {
        let choice = of(payload, facts);
        assert_eq!(choice.version.version, version, "{payload:?}");
        let messages: Vec<&str> = choice.warnings.iter().map(|warning| warning.message.as_str()).collect();
        assert_eq!(messages.len(), usize::from(warning.is_some()), "{payload:?}: {messages:?}");
        assert!(messages.iter().all(|message| message.contains(warning.unwrap_or_default())), "{messages:?}");
    }
    let old = of(Payload::AppImage { release: 1 }, fixed());
    assert!(old.warnings[1].message.contains("needs FUSE"), "{:?}", old.warnings);
}

#[test]
fn bases_of_languages_run_no_executable_by_themselves() {
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    let of =
        |kind, asked: &Asked<'_>| chosen(select_in(&catalog, kind, asked).expect("fits")).version.version;
    for (glibc, version) in [("2.33", "debian12"), ("2.36", "debian12"), ("2.38", "debian13")] {
        assert_eq!(of(Kind::Executable(dynamic(glibc)), &Asked::default()), version);
    }
    let missing = ExecutableFacts { libraries: vec!["libq.so.5".into()], ..dynamic("2.33") };
    let error =
        select_in(&catalog, Kind::Executable(missing), &Asked::default()).expect_err("nothing has it");
    assert!(error.to_string().contains("debian:12-slim"), "{error}");
    assert_eq!(of(Kind::Executable(dynamic("2.33")), &builder("binary:python3.11")), "python3.11");
    let riscv =
        ExecutableFacts { platform: Platform::linux("ppc64le"), ..executable(Linkage::Static, None, None) };
    assert!(!of(Kind::Executable(riscv), &Asked::default()).starts_with("node"));
}

#[test]
fn scripts_of_languages_get_the_release_that_they_state() {
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    let of = |program: &str, release: Option<&str>| {
        Kind::Script(ScriptFacts {
            interpreter: "/usr/bin/env".into(),
            program: program.into(),
            release: release.map(Into::into),
            dependencies: Vec::new(),
        })
    };
    for (program, release, version) in [
        ("python3", None, "python3.14"),
        ("python", None, "python3.14"),
        ("python3.11", None, "python3.11"),
        ("python3", Some(">=3.11,<3.13"), "python3.12"),
        ("python3", Some("==3.10.*"), "python3.10"),
        ("python3.12", Some(">=3.10"), "python3.12"),
        ("node", None, "node24"),
        ("nodejs", None, "node24"),
        ("node", Some("^22.1"), "node22"),
        ("java", None, "java21"),
        ("java", Some("11"), "java17"),
        ("java", Some("17"), "java17"),
        ("java", Some("22"), "java25"),
        ("sh", None, "debian13"),
        ("bash", None, "debian13"),
        ("dash", None, "debian13"),
        ("perl", None, "debian13"),
    ] {
        let choice = chosen(select_in(&catalog, of(program, release), &Asked::default()).expect(program));
        assert_eq!(choice.version.version, version, "{program} {release:?}: {}", choice.reason);
        assert!(choice.warnings.is_empty(), "{:?}", choice.warnings);
    }
    for (program, release) in [
        ("python2.7", None),
        ("python3", Some(">=4")),
        ("python3.9", None),
        ("java", Some("26")),
        ("ruby", None),
        ("uv", None),
    ] {
        let error = select_in(&catalog, of(program, release), &Asked::default()).expect_err(program);
        assert!(error.to_string().contains(&format!("a script for `{program}`")), "{error}");
    }
    let error = select_in(&catalog, of("python3.9", None), &Asked::default()).expect_err("none");
    assert!(error.to_string().ends_with("and the bases have 3.10, 3.11, 3.12, 3.13, 3.14"), "{error}");
    let busybox = script("/bin/busybox", "sh");
    let choice = chosen(select_in(&catalog, busybox, &Asked::default()).expect("Alpine has it"));
    assert_eq!((choice.version.version.as_str(), choice.warnings.len()), ("alpine3.22", 0));
    let Kind::Script(mut with_packages) = of("python3", None) else { unreachable!("a script") };
    with_packages.dependencies = vec!["requests".into()];
    let choice = chosen(select_in(&catalog, Kind::Script(with_packages), &Asked::default()).expect("fits"));
    assert!(choice.warnings[0].message.ends_with("packages that no base has: `requests`"));
}

#[test]
fn scripts_beside_jars_get_the_java_of_the_jars() {
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    let of = |kind: Kind, java: Option<u32>, builder: Option<&str>| {
        let asked = Asked { java, builder, tree_path: Some("bin/app"), ..Asked::default() };
        select_in(&catalog, kind, &asked)
    };
    for (program, java, builder, version) in [
        ("sh", Some(8), None, "java17"),
        ("sh", Some(17), None, "java17"),
        ("bash", Some(18), None, "java21"),
        ("dash", Some(25), Some("binary"), "java25"),
        ("sh", None, None, "debian13"),
        ("sh", Some(17), Some("binary:debian12"), "debian12"),
        ("python3", Some(17), None, "python3.14"),
    ] {
        let choice = chosen(of(script("/usr/bin/env", program), java, builder).expect(program));
        assert_eq!(choice.version.version, version, "{program} {java:?}: {}", choice.reason);
        assert!(choice.warnings.is_empty(), "{:?}", choice.warnings);
    }
    let error = of(script("/bin/sh", "sh"), Some(26), None).expect_err("too new");
    assert!(error.to_string().contains("`sh` and Java 26"), "{error}");
    // A catalog without Java has no better base.
    assert!(
        select_in(&sample::catalog(), script("/bin/sh", "sh"), &Asked { java: Some(17), ..Asked::default() })
            .is_ok()
    );
}

#[test]
fn messages_obey_no_artifact() {
    let hostile = "\u{1b}[2J\n".repeat(1000);
    let odd = ExecutableFacts {
        interpreter: Some(hostile.clone()),
        libraries: (0..1000).map(|number| format!("{hostile}{number}")).collect(),
        ..executable(Linkage::Dynamic, Some(Libc::Other), None)
    };
    let plain = |text: &str| assert!(text.len() < 8000 && !text.contains(['\u{1b}', '\n']), "{text:?}");
    plain(&refuse(Kind::Executable(odd.clone()), &Asked::default()).to_string());
    let glibc = ExecutableFacts { libc: Some(Libc::Glibc), ..odd };
    let error = refuse(Kind::Executable(glibc), &Asked::default());
    plain(&error.to_string());
    error.hints().iter().for_each(|hint| plain(hint));
    plain(&refuse(script(&hostile, &hostile), &Asked::default()).to_string());
    let main_class = war(None, None, Some(&hostile));
    plain(&choose(main_class, &builder("java")).reason);
}

#[test]
fn scripts_go_where_their_interpreter_is() {
    for (interpreter, program, version) in [
        ("/bin/sh", "sh", "debian13"),
        ("/usr/bin/env", "sh", "debian13"),
        ("/bin/bash", "bash", "debian13"),
        ("/usr/bin/env", "bash", "debian13"),
    ] {
        let choice = choose(script(interpreter, program), &Asked::default());
        assert_eq!(choice.version.version, version);
        assert!(choice.warnings.is_empty(), "{:?}", choice.warnings);
    }
    assert_eq!(choose(script("/bin/sh", "sh"), &builder("binary:musl")).version.version, "alpine3.22");
    let choice = choose(script("/opt/bin/bash", "bash"), &Asked::default());
    assert!(choice.warnings[0].message.contains("`/opt/bin/bash`"));
    for asked in [Asked::default(), builder("binary:debian12")] {
        let error = refuse(script("/usr/bin/env", "python3"), &asked);
        assert!(error.to_string().contains("a script for `python3`"), "{error}");
        assert!(error.hints()[0].contains("--builder IMAGE"));
    }
    let error = refuse(script("/bin/bash", "bash"), &builder("binary:musl"));
    assert!(error.to_string().contains("needs `bash`, which this base is not known to have"), "{error}");
    assert!(select_in(&sample::catalog(), script("/bin/sh", "sh"), &builder("binary:static")).is_err());
}

#[test]
fn wars_get_the_tomcat_of_their_servlet_api() {
    use ServletApi::{Jakarta, Javax};
    for (api, java, version) in [
        (Javax, None, "9"),
        (Javax, Some(8), "9"),
        (Javax, Some(17), "9"),
        (Jakarta, None, "10.1"),
        (Jakarta, Some(11), "10.1"),
        (Jakarta, Some(21), "10.1"),
        (Jakarta, Some(22), "11"),
        (Jakarta, Some(25), "11"),
    ] {
        let choice = choose(war(Some(api), java, None), &Asked::default());
        assert_eq!(choice.version.version, version, "{api:?} {java:?}");
        assert!(choice.warnings.is_empty());
    }
    let built_in = Catalog::new(&CatalogSettings::default()).expect("valid");
    for (api, java, version) in [
        (Javax, Some(7), "9-jre8"),
        (Javax, Some(12), "9-jre17"),
        (Javax, None, "9-jre21"),
        (Jakarta, Some(8), "10.1-jre11"),
        (Jakarta, Some(18), "10.1-jre21"),
        (Jakarta, Some(23), "11-jre25"),
    ] {
        let choice =
            chosen(select_in(&built_in, war(Some(api), java, None), &Asked::default()).expect("fits"));
        assert_eq!(choice.version.version, version, "{api:?} {java:?}");
    }
    for (api, java) in [(Javax, 18), (Jakarta, 26)] {
        let error = refuse(war(Some(api), Some(java), None), &Asked::default());
        assert!(error.to_string().contains(&format!("need Java {java}")), "{error}");
    }
    let choice = choose(war(Some(Jakarta), Some(17), None), &Asked::default());
    assert_eq!(
        choice.reason,
        "it is written for `jakarta.servlet` (`WEB-INF/web.xml`) and needs Java 17, so it gets Tomcat 10.1 on Java 21"
    );
}

#[test]
fn the_wrong_tomcat_is_an_error() {
    use ServletApi::{Jakarta, Javax};
    for (api, name, needle, hint) in [
        (
            Javax,
            "tomcat:10",
            "written for `javax.servlet`, and Tomcat 10.1 has `jakarta.servlet`",
            "tomcat:9",
        ),
        (
            Javax,
            "tomcat:11",
            "written for `javax.servlet`, and Tomcat 11.0 has `jakarta.servlet`",
            "tomcat:9",
        ),
        (
            Jakarta,
            "tomcat:9",
            "written for `jakarta.servlet`, and Tomcat 9.0 has `javax.servlet`",
            "tomcat:10.1",
        ),
    ] {
        let error = refuse(war(Some(api), Some(11), None), &builder(name));
        assert!(error.to_string().contains(needle), "{error}");
        assert_eq!(error.hints(), [format!("pass `--builder {hint}`, which can run it")]);
    }
}

#[test]
fn an_undecided_war_is_a_warning() {
    let choice = choose(war(None, Some(11), Some("boot.Launcher")), &Asked::default());
    assert_eq!(choice.version.version, "10.1");
    let [warning] = &choice.warnings[..] else { panic!("{:?}", choice.warnings) };
    assert!(warning.message.contains("using Tomcat 10.1"), "{}", warning.message);
    let hint = warning.hint.as_deref().unwrap_or_default();
    assert!(hint.contains("--builder tomcat:9") && hint.contains("--builder java"), "{hint}");
    let choice = choose(war(None, None, None), &builder("tomcat:9"));
    assert_eq!(choice.version.version, "9");
    assert!(!choice.warnings[0].hint.as_deref().unwrap_or_default().contains("--builder java"));
}

#[test]
fn kinds_and_builders_that_do_not_go_together() {
    for (kind, name, needle) in [
        (jar(Some(8)), "tomcat", "`tomcat` takes WARs, and `app` is a JAR"),
        (jar(Some(8)), "binary", "`binary` takes executables and scripts, and `app` is a JAR"),
        (Kind::Executable(dynamic("2.17")), "java", "`java` takes JARs, and `app` is an executable"),
        (
            war(None, None, None),
            "java",
            "takes JARs and WARs with a Main-Class, and `app` is a WAR without one",
        ),
    ] {
        let error = refuse(kind, &builder(name));
        assert!(error.to_string().contains(needle), "{error}");
        assert!(!error.hints().is_empty());
    }
    let choice = choose(war(Some(ServletApi::Javax), Some(17), Some("boot.Launcher")), &builder("java"));
    assert_eq!(choice.version.version, "17");
    assert!(choice.reason.contains("starts by its Main-Class `boot.Launcher`"), "{}", choice.reason);
    assert!(matches!(refuse(jar(None), &builder("jva")), BuilderError::UnknownTemplate { .. }));
    assert!(matches!(refuse(jar(None), &builder("java:9")), BuilderError::UnknownVersion { .. }));
}

#[test]
fn an_image_is_taken_as_it_is() {
    let asked = builder("team/s2i-builder:3");
    let selection = select_in(&sample::catalog(), jar(Some(99)), &asked).expect("not checked");
    let Selection::Image(choice) = selection else { panic!("a template") };
    assert_eq!(choice.reference.familiar(), "team/s2i-builder:3");
    assert_eq!(choice.reason, "`team/s2i-builder:3` was requested; b2i does not check it");
}

#[test]
fn what_is_not_known_of_a_base_is_said() {
    let mine = sample::BINARY.replace("libc = \"glibc\"\n", "").replace("glibc = \"2.41\"\n", "");
    let catalog = Catalog::from_parts(
        vec![sample::template(&mine), sample::template(&sample::JAVA.replace("level = 25\n", ""))],
        Bases::default(),
        &std::collections::BTreeMap::new(),
    )
    .expect("valid");
    let choice =
        chosen(select_in(&catalog, Kind::Executable(dynamic("2.99")), &Asked::default()).expect("unknown"));
    assert!(choice.reason.contains("the C library of"), "{}", choice.reason);
    let choice =
        chosen(select_in(&catalog, script("/usr/bin/perl", "perl"), &Asked::default()).expect("unknown"));
    assert!(choice.warnings[0].message.contains("it is unknown whether"), "{:?}", choice.warnings);
    let choice = chosen(select_in(&catalog, jar(Some(30)), &Asked::default()).expect("unknown"));
    assert_eq!(choice.version.version, "25");
    assert!(choice.warnings[0].message.contains("Java release"), "{:?}", choice.warnings);
    assert_eq!("2.36".parse::<GlibcVersion>().map(|version| version.minor), Ok(36));
}

#[test]
fn preview_features_run_on_their_release_only() {
    let of = |java| match jar(Some(java)) {
        Kind::Jar(facts) => Kind::Jar(JarFacts { preview: true, ..facts }),
        other => other,
    };
    let choice = choose(of(21), &Asked::default());
    assert_eq!(choice.version.level, Some(21));
    assert!(choice.reason.contains("preview features of Java 21"), "{}", choice.reason);
    let error = refuse(of(22), &Asked::default()).to_string();
    assert!(error.contains("preview features of Java 22, which only that release runs"), "{error}");
}

#[test]
fn the_version_of_the_descriptor_needs_its_tomcat() {
    let of = |major, minor| {
        let Kind::War(facts) = war(Some(ServletApi::Jakarta), Some(17), None) else { panic!("no WAR") };
        Kind::War(WarFacts { servlet_version: Some(ServletVersion { major, minor }), ..facts })
    };
    let catalog = Catalog::new(&CatalogSettings::default()).expect("valid");
    for (major, minor, tomcat) in [(5, 0, "10.1"), (6, 0, "10.1"), (6, 1, "11.0")] {
        let choice = chosen(select_in(&catalog, of(major, minor), &Asked::default()).expect("fits"));
        let version = choice.version.tomcat.as_ref().expect("a Tomcat").to_string();
        assert_eq!(version, tomcat, "{major}.{minor}");
    }
    let error = select_in(&catalog, of(6, 1), &builder("tomcat:10.1")).expect_err("too old").to_string();
    assert!(error.contains("Servlet 6.1, which Tomcat 11.0 introduced"), "{error}");
}

#[test]
fn parts_that_tomcat_does_not_support_are_warned_of() {
    let Kind::War(facts) = war(Some(ServletApi::Javax), Some(8), Some("Launcher")) else { panic!("no WAR") };
    let unsupported = BTreeSet::from(["`WEB-INF/weblogic.xml` (WebLogic)".to_owned()]);
    let choice = choose(Kind::War(WarFacts { unsupported, ..facts.clone() }), &Asked::default());
    assert_eq!(choice.warnings.len(), 1);
    assert!(choice.warnings[0].message.contains("WebLogic"), "{:?}", choice.warnings);
    assert!(choice.reason.contains("`--builder java` starts it"), "{}", choice.reason);
    let mixed = WarFacts { servlet_api: None, servlet_evidence: None, mixed_libraries: true, ..facts };
    let choice = choose(Kind::War(mixed), &Asked::default());
    let words: Vec<&str> = choice.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert!(words.iter().any(|message| message.contains("refer to `javax` and to `jakarta`")), "{words:?}");
}
