//! Owns `b2i login` and `b2i logout`: their arguments, prompts and output.
//!
//! Must not store credentials.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::cli::secret;
use crate::config::ConfigFile;
use crate::image::ImageReference;
use crate::ops;
use crate::store::credentials::{CredentialStore, Credentials};
use crate::store::registry::LoginAnswer;

/// Check registry credentials and store them
///
/// They are stored where Docker and Podman find them: in the file REGISTRY_AUTH_FILE, else in Docker's config.json, or in
/// the credential helper that this file sets.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i login registry.example -u me --password-stdin < token.txt")]
pub(in crate::cli) struct LoginArguments {
    /// Log in to this registry, such as registry.example:5000 or docker.io
    pub(in crate::cli) host: String,
    /// Log in as this user [default: prompt on the terminal]
    #[arg(short, long, value_name = "USER")]
    pub(in crate::cli) user: Option<String>,
    /// Read the password from standard input [default: prompt]
    #[arg(long)]
    pub(in crate::cli) password_stdin: bool,
}

/// Remove the stored credentials of a registry
#[derive(Debug, Args)]
pub(in crate::cli) struct LogoutArguments {
    /// Log out of this registry, such as registry.example:5000 or docker.io
    pub(in crate::cli) host: String,
}

pub(in crate::cli) fn run(arguments: &LoginArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let registry = registry(&arguments.host)?;
    let file = file(context)?;
    if settings.network.offline.value {
        return Err(CliError::usage("login needs the network, but `--offline` is set"));
    }
    let username = match &arguments.user {
        Some(user) => user.clone(),
        None if arguments.password_stdin => {
            return Err(CliError::usage("`--password-stdin` requires a user name")
                .with_hint("pass it with `-u USER`"));
        }
        None => secret::ask_user(&context.printer)?,
    };
    // RFC 7617, section 2: the first colon ends the name.
    if username.is_empty() || username.contains(':') {
        return Err(CliError::usage(format!(
            "`{username}` is not a valid user name: it is empty or contains a colon"
        )));
    }
    let password = match arguments.password_stdin {
        true => secret::password_from_stdin()?,
        false => secret::ask_password(&context.printer)?,
    };
    let credentials = Credentials { username, password, identity_token: None };
    let work = ops::log_in(&registry, &credentials, &file, &session);
    let login = Runtime::start()?.run(&session, work)?;
    let events = context.progress.events();
    let place = match &login.stored {
        CredentialStore::Helper(helper) => printable(helper).into_owned(),
        CredentialStore::File(path) => {
            let path = printable(&path.to_string_lossy()).into_owned();
            let message =
                format!("`{path}` stores the password unencrypted; anyone who can read the file can use it");
            let hint = "to store it elsewhere, set a credential helper as `credsStore` in the file";
            events.warning(message, Some(hint.into()));
            path
        }
    };
    if let Some(other) = &login.shadowed_by {
        let message =
            format!("`{}` has other credentials for `{registry}` and is read first", other.display());
        let hint =
            format!("set REGISTRY_AUTH_FILE to that file, then log in again or run `b2i logout {registry}`");
        events.warning(message, Some(hint));
    }
    if login.answer == LoginAnswer::NotAsked {
        let message = format!("`{registry}` did not request credentials, so they were not checked");
        events.warning(message, None);
    }
    context.progress.finish();
    let user = printable(&credentials.username).to_string();
    context.printer.data(&format!("logged in to {registry} as {user}; stored in `{place}`"))
}

pub(in crate::cli) fn log_out(arguments: &LogoutArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let registry = registry(&arguments.host)?;
    let file = file(context)?;
    let logout = Runtime::start()?.run(&session, ops::log_out(&registry, &file, &session))?;
    if let Some(file) = &logout.remaining {
        let message = format!("`{}` still has credentials for `{registry}`", file.display());
        let hint = "set REGISTRY_AUTH_FILE to that file and log out again";
        context.progress.events().warning(message, Some(hint.into()));
    }
    context.progress.finish();
    context.printer.data(&match logout.removed {
        true => format!("logged out of {registry}"),
        false => format!("no credentials for {registry} in `{}`", printable(&file.to_string_lossy())),
    })
}

/// The registry in the form of image names.
pub(super) fn registry(text: &str) -> Result<String, CliError> {
    let invalid = || {
        CliError::usage(format!("`{text}` is not a registry"))
            .with_hint("pass a host, with a port if needed: registry.example:5000")
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = host.strip_suffix('/').unwrap_or(host).to_ascii_lowercase();
    if host.contains(['/', '@', '?', '#']) {
        return Err(invalid());
    }
    let reference: ImageReference = format!("{host}/name/name").parse().map_err(|_| invalid())?;
    // Without a dot or a port, it is a part of a repository on Docker Hub.
    if reference.repository() != "name/name" {
        return Err(invalid());
    }
    Ok(reference.registry().to_owned())
}

/// The file that stores credentials.
fn file(context: &Context) -> Result<PathBuf, CliError> {
    let environment = &context.environment;
    let docker = || {
        let directory =
            environment.path("DOCKER_CONFIG").or_else(|| Some(environment.home()?.join(".docker")));
        Some(directory?.join("config.json"))
    };
    environment.path("REGISTRY_AUTH_FILE").or_else(docker).ok_or_else(|| {
        CliError::usage("cannot store credentials: REGISTRY_AUTH_FILE, DOCKER_CONFIG and HOME are not set")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_hosts() {
        for (text, expected) in [
            ("registry.example", "registry.example"),
            ("https://Registry.example:5000/", "registry.example:5000"),
            ("localhost", "localhost"),
            ("index.docker.io", "docker.io"),
            ("docker.io", "docker.io"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
        ] {
            assert_eq!(registry(text).expect("a registry"), expected, "{text}");
        }
        for text in
            ["", "registry", "registry.example/team", "user@registry.example", "a b.example", "ftp://x.y"]
        {
            registry(text).expect_err(text);
        }
    }
}
