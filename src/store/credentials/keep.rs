//! Owns storing credentials: in the file that Docker and Podman read, or with its helper. Must not check them.
//!
//! The rest of the file stays unchanged.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::helper::Helper;
use super::{AuthFile, Credentials, CredentialsError, DOCKER_HUB_KEY, key, read};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialStore {
    /// In the file, as base64: everybody who can read it has them.
    File(PathBuf),
    /// With this program.
    Helper(String),
}

/// Stores `credentials` for `registry` (`host[:port]`) in `file` or with its helper. Creates a missing file.
pub async fn keep_credentials(
    registry: &str,
    credentials: &Credentials,
    file: &Path,
) -> Result<CredentialStore, CredentialsError> {
    let _lock = lock(file)?;
    let known: AuthFile = read(file)?.unwrap_or_default();
    if let Some(name) = known.helper_for(registry).cloned() {
        let helper = Helper { name: &name, file, registry };
        helper.store(credentials).await?;
        return Ok(CredentialStore::Helper(format!("docker-credential-{name}")));
    }
    let mut content: Map<String, Value> = read(file)?.unwrap_or_default();
    let auths = auths(&mut content, file)?;
    let auth = STANDARD.encode(format!("{}:{}", credentials.username, credentials.password));
    let entry = match &credentials.identity_token {
        Some(token) => json!({"auth": auth, "identitytoken": token}),
        None => json!({"auth": auth}),
    };
    remove_entries(auths, registry);
    let name = if key::is_docker_hub(registry) { DOCKER_HUB_KEY } else { registry };
    auths.insert(name.to_owned(), entry);
    write(file, &content)?;
    Ok(CredentialStore::File(file.to_owned()))
}

/// Removes the credentials for the whole of `registry` from `file` and its helper. Returns whether there were some.
pub async fn forget_credentials(registry: &str, file: &Path) -> Result<bool, CredentialsError> {
    if !file.exists() {
        return Ok(false);
    }
    let _lock = lock(file)?;
    let Some(known) = read::<AuthFile>(file)? else { return Ok(false) };
    let mut found = false;
    if let Some(name) = known.helper_for(registry) {
        found = Helper { name, file, registry }.erase().await?;
    }
    let mut content: Map<String, Value> = read(file)?.unwrap_or_default();
    if content.contains_key("auths") && remove_entries(auths(&mut content, file)?, registry) {
        write(file, &content)?;
        found = true;
    }
    Ok(found)
}

/// Locks the directory of the file until the returned file is dropped: two commands at once must not lose the change of
/// one. The file itself is replaced, so a lock on it would not last.
fn lock(path: &Path) -> Result<File, CredentialsError> {
    let failed = |error: &dyn fmt::Display| CredentialsError::File {
        path: path.to_owned(),
        reason: format!("cannot be locked: {error}"),
    };
    let target = target(path);
    let directory = parent(&target);
    crate::fs::create_private_directory(directory).map_err(|error| failed(&error))?;
    let directory = File::open(directory).map_err(|error| failed(&error))?;
    directory.lock().map_err(|error| failed(&error))?;
    Ok(directory)
}

/// The target of a symbolic link is replaced, not the link.
fn target(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn auths<'a>(
    content: &'a mut Map<String, Value>,
    file: &Path,
) -> Result<&'a mut Map<String, Value>, CredentialsError> {
    let auths = content.entry("auths").or_insert_with(|| json!({}));
    auths.as_object_mut().ok_or_else(|| CredentialsError::File {
        path: file.to_owned(),
        reason: "has `auths` that are not an object".into(),
    })
}

/// Removes the registry's entries in all spellings. Returns whether there were some.
fn remove_entries(auths: &mut Map<String, Value>, registry: &str) -> bool {
    let before = auths.len();
    auths.retain(|name, _| !key::is_whole(name, registry));
    auths.len() < before
}

/// Replaces the file atomically. Only its owner can read it.
fn write(path: &Path, content: &Map<String, Value>) -> Result<(), CredentialsError> {
    let failed = |error: &dyn fmt::Display| CredentialsError::File {
        path: path.to_owned(),
        reason: format!("cannot be written: {error}"),
    };
    let target = target(path);
    let directory = parent(&target);
    crate::fs::create_private_directory(directory).map_err(|error| failed(&error))?;
    let text = serde_json::to_string_pretty(content).expect("a map with string keys is always JSON");
    // Only their owner can read temporary files, also under the new name.
    let file = tempfile::Builder::new().prefix(".b2i-").tempfile_in(directory);
    let mut file = file.map_err(|error| failed(&error))?;
    writeln!(file, "{text}").map_err(|error| failed(&error))?;
    file.persist(&target).map_err(|error| failed(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::find_credentials;
    use super::*;

    fn credentials(password: &str) -> Credentials {
        Credentials { username: "user".into(), password: password.into(), identity_token: None }
    }

    #[tokio::test]
    async fn what_is_kept_is_found_and_forgotten_and_the_rest_stays() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("docker/config.json");
        let files = [file.clone()];
        assert!(!forget_credentials("r.example", &file).await.expect("nothing there"));
        let kept = keep_credentials("r.example", &credentials("p:w"), &file).await.expect("kept");
        assert_eq!(kept, CredentialStore::File(file.clone()));
        let other = r#"{"auths":{"r.example/team":{"auth":"dTpw"},"https://r.example/v2/":{"auth":"dTpw"}},"psFormat":"x"}"#;
        std::fs::write(&file, other).expect("written");
        keep_credentials("r.example", &credentials("new"), &file).await.expect("kept");
        let found = find_credentials("r.example", None, &files).await.expect("valid");
        assert_eq!(found, Some(credentials("new")), "the older spelling is gone");
        let content: Value = serde_json::from_slice(&std::fs::read(&file).expect("read")).expect("valid");
        assert_eq!(content["psFormat"], "x");
        assert!(content["auths"]["r.example/team"].is_object());
        assert!(forget_credentials("r.example", &file).await.expect("forgotten"));
        assert_eq!(find_credentials("r.example", None, &files).await.expect("valid"), None);
        assert!(find_credentials("r.example", Some("team/app"), &files).await.expect("valid").is_some());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_keep_the_credentials_of_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("docker/config.json");
        let registry = |number: usize| format!("r{number}.example");
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let file = file.clone();
                tokio::spawn(
                    async move { keep_credentials(&registry(number), &credentials("p"), &file).await },
                )
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic").expect("kept");
        }
        for number in 0..32 {
            let found = find_credentials(&registry(number), None, std::slice::from_ref(&file)).await;
            assert!(found.expect("valid").is_some(), "{number}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config.json");
        std::fs::write(&file, "{}").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        keep_credentials("docker.io", &credentials("p"), &file).await.expect("kept");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        let text = std::fs::read_to_string(&file).expect("read");
        assert!(text.contains(DOCKER_HUB_KEY), "Docker looks for no other spelling: {text}");
    }

    #[tokio::test]
    async fn a_file_that_is_wrong_is_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("config.json");
        for text in ["{", r#"{"auths":[]}"#] {
            std::fs::write(&file, text).expect("written");
            keep_credentials("r.example", &credentials("p"), &file).await.expect_err("not valid");
            assert_eq!(std::fs::read_to_string(&file).expect("read"), text);
        }
    }
}
