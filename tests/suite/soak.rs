//! Owns how often what is left to chance is tried, and from which seed on: a few times in every run, more often by
//! `tests/soak`, which sets `B2I_SOAK_COUNT` and `B2I_SOAK_SEED` for one test at a time.

use std::io::Write;

/// A job of `tests/soak`.
pub(crate) struct Soak {
    job: &'static str,
    /// The first seed.
    pub(crate) seed: u64,
    /// How many seeds, or builds.
    pub(crate) count: u64,
}

impl Soak {
    /// The counts of `job`, if nobody asked for others.
    pub(crate) fn of(job: &'static str, seed: u64, count: u64) -> Self {
        let asked = ["B2I_SOAK_SEED", "B2I_SOAK_COUNT"].map(|variable| {
            let text = std::env::var(variable).ok()?;
            Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{text}`")))
        });
        let [asked_seed, asked_count] = asked;
        Self { job, seed: asked_seed.unwrap_or(seed), count: asked_count.unwrap_or(count) }
    }

    /// The seeds, each with a guard that says how to run it again if its part of the test fails.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = Seed> + use<> {
        let job = self.job;
        (self.seed..self.seed + self.count).map(move |number| Seed { job, number })
    }

    /// Says what came of it.
    pub(crate) fn conclude(&self, said: &str) {
        let Self { job, seed, count, .. } = self;
        let line = format!("soak {job}: seed {seed}, count {count}: {said}\n");
        std::io::stderr().write_all(line.as_bytes()).expect("standard error can be written");
    }
}

/// One seed.
pub(crate) struct Seed {
    job: &'static str,
    pub(crate) number: u64,
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let line = format!("again: tests/soak {} --seed {} --count 1\n", self.job, self.number);
            drop(std::io::stderr().write_all(line.as_bytes()));
        }
    }
}
