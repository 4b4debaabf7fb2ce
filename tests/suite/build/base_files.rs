//! Every base of `binary` has CA certificates and time zones for the program on it.

use std::process::Command;

use super::builder_images::{docker_build, plain_s2i};
use super::tree::assert_same_tree;
use super::*;

/// Compiles the program that looks for both files.
fn compiled(directory: &Path, compiler: &str, options: &[&str]) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/base-files.c");
    let program = directory.join(format!("{compiler}{}", options.concat()));
    let status = Command::new(compiler).args(options).arg("-o").arg(&program).arg(source).status();
    assert!(status.expect("the test state has a compiler").success(), "{compiler}");
    program.into_os_string().into_string().expect("UTF-8")
}

const EXPECTED: &str = "14:00 CEST, -----BEGIN CERTIFICATE-----\n";
const ZONE: [&str; 2] = ["--env", "TZ=Europe/Berlin"];

#[test]
fn a_program_finds_certificates_and_zones_on_every_base() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let programs = [
        ("binary:static", compiled(directory.path(), "gcc", &["-static"])),
        ("binary:alpine3.22", compiled(directory.path(), "musl-gcc", &[])),
    ];
    for daemon in TestEnvironment::get().daemons() {
        for (builder, program) in &programs {
            let images = ["place", "docker"].map(|assembly| {
                let image = Image::build(&daemon, &[program, "--assemble", assembly]);
                assert!(image.messages.contains(&format!("Planned {builder}")), "{}", image.messages);
                assert_eq!(image.print(&ZONE, &[]), EXPECTED, "{builder} by {assembly} on {}", daemon.name);
                image
            });
            assert_same_tree(&images[0], &images[1]);
        }
    }
}

#[test]
fn a_bundle_of_the_user_replaces_that_of_b2i() {
    let daemon = TestEnvironment::get().docker();
    let b2i = b2i(&daemon);
    let file = b2i.directory().join("work/own.pem");
    write(&file, "own\n");
    let added = format!("{}:/etc/ssl/certs/ca-certificates.crt", file.display());
    let image = Image::build_by(b2i, &daemon, &[&fixture("program-glibc"), "--add", &added]);
    let printed = image.print(&["--entrypoint", "sh"], &["-c", "cat $SSL_CERT_FILE"]);
    assert_eq!(printed, "own\n");
}

#[test]
fn debian_gets_certificates_and_nothing_that_it_has() {
    let daemon = TestEnvironment::get().docker();
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = compiled(directory.path(), "gcc", &[]);
    let image = Image::build(&daemon, &[&program]);
    // The stand-in for Debian has no zones, so the program shows the time in UTC.
    assert!(image.print(&[], &[]).ends_with("UTC, -----BEGIN CERTIFICATE-----\n"));
    let found = image.print(&["--entrypoint", "sh"], &["-c", "ls -d /usr/share/zoneinfo 2>&1; true"]);
    assert!(found.contains("No such file"), "the real Debian has them: {found}");
}

#[test]
fn an_exported_builder_has_both() {
    let daemon = TestEnvironment::get().docker();
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (base, compiler) in [("glibc:12", "gcc"), ("musl:1", "musl-gcc")] {
        let builder = docker_build(&daemon, "binary", base);
        let program = compiled(directory.path(), compiler, &[]);
        let mut upload = tar::Builder::new(Vec::new());
        upload.append_path_with_name(&program, "src/program").expect("the program can be read");
        let upload = upload.into_inner().expect("writing to memory");
        let (image, _) = plain_s2i(&daemon, builder.reference(), upload, &[]);
        let output = daemon.run(&[&ZONE[..], &[image.reference()]].concat());
        assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED, "{base}: {output:?}");
    }
}
