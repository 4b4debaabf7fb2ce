use std::io::{Cursor, Write};

use ::zip::CompressionMethod;
use ::zip::write::{SimpleFileOptions, ZipWriter};

use super::super::facts::{JarFacts, Kind, ServletApi, WarFacts};
use super::super::{DetectError, DetectOptions, OtherZip, Rejection, detect};

/// Writes small class files for tests.
pub(super) fn class(release: u32, names: &[&str], literals: &[&str]) -> Vec<u8> {
    let mut bytes = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0];
    bytes.extend((release as u16 + 44).to_be_bytes());
    // Each name is one constant, each literal two; a long (two slots) stands before them.
    bytes.extend((3 + names.len() as u16 + 2 * literals.len() as u16).to_be_bytes());
    bytes.extend([5, 0, 0, 0, 0, 0, 0, 0, 0]);
    let mut index = 3;
    let text = |bytes: &mut Vec<u8>, value: &str| {
        bytes.push(1);
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(value.as_bytes());
    };
    for name in names {
        text(&mut bytes, name);
        index += 1;
    }
    for literal in literals {
        text(&mut bytes, literal);
        bytes.push(8);
        bytes.extend(u16::to_be_bytes(index));
        index += 2;
    }
    // Access flags and the rest, which nobody here reads.
    bytes.extend([0; 12]);
    bytes
}

/// A class with one method `name(String[])` of these access flags.
fn class_with_method(release: u32, name: &str, flags: u16) -> Vec<u8> {
    let mut bytes = class(release, &[name, "([Ljava/lang/String;)V", "Code"], &[]);
    bytes.truncate(bytes.len() - 12);
    // Access flags, this class, super class, no interfaces, no fields, one method.
    bytes.extend([0, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    for number in [flags, 3, 4, 1, 5] {
        bytes.extend(number.to_be_bytes());
    }
    // One attribute of four bytes, then no attributes of the class.
    bytes.extend([0, 0, 0, 4, 1, 2, 3, 4, 0, 0]);
    bytes
}

const PUBLIC_STATIC: u16 = 0x0009;

/// A class with preview features.
fn preview_class(release: u32) -> Vec<u8> {
    let mut bytes = class(release, &[], &[]);
    bytes[4..6].copy_from_slice(&[0xff, 0xff]);
    bytes
}

/// Writes an archive; members whose names end with `.jar` are stored, as Spring Boot does.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    archive_with(members, |name| match name.ends_with(".jar") {
        true => CompressionMethod::Stored,
        false => CompressionMethod::Deflated,
    })
}

fn archive_with(members: &[(&str, &[u8])], method: impl Fn(&str) -> CompressionMethod) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        let options = SimpleFileOptions::default().compression_method(method(name));
        match name.ends_with('/') {
            true => writer.add_directory(*name, options).expect("adds"),
            false => {
                writer.start_file(*name, options).expect("starts");
                writer.write_all(content).expect("writes");
            }
        }
    }
    writer.finish().expect("finishes").into_inner()
}

fn look_with(name: &str, bytes: &[u8], main_class: Option<&str>) -> Result<Kind, Rejection> {
    let options = DetectOptions { main_class: main_class.map(str::to_owned) };
    match detect(name, bytes.len() as u64, Cursor::new(bytes), &options) {
        Ok(facts) => Ok(facts.kind),
        Err(DetectError::Refused { rejection, .. }) => Err(rejection),
        Err(error) => panic!("{error:?}"),
    }
}

fn look(name: &str, bytes: &[u8]) -> Result<Kind, Rejection> {
    look_with(name, bytes, None)
}

