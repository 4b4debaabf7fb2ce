//! Owns talking to credential helpers: the programs `docker-credential-…` that keep secrets out of files.
//!
//! Secrets go through their standard streams alone, never through arguments or the environment.
//!
//! Source: docker's "Credential helpers" protocol (docker-credential-helpers, README).

use std::path::Path;
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::{Credentials, CredentialsError, DOCKER_HUB_KEY, HELPER_TIMEOUT, key};

/// What a helper calls the user of an identity token.
const TOKEN_USER: &str = "<token>";

/// A helper that a file names for a registry.
pub(super) struct Helper<'a> {
    /// Its name, without `docker-credential-`.
    pub(super) name: &'a str,
    /// The file that names it.
    pub(super) file: &'a Path,
    /// The registry it is asked about.
    pub(super) registry: &'a str,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

impl Helper<'_> {
    /// Asks for the registry's credentials.
    pub(super) async fn get(&self) -> Result<Option<Credentials>, CredentialsError> {
        let output = self.call("get", self.server()).await?;
        if !output.status.success() {
            return if says_not_found(&output) { Ok(None) } else { Err(self.ended_badly(&output)) };
        }
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| self.failed("gave an answer that is not valid".into()))?;
        if answer.secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(if answer.username == TOKEN_USER {
            Credentials {
                username: String::new(),
                password: String::new(),
                identity_token: Some(answer.secret),
            }
        } else {
            Credentials { username: answer.username, password: answer.secret, identity_token: None }
        }))
    }

    /// Hands the registry's credentials over.
    pub(super) async fn store(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let (username, secret) = match &credentials.identity_token {
            Some(token) => (TOKEN_USER, token),
            None => (credentials.username.as_str(), &credentials.password),
        };
        let text = serde_json::json!({"ServerURL": self.server(), "Username": username, "Secret": secret});
        let output = self.call("store", &text.to_string()).await?;
        if output.status.success() { Ok(()) } else { Err(self.ended_badly(&output)) }
    }

    /// Has the registry's credentials forgotten; says whether there were some.
    pub(super) async fn erase(&self) -> Result<bool, CredentialsError> {
        let output = self.call("erase", self.server()).await?;
        match output.status.success() {
            true => Ok(true),
            false if says_not_found(&output) => Ok(false),
            false => Err(self.ended_badly(&output)),
        }
    }

    fn server(&self) -> &str {
        if key::is_docker_hub(self.registry) { DOCKER_HUB_KEY } else { self.registry }
    }

    fn program(&self) -> String {
        format!("docker-credential-{}", self.name)
    }

    fn failed(&self, reason: String) -> CredentialsError {
        CredentialsError::Helper {
            helper: self.program(),
            path: self.file.to_owned(),
            registry: self.registry.to_owned(),
            reason,
        }
    }

    fn ended_badly(&self, output: &Output) -> CredentialsError {
        self.failed(format!("failed ({})", output.status))
    }

    async fn call(&self, verb: &str, input: &str) -> Result<Output, CredentialsError> {
        if !self.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Err(self.failed("has no valid name".into()));
        }
        let exchange = async {
            let mut child = tokio::process::Command::new(self.program())
                .arg(verb)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .kill_on_drop(true)
                .spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                // A helper may answer without reading its input to the end.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            child.wait_with_output().await
        };
        match tokio::time::timeout(HELPER_TIMEOUT, exchange).await {
            Err(_) => Err(self.failed(format!("did not answer within {} s", HELPER_TIMEOUT.as_secs()))),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(self.failed("is not installed".into()))
            }
            Ok(Err(error)) => Err(self.failed(format!("could not be started: {error}"))),
            Ok(Ok(output)) => Ok(output),
        }
    }
}

/// Helpers say so on their standard output and end with 1.
fn says_not_found(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("credentials not found")
}
