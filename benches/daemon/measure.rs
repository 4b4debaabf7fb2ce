//! Owns taking the time and the memory of a command. Shared by the benchmarks.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Reads the high-water mark of the process's resident memory, in MB, until it ends.
pub(crate) fn watch_memory(process: u32) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let mut peak = 0.0_f64;
        while let Ok(status) = fs::read_to_string(format!("/proc/{process}/status")) {
            let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) else { break };
            let kibibytes: f64 =
                line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0);
            peak = peak.max(kibibytes * 1024.0 / 1e6);
            std::thread::sleep(Duration::from_millis(5));
        }
        peak
    })
}

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
