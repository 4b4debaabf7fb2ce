//! Owns the file with git's certificate authorities if the configuration adds some. Must not drop git's own: git reads only
//! one file, so this file contains them too.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::process::Git;

/// The files in which systems have their certificate authorities.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Largest file of certificates, in bytes.
const MAXIMUM: u64 = 16 * 1024 * 1024;

const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Writes the file into `temporary`, which removes it; `None` if the configuration adds no authority.
pub(super) async fn bundle(git: &Git<'_>, temporary: &Path) -> Result<Option<PathBuf>, GitError> {
    let extra = &git.options.extra_ca;
    if extra.is_empty() {
        return Ok(None);
    }
    let mut all = default_file(git).await?.map(|path| read(&path)).transpose()?.unwrap_or_default();
    for path in extra {
        let added = read(path)?;
        if !added.windows(MARK.len()).any(|part| part == MARK) {
            let reason = "it contains no certificate in PEM form".to_owned();
            return Err(GitError::Certificates { path: path.clone(), reason });
        }
        all.push(b'\n');
        all.extend(added);
    }
    let file = tempfile::Builder::new().prefix("authorities-").disable_cleanup(true).tempfile_in(temporary);
    let written = file.and_then(|mut file| file.write_all(&all).map(|()| file.path().to_owned()));
    written.map(Some).map_err(GitError::Start)
}

/// The file of git's own authorities: the user's, else the system's.
async fn default_file(git: &Git<'_>) -> Result<Option<PathBuf>, GitError> {
    if let Some(path) = git.options.value("GIT_SSL_CAINFO") {
        return Ok(Some(path));
    }
    let configured = git.ask(&["config", "--type=path", "--get", "http.sslCAInfo"]).await?;
    let configured = String::from_utf8_lossy(&configured.stdout).trim().to_owned();
    if !configured.is_empty() {
        return Ok(Some(configured.into()));
    }
    let system_file = SYSTEM_FILES.iter().map(PathBuf::from).find(|path| path.is_file());
    Ok(git.options.value("SSL_CERT_FILE").or(system_file))
}

fn read(path: &Path) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAXIMUM).read_to_end(&mut bytes));
    read.map_err(|error| GitError::Certificates { path: path.to_owned(), reason: error.to_string() })?;
    Ok(bytes)
}
