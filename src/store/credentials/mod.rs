//! Owns the search for a registry's credentials in the files and helpers of Docker and Podman.
//!
//! Must not return credentials of another host, print or store a secret, or read the environment: `cli/` passes the files.
//!
//! Source: docker's "Credential store" documentation; containers-auth.json(5).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, FailureKind};

mod helper;
mod keep;
mod key;

use helper::Helper;
pub use keep::{CredentialStore, forget_credentials, keep_credentials};

/// Largest credentials file, in bytes.
const MAXIMUM_FILE: u64 = 4 << 20;

/// Time limit for a credential helper. Some ask the user.
const HELPER_TIMEOUT: Duration = Duration::from_secs(120);

/// Docker's key for Docker Hub.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Empty with an identity token.
    pub username: String,
    /// Empty with an identity token.
    pub password: String,
    /// An OAuth 2 refresh token.
    pub identity_token: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credentials(…)")
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the credentials file `{}` {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("the credential helper `{helper}`, which `{}` names for `{registry}`, {reason}", path.display())]
    Helper { helper: String, path: PathBuf, registry: String, reason: String },
}

impl Diagnostic for CredentialsError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::File { .. } => Vec::new(),
            Self::Helper { helper, path, .. } => {
                vec![format!("install `{helper}`, or remove it from `{}`", path.display())]
            }
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthFile {
    auths: BTreeMap<String, AuthEntry>,
    #[serde(rename = "credsStore")]
    store: Option<String>,
    #[serde(rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
}

