//! Owns calling credential helpers (`docker-credential-…`). Must pass secrets through standard streams only.
//!
//! Source: docker's "Credential helpers" protocol (docker-credential-helpers, README).

use std::path::Path;
use std::process::{Output, Stdio};

use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use super::{Credentials, CredentialsError, DOCKER_HUB_KEY, HELPER_TIMEOUT, key};

/// The user name of an identity token.
const TOKEN_USER: &str = "<token>";

pub(super) struct Helper<'a> {
    /// The name without `docker-credential-`.
    pub(super) name: &'a str,
    pub(super) file: &'a Path,
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
    pub(super) async fn get(&self) -> Result<Option<Credentials>, CredentialsError> {
        let output = self.call("get", self.server()).await?;
        if !output.status.success() {
            return if says_not_found(&output) { Ok(None) } else { Err(self.ended_badly(&output)) };
        }
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| self.failed("sent an answer that is not valid".into()))?;
        if answer.secret.is_empty() {
            return Ok(None);
        }
        Ok(Some(match answer.username.as_str() {
            TOKEN_USER => Credentials { identity_token: Some(answer.secret), ..Credentials::default() },
            _ => Credentials { username: answer.username, password: answer.secret, identity_token: None },
        }))
    }

    pub(super) async fn store(&self, credentials: &Credentials) -> Result<(), CredentialsError> {
        let (username, secret) = match &credentials.identity_token {
            Some(token) => (TOKEN_USER, token),
            None => (credentials.username.as_str(), &credentials.password),
        };
        let text = serde_json::json!({"ServerURL": self.server(), "Username": username, "Secret": secret});
        let output = self.call("store", &text.to_string()).await?;
        if output.status.success() { Ok(()) } else { Err(self.ended_badly(&output)) }
    }

    /// Removes the registry's credentials. Returns whether there were some.
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
            return Err(self.failed("does not have a valid name".into()));
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
                // A helper may answer before it has read all its input.
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

/// Helpers print this to standard output and exit with 1.
fn says_not_found(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stdout).contains("credentials not found")
}
