//! Owns the secrets of a request: reads variables of the host, and small files.
//!
//! Must not put a value into a message.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};

use super::Host;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::input::{HttpOptions, Secret, SecretReference};
use crate::request::Request;

/// The largest file with headers, passwords or variables that is read, in bytes.
const MAXIMUM_LENGTH: u64 = 1 << 20;

/// Why a secret cannot be read. `purpose` is the option that names it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of a variant describes it")]
pub enum SecretError {
    #[error("the variable `{name}` is not set ({purpose})")]
    Unset { purpose: String, name: String },
    #[error("the variable `{name}` is empty ({purpose})")]
    Empty { purpose: String, name: String },
    #[error("the variable `{name}` is not UTF-8 ({purpose})")]
    NotUtf8 { purpose: String, name: String },
    #[error("cannot read `{}` ({purpose})", .path.display())]
    File { purpose: String, path: PathBuf, source: io::Error },
    #[error("the header `{name}` is not valid: {reason} (--header-env)")]
    Header { name: String, reason: &'static str },
    /// Lines count from 1.
    #[error("line {line} of `{}` is not a valid header: {reason}", .path.display())]
    HeaderLine { path: PathBuf, line: usize, reason: &'static str },
}

impl Diagnostic for SecretError {
    fn kind(&self) -> FailureKind {
        FailureKind::Usage
    }
}

impl Host {
    /// Reads a secret.
    ///
    /// # Errors
    /// [`SecretError`] if it is missing or not UTF-8.
    pub(crate) fn secret(&self, reference: &SecretReference, purpose: &str) -> Result<String, SecretError> {
        let name = match reference {
            SecretReference::File(path) => {
                let text = read_secret_file(path, purpose)?;
                let line = text.strip_suffix('\n').map(|text| text.strip_suffix('\r').unwrap_or(text));
                return Ok(line.unwrap_or(&text).to_owned());
            }
            SecretReference::Variable(name) => name.clone(),
        };
        let purpose = purpose.to_owned();
        match self.variables.get(&name).map(|value| value.to_str()) {
            Some(Some("")) => Err(SecretError::Empty { purpose, name }),
            Some(Some(value)) => Ok(value.to_owned()),
            Some(None) => Err(SecretError::NotUtf8 { purpose, name }),
            None => Err(SecretError::Unset { purpose, name }),
        }
    }

    /// Reads the secrets of a request's downloads. A build without downloads does not read the user's netrc file, which may
    /// be unreadable.
    ///
    /// # Errors
    /// [`SecretError`] of the first secret that cannot be read.
    pub(crate) fn http_options(&self, request: &Request) -> Result<HttpOptions, SecretError> {
        let download = &request.input.download;
        let mut headers = Vec::new();
        for request in &download.headers {
            let value = self.secret(&request.value, "--header-env")?;
            let invalid = |reason| SecretError::Header { name: request.name.clone(), reason };
            headers.push(header(&request.name, &value).map_err(invalid)?);
        }
        if let Some(path) = &download.header_file {
            headers.extend(headers_in(path)?);
        }
        let bearer = download.bearer.as_ref().map(|bearer| self.secret(bearer, "--bearer-env"));
        let netrc = match (&download.netrc, &self.netrc) {
            (Some(path), _) => Some(read_secret_file(path, "--netrc-file")?),
            (None, Some(path)) if request.may_download() => Some(read_secret_file(path, "netrc")?),
            (None, _) => None,
        };
        Ok(HttpOptions {
            headers,
            bearer: bearer.transpose()?.map(Secret::new),
            netrc: netrc.map(Secret::new),
            network: self.registry.network.clone(),
        })
    }
}

fn read_secret_file(path: &Path, purpose: &str) -> Result<String, SecretError> {
    read_small_file(path).map_err(|source| SecretError::File {
        purpose: purpose.to_owned(),
        path: path.to_owned(),
        source,
    })
}

/// Reads a file of at most [`MAXIMUM_LENGTH`] bytes.
pub(crate) fn read_small_file(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAXIMUM_LENGTH + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAXIMUM_LENGTH {
        return Err(io::Error::other(format!("the file is larger than {MAXIMUM_LENGTH} bytes")));
    }
    Ok(text)
}

fn headers_in(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, SecretError> {
    let text = read_secret_file(path, "--header-file")?;
    let mut headers = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        // The message leaves the line out: it may contain a password.
        let invalid = |reason| SecretError::HeaderLine { path: path.to_owned(), line: number + 1, reason };
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("expected `Name: value`"))?;
        headers.push(header(name.trim(), value.trim()).map_err(invalid)?);
    }
    Ok(headers)
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), &'static str> {
    let name = name.parse::<HeaderName>().map_err(|_| "the name is not a header name")?;
    let mut value =
        value.parse::<HeaderValue>().map_err(|_| "the value has characters that a header cannot have")?;
    // Hides it in debug output.
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{DownloadRequest, HeaderRequest, InputOptions, InputSource};

    fn host() -> Host {
        let variables = [("TOKEN", "hunter2"), ("BAD", "a\nb"), ("EMPTY", "")];
        Host { variables: variables.into_iter().collect(), ..Host::new("unused") }
    }

    fn options(name: &str, variable: &str) -> Result<HttpOptions, SecretError> {
        let value = SecretReference::Variable(variable.to_owned());
        let headers = vec![HeaderRequest { name: name.to_owned(), value }];
        let download = DownloadRequest { headers, ..DownloadRequest::default() };
        let input = InputOptions { download, ..InputOptions::default() };
        host().http_options(&Request { input, ..Request::default() })
    }

    #[test]
    fn the_users_netrc_file_is_read_for_downloads_only() {
        let host = Host { netrc: Some("missing/.netrc".into()), ..Host::new("unused") };
        let read = |artifact: &str| {
            let artifacts = vec![InputSource::parse(artifact).expect("an artifact")];
            host.http_options(&Request { artifacts, ..Request::default() })
        };
        assert!(read("app.jar").expect("nothing is downloaded").netrc.is_none());
        let error = read("https://host.example/app.jar").expect_err("the file is missing");
        assert!(error.to_string().contains("missing/.netrc"), "{error}");
    }

    #[test]
    fn headers_come_from_variables_and_stay_secret() {
        let made = options("Private-Token", "TOKEN").expect("valid");
        let (name, value) = &made.headers[0];
        assert_eq!((name.as_str(), value.to_str().expect("ASCII")), ("private-token", "hunter2"));
        assert!(!format!("{made:?} {:?}", host()).contains("hunter2"));
        for (name, variable) in [("X", "MISSING"), ("X", "EMPTY"), ("X", "BAD"), ("a b", "TOKEN")] {
            let error = options(name, variable).expect_err(variable).to_string();
            assert!(!error.contains("hunter2") && !error.contains("a\nb"), "{error}");
        }
    }

    #[test]
    fn header_files_have_a_header_a_line() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "# comment\nA: 1\n\nB:x:y \n").expect("writing");
        let headers = headers_in(file.path()).expect("valid");
        let texts: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(texts, [("a", &b"1"[..]), ("b", b"x:y")]);
        std::fs::write(file.path(), "A: 1\nhunter2\n").expect("writing");
        let text = headers_in(file.path()).expect_err("no colon").to_string();
        assert!(text.contains("line 2 of") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_file_holds_a_secret_without_its_line_end() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "hunter2\n").expect("writing");
        let reference = SecretReference::File(file.path().to_owned());
        assert_eq!(host().secret(&reference, "a test").expect("readable"), "hunter2");
    }
}
