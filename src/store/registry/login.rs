//! Owns checking credentials at a registry. Must not store them.
//!
//! Source: OCI distribution spec v1.1, "Determining Support".

use std::sync::Arc;

use http::{Method, StatusCode};

use super::Registries;
use super::error::RegistryError;
use super::request::{Call, send};
use crate::store::credentials::Credentials;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginAnswer {
    /// The registry required credentials and accepted them.
    Accepted,
    /// The registry allows reading without credentials. Whether it accepts them shows at the next push.
    NotAsked,
}

impl Registries {
    /// Checks `credentials` at `registry` (`host[:port]`). Without them, checks those of the credentials files for the whole
    /// registry, if there are some.
    pub async fn check_login(
        &self,
        registry: &str,
        credentials: Option<&Credentials>,
    ) -> Result<LoginAnswer, RegistryError> {
        let login = async {
            // The check uses a separate host: these credentials are not for other requests.
            let host = Arc::new(self.new_host(registry)?);
            if let Some(credentials) = credentials {
                host.authority.lock().await.log_in(credentials);
            }
            let call = Call::new(Method::GET, "v2/", Vec::new());
            send(&host, &call).await?.expect(&[StatusCode::OK]).await?;
            let was_challenged = host.authority.lock().await.was_challenged();
            Ok(if was_challenged { LoginAnswer::Accepted } else { LoginAnswer::NotAsked })
        };
        login.await.map_err(|source| RegistryError::Login { registry: registry.to_owned(), source })
    }
}
