//! Owns login and logout.
//!
//! Must not store credentials that the registry rejects.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::session::Session;
use crate::store::credentials::{
    CredentialStore, Credentials, find_credentials, forget_credentials, keep_credentials,
};
use crate::store::registry::{LoginAnswer, Registries};

/// The result of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub answer: LoginAnswer,
    pub stored: CredentialStore,
    /// A file that is read first and has other credentials for the registry.
    pub shadowed_by: Option<PathBuf>,
}

/// The result of a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logout {
    /// Whether credentials were removed.
    pub removed: bool,
    /// A file that still has credentials for the registry.
    pub remaining: Option<PathBuf>,
}

/// Checks `credentials` with `registry` (`host[:port]`) and stores them in `file` or its credential helper.
///
/// # Errors
/// [`Error`] if the registry rejects them or does not answer, or if they cannot be stored. Nothing is written then.
pub async fn log_in(
    registry: &str,
    credentials: &Credentials,
    file: &Path,
    session: &Session,
) -> Result<Login, Error> {
    let registries = Registries::new(session.host.registry.clone(), session.events.clone());
    let answer = registries.check_login(registry, Some(credentials)).await?;
    let stored = keep_credentials(registry, credentials, file).await?;
    let files = session.host.registry.credential_files.iter();
    let shadowed_by = file_with_credentials(registry, files.take_while(|other| *other != file)).await?;
    Ok(Login { answer, stored, shadowed_by })
}

/// Removes the credentials of `registry` from `file` and its credential helper.
pub async fn log_out(registry: &str, file: &Path, session: &Session) -> Result<Logout, Error> {
    let removed = forget_credentials(registry, file).await?;
    let files = session.host.registry.credential_files.iter();
    Ok(Logout { removed, remaining: file_with_credentials(registry, files).await? })
}

/// The first of `files` that has credentials for the whole of `registry`.
pub(super) async fn file_with_credentials(
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
