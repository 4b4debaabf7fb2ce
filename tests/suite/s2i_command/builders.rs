//! New builders pass their own tests as made, and so does one in the style of those that are published.

use super::*;
use crate::environment::Daemon;

/// Removes images when a test ends, however it ends.
struct Removed<'a>(&'a Daemon, Vec<String>);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        for image in &self.1 {
            self.0.output(&["image", "rm", "--force", image]);
        }
    }
}

fn build(daemon: &Daemon, image: &str, directory: &Path) {
    daemon.stdout(&["build", "--quiet", "--force-rm", "--tag", image, &directory.display().to_string()]);
}

#[test]
fn a_new_builder_passes_its_own_test_as_made() {
    let daemon = TestEnvironment::get().docker();
    for (base, called) in [("glibc:12", "s2i"), ("musl:1", "b2i s2i")] {
        let place = Place::new();
        let image = format!("b2i-test-made/new-builder-{}-{}", base.replace(':', "-"), std::process::id());
        let _removed = Removed(&daemon, vec![image.clone(), format!("{image}-test-app")]);
        let base = TestEnvironment::get().image(base);
        let created = place.s2i(&["create", "--base", &base, &image, "builder"]);
        assert_eq!((created.code, created.stdout.as_str()), (0, ""), "{}", created.stderr);
        let directory = place.work().join("builder");
        build(&daemon, &image, &directory);
        let mut test = place.command(&directory.join("test/run"));
        let b2i = Path::new(env!("CARGO_BIN_EXE_b2i"))
            .parent()
            .expect("it is in a directory")
            .display()
            .to_string();
        let path = format!("{}/bin:{b2i}:/usr/local/bin:/usr/bin:/bin", place.root.path().display());
        let tested = test.env("IMAGE_NAME", &image).env("S2I", called).env("PATH", path).output();
        let tested = Ended::of(tested.expect("the test can be started"));
        let said = format!("{}{}", tested.stdout, tested.stderr);
        assert_eq!(tested.code, 0, "{said}");
        let checks = "ok: usage\nok: build and run\nok: runs as user 1001\nok: incremental build\n\
                      ok: runs as any user of group 0\nall tests passed\n";
        assert_eq!(tested.stdout, checks, "{said}");
        assert_eq!(daemon.inspect_image(&format!("{image}-test-app")), None, "it leaves nothing");
    }
}

/// Copies a directory with the modes of its files.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--"]).args([from, to]).status();
    assert!(copied.expect("cp starts").success());
}

#[test]
fn a_builder_in_the_style_of_those_that_are_published_passes_its_test() {
    let daemon = TestEnvironment::get().docker();
    let place = Place::new();
    let image = format!("b2i-test-made/published-builder-{}", std::process::id());
    let _removed = Removed(&daemon, vec![image.clone(), format!("{image}-testapp")]);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/published-builder");
    let directory = place.work().join("builder");
    copy(&fixture, &directory);
    let base = format!("BASE={}", TestEnvironment::get().image("python:3.11"));
    let context = directory.display().to_string();
    daemon.stdout(&["build", "--quiet", "--force-rm", "--build-arg", &base, "--tag", &image, &context]);
    let tested = place.command(&directory.join("test/run")).env("IMAGE_NAME", &image).output();
    let tested = Ended::of(tested.expect("the test can be started"));
    let said = format!("{}{}", tested.stdout, tested.stderr);
    assert_eq!(tested.code, 0, "{said}");
    assert!(tested.stdout.contains("All tests finished successfully."), "{said}");
    assert!(tested.stdout.contains("---> Serving on 8080 as 100001"), "{said}");
    assert_eq!(daemon.inspect_image(&format!("{image}-testapp")), None, "it leaves nothing");
}

#[test]
fn nothing_is_written_over() {
    let place = Place::new();
    place.write("builder/Dockerfile", "FROM mine\n");
    for arguments in
        [&["create", "a/b", "builder"][..], &["create", "UPPER", "other"], &["create", "a/b", "."]]
    {
        let ended = place.s2i(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    }
    let text = std::fs::read_to_string(place.work().join("builder/Dockerfile")).expect("it is there");
    assert_eq!(text, "FROM mine\n");
    assert_eq!(place.work().read_dir().expect("it is there").count(), 1);
}
