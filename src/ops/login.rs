//! Owns logging in to a registry and out of it: credentials are kept only if the registry takes them.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::session::Session;
use crate::store::credentials::{Credentials, Kept, find_credentials, forget_credentials, keep_credentials};
use crate::store::registry::{LoginAnswer, Registries};

/// What came of logging in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// Whether the registry asked for the credentials.
    pub answer: LoginAnswer,
    /// Where they are now.
    pub kept: Kept,
    /// A file that is looked at before and has other credentials for the registry.
    pub shadowed_by: Option<PathBuf>,
}

/// What came of logging out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedOut {
    /// Whether there was something to forget.
    pub found: bool,
    /// A file that still has credentials for the registry.
    pub left: Option<PathBuf>,
}

/// Checks `credentials` with `registry` (`host[:port]`) and keeps them by way of `file`.
///
/// # Errors
/// [`Error`] if the registry does not take them or cannot be asked, or they cannot be kept; nothing is written then.
pub async fn log_in(
    registry: &str,
    credentials: &Credentials,
    file: &Path,
    session: &Session,
) -> Result<LoggedIn, Error> {
    let registries = Registries::new(session.host.registry.clone(), session.events.clone());
    let answer = registries.check_login(registry, Some(credentials)).await?;
    let kept = keep_credentials(registry, credentials, file).await?;
    let files = &session.host.registry.credential_files;
    let before = files.iter().take_while(|other| *other != file);
    let shadowed_by = first_with(registry, before).await?;
    Ok(LoggedIn { answer, kept, shadowed_by })
}

/// Forgets what `file` and its helper keep for `registry`.
///
/// # Errors
/// [`Error`] if a file is not valid or cannot be written, or a helper does not work.
pub async fn log_out(registry: &str, file: &Path, session: &Session) -> Result<LoggedOut, Error> {
    let found = forget_credentials(registry, file).await?;
    let left = first_with(registry, session.host.registry.credential_files.iter()).await?;
    Ok(LoggedOut { found, left })
}

/// The first of `files` that has credentials for the whole of `registry`.
pub(crate) async fn first_with(
    registry: &str,
    files: impl Iterator<Item = &PathBuf>,
) -> Result<Option<PathBuf>, Error> {
    for file in files {
        if find_credentials(registry, None, std::slice::from_ref(file)).await?.is_some() {
            return Ok(Some(file.clone()));
        }
    }
    Ok(None)
}
