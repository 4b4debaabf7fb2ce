//! Builder images that b2i does not believe or cannot use: exit code 5, the label and its value named, nothing made.

use super::{everywhere, try_build};

#[test]
fn labels_that_cannot_be_followed_are_named_with_their_value() {
    everywhere(|place| {
        for (tag, words) in [
            ("no-labels", &["is not a builder image", "io.openshift.s2i.scripts-url"][..]),
            ("relative-scripts-url", &["io.openshift.s2i.scripts-url", "`image://usr/local/s2i`"]),
            ("relative-destination", &["io.openshift.s2i.destination", "`opt/s2i/destination`"]),
            ("unclean-destination", &["io.openshift.s2i.destination", "`/opt/s2i/../../etc`"]),
            ("root-assemble-user", &["io.openshift.s2i.assemble-user", "`0`", "--allow-root"]),
            ("needs-root", &["io.openshift.s2i.assemble-user", "`0`", "--allow-root"]),
        ] {
            let built = try_build(place, &format!("s2i-foreign:{tag}"), "program", &[]);
            built.assert_refused(5, words);
            built.assert_refused(5, &[&format!("b2i-test/s2i-foreign:{tag}"), "hint:"]);
        }
    });
}

#[test]
fn scripts_elsewhere_that_are_not_there_are_named() {
    everywhere(|place| {
        let directory = try_build(place, "s2i-foreign:file-scripts-url", "program", &[]);
        directory.assert_refused(3, &["`/usr/local/s2i` has none of the scripts"]);
        let url = try_build(place, "s2i-foreign:http-scripts-url", "program", &[]);
        url.assert_refused(3, &["http://127.0.0.1:9/scripts/assemble"]);
    });
}

#[test]
fn a_builder_without_its_scripts_is_refused() {
    everywhere(|place| {
        for (tag, script) in [("no-scripts", "`/usr/local/s2i/assemble`"), ("no-run", "`/usr/local/s2i/run`")]
        {
            let built = try_build(place, &format!("s2i-foreign:{tag}"), "program", &[]);
            built.assert_refused(5, &[script, &format!("b2i-test/s2i-foreign:{tag}"), "hint:"]);
        }
        // Nobody starts `run` where the user names another entrypoint.
        let arguments = ["--entrypoint", "/opt/app-root/src/bin/binary"];
        assert_eq!(super::build(place, "s2i-foreign:no-run", &arguments).report(&[])["pid"], 1);
    });
}

#[test]
fn a_builder_image_is_never_placed() {
    everywhere(|place| {
        let built = try_build(place, "s2i-foreign:1", "program", &["--assemble", "place"]);
        built
            .assert_refused(2, &["--assemble place", "b2i-test/s2i-foreign:1", "hint:", "--assemble docker"]);
    });
}
