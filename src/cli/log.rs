//! Owns the log that `-v` and `-vv` switch on: what the rooms and the libraries under them trace.

use tracing_subscriber::EnvFilter;

use super::printer::Printer;

/// Starts logging to the standard error; `verbosity` is at least 1.
pub(super) fn start(verbosity: u8, printer: &Printer) {
    // Never the transport libraries' own debug output: they print headers, and headers carry credentials.
    let filter =
        if verbosity == 1 { "warn,b2i=info" } else { "info,b2i=trace,hyper=warn,h2=warn,reqwest=warn" };
    let printer = printer.clone();
    let has_color = printer.has_color();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(has_color)
        .with_writer(move || printer.error_stream())
        .without_time()
        .finish();
    // Only fails if one was set before, and then it goes on.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
