//! Tests of looking through an image, over tars made here.

use std::io::Write;

use super::*;

/// Makes a tar of files, links (`->`) and hard links (`=>`).
fn tar_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        if let Some((path, target)) = name.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, target).expect("appended");
        } else if let Some((path, target)) = name.split_once(" => ") {
            header.set_entry_type(tar::EntryType::Link);
            header.set_size(0);
            builder.append_link(&mut header, path, target).expect("appended");
        } else {
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, *bytes).expect("appended");
        }
    }
    builder.into_inner().expect("finished")
}

fn glibc_library(version: &str) -> Vec<u8> {
    // The text lies across the border of two reads.
    let mut bytes = vec![0; (64 << 10) - 30];
    writeln!(bytes, "GNU C Library (Debian GLIBC {version}-9+deb12u4) stable release version {version}.")
        .expect("written");
    bytes.extend(vec![0; 100_000]);
    bytes
}

fn catalina(number: &str) -> Vec<u8> {
    let mut jar = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    jar.start_file("org/apache/catalina/util/ServerInfo.properties", options).expect("started");
    writeln!(jar, "# comment\nserver.info=Apache Tomcat/{number}\nserver.number={number}").expect("written");
    jar.finish().expect("finished").into_inner()
}

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect(text)
}

#[test]
fn sees_a_distribution_with_merged_folders() {
    let seen = observe(
        tar_of(&[
            ("bin -> usr/bin", b""),
            ("lib -> usr/lib", b""),
            ("usr/bin/dash", b"x"),
            ("usr/bin/sh -> dash", b""),
            ("usr/bin/env", b"x"),
            ("usr/lib/x86_64-linux-gnu/libc.so.6", &glibc_library("2.36")),
            ("usr/lib/x86_64-linux-gnu/libz.so.1 -> libz.so.1.2.13", b""),
            ("usr/lib/x86_64-linux-gnu/libz.so.1.2.13", b"x"),
            ("usr/lib/x86_64-linux-gnu/perl/libperl.so", b"x"),
            ("usr/lib/jvm/java-17-openjdk-amd64/release", b"IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"17.0.9\"\n"),
            ("usr/lib/jvm/default-java -> java-17-openjdk-amd64", b""),
            ("usr/share/java/tomcat10-catalina-10.1.18.jar", &catalina("10.1.18.0")),
            ("usr/share/java/tomcat10-catalina.jar -> tomcat10-catalina-10.1.18.jar", b""),
            ("usr/share/tomcat10/lib/catalina.jar -> ../../java/tomcat10-catalina.jar", b""),
        ])
        .as_slice(),
    )
    .expect("valid");
    assert!(seen.has_program("sh") && seen.has_program("env") && !seen.has_program("bash"));
    assert_eq!(seen.libc(), BaseLibc::Glibc);
    assert_eq!(seen.glibc, Some(GlibcVersion { major: 2, minor: 36 }));
    assert_eq!(
        seen.libraries.iter().map(String::as_str).collect::<Vec<_>>(),
        ["libc.so.6", "libz.so.1", "libz.so.1.2.13"]
    );
    assert_eq!(seen.java_at(&path("/usr/lib/jvm/default-java")), Some(17));
    assert_eq!(seen.java_at(&path("/opt/java")), None);
    let tomcat = seen.tomcat_at(&path("/usr/share/tomcat10")).expect("found");
    assert!("10.1".parse::<DottedVersion>().expect("valid").covers(tomcat));
}

#[test]
fn sees_musl_busybox_and_old_layouts() {
    let seen = observe(
        tar_of(&[
            ("bin/busybox", b"x"),
            ("bin/sh -> /bin/busybox", b""),
            ("bin/ls => bin/busybox", b""),
            ("lib/ld-musl-x86_64.so.1", b"x"),
            ("opt/java/openjdk/release", b"JAVA_VERSION=\"1.8.0_392\"\n"),
        ])
        .as_slice(),
    )
    .expect("valid");
    assert!(seen.has_program("sh") && seen.has_program("ls"));
    assert_eq!((seen.libc(), seen.glibc), (BaseLibc::Musl, None));
    assert_eq!(seen.java_at(&path("/opt/java/openjdk")), Some(8));
    let library = glibc_library("2.31");
    let old = [
        ("lib/x86_64-linux-gnu/libc-2.31.so", library.as_slice()),
        ("lib/x86_64-linux-gnu/libc.so.6 -> libc-2.31.so", b""),
    ];
    let seen = observe(tar_of(&old).as_slice()).expect("valid");
    assert_eq!((seen.libc(), seen.glibc.map(|version| version.minor)), (BaseLibc::Glibc, Some(31)));
}

