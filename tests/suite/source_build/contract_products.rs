//! What a template declares to make and what its `assemble` made: a difference is an error that names both.

use super::Sources;
use crate::build::replace_bases_by;
use crate::environment::{B2iCommand, B2iOutput, TestEnvironment};
use crate::failures::assert_clean;

/// Builds by the template that the build file chooses, whose place for artifacts `script` fills.
fn built(build_file: (&str, &str), jar: bool, script: &str, arguments: &[&str]) -> B2iOutput {
    let environment = TestEnvironment::get();
    let sources = Sources::new()
        .with(build_file.0, build_file.1)
        .with_script(".s2i/bin/assemble", &format!("cd /opt/app-root/out\n{script}"));
    if jar {
        let copied = std::fs::copy(environment.fixture("executable.jar"), sources.path().join("app.jar"));
        copied.expect("copies");
    }
    let docker = environment.docker();
    let image = docker.owned_image("products");
    let mut command =
        replace_bases_by(B2iCommand::new(), |test| Some(environment.image(test))).daemon(&docker);
    command = command.args(["build", "--tag", image.reference()]).args(arguments).arg(sources.path());
    let output = command.run();
    assert_eq!(
        docker.inspect_image(image.reference()).is_some(),
        output.code == Some(0),
        "{}",
        output.stderr
    );
    assert_clean(&command.cache());
    output
}

const GO: (&str, &str) = ("go.mod", "module example.org/tool\n\ngo 1.19\n");
const MAVEN: (&str, &str) = (
    "pom.xml",
    "<project><properties><maven.compiler.release>17</maven.compiler.release></properties></project>\n",
);

fn assert_refused(output: &B2iOutput, words: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (Some(4), ""), "{}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "no {word:?} in {}", output.stderr);
    }
}

#[test]
fn an_artifact_of_another_kind_is_named_with_what_was_declared() {
    let output = built(GO, true, "cp /tmp/src/app.jar .", &[]);
    assert_refused(
        &output,
        &["`golang:", "declares that it makes an executable", "`app.jar`", "JAR", "--artifact"],
    );
    let output = built(MAVEN, false, "cp /tmp/src/program .", &[]);
    assert_refused(&output, &["`maven:", "declares that it makes a JAR or a WAR", "`program`", "executable"]);
}

#[test]
fn several_candidates_are_listed_and_one_is_chosen_by_name() {
    let two = "cp /tmp/src/program one; cp /tmp/src/program two";
    let output = built(GO, false, two, &[]);
    assert_refused(&output, &["2 files", "/opt/app-root/out/one", "/opt/app-root/out/two", "--artifact"]);
    let output = built(GO, false, two, &["--artifact", "/opt/app-root/out/two"]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let output = built(GO, false, "true", &[]);
    assert_refused(&output, &["no artifact in `/opt/app-root/out`"]);
}
