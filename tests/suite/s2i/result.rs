//! What the written image says of itself: labels as S2I sets them, what is inherited, what is reset.

use serde_json::{Value, json};

use super::{build, everywhere, try_build};

#[test]
fn the_image_carries_the_labels_that_s2i_would_set() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:1", &["--label", "team=web"]);
        let labels = &built.config()["Labels"];
        for (name, value) in [
            ("io.openshift.s2i.build.image", "docker.io/b2i-test/s2i-foreign:1"),
            ("io.openshift.s2i.build.source-location", "program"),
            ("io.openshift.s2i.scripts-url", "image:///usr/local/s2i"),
            ("io.openshift.s2i.destination", "/opt/s2i/destination"),
            ("io.k8s.display-name", "program"),
            ("io.k8s.description", "Runs a program its own way"),
            ("io.openshift.tags", "builder,foreign"),
            ("foreign.example/kept", "yes"),
            ("team", "web"),
            ("org.opencontainers.image.title", "program"),
            ("org.opencontainers.image.created", "1980-01-01T00:00:00Z"),
        ] {
            assert_eq!(labels[name], value, "{name} on {}", place.name);
        }
        // Nothing of the machine that built it, nor of the run.
        let text = labels.to_string();
        for word in ["io.b2i.lease", "/fixtures/", env!("CARGO_PKG_VERSION")] {
            assert!(!text.contains(word), "{text}");
        }
        let mut all = labels.clone();
        let names = all.as_object_mut().expect("labels are an object");
        names.retain(|name, _| name.starts_with("io.b2i."));
        let digest = b2i::image::Digest::of(
            &std::fs::read(crate::environment::TestEnvironment::get().fixture("program")).expect("reads"),
        );
        assert_eq!(
            all,
            json!({"io.b2i.artifact.digest": digest.to_string(), "io.b2i.artifact.name": "program"})
        );
    });
}

#[test]
fn every_engine_makes_the_same_config() {
    let configs = std::sync::Mutex::new(Vec::new());
    everywhere(|place| {
        let built = build(place, "s2i-foreign:inherited", &[]);
        let mut config = built.config();
        // The shell of Dockerfiles, which says nothing of how the image runs, is not to be had from Podman.
        config.as_object_mut().expect("a config is an object").remove("Shell");
        // A daemon does not know the digest of an image that was never in a registry.
        let labels = config["Labels"].as_object_mut().expect("labels are an object");
        labels.remove("org.opencontainers.image.base.digest");
        configs.lock().expect("not poisoned").push(config);
    });
    let configs = configs.into_inner().expect("not poisoned");
    assert_eq!(configs.len(), 3);
    assert!(configs.iter().all(|config| *config == configs[0]), "{configs:?}");
}

#[test]
fn health_check_volumes_ports_and_signals_are_inherited() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:inherited", &[]);
        let config = built.config();
        assert_eq!(config["ExposedPorts"], json!({"8080/tcp": {}, "9090/udp": {}}), "{}", place.name);
        assert_eq!(config["Volumes"], json!({"/opt/app-root/data": {}}));
        assert_eq!(config["StopSignal"], "SIGINT");
        assert_eq!(config["WorkingDir"], "/opt/app-root/src");
        assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/foreign-entrypoint"]));
        assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/bin/true"]));
    });
}

#[test]
fn triggers_are_neither_run_nor_inherited() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:onbuild", &[]);
        let config = built.config();
        assert!(matches!(&config["OnBuild"], Value::Null), "{}: {config}", place.name);
        assert_eq!(config["User"], "1001");
        assert_eq!(built.report(&[])["uid"], 1001);
    });
}

#[test]
fn labels_of_the_script_do_not_override_those_of_b2i_or_the_user() {
    everywhere(|place| {
        let built = build(place, "s2i-foreign:metadata", &["--label", "user.label=mine"]);
        let labels = &built.config()["Labels"];
        assert_eq!(labels["from.metadata"], "yes", "{}", place.name);
        assert_eq!(labels["io.openshift.s2i.build.image"], "docker.io/b2i-test/s2i-foreign:metadata");
        assert_eq!(labels["org.opencontainers.image.title"], "program");
        assert_eq!(labels["user.label"], "mine");
        // The builder image's own label is its script's to change, as S2I has it.
        assert_eq!(labels["foreign.example/kept"], "changed-by-metadata");
    });
}

#[test]
fn labels_of_the_script_that_are_no_labels_are_an_error() {
    everywhere(|place| {
        let built = try_build(place, "s2i-foreign:bad-metadata", "program", &[]);
        built.assert_refused(6, &["/tmp/.s2i/image_metadata.json", "hint:"]);
    });
}

#[test]
fn the_same_build_gives_the_same_config_but_for_the_layer() {
    everywhere(|place| {
        let configs = [(); 2].map(|()| {
            let built = build(place, "s2i-foreign:1", &[]);
            let mut config = built.saved_config();
            config["rootfs"] = Value::Null;
            config
        });
        assert_eq!(configs[0], configs[1], "{}", place.name);
    });
}
