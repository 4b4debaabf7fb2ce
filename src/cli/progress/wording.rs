//! Owns the words for steps, sizes and times, for the live display and the plain lines.
//!
//! Must not write to a stream.

use anstyle::{AnsiColor, Style};

use crate::cli::printable::printable;
use crate::events::Step;

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

/// A verb in its columns, colored.
pub(super) fn verb(text: &str, color: AnsiColor) -> String {
    let style = Style::new().bold().fg_color(Some(color.into()));
    format!("{style}{text:>VERB_WIDTH$}{style:#}")
}

/// The line of a finished step.
pub(super) fn finished_line(
    step: Step,
    subject: &str,
    bytes: Option<u64>,
    remark: Option<&str>,
    milliseconds: u64,
) -> String {
    let details: Vec<String> =
        bytes.map(size).into_iter().chain(remark.map(|remark| printable(remark).to_string())).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    let line = format!("{} {}{details}", verb(finished(step), AnsiColor::Green), printable(short(subject)));
    // Short times are noise.
    if milliseconds < 100 { line } else { format!("{line} {}", duration(milliseconds)) }
}

/// A line of a script; `line` is already printable.
pub(super) fn script_line(line: &str) -> String {
    let style = Style::new().dimmed();
    let gap = if line.is_empty() { "" } else { " " };
    format!("{style}{:>VERB_WIDTH$}{gap}{line}{style:#}", "|")
}

/// A warning, with its hint on a second line.
pub(super) fn warning(message: &str, hint: Option<&str>) -> String {
    let first = format!("{} {}", verb("warning:", AnsiColor::Yellow), printable(message));
    match hint {
        None => first,
        Some(hint) => format!("{first}\n{} {}", verb("hint:", AnsiColor::Cyan), printable(hint)),
    }
}

pub(super) fn note(message: &str) -> String {
    format!("{} {}", verb("note:", AnsiColor::Cyan), printable(message))
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
