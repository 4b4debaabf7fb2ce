//! Owns the events of a build: steps, progress, script output, notes, warnings.
//!
//! Must not render them; a front end does.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Warning;

/// A step of the pipeline. The variants are in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Fetch the input and find the artifact in it.
    Fetch,
    /// Read the facts of the artifact.
    Detect,
    /// Select the builder and plan the image.
    Plan,
    /// Resolve the base or builder image, and pull it if needed.
    Base,
    /// Upload the artifact to the container of `assemble`.
    Upload,
    /// Run `assemble`.
    Assemble,
    /// Commit the container of `assemble`.
    Commit,
    /// Write the image to one output.
    Write,
    /// Start the image (`--run`).
    Run,
}

/// A stream of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Version of the JSON form of events. It changes when a field is removed or changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;

/// One event. Byte counts are bytes, durations milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A step has started.
    StepStarted {
        /// The step.
        step: Step,
        /// Its subject: a file name, an image reference.
        subject: String,
        /// Number of bytes to transfer, if known.
        total_bytes: Option<u64>,
    },
    /// A step has transferred bytes.
    StepProgress {
        /// The step.
        step: Step,
        /// Number of bytes since the start of the step.
        bytes: u64,
        /// Number of bytes to transfer, if known.
        total_bytes: Option<u64>,
    },
    /// A step has succeeded.
    StepFinished {
        /// The step.
        step: Step,
        /// Its result: a file name, a builder, an image reference.
        subject: String,
        /// Size of the result in bytes, if it has one.
        bytes: Option<u64>,
        /// A remark, one clause.
        remark: Option<String>,
        /// Duration in milliseconds.
        milliseconds: u64,
    },
    /// A line of a script's output, without its line end.
    ScriptOutput {
        /// The stream.
        stream: ScriptStream,
        /// The line.
        line: String,
    },
    /// A fact that needs no action.
    Note {
        /// One sentence.
        message: String,
    },
    /// A possible problem.
    Warning {
        /// One sentence.
        message: String,
        /// The next step.
        hint: Option<String>,
    },
}

/// The receiver of events. Cheap to clone; may be called from any thread.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends every event to `receiver`.
    pub fn new(receiver: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(receiver))
    }

    /// Discards every event.
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

    /// Sends the warning of a decision.
    pub fn warn(&self, warning: &Warning) {
        self.warning(warning.message.clone(), warning.hint.clone());
    }

    /// Sends the start of a step and returns its handle.
    pub fn start(&self, step: Step, subject: impl Into<String>, total_bytes: Option<u64>) -> RunningStep {
        let subject = subject.into();
        self.send(Event::StepStarted { step, subject: subject.clone(), total_bytes });
        RunningStep { events: self.clone(), step, subject, bytes: None, started: std::time::Instant::now() }
    }
}

/// A step that has started and not ended.
#[derive(Clone)]
pub struct RunningStep {
    events: Events,
    step: Step,
    subject: String,
    bytes: Option<u64>,
    started: std::time::Instant,
}

impl RunningStep {
    /// Sends the number of bytes since the start of the step.
    pub fn progress(&self, bytes: u64, total_bytes: Option<u64>) {
        self.events.send(Event::StepProgress { step: self.step, bytes, total_bytes });
    }

    /// Replaces the subject by the result.
    #[must_use]
    pub fn made(mut self, subject: impl Into<String>) -> Self {
        self.subject = subject.into();
        self
    }

    /// Sets the size of the result in bytes.
    #[must_use]
    pub fn sized(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// Sends the end of the step. An empty remark is left out.
    pub fn finish(self, remark: impl Into<String>) {
        let milliseconds = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let remark = Some(remark.into()).filter(|remark| !remark.is_empty());
        let Self { step, subject, bytes, .. } = self;
        self.events.send(Event::StepFinished { step, subject, bytes, remark, milliseconds });
    }
}
