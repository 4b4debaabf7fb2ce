//! Owns the display for programs: each event as one line of JSON, with a `schemaVersion`.
//!
//! Must not drop an event, except frequent progress.

use std::collections::HashMap;
use std::io::Write;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::Renderer;
use crate::cli::printable::printable_json;
use crate::cli::printer::versioned;
use crate::events::{self, Event, Step};

/// Shortest time between two progress lines of a step.
const INTERVAL: Duration = Duration::from_millis(100);

pub(super) struct Json<W> {
    state: Mutex<State<W>>,
}

struct State<W> {
    stream: W,
    last_progress: HashMap<Step, Instant>,
}

impl<W: Write> Json<W> {
    pub(super) fn new(stream: W) -> Self {
        Self { state: Mutex::new(State { stream, last_progress: HashMap::new() }) }
    }
}

impl<W: Write + Send> Renderer for Json<W> {
    fn receive(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Event::StepProgress { step, .. } = event {
            let now = Instant::now();
            let last = state.last_progress.get(step);
            if last.is_some_and(|last| now.duration_since(*last) < INTERVAL) {
                return;
            }
            state.last_progress.insert(*step, now);
        }
        let line = printable_json(&versioned(events::SCHEMA_VERSION, event).to_string());
        let _ = writeln!(state.stream, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::ScriptStream;

    #[test]
    fn writes_events_as_they_are() {
        let json = Json::new(Vec::new());
        for event in [
            Event::StepStarted { step: Step::Base, subject: "debian".into(), total_bytes: Some(7) },
            Event::StepProgress { step: Step::Base, bytes: 1, total_bytes: Some(7) },
            Event::StepProgress { step: Step::Base, bytes: 2, total_bytes: Some(7) },
            Event::StepFinished {
                step: Step::Base,
                subject: "debian".into(),
                bytes: None,
                remark: Some("pulled".into()),
                milliseconds: 9,
            },
            Event::ScriptOutput { stream: ScriptStream::Stderr, line: "a\u{1b}\u{9b}".into() },
        ] {
            json.receive(&event);
        }
        let state = json.state.into_inner().expect("no thread panicked");
        insta::assert_snapshot!(String::from_utf8(state.stream).expect("UTF-8"), @r#"
        {"schemaVersion":1,"event":"step-started","step":"base","subject":"debian","totalBytes":7}
        {"schemaVersion":1,"event":"step-progress","step":"base","bytes":1,"totalBytes":7}
        {"schemaVersion":1,"event":"step-finished","step":"base","subject":"debian","bytes":null,"remark":"pulled","milliseconds":9}
        {"schemaVersion":1,"event":"script-output","stream":"stderr","line":"a\u001b\u009b"}
        "#);
    }
}
