//! Owns a b2i that runs while the test does something: signals it, kills it, waits for what it prints and for its end.
//!
//! Must not know what b2i's options mean.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::B2iOutput;

/// Longer than anything takes that ends at all, also on a slow machine that does much else.
const PATIENCE: Duration = Duration::from_secs(300);

/// A started b2i. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct RunningB2i {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

impl RunningB2i {
    pub(super) fn new(mut child: Child) -> Self {
        let mut stdout = child.stdout.take().expect("is a pipe");
        let stdout = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.read_to_end(&mut bytes).expect("a pipe can be read");
            bytes
        });
        let mut lines = BufReader::new(child.stderr.take().expect("is a pipe"));
        let stderr = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&stderr);
        let reading = std::thread::spawn(move || {
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                seen.lock().expect("not poisoned").push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { child, stdout: Some(stdout), stderr, reading: Some(reading) }
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("not poisoned").clone()
    }

    /// Waits until `is_so` holds.
    ///
    /// # Panics
    /// If b2i ends before, or it takes too long; `what` says what was waited for.
    pub(crate) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !is_so(self) {
            let ended = self.child.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "b2i ended ({ended:?}) before {what}:\n{}", self.stderr());
            assert!(Instant::now() < until, "no {what} in {PATIENCE:?}:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until standard error contains `text`.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_until(text, |running| running.stderr().contains(text));
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself; the test sees that by its code.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it takes too long.
    pub(crate) fn wait(mut self) -> B2iOutput {
        let from = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                break status;
            }
            assert!(from.elapsed() < PATIENCE, "b2i does not end:\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(2));
        };
        let join = "the reading thread does not panic";
        self.reading.take().expect("taken only here").join().expect(join);
        let stdout = self.stdout.take().expect("taken only here").join().expect(join);
        let stdout = String::from_utf8(stdout).expect("b2i writes UTF-8 to standard output");
        let code = status.code().filter(|_| status.signal().is_none());
        B2iOutput { stdout, stderr: self.stderr(), code }
    }

    /// As `wait`, with the number of bytes that it has read by then, from whatever it was.
    pub(crate) fn wait_and_count(self) -> (B2iOutput, u64) {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        let pid = Pid::from_child(&self.child);
        // A process that has ended and was not waited for still has its counters.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), options).expect("a child can be waited for");
        let path = format!("/proc/{}/io", pid.as_raw_nonzero());
        let counters = std::fs::read_to_string(path).expect("a process has counters");
        let read = counters.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok());
        (self.wait(), read.expect("one of them is rchar"))
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for RunningB2i {
    fn drop(&mut self) {
        // Only after a failed assertion is it still there.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