#[test]
fn an_empty_image_has_nothing() {
    let seen = observe(tar_of(&[("etc/passwd", b"root")]).as_slice()).expect("valid");
    assert_eq!(seen.libc(), BaseLibc::None);
    assert!(!seen.has_program("sh"));
}

#[test]
fn long_names_are_read() {
    let home = format!("opt/{}", "directory/".repeat(30));
    let release = format!("{home}release");
    let seen = observe(tar_of(&[(release.as_str(), b"JAVA_VERSION=\"21\"\n")]).as_slice()).expect("valid");
    assert_eq!(seen.java_at(&path(&format!("/{home}"))), Some(21));
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions([("path", release.as_bytes())]).expect("appended");
    let mut header = tar::Header::new_ustar();
    header.set_size(18);
    header.set_path("short").expect("set");
    header.set_cksum();
    builder.append(&header, b"JAVA_VERSION=\"21\"\n".as_slice()).expect("appended");
    let seen = observe(builder.into_inner().expect("finished").as_slice()).expect("valid");
    assert_eq!(seen.java_releases().into_iter().collect::<Vec<_>>(), [21]);
}

#[test]
fn links_in_circles_end() {
    let entries: [(&str, &[u8]); 4] = [
        ("bin/sh -> bash", b""),
        ("bin/bash -> sh", b""),
        ("a -> a/a", b""),
        ("usr/bin/env -> ../../../../../bin/x", b""),
    ];
    let seen = observe(tar_of(&entries).as_slice()).expect("valid");
    assert!(!seen.has_program("sh") && !seen.has_program("env"));
    assert_eq!(seen.java_at(&path("/a/b")), None);
}

#[test]
fn hostile_tars_are_errors_or_nothing() {
    // A long name that states 4 GiB.
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::GNULongName);
    header.set_size(4 << 30);
    header.set_path("././@LongLink").expect("set");
    header.set_cksum();
    let tar = header.as_bytes().chain(io::repeat(b'a'));
    assert!(matches!(observe(tar), Err(BuilderError::Observation(_))));
    // A cut one, noise, and a jar that is none.
    let whole = tar_of(&[("usr/lib/libc.so.6", &glibc_library("2.36"))]);
    assert!(observe(&whole[..whole.len() / 2]).is_err());
    assert!(observe([7_u8; 2048].as_slice()).is_err());
    let odd: [(&str, &[u8]); 4] = [
        ("lib/catalina.jar", b"PK\x03\x04 no jar"),
        ("x/release", b"\xff\xfe"),
        ("y/release", b"JAVA_VERSION=\"99999999999999\""),
        ("lib/libc.so.6", b"GNU C Library release version "),
    ];
    let seen = observe(tar_of(&odd).as_slice()).expect("valid");
    assert!(seen.java_releases().is_empty() && seen.tomcat_versions().is_empty() && seen.glibc.is_none());
}

#[test]
fn endless_names_are_an_error() {
    struct Links(u64, Vec<u8>);
    impl Read for Links {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.1.is_empty() {
                self.0 += 1;
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_size(0);
                header.set_path(format!("link{:060}", self.0))?;
                header.set_link_name("x".repeat(90))?;
                header.set_cksum();
                self.1 = header.as_bytes().to_vec();
            }
            let count = buffer.len().min(self.1.len());
            buffer[..count].copy_from_slice(&self.1[..count]);
            self.1.drain(..count);
            Ok(count)
        }
    }
    let error = observe(Links(0, Vec::new())).expect_err("refused").to_string();
    assert!(error.contains("more names"), "{error}");
}

proptest::proptest! {
    /// Whatever a few bytes are turned into, there is an answer.
    #[test]
    fn damaged_tars_never_panic(changes in proptest::collection::vec((0_usize..12_000, proptest::num::u8::ANY), 1..8), cut in 0_usize..12_000) {
        let mut tar = tar_of(&[
            ("usr/lib/libc.so.6", b"GNU C Library (GNU libc) stable release version 2.36.\n"),
            ("usr/lib/libz.so.1 -> libz.so.1.2", b""),
            (&format!("opt/{}/release", "d".repeat(150)), b"JAVA_VERSION=\"21\"\n"),
            ("opt/tomcat/lib/catalina.jar", &catalina("11.0.1.0")),
        ]);
        for (position, byte) in changes {
            let length = tar.len();
            tar[position % length] = byte;
        }
        tar.truncate(tar.len() - cut % tar.len());
        if let Ok(seen) = observe(tar.as_slice()) {
            let _ = (seen.libc(), seen.has_program("sh"), seen.tomcat_at(&path("/opt/tomcat")));
        }
    }
}

fn layers(all: &[Vec<u8>]) -> Observations {
    // The highest is read first.
    observe_layers(all.iter().rev().map(|tar| Ok(tar.as_slice()))).expect("layers of an image")
}

