//! `--memory`, `--cpus` and `--pids-limit` hold for the script, and a limit that was met is named.

use super::{build, builder_with, on_each_daemon, try_build_with};

const PLACE: &str = "mv /opt/s2i/destination/src/* /opt/app-root/src/bin/binary";

#[test]
fn limits_that_do_not_matter_change_nothing() {
    on_each_daemon(|daemon| {
        let limits = ["--memory", "64MiB", "--cpus", "0.5", "--pids-limit", "20", "--timeout", "1m"];
        assert_eq!(build(daemon, "s2i-foreign:1", &limits).report(&[])["pid"], 1, "{}", daemon.name);
    });
}

#[test]
fn a_script_that_takes_too_much_memory_is_told_so() {
    on_each_daemon(|daemon| {
        let script = "#!/bin/sh\nexec awk 'BEGIN { text = \"xxxxxxxx\"; while (1) text = text text }'";
        let builder = builder_with(daemon, script);
        let arguments = ["--memory", "32MiB", "--timeout", "1m"];
        let built = try_build_with(daemon, builder.reference(), "program", &arguments);
        built.assert_refused(6, &["exit code 137", "memory", "hint:", "--memory"]);
    });
}

#[test]
fn a_script_gets_so_many_processes_and_no_more() {
    on_each_daemon(|daemon| {
        let sleeps = "#!/bin/sh\nset -e\nfor number in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done\nwait\n";
        let builder = builder_with(daemon, &format!("{sleeps}{PLACE}"));
        let limited = try_build_with(daemon, builder.reference(), "program", &["--pids-limit", "8"]);
        limited.assert_refused(6, &["exit code", "fork"]);
        let free = try_build_with(daemon, builder.reference(), "program", &["--pids-limit", "30"]);
        assert_eq!(free.output.code, Some(0), "{}: {}", daemon.name, free.output.stderr);
    });
}
