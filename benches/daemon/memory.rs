//! Owns reading the memory of a process while it runs.

use std::fs;
use std::time::Duration;

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
