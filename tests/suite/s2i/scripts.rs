//! What an `assemble` script may do, and how b2i takes it: fail, hang, print, read, leave things behind.

use super::{build, everywhere, try_build};

#[test]
fn a_script_that_fails_is_quoted_with_its_code() {
    everywhere(|place| {
        let built = try_build(place, "s2i-foreign:fails", "program", &[]);
        built.assert_refused(
            6,
            &[
                "`/usr/local/s2i/assemble`",
                "exit code 37",
                "fatal: the compiler of this builder has no disk left",
            ],
        );
        // Where progress is not shown, the error still has the last lines.
        let quiet = try_build(place, "s2i-foreign:fails", "program", &["--quiet"]);
        quiet.assert_refused(6, &["exit code 37", "out line 5", "err line 5", "no disk left"]);
    });
}

#[test]
fn a_script_that_hangs_is_killed_in_time() {
    everywhere(|place| {
        for (tag, line) in [("hangs", "waiting for a day"), ("ignores-term", "waiting for a day, deaf")] {
            let arguments = ["--timeout", "3s", "--quiet"];
            let built = try_build(place, &format!("s2i-foreign:{tag}"), "program", &arguments);
            built.assert_refused(6, &["`/usr/local/s2i/assemble`", "longer than 3 s", "--timeout", line]);
        }
    });
}

#[test]
fn output_is_complete_and_cannot_steer_the_terminal() {
    everywhere(|place| {
        let unterminated = build(place, "s2i-foreign:unterminated", &[]).output.stderr;
        assert!(unterminated.contains("first line") && unterminated.contains("| last line without an end\n"));

        let verbose = build(place, "s2i-foreign:verbose", &[]).output.stderr;
        let is_number =
            |line: &str| line.split_once("| ").is_some_and(|(_, rest)| rest.starts_with(char::is_numeric));
        assert_eq!(verbose.lines().filter(|line| is_number(line)).count(), 16384, "{}", place.name);
        for line in ["00001 ", "16384 ", "verbose done"] {
            assert!(verbose.contains(&format!("| {line}")), "{line} on {}", place.name);
        }

        let escapes = build(place, "s2i-foreign:escapes", &[]).output.stderr;
        assert!(!escapes.contains(['\u{1b}', '\u{7}', '\r']), "{escapes:?}");
        // A CI system obeys `::error::` at the beginning of a line only.
        assert!(escapes.contains("| ::error::forged") && !escapes.contains("\n::"), "{escapes}");
    });
}

#[test]
fn a_script_finds_no_input_no_network_and_no_privileges() {
    everywhere(|place| {
        let stdin = build(place, "s2i-foreign:reads-stdin", &[]).output.stderr;
        assert!(stdin.contains("read 0 bytes from standard input"), "{}: {stdin}", place.name);
        let network = build(place, "s2i-foreign:network", &[]).output.stderr;
        // The sandbox has no /sys to tell of any.
        let devices = if place.in_sandbox { "interfaces: \n" } else { "interfaces: lo \n" };
        for line in [devices, "capabilities: 0000000000000000\n", "no-new-privileges: 1\n"] {
            assert!(network.contains(line), "{}: {network}", place.name);
        }
    });
}

#[test]
fn a_script_gets_the_network_that_the_user_names() {
    everywhere(|place| {
        let host = build(place, "s2i-foreign:network", &["--network", "host"]).output.stderr;
        assert!(!host.contains("interfaces: lo \n"), "{}: {host}", place.name);
        let missing = try_build(place, "s2i-foreign:network", "program", &["--network", "no-such-network"]);
        missing.assert_refused(2, &["no-such-network"]);
    });
}

#[test]
fn a_process_that_a_script_leaves_behind_ends_with_it() {
    everywhere(|place| {
        // It would run for a day, and b2i with it.
        let built = build(place, "s2i-foreign:leaves-process", &[]);
        assert_eq!(built.report(&[])["pid"], 1);
    });
}

#[test]
fn names_that_are_hard_to_handle_reach_the_script() {
    let files = tempfile::tempdir().expect("a temporary directory can be made");
    let name = "ä b'$(x)*.bin";
    let artifact = files.path().join(name);
    let fixture = crate::environment::TestEnvironment::get().fixture("program");
    std::fs::copy(fixture, &artifact).expect("copies");
    everywhere(|place| {
        let built = try_build(place, "s2i-foreign:1", &artifact.display().to_string(), &[]);
        assert_eq!(built.output.code, Some(0), "{}: {}", place.name, built.output.stderr);
        assert_eq!(built.prints(&["cat", "/opt/app-root/src/name"]), name);
        assert_eq!(built.report(&[])["pid"], 1);
    });
}
