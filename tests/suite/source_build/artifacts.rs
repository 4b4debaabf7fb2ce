//! Sources become an artifact, which then makes the very image that it makes when it is given.

use serde_json::{Value, json};

use super::{Image, Place, Sources, assert_built, b2i_build, everywhere};
use crate::environment::B2iCommand;
use crate::failures::assert_clean;

const MAKES: &str = "mkdir -p out && cp /tmp/src/program out/app";

fn image_id(archive: &std::path::Path) -> String {
    let bytes = std::fs::read(archive).expect("the archive is written");
    b2i::image::Digest::of(&bytes).to_string()
}

#[test]
fn the_image_is_the_one_of_the_artifact() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", MAKES);
    let mut given = B2iCommand::without_daemon();
    std::fs::copy(sources.path().join("program"), given.directory().join("app")).expect("copies");
    given = given.args(["build", "--tag", "service:1", "-o", "docker-archive:app.tar"]);
    let app = given.directory().join("app");
    given = given.arg(app);
    let output = given.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let wanted = image_id(&given.directory().join("work/app.tar"));
    everywhere("s2i-kubesphere:1", |place, builder| {
        let command = b2i_build(place, builder, &sources);
        let mut command =
            command.args(["--artifact", "out/app", "--tag", "service:1", "-o", "docker-archive:app.tar"]);
        let output = command.run();
        assert_built(place, &command, &output);
        assert_eq!(image_id(&command.directory().join("work/app.tar")), wanted, "{}", place.name());
    });
}

#[test]
fn several_artifacts_are_listed_and_none_is_said() {
    let several = Sources::new().with_script(
        ".s2i/bin/assemble",
        &format!("{MAKES}; cp out/app out/tool; mkdir out/lib; touch out/.keep"),
    );
    let none = Sources::new().with_script(".s2i/bin/assemble", "mkdir out");
    everywhere("s2i-kubesphere:1", |place, builder| {
        for (sources, words) in [
            (
                &several,
                &["2 files", "/opt/app-root/src/out/app", "/opt/app-root/src/out/tool", "--artifact"][..],
            ),
            (&none, &["no artifact in `/opt/app-root/src/out`", "--artifact"]),
        ] {
            let mut command = b2i_build(place, builder, sources).args(["--artifact", "out"]);
            let output = command.run();
            assert_eq!(output.code, Some(4), "{}: {}", place.name(), output.stderr);
            for word in words {
                assert!(output.stderr.contains(word), "{}: no {word:?} in {}", place.name(), output.stderr);
            }
            assert_clean(&command.cache());
        }
    });
}

#[test]
fn a_link_is_followed_inside_of_the_container_only() {
    let sources = Sources::new().with_script(
        ".s2i/bin/assemble",
        "mkdir -p out deep/er && cp /tmp/src/program deep/er/app && ln -s ../deep/er/app out/app \
         && ln -s /etc/hostname out/.hidden",
    );
    let outside =
        Sources::new().with_script(".s2i/bin/assemble", "ln -s ../../../../../../../proc/self/environ out");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let archive = ["--artifact", "out", "-o", "docker-archive:app.tar"];
        let mut command = b2i_build(place, builder, &sources).args(archive);
        let output = command.run();
        assert_built(place, &command, &output);
        let mut command = b2i_build(place, builder, &outside).args(archive);
        let output = command.run();
        assert_eq!(output.code, Some(4), "{}: {}", place.name(), output.stderr);
    });
}

#[test]
fn a_script_that_fails_is_quoted_with_its_code() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "echo no compiler here; exit 42");
    everywhere("s2i-kubesphere:1", |place, builder| {
        let mut command = b2i_build(place, builder, &sources).args(["--artifact", "out", "--quiet"]);
        let output = command.run();
        assert_eq!(output.code, Some(6), "{}: {}", place.name(), output.stderr);
        for word in ["/tmp/scripts/assemble", "exit code 42", "no compiler here"] {
            assert!(output.stderr.contains(word), "{}: {}", place.name(), output.stderr);
        }
        assert_clean(&command.cache());
    });
}

