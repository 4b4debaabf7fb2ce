//! The assembled builder is the image: its config is S2I's, and nothing of b2i's own is left in it.

use serde_json::json;

use super::{Image, Sources, everywhere};

#[test]
fn the_config_is_the_one_that_s2i_commits() {
    let sources = Sources::new()
        .with(".s2i/environment", "# comment\nGIVEN = first \nPATH_OF=/a=b\nGIVEN=second\n")
        .with("README", "text\n");
    everywhere("s2i-sclorg:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--env", "OTHER=1", "--label", "team=web"]);
        let config = image.config();
        assert_eq!(config["Cmd"], json!(["/usr/libexec/s2i/run"]), "{}", place.name());
        assert_eq!(config["Entrypoint"], json!(["container-entrypoint"]));
        assert_eq!(config["User"], "1001");
        let variables: Vec<String> = serde_json::from_value(config["Env"].clone()).expect("texts");
        for variable in ["GIVEN=second", "PATH_OF=/a=b", "OTHER=1", "APP_ROOT=/opt/app-root"] {
            assert_eq!(variables.iter().filter(|one| *one == variable).count(), 1, "{variables:?}");
        }
        assert_eq!(variables.iter().filter(|one| one.starts_with("GIVEN=")).count(), 1, "{variables:?}");
        assert_eq!(image.label("io.openshift.s2i.build.source-location"), "service");
        assert!(
            image.label("io.openshift.s2i.build.image").ends_with("/s2i-sclorg:1")
                || place.name() == "sandbox"
        );
        assert_eq!((&*image.label("io.k8s.display-name"), &*image.label("team")), ("service", "web"));
        assert_eq!(image.report()["program"], "./program");
        assert_eq!(image.shell("cat README"), "text");
        // What the script left where it found its sources is the image's; b2i adds nothing.
        assert_eq!(image.shell("ls -A /tmp"), "src");
        assert_eq!(image.shell("stat -c '%u:%g %a' /opt/app-root/src/README"), "1001:0 664");
    });
}

#[test]
fn scripts_of_the_sources_go_before_the_builders_and_start_the_result() {
    let sources = Sources::new()
        .with_script(".s2i/bin/assemble", "echo mine; cp /tmp/src/program . ; ls -A /tmp/src > listed")
        .with_script(".s2i/bin/run", "exec ./program by-own-run");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &[]);
        assert!(image.messages.contains("| mine"), "{}: {}", place.name(), image.messages);
        assert_eq!(image.config()["Cmd"], json!(["/tmp/scripts/run"]));
        assert_eq!(image.report()["arguments"], json!(["by-own-run"]));
        // Scripts are taken out of the sources, as S2I does.
        assert_eq!(image.shell("ls -A /tmp/src/.s2i/bin"), "");
    });
}

#[test]
fn a_missing_script_is_named() {
    let sources = Sources::new();
    everywhere("s2i-foreign:no-scripts", |place, builder| {
        let mut command = super::b2i_build(place, builder, &sources);
        let output = command.run();
        assert_eq!(output.code, Some(5), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("has no script `/usr/local/s2i/assemble`"), "{}", output.stderr);
        crate::failures::assert_clean(&command.cache());
    });
}
