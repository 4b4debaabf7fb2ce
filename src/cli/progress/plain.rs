//! Owns the plain display for logs: one line for each finished step.
//!
//! Must not be silent during a long transfer: CI systems end jobs without output.

use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anstyle::AnsiColor;

use super::{Renderer, wording};
use crate::cli::printable::printable;
use crate::events::{Event, Step};

/// Time between two lines about a running transfer.
const INTERVAL: Duration = Duration::from_secs(10);

pub(super) struct Plain<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    stream: W,
    running: Option<Running>,
}

struct Running {
    step: Step,
    subject: String,
    last_line: Instant,
}

impl<W: Write> Plain<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { state: Mutex::new(State { stream, running: None }) }
    }
}

impl<W: Write> State<W> {
    fn print(&mut self, line: &str) {
        // A closed log must not stop the build.
        let _ = writeln!(self.stream, "{line}");
    }

    fn progress(&mut self, step: Step, bytes: u64, total_bytes: Option<u64>) {
        let Some(running) = self.running.as_mut().filter(|running| running.step == step) else { return };
        if running.last_line.elapsed() < INTERVAL {
            return;
        }
        running.last_line = Instant::now();
        let verb = wording::verb(wording::running(step), AnsiColor::Cyan);
        let total = total_bytes.map(|total| format!(" of {}", wording::size(total))).unwrap_or_default();
        let line = format!("{verb} {}, {}{total}", printable(&running.subject), wording::size(bytes));
        self.print(&line);
    }
}

impl<W: Write + Send> Renderer for Plain<W> {
    fn receive(&self, event: &Event) {
        // A panic while another thread wrote leaves the state valid.
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::StepStarted { step, subject, .. } => {
                let (step, subject) = (*step, subject.clone());
                state.running = Some(Running { step, subject, last_line: Instant::now() });
            }
            Event::StepProgress { step, bytes, total_bytes } => state.progress(*step, *bytes, *total_bytes),
            Event::StepFinished { .. } => state.running = None,
            Event::ScriptOutput { .. } | Event::Note { .. } | Event::Warning { .. } => {}
        }
        if let Some(line) = wording::line(event) {
            state.print(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::ScriptStream;

    #[test]
    fn finished_steps_are_lines() {
        let plain = Plain::new(Vec::new());
        for event in [
            Event::StepStarted { step: Step::Fetch, subject: "app.jar".into(), total_bytes: None },
            Event::StepProgress { step: Step::Fetch, bytes: 5, total_bytes: Some(10) },
            Event::StepFinished {
                step: Step::Fetch,
                subject: "app.jar".into(),
                bytes: Some(12_345_678),
                remark: None,
                milliseconds: 412,
            },
            Event::StepFinished {
                step: Step::Detect,
                subject: "JAR\u{1b}[2J".into(),
                bytes: None,
                remark: None,
                milliseconds: 3,
            },
            Event::ScriptOutput { stream: ScriptStream::Stdout, line: "\u{1b}[31mred\u{1b}[0m".into() },
            Event::ScriptOutput { stream: ScriptStream::Stderr, line: String::new() },
            Event::Note { message: "one".into() },
            Event::Warning { message: "two".into(), hint: Some("three".into()) },
        ] {
            plain.receive(&event);
        }
        let state = plain.state.into_inner().expect("no thread panicked");
        let text = String::from_utf8(state.stream).expect("UTF-8");
        insta::assert_snapshot!(anstream::adapter::strip_str(&text), @r"
             Fetched app.jar (12.3 MB) 0.4 s
            Detected JAR\u{1b}[2J
                   | red
                   |
               note: one
            warning: two
               hint: three
        ");
    }
}
