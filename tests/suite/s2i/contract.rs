//! Where scripts, sources and users come from: labels, older labels, variables, options — and that the result runs.

use super::{build, everywhere, try_build};

#[test]
fn a_builder_with_everything_its_own_way_works() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:1", &[]);
        let stderr = &built.output.stderr;
        for line in ["user 1002:0, directory /opt/s2i/destination/src", "placing 'program'", "1 entries"] {
            assert!(stderr.contains(line), "{}: {stderr}", place.name);
        }
        let report = built.report(&["--env", "ARGS=--one --two"]);
        assert_eq!(report["program"], "/opt/app-root/src/bin/binary", "{}", place.name);
        assert_eq!((&report["pid"], &report["uid"]), (&1.into(), &1001.into()));
        assert_eq!(report["arguments"], serde_json::json!(["--one", "--two"]));
        let variables = report["environment"].to_string();
        assert!(variables.contains("FOREIGN_ENTRYPOINT=passed"), "the builder's entrypoint is kept");
        assert_eq!(built.prints(&["cat", "/opt/app-root/src/name"]), "program");
        assert_eq!(built.prints(&["stat", "-c", "%a %u:%g", "/opt/app-root/src/bin/binary"]), "755 1002:0");
        // The directory for the sources is the script's to keep or to empty; it emptied it.
        assert_eq!(built.prints(&["ls", "-A", "/opt/s2i/destination/src"]), "");
    });
}

#[test]
fn published_builders_work_unchanged() {
    everywhere(|place| {
        let kubesphere = build(place, "s2i-kubesphere:1", &["--", "--port", "8080"]);
        let report = kubesphere.report(&["--env", "ARGS=a b"]);
        assert_eq!(report["arguments"], serde_json::json!(["a", "b"]), "{}", place.name);
        assert_eq!(kubesphere.config()["Cmd"], serde_json::json!(["/usr/libexec/s2i/run"]));
        let variables = kubesphere.config()["Env"].to_string();
        assert!(variables.contains("ARGS=--port 8080"), "{variables}");

        let sclorg = build(place, "s2i-sclorg:1", &[]);
        assert_eq!(sclorg.report(&[])["program"], "./program", "{}", place.name);
        let config = sclorg.config();
        assert_eq!(config["Entrypoint"], serde_json::json!(["container-entrypoint"]));
        assert_eq!(config["Cmd"], serde_json::json!(["/usr/libexec/s2i/run"]));
        assert!(sclorg.output.stderr.contains("---> Installing application source"));
        assert!(sclorg.output.stderr.contains("warning: this goes to standard error"));
    });
}

#[test]
fn older_names_of_the_contract_are_understood() {
    everywhere(|place| {
        for builder in ["s2i-foreign:old-labels", "s2i-foreign:environment-only"] {
            let built = build(place, builder, &[]);
            let stderr = &built.output.stderr;
            assert!(
                stderr.contains("user 1001:0, directory /opt/s2i/destination/src"),
                "{builder}: {stderr}"
            );
            assert_eq!(built.config()["Cmd"], serde_json::json!(["/usr/local/s2i/run"]));
            assert_eq!(built.report(&[])["uid"], 1001, "{builder} on {}", place.name);
        }
    });
}

#[test]
fn the_assemble_user_is_a_name_a_number_or_asked_for() {
    everywhere(|place| {
        for (builder, arguments, user) in [
            ("s2i-foreign:named-user", &[][..], "user 1002:0"),
            ("s2i-foreign:1", &["--assemble-user", "default"], "user 1001:0"),
            ("s2i-foreign:1", &["--assemble-user", "1001:0"], "user 1001:0"),
            ("s2i-foreign:root-user", &[], "user 0:0"),
        ] {
            let built = build(place, builder, arguments);
            assert!(built.output.stderr.contains(user), "{builder} {arguments:?}: {}", built.output.stderr);
            let image_user = match builder {
                "s2i-foreign:named-user" => "default",
                "s2i-foreign:root-user" => "root",
                _ => "1001",
            };
            assert_eq!(built.config()["User"], image_user, "the image's user, not the assemble user");
        }
    });
}

#[test]
fn a_user_that_the_image_does_not_know_is_named() {
    everywhere(|place| {
        let built = try_build(place, "s2i-foreign:1", "program", &["--assemble-user", "nobody-here"]);
        built.assert_refused(5, &["nobody-here", "hint:", "--assemble-user"]);
    });
}

#[test]
fn root_by_label_needs_the_users_consent() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:needs-root", &["--allow-root"]);
        assert_eq!(built.prints(&["cat", "/etc/made-by-root"]), "made-by-root");
        assert_eq!(built.prints(&["stat", "-c", "%u:%g", "/opt/app-root/src/bin/binary"]), "1001:0");
        assert_eq!(built.config()["User"], "1001");
        assert_eq!(built.report(&[])["uid"], 1001, "{}", place.name);
    });
}

#[test]
fn added_files_stand_beside_the_artifact_for_the_script() {
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::create_dir(files.path().join("conf")).expect("writes");
    std::fs::write(files.path().join("conf/a b.properties"), "a=1\n").expect("writes");
    std::fs::write(files.path().join("plain.txt"), "plain\n").expect("writes");
    let conf = files.path().join("conf").display().to_string();
    let plain = format!("{}:data/renamed.txt", files.path().join("plain.txt").display());
    let absolute = format!("{}:/opt/app-root/absolute.txt", files.path().join("plain.txt").display());
    everywhere(|place| {
        let arguments = ["--add", &conf, "--add", &plain, "--add", &absolute];
        let built = build(place, "s2i-sclorg:1", &arguments);
        let text = |path: &str| built.prints(&["cat", path]);
        assert_eq!(text("/opt/app-root/src/conf/a b.properties"), "a=1", "{}", place.name);
        assert_eq!(text("/opt/app-root/src/data/renamed.txt"), "plain");
        assert_eq!(text("/opt/app-root/absolute.txt"), "plain");
        assert_eq!(built.report(&[])["program"], "./program");
    });
}

#[test]
fn the_users_variables_reach_script_and_image() {
    everywhere(|place| {
        let arguments = ["--env", "GIVEN=a b \"c\" $(d)", "--env", "APP_ROOT=/opt/app-root"];
        let built = build(place, "s2i-foreign:1", &arguments);
        let seen = built.prints(&["cat", "/opt/app-root/src/assemble-environment"]);
        assert!(seen.contains("GIVEN=a b \"c\" $(d)\n"), "{}: {seen}", place.name);
        assert!(seen.contains("FOREIGN_BUILDER=s2i-foreign 1\n"), "{seen}");
        let variables = built.config()["Env"].clone();
        let variables: Vec<String> = serde_json::from_value(variables).expect("strings");
        assert!(variables.contains(&"GIVEN=a b \"c\" $(d)".to_owned()), "{variables:?}");
        // What b2i tells the script of itself is not the image's.
        assert!(!variables.iter().any(|variable| variable.starts_with("B2I_")), "{variables:?}");
    });
}
