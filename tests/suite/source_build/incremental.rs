//! Incremental builds: what `save-artifacts` of the image before prints is there for the next `assemble`.

use super::{Image, Place, Sources, assert_built, b2i_build, everywhere};
use crate::environment::TestEnvironment;
use crate::registry::unique;

#[test]
fn what_was_saved_is_there_for_the_next_build() {
    let first = Sources::new().with_script(
        ".s2i/bin/assemble",
        "cp /tmp/src/program .; mkdir deps; echo cached > deps/lib; ls /tmp",
    );
    let save = "echo saving >&2; exec tar -cf - deps";
    let second = Sources::new().with_script(".s2i/bin/save-artifacts", save).with_script(
        ".s2i/bin/assemble",
        "cp /tmp/src/program .; cat /tmp/artifacts/deps/lib; stat -c 'owner %u:%g' /tmp/artifacts/deps/lib",
    );
    everywhere("s2i-kubesphere:1", |place, builder| {
        let before = match place {
            Place::Daemon(_) => Some(Image::build(place, builder, &first, &[])),
            Place::Sandbox => None,
        };
        let name = match &before {
            Some(image) => image.name.reference().to_owned(),
            // The sandbox has no images but those of registries.
            None => {
                let registry = TestEnvironment::get().registry();
                let name = format!("{registry}/{}:1", unique("incremental"));
                let mut command = b2i_build(place, builder, &first).args(["--push", "--tag", &name]);
                let output = command.run();
                assert_built(place, &command, &output);
                name
            }
        };
        let name = format!("--incremental={name}");
        let after = Image::build(place, builder, &second, &[&name]);
        for line in ["| saving", "| cached", "| owner 1001:0"] {
            assert!(after.messages.contains(line), "{}: no {line:?} in {}", place.name(), after.messages);
        }
    });
}

#[test]
fn without_anything_to_save_the_build_goes_on() {
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", "cp /tmp/src/program .; ! [ -e /tmp/artifacts ]")
        .with_script(".s2i/bin/save-artifacts", "echo no archive");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let name = format!("{}/nothing:1", TestEnvironment::get().registry());
        let missing = Image::build(place, builder, &sources, &[&format!("--incremental={name}")]);
        let told =
            format!("cannot restore artifacts of a previous build: the image `{name}` does not exist yet");
        assert_eq!(warning(&missing), told, "{}", place.name());
        let unreachable = Image::build(place, builder, &sources, &["--incremental=127.0.0.1:1/nothing:1"]);
        let told = warning(&unreachable);
        assert!(
            told.starts_with("cannot restore artifacts of the previous build: "),
            "{}: {told}",
            place.name()
        );
        assert!(told.contains("`127.0.0.1:1/nothing:1`"), "{}: {told}", place.name());
        let garbage = Image::build(place, builder, &sources, &[&format!("--incremental={builder}")]);
        let told = warning(&garbage);
        assert!(told.starts_with(&format!("cannot restore artifacts of `{builder}`: ")), "{told}");
    });
}

#[test]
fn an_image_that_saves_nothing_is_named_once() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &[&format!("--incremental={builder}")]);
        let told = warning(&image);
        assert!(told.contains("save-artifacts") && told.contains("could not be started"), "{told}");
        assert_eq!(told.matches(builder).count(), 1, "{}: {told}", place.name());
    });
}

/// The warning of a build that goes on without the one before.
fn warning(image: &Image) -> &str {
    let lines = image.messages.lines().map(str::trim_start);
    let mut told = lines.filter_map(|line| line.strip_prefix("warning: "));
    told.find(|line| line.starts_with("cannot restore artifacts"))
        .unwrap_or_else(|| panic!("no warning in {}", image.messages))
}