fn jar(members: &[(&str, &[u8])]) -> JarFacts {
    match look("app.jar", &archive(members)).expect("a JAR") {
        Kind::Jar(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn war(members: &[(&str, &[u8])]) -> WarFacts {
    match look("shop.war", &archive(members)).expect("a WAR") {
        Kind::War(facts) => facts,
        other => panic!("{other:?}"),
    }
}

fn rejection(name: &str, members: &[(&str, &[u8])]) -> Rejection {
    look(name, &archive(members)).expect_err("a rejection")
}

const MANIFEST: &str = "META-INF/MANIFEST.MF";
const MAIN: &[u8] = b"Manifest-Version: 1.0\r\nMain-Class: com.example.Main\r\n\r\n";

#[test]
fn a_plain_jar() {
    let manifest =
        b"Main-Class: com.example.Main\nMulti-Release: true\nClass-Path: lib/a%20b.jar lib/c.jar\n";
    let facts = jar(&[
        (MANIFEST, manifest),
        ("com/example/Main.class", &class(11, &["main"], &[])),
        ("com/example/data/Old.class", &class(8, &[], &[])),
        ("module-info.class", &class(21, &[], &[])),
        ("META-INF/versions/25/com/example/Main.class", &class(25, &[], &[])),
        ("natives/x.jar", b"no archive"),
    ]);
    assert_eq!(facts.main_class, "com.example.Main");
    assert_eq!(facts.java, Some(11));
    assert!(facts.has_main_class);
    assert!(facts.multi_release && !facts.self_executing);
    assert_eq!(facts.class_path, ["lib/a b.jar", "lib/c.jar"]);
    assert_eq!(facts.libraries, ["natives/x.jar"]);
    assert_eq!(facts.spring_boot, None);
}

#[test]
fn the_user_names_the_main_class() {
    let bytes = archive(&[("com/example/Tool.class", &class(17, &[], &[]))]);
    let Kind::Jar(facts) = look_with("tool.jar", &bytes, Some("com.example.Tool")).expect("a JAR") else {
        panic!("no JAR")
    };
    assert_eq!((facts.main_class.as_str(), facts.java), ("com.example.Tool", Some(17)));
}

#[test]
fn a_main_class_that_is_elsewhere_is_noticed() {
    let newer: (&str, &[u8]) = ("META-INF/versions/17/com/example/Main.class", &class(17, &[], &[]));
    let other: (&str, &[u8]) = ("com/example/main.class", &class(17, &[], &[]));
    assert!(!jar(&[(MANIFEST, MAIN), newer, other]).has_main_class, "for releases that nobody asked for");
    let multi: &[u8] = b"Main-Class: com.example.Main\nMulti-Release: TRUE\n";
    assert!(jar(&[(MANIFEST, multi), newer]).has_main_class);
    let library = archive(&[(MANIFEST, b"Class-Path: b.jar\n"), newer, other]);
    let look = |class: &str| {
        let content = std::io::Cursor::new(&library);
        super::class_path_jar(library.len() as u64, content, class).expect("reads").expect("a JAR")
    };
    assert_eq!(
        look("com.example.main"),
        super::ClassPathJar { has_class: true, class_path: vec!["b.jar".into()] }
    );
    assert!(look("com/example/main").has_class && !look("com.example.Main").has_class);
    let text = b"no archive";
    assert_eq!(super::class_path_jar(10, std::io::Cursor::new(text), "a").expect("reads"), None);
}

#[test]
fn a_spring_boot_jar() {
    let manifest = b"Main-Class: org.springframework.boot.loader.launch.JarLauncher\r\nStart-Class: com.example.App\r\nSpring-Boot-Version: 3.4.1\r\nSpring-Boot-Layers-Index: BOOT-INF/layers.idx\r\n";
    let library = archive(&[("org/lib/Lib.class", &class(21, &[], &[]))]);
    let members: Vec<(&str, &[u8])> = vec![
        (MANIFEST, manifest),
        ("org/springframework/boot/loader/launch/JarLauncher.class", b"\xca\xfe\xba\xbe\0\0\0\x3d"),
        ("BOOT-INF/classes/com/example/App.class", b"\xca\xfe\xba\xbe\0\0\0\x3d"),
        ("BOOT-INF/lib/lib-1.0.jar", &library),
        ("BOOT-INF/layers.idx", b"- \"dependencies\":\n  - \"BOOT-INF/lib/\"\n- \"application\":\n"),
    ];
    let facts = jar(&members);
    assert_eq!(facts.java, Some(21), "the library decides");
    assert_eq!(facts.start_class.as_deref(), Some("com.example.App"));
    let boot = facts.spring_boot.expect("Spring Boot");
    assert_eq!(boot.version.as_deref(), Some("3.4.1"));
    assert_eq!(boot.layers, ["dependencies", "application"]);
    assert_eq!(facts.libraries, ["BOOT-INF/lib/lib-1.0.jar"]);

    let launched = [b"#!/bin/bash\nexec java -jar $0\nexit 0\n".to_vec(), archive(&members)].concat();
    for name in ["app.jar", "app"] {
        let Kind::Jar(facts) = look(name, &launched).expect("a JAR") else { panic!("no JAR") };
        assert!(facts.self_executing);
        assert_eq!(facts.java, Some(21));
    }
    // The end of the library, which is stored, must not be taken for the end of the whole.
    for (whole, start) in [(launched, 60), (archive(&members), 0)] {
        for length in start + 30..whole.len() {
            assert_eq!(
                look("app.jar", &whole[..length]),
                Err(Rejection::TruncatedZip),
                "{length} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn a_python_zipapp_is_a_script() {
    let app = [b"#!/usr/bin/env python3\n".to_vec(), archive(&[("__main__.py", b"print()")])].concat();
    let Kind::Script(facts) = look("app.pyz", &app).expect("a script") else { panic!("no script") };
    assert_eq!(facts.program, "python3");
}

#[test]
fn servlet_api_by_the_applications_classes() {
    let servlet = class(17, &["jakarta/servlet/http/HttpServlet"], &["javax/servlet/Text"]);
    let facts = war(&[
        ("WEB-INF/web.xml", br#"<web-app xmlns="http://java.sun.com/xml/ns/javaee" version="3.0"/>"#),
        ("WEB-INF/classes/com/example/HelloServlet.class", &servlet),
        ("WEB-INF/classes/com/example/Model.class", &class(17, &[], &[])),
    ]);
    assert_eq!((facts.servlet_api, facts.java), (Some(ServletApi::Jakarta), Some(17)));
    assert_eq!(
        facts.servlet_evidence.as_deref(),
        Some(
            "class `com.example.HelloServlet` refers to jakarta.servlet; WEB-INF/web.xml is of javax.servlet, but references of classes count"
        )
    );
}

#[test]
fn servlet_api_by_libraries() {
    let web = archive(&[("org/web/Dispatcher.class", &class(8, &["javax/servlet/Filter"], &[]))]);
    let api = archive(&[
        ("jakarta/servlet/Servlet.class", &class(11, &["jakarta/servlet/Servlet"], &[])),
        ("jakarta/servlet/Filter.class", &class(11, &["jakarta/servlet/Filter"], &[])),
    ]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let members: [(&str, &[u8]); 3] = [
            ("WEB-INF/lib/servlet-api.jar", &api),
            ("WEB-INF/lib/spring-web-5.3.jar", &web),
            ("WEB-INF/classes/A.class", &class(8, &[], &[])),
        ];
        let bytes = archive_with(&members, |_| method);
        let Kind::War(facts) = look("shop.war", &bytes).expect("a WAR") else { panic!("no WAR") };
        assert_eq!(facts.servlet_api, Some(ServletApi::Javax), "{method:?}");
        assert_eq!(
            facts.servlet_evidence.as_deref(),
            Some("library `spring-web-5.3.jar` refers to javax.servlet")
        );
        assert_eq!(facts.java, Some(11));
        assert!(facts.libraries.contains("servlet-api.jar"));
    }
}

#[test]
fn servlet_api_by_files() {
    let api = |name: &str, content: &[u8]| war(&[(name, content), ("WEB-INF/x", b"")]).servlet_api;
    let descriptor =
        |namespace: &str| api("WEB-INF/web.xml", format!("<web-app xmlns=\"{namespace}\"/>").as_bytes());
    assert_eq!(descriptor("https://jakarta.ee/xml/ns/jakartaee"), Some(ServletApi::Jakarta));
    assert_eq!(descriptor("http://xmlns.jcp.org/xml/ns/javaee"), Some(ServletApi::Javax));
    assert_eq!(descriptor("http://java.sun.com/xml/ns/javaee"), Some(ServletApi::Javax));
    assert_eq!(descriptor("urn:other"), None);
    assert_eq!(api("a.jsp", b"<%@ page import=\"jakarta.servlet.http.*\" %>"), Some(ServletApi::Jakarta));
    assert_eq!(api("a.jsp", b"<%@ taglib uri=\"jakarta.tags.core\" %>"), Some(ServletApi::Jakarta));
    assert_eq!(api("a.jsp", b"<%= new java.util.Date() %>"), None);
    assert_eq!(
        api("WEB-INF/classes/META-INF/services/javax.servlet.ServletContainerInitializer", b"x.Y"),
        Some(ServletApi::Javax)
    );
}

#[test]
fn an_executable_war_and_names() {
    let facts = war(&[(MANIFEST, b"Main-Class: Launcher\nSpring-Boot-Version: 2.7.0\n"), ("WEB-INF/", b"")]);
    assert_eq!(facts.main_class.as_deref(), Some("Launcher"));
    assert_eq!(facts.spring_boot.expect("Spring Boot").version.as_deref(), Some("2.7.0"));
    // Pages only: a WAR by its name.
    assert_eq!(war(&[("index.html", b"<html>")]).servlet_api, None);
    // A WAR by its content.
    assert!(matches!(look("shop", &archive(&[("WEB-INF/web.xml", b"")])), Ok(Kind::War(_))));
    // A shaded JAR with a web framework's descriptor in it.
    let shaded = archive(&[(MANIFEST, MAIN), ("WEB-INF/web.xml", b""), ("META-INF/application.xml", b"")]);
    assert!(matches!(look("app.jar", &shaded), Ok(Kind::Jar(_))));
}

#[test]
fn other_archives_are_named() {
    let what = |name: &str, members: &[(&str, &[u8])]| match rejection(name, members) {
        Rejection::OtherZip { what } => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(what("x.ear", &[("META-INF/application.xml", b""), ("shop.war", b"")]), OtherZip::Ear);
    assert_eq!(what("x.rar", &[("META-INF/ra.xml", b"")]), OtherZip::ResourceAdapter);
    assert_eq!(what("x-sources.jar", &[(MANIFEST, b""), ("a/A.java", b"")]), OtherZip::Sources);
    assert_eq!(what("x-javadoc.jar", &[("index.html", b""), ("element-list", b"")]), OtherZip::Javadoc);
    assert_eq!(what("x.apk", &[("AndroidManifest.xml", b""), ("classes.dex", b"")]), OtherZip::Apk);
    assert_eq!(what("x.aar", &[("AndroidManifest.xml", b""), ("classes.jar", b"")]), OtherZip::Aar);
    assert_eq!(what("x.whl", &[("x/__init__.py", b""), ("x-1.dist-info/WHEEL", b"")]), OtherZip::Wheel);
    assert_eq!(what("x.jar", &[]), OtherZip::Nothing);
    assert_eq!(what("x.jar", &[("readme.txt", b"")]), OtherZip::Plain);
}

#[test]
fn a_library_jar_lists_what_could_be_started() {
    let rejection = rejection(
        "lib.jar",
        &[
            (MANIFEST, b"Manifest-Version: 1.0\n"),
            ("a/Lib.class", &class(8, &[], &[])),
            ("a/Calls.class", &class(8, &["main", "([Ljava/lang/String;)V"], &[])),
            ("a/Inner$Tool.class", &class_with_method(8, "main", PUBLIC_STATIC)),
            ("a/Instance.class", &class_with_method(8, "main", 1)),
            ("a/Private.class", &class_with_method(8, "main", 8)),
            ("a/Tool.class", &class_with_method(8, "main", PUBLIC_STATIC | 0x0010)),
            ("a/Other.class", &class_with_method(8, "domain", PUBLIC_STATIC)),
        ],
    );
    assert_eq!(rejection, Rejection::LibraryJar { candidates: vec!["a.Tool".into(), "a.Inner$Tool".into()] });
    let hints = rejection.hints();
    assert!(hints[0].contains("--main-class") && hints[1].contains("a.Tool"), "{hints:?}");
}

#[test]
fn what_stands_around_an_archive() {
    let whole = archive(&[(MANIFEST, MAIN), ("com/example/Main.class", &class(17, &[], &[]))]);
    let java = |name: &str, bytes: &[u8]| match look(name, bytes) {
        Ok(Kind::Jar(facts)) => facts.java,
        other => panic!("{other:?}"),
    };
    let end = whole.len() - 2;
    let commented = [&whole[..end], &3000u16.to_le_bytes(), &[b'c'; 3000]].concat();
    assert_eq!(java("app.jar", &commented), Some(17));
    let universal =
        [b"@ 2>/dev/null # 2>nul & echo off & goto BOF\r\n:\nexec java -jar $0 $@\n", &whole[..]].concat();
    assert_eq!(java("mill", &universal), Some(17), "a launch script for Windows and shells");
    assert!(look("setup.exe", &[b"MZ", &whole[..]].concat()).is_err(), "a Windows program");
    let refused = Rejection::LauncherRefuses {
        reason: "2 bytes follow its end".into(),
        main_class: "com.example.Main".into(),
    };
    assert_eq!(look("app.jar", &[&whole[..], b"\n\n"].concat()), Err(refused));
    // A launcher that is no script, but named as a JAR.
    assert_eq!(java("app.jar", &[&b"\x90\x90launcher"[..], &whole].concat()), Some(17));
    let named_otherwise = [&b"MZ launcher"[..], &whole].concat();
    assert!(matches!(look("app.exe", &named_otherwise), Err(Rejection::ForeignProgram { .. })));
    // A script stays one, whatever its name, if there is nothing else in the file.
    assert!(matches!(look("run", b"#!/bin/sh\necho PK\n"), Ok(Kind::Script(_))));
}

#[test]
fn cut_and_damaged_archives() {
    let whole = archive(&[(MANIFEST, MAIN), ("com/example/Main.class", &class(17, &[], &[]))]);
    for length in [10, 100, whole.len() / 2, whole.len() - 1] {
        assert_eq!(look("app.jar", &whole[..length]), Err(Rejection::TruncatedZip), "{length}");
    }
    assert!(
        matches!(look("app.jar", &whole[40..]), Err(Rejection::DamagedZip { .. })),
        "the front is missing"
    );
    let mut counted = whole.clone();
    let end = counted.len() - 22;
    counted[end + 10] = 200;
    assert!(matches!(look("app.jar", &counted), Err(Rejection::DamagedZip { .. })));
    let mut split = whole.clone();
    split[end + 4] = 3;
    assert_eq!(look("app.jar", &split), Err(Rejection::SplitZip));
    let mut encrypted = whole.clone();
    let entry = encrypted.windows(4).position(|window| window == b"PK\x01\x02").expect("a directory");
    encrypted[entry + 8] |= 1;
    assert_eq!(look("app.jar", &encrypted), Err(Rejection::EncryptedZip { member: MANIFEST.into() }));
    let mut method = whole;
    method[entry + 10] = 12;
    let Err(Rejection::DamagedZip { reason }) = look("app.jar", &method) else { panic!("readable") };
    assert!(reason.contains(MANIFEST), "{reason}");
}

#[test]
fn absurd_numbers_are_refused_before_anything_is_allocated() {
    let mut end = b"PK\x06\x06".to_vec();
    end.extend(44u64.to_le_bytes());
    end.resize(24, 0);
    for value in [u64::MAX / 64, u64::MAX / 64, 4_000_000_000, 0] {
        end.extend(value.to_le_bytes());
    }
    end.extend(b"PK\x06\x07\0\0\0\0");
    end.extend(4u64.to_le_bytes());
    end.extend([1, 0, 0, 0]);
    end.extend(b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0");
    let bytes = [&b"PK\x03\x04"[..], &end].concat();
    let Err(Rejection::DamagedZip { reason }) = look("app.jar", &bytes) else { panic!("accepted") };
    assert!(reason.contains("impossible"), "{reason}");
}

#[test]
fn archives_in_zip64_form() {
    // More than 65,535 entries need the wide end record.
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..66_000 {
        writer.start_file(format!("p{}/C{index}.class", index / 100), options).expect("starts");
        writer.write_all(b"\xca\xfe\xba\xbe\0\0\0\x3d").expect("writes");
    }
    writer.start_file(MANIFEST, options).expect("starts");
    writer.write_all(MAIN).expect("writes");
    let bytes = writer.finish().expect("finishes").into_inner();
    for prefix in [&b""[..], b"#!/bin/sh\nexit\n"] {
        let Ok(Kind::Jar(facts)) = look("big.jar", &[prefix, &bytes].concat()) else { panic!("no JAR") };
        assert_eq!(facts.java, Some(17));
        assert_eq!(facts.self_executing, !prefix.is_empty());
    }
}

#[test]
fn all_classes_are_searched_for_a_main_method() {
    let other = class(8, &[], &[]);
    let tool = class_with_method(8, "main", PUBLIC_STATIC);
    let names: Vec<String> = (0..3000).map(|number| format!("a/C{number}.class")).collect();
    let mut members: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), other.as_slice())).collect();
    members.insert(1501, ("b/Tool.class", &tool));
    let expected = Rejection::LibraryJar { candidates: vec!["b.Tool".into()] };
    assert_eq!(rejection("lib.jar", &members), expected);
}

#[test]
fn preview_features_need_exactly_their_release() {
    let main = class(17, &[], &[]);
    let of = |other: &[u8]| {
        let facts =
            jar(&[(MANIFEST, MAIN), ("com/example/Main.class", &main), ("com/example/B.class", other)]);
        (facts.java, facts.preview)
    };
    assert_eq!(of(&preview_class(22)), (Some(22), true));
    assert_eq!(of(&class(22, &[], &[])), (Some(22), false));
    // The highest release decides: nothing runs both, and the error names it.
    assert_eq!(of(&preview_class(14)), (Some(17), false));
    // Java 11 and older have no preview features.
    assert_eq!(of(&preview_class(11)), (Some(17), false));
    let facts = war(&[("WEB-INF/web.xml", b""), ("WEB-INF/classes/A.class", &preview_class(21))]);
    assert_eq!((facts.java, facts.preview), (Some(21), true));
}

/// Each was tried with `java -jar` and `java -cp` of OpenJDK 17.
#[test]
fn what_the_launcher_refuses_is_refused_unless_the_class_is_named() {
    let main: (&str, &[u8]) = ("com/example/Main.class", &class(17, &[], &[]));
    let whole = archive(&[(MANIFEST, MAIN), main]);
    let trailing = [&whole[..], b"text"].concat();
    let lower = archive(&[("meta-inf/manifest.mf", MAIN), main]);
    let mixed = archive(&[("META-INF/Manifest.mf", MAIN), main]);
    for (bytes, words) in [(trailing, "4 bytes follow"), (lower, "META-INF/MANIFEST.MF"), (mixed, "exactly")]
    {
        for name in ["app.jar", "app"] {
            let rejection = look(name, &bytes).expect_err("refused");
            assert!(rejection.to_string().contains(words), "{rejection}");
            assert!(rejection.hints().concat().contains("--main-class com.example.Main"));
            assert!(look_with(name, &bytes, Some("com.example.Main")).is_ok());
        }
        // Tomcat reads it.
        let war = archive(&[("WEB-INF/web.xml", b"")]);
        assert!(matches!(look("shop.war", &[&war[..], b"text"].concat()), Ok(Kind::War(_))));
    }
    // A comment is a part of the archive.
    let mut commented = whole;
    let end = commented.len();
    commented[end - 2] = 4;
    commented.extend(b"note");
    assert!(look("app.jar", &commented).is_ok());
}

#[test]
fn the_descriptor_counts_more_than_libraries() {
    let library = |package: &str| archive(&[("a/Filter.class", &class(8, &[package], &[]))]);
    let (javax, jakarta) = (library("javax/servlet/Filter"), library("jakarta/servlet/Filter"));
    let of = |namespace: &str, libraries: &[u8]| {
        let descriptor = format!("<web-app xmlns=\"{namespace}\" version=\"6.0\"></web-app>");
        war(&[
            ("WEB-INF/web.xml", descriptor.as_bytes()),
            ("WEB-INF/lib/upload.jar", libraries),
            ("WEB-INF/lib/logging.jar", libraries),
            ("WEB-INF/classes/A.class", &class(17, &[], &[])),
        ])
    };
    let facts = of("https://jakarta.ee/xml/ns/jakartaee", &javax);
    assert_eq!(facts.servlet_api, Some(ServletApi::Jakarta));
    let evidence = facts.servlet_evidence.expect("evidence");
    assert!(
        evidence.contains("namespace of WEB-INF/web.xml") && evidence.contains("counts less"),
        "{evidence}"
    );
    assert_eq!(of("http://xmlns.jcp.org/xml/ns/javaee", &jakarta).servlet_api, Some(ServletApi::Javax));
    let mixed = war(&[("WEB-INF/lib/a.jar", &javax), ("WEB-INF/lib/b.jar", &jakarta), ("WEB-INF/x", b"")]);
    assert!(mixed.mixed_libraries && mixed.servlet_api.is_none());
    let same = war(&[("WEB-INF/lib/a.jar", &javax), ("WEB-INF/lib/b.jar", &javax), ("WEB-INF/x", b"")]);
    assert!(!same.mixed_libraries);
}

#[test]
fn every_package_of_the_platform_is_evidence() {
    for (name, api) in [
        ("jakarta/ws/rs/Path", ServletApi::Jakarta),
        ("(Ljavax/ws/rs/core/Response;)V", ServletApi::Javax),
        ("javax/faces/context/FacesContext", ServletApi::Javax),
        ("jakarta/websocket/Session", ServletApi::Jakarta),
        ("jakarta/persistence/Entity", ServletApi::Jakarta),
        ("Ljakarta/enterprise/context/RequestScoped;", ServletApi::Jakarta),
        ("javax/jms/Queue", ServletApi::Javax),
        ("javax/mail/Session", ServletApi::Javax),
        ("jakarta/json/JsonObject", ServletApi::Jakarta),
    ] {
        let facts = war(&[("WEB-INF/classes/A.class", &class(11, &[name], &[])), ("WEB-INF/x", b"")]);
        assert_eq!(facts.servlet_api, Some(api), "{name}");
    }
    // Java SE has these.
    for name in
        ["javax/swing/JFrame", "javax/sql/DataSource", "javax/xml/parsers/SAXParser", "javax/elsewhere/X"]
    {
        let facts = war(&[("WEB-INF/classes/A.class", &class(11, &[name], &[])), ("WEB-INF/x", b"")]);
        assert_eq!(facts.servlet_api, None, "{name}");
    }
    // References to servlets decide before the others.
    let facts = war(&[
        ("WEB-INF/classes/A.class", &class(11, &["javax/persistence/Entity"], &[])),
        ("WEB-INF/classes/B.class", &class(11, &["javax/mail/Session"], &[])),
        ("WEB-INF/classes/C.class", &class(11, &["jakarta/servlet/Filter"], &[])),
    ]);
    assert_eq!(facts.servlet_api, Some(ServletApi::Jakarta));
}

#[test]
fn versions_and_parts_of_other_servers_are_read() {
    let version = |xml: &str| {
        let facts = war(&[("WEB-INF/web.xml", xml.as_bytes()), ("WEB-INF/x", b"")]);
        (facts.servlet_version.map(|version| version.to_string()), facts.servlet_api)
    };
    let jakarta =
        "<?xml version=\"1.0\"?>\n<web-app xmlns=\"https://jakarta.ee/xml/ns/jakartaee\"\n  version='6.1'>";
    assert_eq!(version(jakarta), (Some("6.1".into()), Some(ServletApi::Jakarta)));
    assert_eq!(version("<web-app version=\"2.5\">"), (Some("2.5".into()), Some(ServletApi::Javax)));
    assert_eq!(version("<web-app metadata-version=\"9.9\">"), (None, None));
    assert_eq!(version("<web-app version=\"x\">"), (None, None));
    let facts = war(&[
        ("WEB-INF/jboss-web.xml", b""),
        ("WEB-INF/weblogic.xml", b""),
        ("META-INF/ejb-jar.xml", b""),
        ("WEB-INF/jetty-env.xml", b""),
        ("WEB-INF/classes/A.class", &class(11, &["jakarta/ejb/Stateless"], &[])),
        ("WEB-INF/classes/jboss-web.xml", b""),
    ]);
    let parts: Vec<&str> = facts.unsupported.iter().map(String::as_str).collect();
    assert_eq!(parts.len(), 5, "{parts:?}");
    for words in ["JBoss", "WebLogic", "Jetty", "META-INF/ejb-jar.xml", "`jakarta.ejb`"] {
        assert!(parts.iter().any(|part| part.contains(words)), "{words}: {parts:?}");
    }
}
