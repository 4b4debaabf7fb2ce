//! Owns the display of events: live on a terminal, plain lines, JSON lines, or none.
//!
//! Must not fail a build: a closed reader is ignored.

mod json;
mod plain;
mod terminal;
pub(super) mod wording;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::arguments::ProgressChoice;
use super::environment::Environment;
use super::failure::CliError;
use super::printer::Printer;
use crate::events::{Event, Events};

/// One style of display.
trait Renderer: Send + Sync {
    /// Shows one event. May be called from any thread.
    fn receive(&self, event: &Event);

    /// Ends the display. Other text can follow.
    fn finish(&self) {}
}

/// How the events and the error of a command are shown.
#[derive(Clone)]
pub(super) struct Progress {
    renderer: Option<Arc<dyn Renderer>>,
    is_finished: Arc<AtomicBool>,
    is_json: bool,
}

impl Progress {
    /// Selects the style.
    pub(super) fn new(
        choice: ProgressChoice,
        is_verbose: bool,
        printer: &Printer,
        environment: &Environment,
    ) -> Self {
        let is_live = choice == ProgressChoice::Auto
            && std::io::stderr().is_terminal()
            && !environment.is_dumb_terminal()
            && !environment.is_ci()
            // Log lines would break the live display.
            && !is_verbose;
        let renderer: Option<Arc<dyn Renderer>> = if printer.is_quiet() {
            None
        } else if choice == ProgressChoice::Json {
            Some(Arc::new(json::Json::new(std::io::stderr())))
        } else if is_live {
            Some(Arc::new(terminal::Terminal::new(printer.has_color())))
        } else {
            Some(Arc::new(plain::Plain::new(printer.error_stream())))
        };
        let is_json = choice == ProgressChoice::Json;
        Self { renderer, is_finished: Arc::default(), is_json }
    }

    /// The receiver of events.
    pub(super) fn events(&self) -> Events {
        let Some(renderer) = self.renderer.clone() else { return Events::silent() };
        let is_finished = Arc::clone(&self.is_finished);
        Events::new(move |event| {
            let is_message = matches!(event, Event::Note { .. } | Event::Warning { .. });
            if is_message || !is_finished.load(Ordering::Acquire) {
                renderer.receive(&event);
            }
        })
    }

    /// Ends the display of steps. Notes and warnings are still shown while a program runs (`--run`).
    pub(super) fn finish(&self) {
        if !self.is_finished.swap(true, Ordering::AcqRel)
            && let Some(renderer) = &self.renderer
        {
            renderer.finish();
        }
    }

    /// Whether the standard error contains only JSON lines.
    pub(super) fn is_json(&self) -> bool {
        self.is_json
    }

    /// Ends the display and shows the error of the command.
    pub(super) fn fail(&self, error: &CliError, printer: &Printer) {
        self.finish();
        if self.is_json {
            if let Some(json) = error.to_json() {
                let _ =
                    writeln!(std::io::stderr(), "{}", super::printable::printable_json(&json.to_string()));
            }
        } else if let Some(text) = error.render() {
            printer.error(&text);
        }
    }
}
