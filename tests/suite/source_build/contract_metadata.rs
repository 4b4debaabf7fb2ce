//! `/tmp/.s2i/image_metadata.json`: labels that `assemble` asks for, and files there that are no such request.

use super::{Image, Sources, b2i_build, everywhere};
use crate::failures::assert_clean;

const FILE: &str = "/tmp/.s2i/image_metadata.json";

/// Sources whose `assemble` leaves this in the file.
fn leaving(json: &str) -> Sources {
    assembled_by(&format!("cat > {FILE} <<'END'\n{json}\nEND"))
}

fn assembled_by(script: &str) -> Sources {
    let script = format!("cp /tmp/src/program .; mkdir -p /tmp/.s2i\n{script}");
    Sources::new().with_script(".s2i/bin/assemble", &script)
}

#[test]
fn labels_are_taken_and_never_go_before_those_of_b2i_or_the_user() {
    let sources = leaving(
        r#"{"labels": [{"of.script": "a \"b\" $c ä"}, {"io.kubesphere.tags": "changed"}, {"team": "evil"},
            {"io.openshift.s2i.build.image": "evil"}, {"io.k8s.display-name": "evil"}, {"empty": ""}]}"#,
    );
    everywhere("s2i-kubesphere:1", |place, builder| {
        let image = Image::build(place, builder, &sources, &["--label", "team=web"]);
        assert_eq!(image.label("of.script"), "a \"b\" $c ä", "{}", place.name());
        assert_eq!(
            image.label("io.kubesphere.tags"),
            "changed",
            "the builder's own is its script's to change"
        );
        assert_eq!(image.label("team"), "web");
        assert!(
            image.label("io.openshift.s2i.build.image").contains("s2i-kubesphere")
                || place.name() == "sandbox"
        );
        assert_ne!(image.label("io.openshift.s2i.build.image"), "evil", "{}", place.name());
        assert_eq!(image.label("io.k8s.display-name"), "service");
        assert_eq!(image.config()["Labels"]["empty"], "", "{}", place.name());
    });
}

#[test]
fn what_is_no_list_of_labels_is_an_error_and_makes_no_image() {
    let too_many = format!(r#"{{"labels": [{{"long": "{}"}}]}}"#, "x".repeat(10 << 10));
    let cases = [
        ("no JSON", leaving("labels=1"), "image_metadata.json"),
        ("a number", leaving(r#"{"labels": [{"count": 1}]}"#), "`count`"),
        ("no list", leaving(r#"{"labels": {"a": "b"}}"#), "list"),
        ("no name", leaving(r#"{"labels": [{"": "b"}]}"#), "not a valid label"),
        ("too many", leaving(&too_many), "10240"),
        ("too large", assembled_by(&format!("head -c 200000 /dev/zero > {FILE}")), "131072"),
        ("a directory", assembled_by(&format!("mkdir {FILE}")), "directory"),
        ("a link", assembled_by(&format!("ln -s /etc/passwd {FILE}")), "link"),
    ];
    everywhere("s2i-kubesphere:1", |place, builder| {
        for (what, sources, word) in &cases {
            let mut command = b2i_build(place, builder, sources).args(["-o", "docker-archive:out.tar"]);
            let output = command.run();
            let (name, stderr) = (place.name(), &output.stderr);
            // What is no file, or too large to be one, is the builder's fault like any wrong answer of it.
            assert!(matches!(output.code, Some(5 | 6)), "{what} in {name}: {:?} {stderr}", output.code);
            assert!(stderr.contains("image_metadata.json"), "{what} in {name}: {stderr}");
            assert!(stderr.contains(word), "{what} in {name}: no {word:?} in {stderr}");
            assert!(!command.directory().join("work/out.tar").exists(), "{what} in {name}");
            assert_clean(&command.cache());
        }
    });
}
