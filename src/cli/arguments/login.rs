//! Owns the grammar of `b2i login` and `b2i logout`.

use clap::Args;

/// Check credentials with a registry and keep them
///
/// They are kept where Docker and Podman look for them too: in the file that REGISTRY_AUTH_FILE names, else in Docker's
/// config.json, or with the credential helper that this file names.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i login registry.example -u me --password-stdin < token.txt")]
pub(in crate::cli) struct LoginArguments {
    /// Registry, such as registry.example:5000; docker.io is Docker Hub
    pub(in crate::cli) host: String,
    /// User name; asked for on a terminal
    #[arg(short, long, value_name = "USER")]
    pub(in crate::cli) user: Option<String>,
    /// Read the password from standard input; else it is asked for on a terminal
    #[arg(long)]
    pub(in crate::cli) password_stdin: bool,
}

/// Forget the credentials for a registry
#[derive(Debug, Args)]
pub(in crate::cli) struct LogoutArguments {
    /// Registry, such as registry.example:5000; docker.io is Docker Hub
    pub(in crate::cli) host: String,
}
