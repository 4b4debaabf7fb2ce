//! Secrets, injected files and variables of the build alone are there for `assemble`, and nowhere afterwards.

use super::{Image, Place, Sources, everywhere};

const SEES: &str = "cp /tmp/src/program .; [ \"$(cat /run/secrets/token | tr a-y b-z)\" = ivoufs2 ]; \
    [ \"$(cat /etc/injected/deep/key | tr a-y b-z)\" = pqfotftbnf ]; [ \"$(echo $PASSWORD | tr a-y b-z)\" = txpsegjti ]; \
    echo seen; touch /opt/app-root/src/made";

#[test]
fn they_leave_no_trace() {
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(files.path().join("token"), "hunter2").expect("writes");
    std::fs::create_dir_all(files.path().join("injected/deep")).expect("writes");
    std::fs::write(files.path().join("injected/deep/key"), "opensesame").expect("writes");
    let secret = format!("id=token,src={}", files.path().join("token").display());
    let injected = format!("{}:/etc/injected", files.path().join("injected").display());
    let sources = Sources::new().with_script(".s2i/bin/assemble", SEES);
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments = ["--secret", &secret, "--inject", &injected, "--build-env", "PASSWORD=swordfish"];
        let image = Image::build(place, builder, &sources, &arguments);
        assert!(image.messages.contains("| seen"), "{}: {}", place.name(), image.messages);
        let absent = "! [ -e /run/secrets ] && ! [ -e /etc/injected ] && [ -e made ] && echo gone";
        assert_eq!(image.shell(absent), "gone", "{}", place.name());
        let saved = image.daemon.stdout(&["save", image.name.reference()]);
        for secret in ["hunter2", "opensesame", "swordfish"] {
            let found = saved.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}: `{secret}` is in the image", place.name());
            assert!(!image.messages.contains(secret), "{}", image.messages);
        }
        if let Place::Daemon(daemon) = place {
            // Other tests commit at the same time; what this build committed on the way would have its password.
            for id in daemon.image_ids(&["--filter", "label=io.b2i.lease"]) {
                let config = daemon.inspect_image(&id).map(|image| image.to_string()).unwrap_or_default();
                assert!(!config.contains("swordfish"), "what was committed on the way is gone: {config}");
            }
        }
    });
}

#[test]
fn an_injection_into_a_directory_that_is_not_there_is_an_error() {
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    let injected = format!("{}:/bad/dir", files.path().display());
    let sources = Sources::new().with_script(".s2i/bin/assemble", "cp /tmp/src/program .");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let command = super::b2i_build(place, builder, &sources).args(["--inject", &injected]);
        let output = command.args(["-o", "docker-archive:image.tar"]).run();
        assert_eq!(output.code, Some(2), "{}: {}", place.name(), output.stderr);
        assert!(output.stderr.contains("no directory `/bad`"), "{}: {}", place.name(), output.stderr);
    });
}
