//! Builders with neither `tar` nor a shell, and scripts that do not wait for the sources: large sources reach the first
//! and do not hang on the second. (S2I blocks on both.)

use super::made_builders::{launcher, without_shell};
use super::{Image, Place, Sources, assert_built, b2i_build};
use crate::environment::{B2iCommand, Daemon, OwnedImage, TestEnvironment};
use crate::failures::assert_clean;

/// Larger than any buffer between b2i and a container.
const SIZE: usize = 50_000_000;

/// Sources of 50 MB that do not compress, behind a program that does not mind what comes after it.
fn large_sources() -> (Sources, Vec<u8>) {
    let sources = Sources::new();
    let mut bytes = std::fs::read(TestEnvironment::get().fixture("program")).expect("reads");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while bytes.len() < SIZE {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    std::fs::write(sources.path().join("program"), &bytes).expect("writes");
    (sources, bytes)
}

/// A copy of a file of the image's.
fn file_of(image: &Image, path: &str) -> Vec<u8> {
    let tar = image.daemon.export_image(image.name.reference());
    let mut archive = tar::Archive::new(&tar[..]);
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("an entry");
        if entry.path_bytes().strip_prefix(b"./").unwrap_or(&entry.path_bytes()) == path.as_bytes() {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("reads");
            return bytes;
        }
    }
    panic!("no `{path}` in the image")
}

/// The static program as `assemble`: it prints what it was started with and ends, and reads nothing.
fn ends_at_once(daemon: &Daemon) -> OwnedImage {
    without_shell(daemon, &std::fs::read(TestEnvironment::get().fixture("program")).expect("reads"))
}

#[test]
fn large_sources_reach_a_builder_without_tar_and_shell() {
    let (sources, bytes) = large_sources();
    for daemon in TestEnvironment::get().daemons() {
        let builder = without_shell(&daemon, launcher());
        let place = Place::Daemon(daemon.clone());
        let image = Image::build(&place, builder.reference(), &sources, &[]);
        assert_eq!(file_of(&image, "app/bin/binary"), bytes, "{}", daemon.name);
        assert_eq!(image.config()["Cmd"], serde_json::json!(["/s2i/run"]), "{}", daemon.name);
        let report = image.report();
        assert_eq!((&report["pid"], &report["uid"]), (&1.into(), &1001.into()), "{}", daemon.name);
    }
}

#[test]
fn a_script_that_ends_without_reading_anything_ends_the_build() {
    let (sources, _) = large_sources();
    for daemon in TestEnvironment::get().daemons() {
        let builder = ends_at_once(&daemon);
        let place = Place::Daemon(daemon.clone());
        let image = Image::build(&place, builder.reference(), &sources, &[]);
        // It ran by itself, with nothing around it.
        for part in ["\"pid\":1,", "\"program\":\"/s2i/assemble\"", "\"arguments\":[],"] {
            assert!(image.messages.contains(part), "{}: {}", daemon.name, image.messages);
        }
    }
}

#[test]
fn a_script_that_fails_at_once_gives_its_code_and_no_image() {
    let (sources, _) = large_sources();
    // The launcher wants one program.
    std::fs::write(sources.path().join("another"), "text").expect("writes");
    for daemon in TestEnvironment::get().daemons() {
        let builder = without_shell(&daemon, launcher());
        let image = daemon.owned_image("static");
        let place = Place::Daemon(daemon.clone());
        let mut command = b2i_build(&place, builder.reference(), &sources).args(["--tag", image.reference()]);
        let output = command.run();
        assert_eq!(output.code, Some(6), "{}: {}", daemon.name, output.stderr);
        assert!(output.stderr.contains("failed with exit code 1"), "{}", output.stderr);
        assert_eq!(daemon.inspect_image(image.reference()), None);
        assert_clean(&command.cache());
    }
}

#[test]
fn a_destination_that_is_not_there_is_made() {
    let docker = TestEnvironment::get().docker();
    let builder = TestEnvironment::get().image("s2i-kubesphere:1");
    let (sources, bytes) = large_sources();
    let sources = sources.with_script(".s2i/bin/assemble", "mv /not/there/src/program program");
    let name = docker.owned_image("static");
    let mut command = B2iCommand::new().daemon(&docker);
    command = command.args(["s2i", "build", "--copy", "--destination", "/not/there"]);
    command = command.arg(sources.path()).args([&builder, name.reference()]);
    let output = command.run();
    assert_built(&Place::Daemon(docker.clone()), &command, &output);
    let image = Image { daemon: docker, name, messages: output.stderr };
    assert_eq!(file_of(&image, "opt/app-root/src/program"), bytes);
}
