//! Owns the stream of typed events that a build gives off: steps, transfer progress, script output, notes.
//!
//! Must not render them; the terminal, JSON lines and records each do that their own way.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Warning;

/// One step of the road, in the order in which steps happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Fetching the input and finding the artifact in it.
    Fetch,
    /// Reading the facts out of the artifact.
    Detect,
    /// Choosing the builder and planning.
    Plan,
    /// Resolving (and, if needed, pulling) the base or builder image.
    Base,
    /// Sending the artifact into the container that `assemble` runs in.
    Upload,
    /// Running `assemble`.
    Assemble,
    /// Committing the container that `assemble` ran in.
    Commit,
    /// Writing the result to one output.
    Write,
    /// Starting the result (`--run`).
    Run,
}

/// Which stream of a script a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// One event. Byte counts are bytes, durations milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A step begins; `subject` is what it works on (a file name, an image reference).
    StepStarted {
        /// The step.
        step: Step,
        /// What it works on.
        subject: String,
        /// How many bytes it will move, if that is known.
        total_bytes: Option<u64>,
    },
    /// A step has moved this many bytes so far.
    StepProgress {
        /// The step.
        step: Step,
        /// Bytes moved since the step began.
        bytes: u64,
        /// How many bytes it will move, if that is known by now.
        total_bytes: Option<u64>,
    },
    /// A step has ended well.
    StepFinished {
        /// The step.
        step: Step,
        /// What came out of it: a file name, a builder, an image reference.
        subject: String,
        /// How large that is, in bytes, where it says something.
        bytes: Option<u64>,
        /// What else is worth knowing, one clause.
        remark: Option<String>,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// A line that a script printed, without its line end.
    ScriptOutput {
        /// The stream it was printed to.
        stream: ScriptStream,
        /// The line.
        line: String,
    },
    /// Something worth knowing that needs no action.
    Note {
        /// One sentence.
        message: String,
    },
    /// Something that may turn out wrong.
    Warning {
        /// One sentence.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

/// Where events go. Cheap to clone; may be called from any thread.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends every event to `receiver`.
    pub fn new(receiver: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receiver))
    }

    /// Drops every event.
    pub fn silent() -> Self {
        Self::new(|_| {})
    }

    /// Sends `event`.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }

    /// Sends a note.
    pub fn note(&self, message: impl Into<String>) {
        self.send(Event::Note { message: message.into() });
    }

    /// Sends a warning.
    pub fn warning(&self, message: impl Into<String>, hint: Option<String>) {
        self.send(Event::Warning { message: message.into(), hint });
    }

    /// Sends a warning that a decision gave.
    pub fn warn(&self, warning: &Warning) {
        self.warning(warning.message.clone(), warning.hint.clone());
    }

    /// Announces a step and returns the handle through which it reports.
    pub fn start(&self, step: Step, subject: impl Into<String>, total_bytes: Option<u64>) -> RunningStep {
        let subject = subject.into();
        self.send(Event::StepStarted { step, subject: subject.clone(), total_bytes });
        RunningStep { events: self.clone(), step, subject, bytes: None, started: std::time::Instant::now() }
    }
}

/// A step that was announced and has not ended.
#[derive(Clone)]
pub struct RunningStep {
    events: Events,
    step: Step,
    subject: String,
    bytes: Option<u64>,
    started: std::time::Instant,
}

impl RunningStep {
    /// Reports how many bytes were moved since the step began.
    pub fn progress(&self, bytes: u64, total_bytes: Option<u64>) {
        self.events.send(Event::StepProgress { step: self.step, bytes, total_bytes });
    }

    /// Says what has come out, if it is not what the step was announced with.
    #[must_use]
    pub fn made(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Says how large it is, in bytes.
    #[must_use]
    pub fn sized(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Reports the end, with a remark that may be empty.
    pub fn finish(self, remark: impl Into<String>) {
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let remark = Some(remark.into()).filter(|remark| !remark.is_empty());
        let Self { step, subject, bytes, .. } = self;
        self.events.send(Event::StepFinished { step, subject, bytes, remark, milliseconds });
    }
}
