//! Owns measuring what the sandbox adds to a build: a script that does next to nothing, over layers that are unpacked.

use std::time::Duration;

use crate::measure::{median, timed};
use crate::{Bench, MEGABYTE, b2i, report, samples};

/// A builder whose `assemble` moves one file.
const BUILDER: &str = "b2i-test/s2i-kubesphere:1";

/// Measures and prints it.
pub(crate) fn measure(bench: &Bench, rounds: usize) {
    let builder = format!("{}/b2i-bench/builder:1", bench.registry);
    b2i::push_test_image(BUILDER, &builder);
    let artifact = bench.path("small");
    samples::write_program(&artifact, MEGABYTE / 10, 1);
    // Base and builder are in the registry, so that no layer is copied in either way.
    let name = format!("{}/b2i-bench/assembled:1", bench.registry);
    let time = |arguments: &[&str]| -> Duration {
        let arguments = [&["--no-memo", "--push", "-t", &name], arguments].concat();
        let mut times = Vec::new();
        // The first fills the cache.
        for round in 0..=rounds.max(5) {
            let time = timed(&mut b2i::build(bench, &bench.registry, &arguments, &artifact));
            if round > 0 {
                times.push(time);
            }
        }
        median(times)
    };
    report::sandbox(time(&["--builder", &builder, "--assemble", "sandbox"]), time(&[]));
}
