//! The one binary of tests that cross modules; each module is one concern. Start it with `tests/run`.

mod environment;
