//! Owns `b2i login` and `b2i logout`.

use std::path::PathBuf;

use crate::cli::arguments::login::{LoginArguments, LogoutArguments};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::cli::secret;
use crate::config::ConfigFile;
use crate::image::ImageReference;
use crate::ops;
use crate::store::credentials::{Credentials, Kept};
use crate::store::registry::LoginAnswer;

/// Checks credentials and keeps them.
pub(in crate::cli) fn run(arguments: &LoginArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let registry = registry(&arguments.host)?;
    let file = file(context)?;
    if settings.network.offline.value {
        return Err(CliError::usage(
            "logging in asks the registry, and the network is not used (`--offline`)",
        ));
    }
    let username = match &arguments.user {
        Some(user) => user.clone(),
        None if arguments.password_stdin => {
            return Err(
                CliError::usage("`--password-stdin` needs the user name").with_hint("give it with `-u USER`")
            );
        }
        None => secret::ask_user(&context.printer)?,
    };
    // RFC 7617, section 2: the first colon ends the name.
    if username.is_empty() || username.contains(':') {
        return Err(CliError::usage(format!(
            "`{username}` is no user name: it is empty or has a colon in it"
        )));
    }
    let password = match arguments.password_stdin {
        true => secret::password_from_stdin()?,
        false => secret::ask_password(&context.printer)?,
    };
    let credentials = Credentials { username, password, identity_token: None };
    let mut runtime = Runtime::start()?;
    let work = ops::log_in(&registry, &credentials, &file, &session);
    let done = runtime.run(&session, work)?;
    let events = context.progress.events();
    let (place, hint) = match &done.kept {
        Kept::Helper(helper) => (format!("`{}`", printable(helper)), None),
        Kept::File(path) => {
            let path = printable(&path.to_string_lossy()).to_string();
            let message = format!("`{path}` holds the password in the clear: whoever reads the file has it");
            (format!("`{path}`"), Some(message))
        }
    };
    if let Some(message) = hint {
        let hint = "a credential helper keeps it elsewhere: name one under `credsStore` in the file";
        events.warning(message, Some(hint.into()));
    }
    if let Some(other) = &done.shadowed_by {
        let message = format!("`{}` has other credentials for `{registry}` and comes first", other.display());
        let hint = format!(
            "name that file in REGISTRY_AUTH_FILE and log in again, or `b2i logout {registry}` there"
        );
        events.warning(message, Some(hint));
    }
    if done.answer == LoginAnswer::NotAsked {
        let message = format!("`{registry}` did not ask for credentials, so they are not checked");
        events.warning(message, None);
    }
    context.progress.finish();
    let user = printable(&credentials.username).to_string();
    context.printer.data(&format!("logged in to {registry} as {user}; kept in {place}"))
}

/// Forgets credentials.
pub(in crate::cli) fn log_out(arguments: &LogoutArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let registry = registry(&arguments.host)?;
    let file = file(context)?;
    let mut runtime = Runtime::start()?;
    let done = runtime.run(&session, ops::log_out(&registry, &file, &session))?;
    if let Some(left) = &done.left {
        let message = format!("`{}` still has credentials for `{registry}`", left.display());
        let hint = "name that file in REGISTRY_AUTH_FILE and log out again";
        context.progress.events().warning(message, Some(hint.into()));
    }
    context.progress.finish();
    context.printer.data(&match done.found {
        true => format!("logged out of {registry}"),
        false => {
            format!("there were no credentials for {registry} in `{}`", printable(&file.to_string_lossy()))
        }
    })
}

/// The registry as image names have it.
pub(super) fn registry(text: &str) -> Result<String, CliError> {
    let refused = || {
        CliError::usage(format!("`{text}` is no name of a registry"))
            .with_hint("give its host, and its port if it has one: registry.example:5000")
    };
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = host.strip_suffix('/').unwrap_or(host).to_ascii_lowercase();
    if host.contains(['/', '@', '?', '#']) {
        return Err(refused());
    }
    let reference: ImageReference = format!("{host}/name/name").parse().map_err(|_| refused())?;
    // Without a dot or a port, Docker's rules take it for a part of a name on Docker Hub.
    if reference.repository() != "name/name" {
        return Err(refused());
    }
    Ok(reference.registry().to_owned())
}

/// Where credentials are kept.
fn file(context: &Context) -> Result<PathBuf, CliError> {
    let environment = &context.environment;
    let docker = || {
        let directory =
            environment.path("DOCKER_CONFIG").or_else(|| Some(environment.home()?.join(".docker")));
        Some(directory?.join("config.json"))
    };
    environment.path("REGISTRY_AUTH_FILE").or_else(docker).ok_or_else(|| {
        CliError::usage(
            "there is no place for credentials: neither REGISTRY_AUTH_FILE, DOCKER_CONFIG nor HOME is set",
        )
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
