//! Owns asking a registry whether it takes credentials. Must not keep them.
//!
//! Source: OCI distribution spec v1.1, "Determining Support".

use std::sync::Arc;

use http::{Method, StatusCode};

use super::Registries;
use super::error::{RegistryError, RequestError};
use super::host::Host;
use super::request::{Call, send};
use crate::store::credentials::Credentials;

/// What a registry made of credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginAnswer {
    /// It asked for credentials and took them.
    Accepted,
    /// It lets everybody look and did not ask; whether it takes them shows only later.
    NotAsked,
}

impl Registries {
    /// Asks `registry` (`host[:port]`) whether it takes `credentials`; without them, those of the credentials files
    /// for the whole registry, if there are some.
    ///
    /// # Errors
    /// [`RegistryError::Login`] if it does not take them, or cannot be asked.
    pub async fn check_login(
        &self,
        registry: &str,
        credentials: Option<&Credentials>,
    ) -> Result<LoginAnswer, RegistryError> {
        let answer = self.ask_for_entry(registry, credentials).await;
        answer.map_err(|source| RegistryError::Login { registry: registry.to_owned(), source })
    }

    async fn ask_for_entry(
        &self,
        registry: &str,
        credentials: Option<&Credentials>,
    ) -> Result<LoginAnswer, RequestError> {
        let inner = &*self.0;
        // Apart from the registry that others ask: what it was shown here is not to be shown there.
        let host = Host::new(registry, &inner.settings, &inner.loopback, &inner.verified, &inner.events)?;
        let host = Arc::new(host);
        if let Some(credentials) = credentials {
            host.authority.lock().await.give(credentials);
        }
        let call = Call::new(Method::GET, "v2/", Vec::new());
        send(&host, &call).await?.expect(&[StatusCode::OK]).await?;
        let was_asked = host.authority.lock().await.was_asked();
        Ok(if was_asked { LoginAnswer::Accepted } else { LoginAnswer::NotAsked })
    }
}
