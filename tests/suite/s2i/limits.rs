//! `--memory`, `--cpus` and `--pids-limit` hold for the script, and a limit that was met is named.

use super::{build, builder_with, everywhere, try_build_with};

const PLACE: &str = "mv /opt/s2i/destination/src/* /opt/app-root/src/bin/binary";

#[test]
fn limits_that_do_not_matter_change_nothing() {
    everywhere(|place| {
        let limits = ["--memory", "64MiB", "--cpus", "0.5", "--pids-limit", "20", "--timeout", "1m"];
        assert_eq!(build(place, "s2i-foreign:1", &limits).report(&[])["pid"], 1, "{}", place.name);
    });
}

#[test]
fn a_script_that_takes_too_much_memory_is_told_so() {
    everywhere(|place| {
        let script = "#!/bin/sh\nexec awk 'BEGIN { text = \"xxxxxxxx\"; while (1) text = text text }'";
        let builder = builder_with(place, script);
        let arguments = ["--memory", "32MiB", "--timeout", "1m"];
        let built = try_build_with(place, builder.reference(), "program", &arguments);
        built.assert_refused(6, &["exit code 137", "memory", "hint:", "--memory"]);
    });
}

#[test]
fn a_script_gets_so_many_processes_and_no_more() {
    everywhere(|place| {
        // None of them ends while others are started, however slow the machine is; they end with the script.
        let sleeps = "#!/bin/sh\nset -e\nfor number in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done\n";
        let builder = builder_with(place, &format!("{sleeps}{PLACE}"));
        let limited = try_build_with(place, builder.reference(), "program", &["--pids-limit", "8"]);
        limited.assert_refused(6, &["exit code", "fork"]);
        let free = try_build_with(place, builder.reference(), "program", &["--pids-limit", "30"]);
        assert_eq!(free.output.code, Some(0), "{}: {}", place.name, free.output.stderr);
    });
}