#[test]
fn a_layer_hides_what_is_below_it() {
    let debian = tar_of(&[
        ("bin -> usr/bin", b""),
        ("usr/bin/dash", b"x"),
        ("usr/bin/sh -> dash", b""),
        ("usr/bin/python3.11", b"x"),
        ("usr/lib/x86_64-linux-gnu/libc.so.6", &glibc_library("2.36")),
        ("usr/lib/x86_64-linux-gnu/libz.so.1", b"x"),
        ("opt/java/release", b"JAVA_VERSION=\"17.0.9\"\n"),
        ("opt/java/bin/java", b"x"),
    ]);
    let whole = layers(std::slice::from_ref(&debian));
    assert_eq!(whole, observe(debian.as_slice()).expect("a tar"), "one layer is a whole file system");
    // Replaced: a newer library, and a newer Java in the same place.
    let newer = tar_of(&[
        ("usr/lib/x86_64-linux-gnu/libc.so.6", &glibc_library("2.41")),
        ("opt/java/release", b"JAVA_VERSION=\"21.0.1\"\n"),
    ]);
    let seen = layers(&[debian.clone(), newer]);
    assert_eq!(seen.glibc.map(|version| version.to_string()).as_deref(), Some("2.41"));
    assert_eq!(seen.java_at(&path("/opt/java")), Some(21));
    assert!(seen.has_program("sh") && seen.has_program("python3.11"));
    // Removed: one file, and a directory with all that is in it.
    let without = tar_of(&[("usr/bin/.wh.python3.11", b""), ("opt/.wh.java", b"")]);
    let seen = layers(&[debian.clone(), without]);
    assert!(!seen.has_program("python3.11") && seen.java_releases().is_empty() && seen.has_program("sh"));
    // Made anew: an opaque directory keeps only what its own layer has.
    let anew = tar_of(&[("usr/bin/.wh..wh..opq", b""), ("usr/bin/busybox", b"x")]);
    let seen = layers(&[debian.clone(), anew.clone()]);
    assert!(!seen.has_program("sh") && seen.has_program("busybox"));
    assert!(seen.libraries.contains("libz.so.1"));
    let again = tar_of(&[("usr/bin/sh", b"x")]);
    assert!(layers(&[debian, anew, again]).has_program("sh"));
}

#[test]
fn hostile_layers_are_bounded() {
    let whiteouts: Vec<String> = (0..3000).map(|number| format!("{}/.wh.{number}", "d".repeat(90))).collect();
    let entries: Vec<(&str, &[u8])> = whiteouts.iter().map(|name| (name.as_str(), &b""[..])).collect();
    let layer = tar_of(&entries);
    let many = (0..100).map(|_| Ok(layer.as_slice()));
    let error = observe_layers(many).expect_err("too many names").to_string();
    assert!(error.contains("more names than any real image"), "{error}");
    let cut = &layer[..layer.len() - 2000];
    assert!(observe_layers([Ok(&cut[..1000])]).is_err());
    assert!(observe_layers([Err::<&[u8], _>(io::Error::other("gone"))]).is_err());
}

#[test]
fn observations_become_assumptions() {
    let seen = layers(&[tar_of(&[
        ("usr/bin/java -> /etc/alternatives/java", b""),
        ("etc/alternatives/java -> /usr/lib/jvm/java-17/bin/java", b""),
        ("usr/lib/jvm/java-17/release", b"JAVA_VERSION=\"17.0.9\"\n"),
        ("usr/lib/jvm/java-11/release", b"JAVA_VERSION=\"11.0.9\"\n"),
        ("usr/local/bin/python3.12", b"x"),
        ("usr/bin/bash", b"x"),
        ("etc/pki/tls/certs/ca-bundle.crt", b"x"),
    ])]);
    let config = |env: &str| {
        let text = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Env":[{env}]}},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        ImageConfig::parse(text.as_bytes()).expect("a config")
    };
    let assumed = seen.assumptions(&config(r#""PATH=/usr/local/bin:/usr/bin""#));
    assert_eq!((assumed.java, assumed.shell), (Some(17), Some(false)));
    assert_eq!(assumed.java_home, Some(path("/usr/lib/jvm/java-17")));
    assert_eq!(assumed.interpreters.iter().collect::<Vec<_>>(), ["bash", "python3.12"]);
    assert_eq!((assumed.certificates, assumed.time_zones), (Some(true), Some(false)));
    let named = seen.assumptions(&config(r#""JAVA_HOME=/usr/lib/jvm/java-11","PATH=/usr/bin""#));
    assert_eq!(named.java, Some(11));
    assert_eq!(seen.assumptions(&config("")).java, Some(11), "only the lowest is certain");
    assert_eq!(Observations::default().assumptions(&config("")).java, None);
}
