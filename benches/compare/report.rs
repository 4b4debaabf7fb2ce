//! Owns what is printed: times, ratios, and each target with what came of it. Must not measure.

use std::time::Duration;

use crate::b2i::Measured;
use crate::measure::median;
use crate::tools::Tool;
use crate::{Case, Content};

/// First push, as a multiple of the limit.
const FIRST: f64 = 1.1;
/// How many times faster than Buildah the executable is.
const FASTER_THAN_BUILDAH: f64 = 5.0;
/// Unchanged repeat, in milliseconds.
const REPEAT: f64 = 10.0;
/// Memory, in MB.
const MEMORY: f64 = 24.0;
/// Requests of a first push and of a repeat.
const REQUESTS: [usize; 2] = [9, 2];
/// What the sandbox may add, in milliseconds.
const SANDBOX: f64 = 60.0;

/// What one tool took, round by round.
#[derive(Clone, Default)]
pub(crate) struct Times {
    pub(crate) first: Vec<Duration>,
    pub(crate) repeat: Vec<Duration>,
}

/// Prints one artifact's table.
pub(crate) fn print(case: &Case, tools: &[Tool], times: &[Times], measured: &Measured) {
    let milliseconds = |times: &[Duration]| median(times.to_vec()).as_secs_f64() * 1e3;
    let medians: Vec<(f64, f64)> =
        times.iter().map(|times| (milliseconds(&times.first), milliseconds(&times.repeat))).collect();
    let of = |wanted: Tool| tools.iter().position(|tool| *tool == wanted).map(|index| medians[index]);
    let (limit, _) = of(Tool::Curl).expect("the limit is always measured");
    let (first, repeat) = of(Tool::B2i).expect("b2i is always measured");
    println!("\n{}, on a base of 350 MB:", case.name);
    println!(
        "  {:<34}{:>12}{:>11}{:>11}{:>14}{:>11}",
        "", "first push", "x limit", "x b2i", "repeat", "x b2i"
    );
    for (tool, (own_first, own_repeat)) in tools.iter().zip(&medians) {
        let (limit, b2i, again) = (own_first / limit, own_first / first, own_repeat / repeat);
        println!(
            "  {:<34}{own_first:>9.1} ms{limit:>11.2}{b2i:>11.2}{own_repeat:>11.1} ms{again:>11.1}",
            tool.title()
        );
    }
    if case.content == Content::Programs {
        match of(Tool::Buildah) {
            Some((buildah, _)) => {
                at_least("times faster than buildah", buildah / first, FASTER_THAN_BUILDAH);
            }
            None => println!("  {:<34}not measured", "times faster than buildah"),
        }
    } else {
        at_most("first push, as multiple of limit", first / limit, FIRST, "");
    }
    at_most("unchanged repeat", repeat, REPEAT, " ms");
    at_most("peak memory of b2i", measured.memory, MEMORY, " MB");
    let names = ["requests of a first push", "requests of a repeat"];
    for ((name, found), most) in names.into_iter().zip([measured.first, measured.repeat]).zip(REQUESTS) {
        println!("  {name:<34}{found:>9}      target <= {most:<7}{}", verdict(found <= most));
    }
}

/// Prints what the sandbox adds.
pub(crate) fn sandbox(with: Duration, without: Duration) {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!("\na trivial assemble over unpacked layers, and a push:");
    println!("  {:<34}{:>9.1} ms", "in the sandbox", milliseconds(with));
    println!("  {:<34}{:>9.1} ms", "placed", milliseconds(without));
    at_most("what the sandbox adds", milliseconds(with.saturating_sub(without)), SANDBOX, " ms");
}

fn at_most(name: &str, found: f64, most: f64, unit: &str) {
    println!("  {name:<34}{found:>9.2}{unit:<3}   target <= {most:<7}{}", verdict(found <= most));
}

fn at_least(name: &str, found: f64, least: f64) {
    println!("  {name:<34}{found:>9.2}      target >= {least:<7}{}", verdict(found >= least));
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "ok" } else { "missed" }
}