impl AuthFile {
    fn helper_for(&self, registry: &str) -> Option<&String> {
        let named = key::best_first(&self.helpers, registry, None).into_iter().next();
        named.map(|(_, helper)| helper).or(self.store.as_ref()).filter(|helper| !helper.is_empty())
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// Finds the credentials for `repository` of `registry` (`host[:port]`), in the first of `files` that has some.
///
/// A helper has priority over the entries of its file. The most specific entry wins, as in containers-auth.json(5):
/// `registry/namespace/name`, then `registry/namespace`, then the registry. Without `repository` only entries of the whole
/// registry count.
///
/// # Errors
/// [`CredentialsError`] if a file is not valid, or a helper for this registry fails.
pub async fn find_credentials(
    registry: &str,
    repository: Option<&str>,
    files: &[PathBuf],
) -> Result<Option<Credentials>, CredentialsError> {
    for path in files {
        let Some(file) = read::<AuthFile>(path)? else { continue };
        if let Some(found) = find_in(registry, repository, path, file).await? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

async fn find_in(
    registry: &str,
    repository: Option<&str>,
    path: &Path,
    file: AuthFile,
) -> Result<Option<Credentials>, CredentialsError> {
    if let Some(helper) = file.helper_for(registry)
        && let Some(found) = (Helper { name: helper, file: path, registry }).get().await?
    {
        return Ok(Some(found));
    }
    for (key, entry) in key::best_first(&file.auths, registry, repository) {
        // Docker writes an empty entry for what a helper stores.
        if let Some(found) = entry.credentials().map_err(|reason| CredentialsError::File {
            path: path.to_owned(),
            reason: format!("has an entry for `{key}` {reason}"),
        })? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl AuthEntry {
    /// The credentials of the entry. The error quotes nothing.
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        const INVALID: &str = "whose `auth` is not `user:password` in base64";
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let identity_token = self.identitytoken.clone().filter(|token| !token.is_empty());
        let (username, password) = match self.auth.as_ref().filter(|auth| !auth.is_empty()) {
            Some(auth) => {
                let bytes = STANDARD.decode(auth.trim()).map_err(|_| INVALID)?;
                let text = String::from_utf8(bytes).map_err(|_| INVALID)?;
                let (username, password) = text.split_once(':').ok_or(INVALID)?;
                (username.to_owned(), password.trim_end_matches('\0').to_owned())
            }
            None => (text(&self.username), text(&self.password)),
        };
        let empty = username.is_empty() && password.is_empty() && identity_token.is_none();
        Ok((!empty).then_some(Credentials { username, password, identity_token }))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, CredentialsError> {
    read_json(path).map_err(|reason| CredentialsError::File { path: path.to_owned(), reason })
}

/// Reads one of Docker's JSON files as `T`; `None` if it does not exist. The error is a clause after the file's name.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, String> {
    let size = match std::fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    if size > MAXIMUM_FILE {
        return Err(format!("has {size} bytes; the limit is {MAXIMUM_FILE}"));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    // The parser's message could quote a secret. Its position cannot.
    let invalid = |error: serde_json::Error| {
        format!("is not valid at line {}, column {}", error.line(), error.column())
    };
    serde_json::from_slice(&bytes).map(Some).map_err(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn find(registry: &str, text: &str) -> Result<Option<Credentials>, CredentialsError> {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("config.json");
        std::fs::write(&path, text).expect("written");
        find_credentials(registry, None, &[directory.path().join("absent.json"), path]).await
    }

    #[tokio::test]
    async fn an_entry_is_used_for_its_own_registry_only() {
        let auth = STANDARD.encode("user:p:w");
        let text = format!(r#"{{"auths":{{"https://registry.example/v2/":{{"auth":"{auth}"}}}}}}"#);
        let found = find("registry.example", &text).await.expect("valid").expect("found");
        assert_eq!((found.username.as_str(), found.password.as_str()), ("user", "p:w"));
        for other in ["registry.example:5000", "docker.io", "example", "evil.registry.example"] {
            assert_eq!(find(other, &text).await.expect("valid"), None, "{other}");
        }
    }

    #[tokio::test]
    async fn of_several_entries_the_most_specific_one_wins_every_time() {
        let entry = |key: &str, user: &str| {
            format!(r#""{key}":{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:password")))
        };
        let text = format!(
            r#"{{"auths":{{{},{},{},"docker.io/empty":{{}}}}}}"#,
            entry(DOCKER_HUB_KEY, "old"),
            entry("docker.io", "exact"),
            entry("docker.io/team", "team"),
        );
        let directory = tempfile::tempdir().expect("directory");
        let files = [directory.path().join("auth.json")];
        std::fs::write(&files[0], text).expect("written");
        for (repository, expected) in [
            (None, "exact"),
            (Some("library/nginx"), "exact"),
            (Some("team/app"), "team"),
            (Some("empty/app"), "exact"),
        ] {
            for _ in 0..8 {
                let found = find_credentials("docker.io", repository, &files).await.expect("valid");
                assert_eq!(found.expect("found").username, expected, "{repository:?}");
            }
        }
    }

    #[tokio::test]
    async fn docker_hub_has_several_names() {
        let auth = STANDARD.encode("user:password");
        for key in [DOCKER_HUB_KEY, "docker.io", "index.docker.io", "registry-1.docker.io"] {
            let text = format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#);
            assert!(find("docker.io", &text).await.expect("valid").is_some(), "{key}");
        }
    }

    #[tokio::test]
    async fn a_missing_helper_is_an_error_for_its_registry_only() {
        let text = r#"{"credHelpers":{"registry.example":"b2i-test-absent"}}"#;
        let error = find("registry.example", text).await.expect_err("not installed");
        assert!(error.to_string().contains("docker-credential-b2i-test-absent"), "{error}");
        assert_eq!(find("other.example", text).await.expect("valid"), None);
        let sneaky = r#"{"credsStore":"../../evil"}"#;
        assert!(find("registry.example", sneaky).await.is_err());
    }

    #[tokio::test]
    async fn wrong_files_are_errors_that_quote_no_secret() {
        for text in [r#"{"auths":{"r.example":{"auth":"c2VjcmV0"}}}"#, r#"{"auths":{"r.example":"secret"}}"#]
        {
            let error = find("r.example", text).await.expect_err("not valid").to_string();
            assert!(!error.contains("secret") && !error.contains("c2VjcmV0"), "{error}");
        }
        let found = Credentials { username: "u".into(), password: "secret".into(), identity_token: None };
        assert!(!format!("{found:?}").contains("secret"));
    }
}
