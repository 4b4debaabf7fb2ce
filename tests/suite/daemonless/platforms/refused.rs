//! Artifacts and platforms that do not go together: said before anything is sent.

use super::*;

/// Builds with these arguments, without a daemon, and nothing may come of it.
fn refused(command: B2iCommand, code: i32, arguments: &[&str], words: &[&str]) {
    let name = result_name("refused");
    let mut command = command.args(["build", "--push", "--tag", &name]).args(arguments);
    let output = command.run();
    assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
    for word in words {
        assert!(output.stderr.contains(word), "{arguments:?}: no {word:?} in {}", output.stderr);
    }
    assert_eq!(output.stdout, "");
    assert_clean(&command.cache());
    assert!(!is_there(&name), "nothing is published");
}

#[test]
fn what_does_not_go_together_is_a_usage_error_that_names_both() {
    let programs = Programs::new();
    let [amd64, arm64] = &programs.both();
    let copy = programs.path("copy");
    std::fs::copy(amd64, &copy).expect("copied");
    let [jar, script, library] =
        ["standalone.jar", "shell-program", "app/app.jar"].map(crate::build::fixture);
    // The same name elsewhere: told apart by where they are.
    let below = programs.path("other/app-linux-amd64");
    std::fs::create_dir(programs.path("other")).expect("made");
    std::fs::copy(amd64, &below).expect("copied");
    let told_apart = format!("`{amd64}` and `{below}`");
    let table: &[(&[&str], &[&str])] = &[
        (&[amd64, &copy], &["`app-linux-amd64` and `copy`", AMD64]),
        (&[amd64, &below], &[&told_apart, AMD64]),
        (&[amd64, amd64], &["app-linux-amd64` is listed twice"]),
        (&[amd64, &jar], &["`standalone.jar` is a JAR, not an executable"]),
        (&[&library, &jar], &["`app.jar` is a JAR, not an executable"]),
        (&[arm64, &script], &["`shell-program` is a script, not an executable"]),
        (
            &[amd64, "--platform", "linux/amd64,linux/arm64"],
            &["no executable for linux/arm64", "`app-linux-amd64` is built for linux/amd64"],
        ),
        (
            &[amd64, arm64, "--platform", AMD64],
            &["`app-linux-arm64` is built for linux/arm64", "`--platform` names linux/amd64"],
        ),
        (
            &[amd64, arm64, "--platform", "linux/amd64,linux/riscv64"],
            &["no executable for linux/riscv64", "`app-linux-arm64` is built for linux/arm64"],
        ),
        (&[&jar, "--platform", "linux/arm,linux/arm/v7"], &["linux/arm and linux/arm/v7"]),
        (&[amd64, arm64, "--sha256", &"0".repeat(64)], &["--sha256"]),
        (&[&jar, "--platform", "linux/amd64,"], &["not a platform"]),
    ];
    for (arguments, words) in table {
        refused(B2iCommand::without_daemon(), 2, arguments, words);
    }
}

#[test]
fn a_base_without_one_of_the_platforms_is_named_with_those_it_has() {
    let base = base_for("jre:17", &[AMD64, ARM64], "oci");
    let jar = crate::build::fixture("standalone.jar");
    let command = base.replaces_public(B2iCommand::without_daemon());
    let asked = "linux/amd64,linux/arm64,linux/s390x";
    refused(command, 5, &[&jar, "--platform", asked], &["linux/s390x", AMD64, ARM64, &base.name]);
    // A base that is no index is for one platform.
    let base = PushedBase::new("jre:17");
    let command = base.replaces_public(B2iCommand::without_daemon());
    refused(command, 5, &[&jar, "--platform", "linux/amd64,linux/arm64"], &[ARM64, AMD64, &base.name]);
}