#[test]
fn a_plan_runs_nothing() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", "exit 1").with("pom.xml", "<project/>");
    everywhere("s2i-kubesphere:1", |place: &Place, builder| {
        let mut command = b2i_build(place, builder, &sources).args(["--artifact", "out", "--dry-run"]);
        let output = command.run();
        assert_built(place, &command, &output);
        for word in
            ["service with `pom.xml`", ".s2i/bin/assemble of the sources", "/usr/libexec/s2i/run", "src/out"]
        {
            assert!(output.stdout.contains(word), "{}: {}", place.name(), output.stdout);
        }
        let mut json =
            b2i_build(place, builder, &sources).args(["--artifact", "out", "--dry-run", "--format", "json"]);
        let output = json.run();
        let plan: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(plan["source"]["product"]["makes"], "artifact", "{plan}");
        assert_eq!(plan["source"]["scripts"]["assemble"]["from"], "sources");
        assert_eq!(plan["stages"], serde_json::json!([]));
        let reason = "nothing declares what `/opt/app-root/src/out` is";
        assert_eq!(plan["unplanned"], reason, "{plan}");
    });
}

#[test]
fn a_plan_shows_the_image_that_is_built() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", MAKES);
    everywhere("s2i-kubesphere:1", |place, builder| {
        let arguments = ["--artifact", "out/app", "--builder", "binary"];
        let mut command = b2i_build(place, builder, &sources).args(arguments);
        command = command.args(["--dry-run", "--format", "json"]);
        let output = command.run();
        assert_built(place, &command, &output);
        let plan: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(plan["laterTag"], json!({"placeholder": "artifact.stem", "suffix": ":latest"}));
        assert_eq!(plan["outputs"].as_array().map(Vec::len), Some(1), "{plan}");
        let stage = &plan["stages"][0];
        assert_eq!(stage["artifact"]["name"], json!({"placeholder": "artifact.name"}), "{plan}");
        assert_eq!(stage["artifact"]["facts"], json!({"declared": "static executable for linux/amd64"}));
        assert_eq!(stage["assembly"]["by"], "place", "{plan}");

        let config = Image::build(place, builder, &sources, &arguments).config();
        let image = &stage["image"];
        for (field, planned) in [("Entrypoint", "entrypoint"), ("User", "user"), ("WorkingDir", "workingDir")]
        {
            assert_eq!(config[field], image[planned], "{}: {field}", place.name());
        }
        let later: Vec<(&str, &Value)> = image["laterLabels"]
            .as_array()
            .expect("labels")
            .iter()
            .map(|label| (label[0].as_str().expect("a name"), &label[1]["placeholder"]))
            .collect();
        for (name, value) in config["Labels"].as_object().expect("labels") {
            let placeholder =
                later.iter().find(|(other, _)| other == name).map(|(_, placeholder)| *placeholder);
            match placeholder.map(|placeholder| placeholder.as_str()) {
                None => assert_eq!(*value, image["labels"][name], "{}: {name}", place.name()),
                Some(Some("artifact.name" | "artifact.stem")) => assert_eq!(value, "app", "{name}"),
                Some(_) => {}
            }
        }
    });
}

#[test]
fn the_result_says_what_was_built_and_by_what() {
    let sources = Sources::new().with_script(".s2i/bin/assemble", MAKES);
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@team.example"])
            .args(arguments)
            .current_dir(sources.path())
            .output()
            .expect("git starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "the first"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let builder = crate::daemonless::PushedBase::new("s2i-kubesphere:1").name;
    let url = format!("file://{}#main", sources.path().display());
    let mut command = B2iCommand::without_daemon()
        .args(["build", &url, "--source-builder", &builder, "--artifact", "out/app", "--tag", "service:1"])
        .args(["--format", "json", "-o", "docker-archive:app.tar"]);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let result: serde_json::Value = serde_json::from_str(&output.stdout).expect("one JSON document");
    let told = &result["sources"];
    assert_eq!(told["commit"]["id"], commit.as_str(), "{result}");
    assert_eq!(
        (&told["commit"]["reference"], &told["commit"]["author"]),
        (&"main".into(), &"Ada <ada@team.example>".into())
    );
    assert_eq!((&told["builder"], &told["engine"]), (&builder.into(), &"sandbox".into()));
    assert_eq!((&result["builder"], &result["assembly"]), (&"binary:static".into(), &"place".into()));
}
