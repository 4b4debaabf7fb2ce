//! Owns the log of `-v` and `-vv`.
//!
//! Must not log the debug output of transport libraries: it contains headers, and headers carry credentials.

use tracing_subscriber::EnvFilter;

use super::printer::Printer;

/// Starts logging to the standard error; `verbosity` is at least 1.
pub(super) fn start(verbosity: u8, printer: &Printer) {
    let filter =
        if verbosity == 1 { "warn,b2i=info" } else { "info,b2i=trace,hyper=warn,h2=warn,reqwest=warn" };
    let printer = printer.clone();
    let has_color = printer.has_color();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(has_color)
        .with_writer(move || printer.error_stream())
        .without_time()
        // Its report of a failed write would panic if nobody reads the standard error.
        .log_internal_errors(false)
        .finish();
    // Fails only if a subscriber is set already, which then stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
