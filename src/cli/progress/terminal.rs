//! Owns the live display: a line for each running step, with a bar for transfers, below the lines of the plain display.
//!
//! Must not print a line that wraps: it could not be drawn over.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use anstyle::AnsiColor;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Renderer, wording};
use crate::cli::printable::printable;
use crate::events::{Event, Step};

/// Time between two frames of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// Draws on the standard error.
pub(super) struct Terminal {
    has_color: bool,
    display: MultiProgress,
    running: Mutex<HashMap<Step, ProgressBar>>,
}

impl Terminal {
    pub(super) fn new(has_color: bool) -> Self {
        let display = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self { has_color, display, running: Mutex::default() }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<Step, ProgressBar>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn colored(&self, text: String) -> String {
        if self.has_color { text } else { anstream::adapter::strip_str(&text).to_string() }
    }

    fn start(&self, step: Step, subject: &str, total_bytes: Option<u64>) {
        let bar = self.display.add(ProgressBar::no_length());
        bar.set_style(without_bytes());
        bar.set_prefix(self.colored(wording::verb(wording::running(step), AnsiColor::Cyan)));
        bar.set_message(printable(wording::short(subject)).into_owned());
        if let Some(total) = total_bytes {
            bar.set_length(total);
            bar.set_style(with_bar());
        }
        bar.enable_steady_tick(TICK);
        if let Some(earlier) = self.running().insert(step, bar) {
            earlier.finish_and_clear();
        }
    }

    fn progress(&self, step: Step, bytes: u64, total_bytes: Option<u64>) {
        let running = self.running();
        let Some(bar) = running.get(&step) else { return };
        match total_bytes {
            Some(total) if bar.length() != Some(total) => {
                bar.set_length(total);
                bar.set_style(with_bar());
            }
            None if bar.length().is_none() && bar.position() == 0 && bytes > 0 => bar.set_style(with_bytes()),
            _ => {}
        }
        bar.set_position(bytes);
    }
}

impl Renderer for Terminal {
    fn receive(&self, event: &Event) {
        match event {
            Event::StepStarted { step, subject, total_bytes } => self.start(*step, subject, *total_bytes),
            Event::StepProgress { step, bytes, total_bytes } => self.progress(*step, *bytes, *total_bytes),
            Event::StepFinished { step, .. } => {
                if let Some(bar) = self.running().remove(step) {
                    bar.finish_and_clear();
                    self.display.remove(&bar);
                }
            }
            Event::ScriptOutput { .. } | Event::Note { .. } | Event::Warning { .. } => {}
        }
        if let Some(line) = wording::line(event) {
            // The line appears above the running steps.
            let _ = self.display.println(self.colored(line));
        }
    }

    fn finish(&self) {
        for (_, bar) in self.running().drain() {
            bar.finish_and_clear();
        }
        let _ = self.display.clear();
    }
}

/// A step without a transfer.
fn without_bytes() -> ProgressStyle {
    style("{prefix} {wide_msg} {spinner}")
}

/// A transfer of unknown size.
fn with_bytes() -> ProgressStyle {
    style(if is_narrow() {
        "{prefix} {wide_msg} {decimal_bytes} {spinner}"
    } else {
        "{prefix} {wide_msg} {decimal_bytes} {decimal_bytes_per_sec} {spinner}"
    })
}

/// A transfer of known size.
fn with_bar() -> ProgressStyle {
    style(if is_narrow() {
        "{prefix} {wide_msg} {percent}%"
    } else {
        "{prefix} {wide_msg} [{bar:20}] {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}"
    })
}

/// Whether the terminal is too narrow for a bar.
fn is_narrow() -> bool {
    #[cfg(unix)]
    let columns = rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| size.ws_col);
    #[cfg(not(unix))]
    let columns = 0;
    // A terminal of unknown size counts as one of 80 columns.
    columns != 0 && columns < 76
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.progress_chars("=> ").tick_chars("|/-\\ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_well_formed() {
        for style in [without_bytes(), with_bytes(), with_bar()] {
            drop(style);
        }
    }

    #[test]
    fn takes_events_in_any_order() {
        let terminal = Terminal::new(false);
        terminal.display.set_draw_target(ProgressDrawTarget::hidden());
        let progress = Event::StepProgress { step: Step::Write, bytes: 5, total_bytes: Some(4) };
        terminal.receive(&progress);
        terminal.receive(&Event::StepStarted { step: Step::Write, subject: "x".into(), total_bytes: None });
        terminal.receive(&progress);
        assert_eq!(terminal.running().get(&Step::Write).and_then(ProgressBar::length), Some(4));
        terminal.receive(&Event::StepFinished {
            step: Step::Write,
            subject: "x".into(),
            bytes: None,
            remark: None,
            milliseconds: 1,
        });
        assert!(terminal.running().is_empty());
        terminal.receive(&Event::StepStarted { step: Step::Fetch, subject: "y".into(), total_bytes: None });
        terminal.finish();
        assert!(terminal.running().is_empty());
    }
}
