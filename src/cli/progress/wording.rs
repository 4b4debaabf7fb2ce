//! Owns the words for steps, sizes and times, for the live display and the plain lines.
//!
//! Must not write to a stream.

use anstyle::{AnsiColor, Style};

use crate::cli::printable::{printable, script_line};
use crate::events::{Event, Step};

/// Columns of the verb, which is right-aligned.
pub(super) const VERB_WIDTH: usize = 12;

pub(super) fn running(step: Step) -> &'static str {
    match step {
        Step::Fetch => "Fetching",
        Step::Detect => "Detecting",
        Step::Plan => "Planning",
        Step::Base => "Resolving",
        Step::Upload => "Uploading",
        Step::Assemble => "Assembling",
        Step::Commit => "Committing",
        Step::Write => "Writing",
        Step::Run => "Starting",
    }
}

pub(super) fn finished(step: Step) -> &'static str {
    match step {
        Step::Fetch => "Fetched",
        Step::Detect => "Detected",
        Step::Plan => "Planned",
        Step::Base => "Resolved",
        Step::Upload => "Uploaded",
        Step::Assemble => "Assembled",
        Step::Commit => "Committed",
        Step::Write => "Wrote",
        Step::Run => "Started",
    }
}

/// The subject of a step, short: for a URL, the last component of its path.
pub(super) fn short(subject: &str) -> &str {
    let path =
        subject.split_once("://").map_or("", |(_, rest)| rest.split(['?', '#']).next().unwrap_or(rest));
    path.rsplit('/').find(|component| !component.is_empty()).unwrap_or(subject)
}

/// A colored verb, right-aligned.
pub(super) fn verb(text: &str, color: AnsiColor) -> String {
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{text:>VERB_WIDTH$}{style:#}")
}

/// The permanent line of an event. Progress has none.
pub(super) fn line(event: &Event) -> Option<String> {
    match event {
        Event::StepStarted { .. } | Event::StepProgress { .. } => None,
        Event::StepFinished { step, subject, bytes, remark, milliseconds } => {
            let remark = remark.as_deref().map(|remark| printable(remark).into_owned());
            let details: Vec<String> = bytes.map(size).into_iter().chain(remark).collect();
            let details =
                if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
            let verb = verb(finished(*step), AnsiColor::Green);
            let line = format!("{verb} {}{details}", printable(short(subject)));
            // Short times are noise.
            Some(if *milliseconds < 100 { line } else { format!("{line} {}", duration(*milliseconds)) })
        }
        Event::ScriptOutput { line, .. } => {
            let (style, line) = (Style::new().dimmed(), script_line(line));
            let gap = if line.is_empty() { "" } else { " " };
            Some(format!("{style}{:>VERB_WIDTH$}{gap}{line}{style:#}", "|"))
        }
        Event::Note { message } => Some(labeled("note:", AnsiColor::Cyan, message)),
        Event::Warning { message, hint: None } => Some(labeled("warning:", AnsiColor::Yellow, message)),
        Event::Warning { message, hint: Some(hint) } => {
            let warning = labeled("warning:", AnsiColor::Yellow, message);
            Some(format!("{warning}\n{}", labeled("hint:", AnsiColor::Cyan, hint)))
        }
    }
}

fn labeled(label: &str, color: AnsiColor, message: &str) -> String {
    format!("{} {}", verb(label, color), printable(message))
}

/// A time such as `0.4 s` or `2 min 5 s`.
pub(super) fn duration(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    if seconds < 60 {
        format!("{seconds}.{} s", milliseconds % 1000 / 100)
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// A size such as `12.3 MB`, in powers of 1000.
pub(in crate::cli) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = None;
    // Rounded tenths of the unit. Integers avoid `1000.0 kB`.
    let mut tenths = u128::from(bytes) * 10;
    for name in units {
        if (tenths + 5) / 10 < 1000 {
            break;
        }
        tenths = (tenths + 500) / 1000;
        unit = Some(name);
    }
    match unit {
        None => format!("{bytes} B"),
        Some(unit) => format!("{}.{} {unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shortened() {
        assert_eq!(short("https://host.example/rel/app.jar?x=/y"), "app.jar");
        assert_eq!(short("https://host.example/"), "host.example");
        assert_eq!(short("docker.io/library/debian:12"), "docker.io/library/debian:12");
    }

    #[test]
    fn sizes_and_times_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (12_345_678, "12.3 MB"),
            (999_999, "1.0 MB"),
            (4 << 30, "4.3 GB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text, "{bytes}");
        }
        assert_eq!(duration(399), "0.3 s");
        assert_eq!(duration(125_000), "2 min 5 s");
    }
}
