//! Owns the file of the certificate authorities that git believes, where the configuration names further ones: git
//! takes one file alone, so what it believes by itself has to be in it too.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::error::GitError;
use super::process::Git;

/// Where systems have the authorities that programs believe.
const OF_SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// More than all authorities of a system take.
const MAXIMUM: u64 = 16 * 1024 * 1024;

/// What a file of certificates has in it.
const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Writes the file; none if the configuration names no authority. It goes with the directory.
pub(super) async fn bundle(git: &Git<'_>, temporary: &Path) -> Result<Option<PathBuf>, GitError> {
    let extra = &git.options.extra_ca;
    if extra.is_empty() {
        return Ok(None);
    }
    let mut all = match believed(git).await? {
        Some(path) => read(&path)?,
        None => Vec::new(),
    };
    for path in extra {
        let added = read(path)?;
        if !added.windows(MARK.len()).any(|part| part == MARK) {
            let reason = "it holds no certificate in PEM form".to_owned();
            return Err(GitError::Certificates { path: path.clone(), reason });
        }
        all.push(b'\n');
        all.extend(added);
    }
    let file = tempfile::Builder::new().prefix("authorities-").disable_cleanup(true).tempfile_in(temporary);
    let written = file.and_then(|mut file| file.write_all(&all).map(|()| file.path().to_owned()));
    written.map(Some).map_err(GitError::Start)
}

/// What git believes by itself: what its user says, else what the system has.
async fn believed(git: &Git<'_>) -> Result<Option<PathBuf>, GitError> {
    if let Some(path) = git.options.value("GIT_SSL_CAINFO") {
        return Ok(Some(path));
    }
    let configured = git.ask(&["config", "--type=path", "--get", "http.sslCAInfo"]).await?;
    let configured = String::from_utf8_lossy(&configured.stdout).trim().to_owned();
    if !configured.is_empty() {
        return Ok(Some(configured.into()));
    }
    let of_system = OF_SYSTEM.iter().map(PathBuf::from).find(|path| path.is_file());
    Ok(git.options.value("SSL_CERT_FILE").or(of_system))
}

fn read(path: &Path) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAXIMUM).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => Err(GitError::Certificates { path: path.to_owned(), reason: error.to_string() }),
    }
}
