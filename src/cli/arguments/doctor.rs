//! Owns the grammar of `b2i doctor`.

use clap::Args;

use super::Format;

/// Say what works here and how to mend what does not
///
/// Looks at the daemon, the sandbox, the cache, proxies and certificates, and asks the registries that are named whether
/// they take the credentials that are there. Ends with 1 if something named or always needed does not work.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i doctor registry.example")]
pub(in crate::cli) struct DoctorArguments {
    /// Registries to ask, such as registry.example:5000
    #[arg(value_name = "HOST")]
    pub(in crate::cli) hosts: Vec<String>,
    /// Print as text or JSON
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    pub(in crate::cli) format: Format,
}
