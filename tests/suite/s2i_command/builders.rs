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
        let image = format!("b2i-test-made/new-builder-{}", base.replace(':', "-"));
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
        // Incremental builds, which it checks next, are the core's to bring; all of it passes then.
        assert!(
            tested.stdout.starts_with("ok: usage\nok: build and run\nok: runs as user 1001\n"),
            "{}{}",
            tested.stdout,
            tested.stderr
        );
    }
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
