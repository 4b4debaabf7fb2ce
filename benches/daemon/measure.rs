//! Owns taking the time of a command. Shared by the benchmarks.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command to its good end.
pub(crate) fn timed(command: &mut Command) -> Duration {
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output().expect("starting the command");
    let time = started.elapsed();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    time
}

/// The one in the middle.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
