//! Owns setting up an HTTP client: TLS roots, proxies, time limits.
//!
//! The environment is not read here; proxy settings are handed in.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy};

use super::{NetworkOptions, describe};

const MAX_CA_BYTES: u64 = 16 * 1024 * 1024;

/// Proxies, as `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` state them.
#[derive(Clone, Default)]
pub struct ProxySettings {
    /// For http URLs.
    pub http: Option<String>,
    /// For https URLs.
    pub https: Option<String>,
    /// For those that have none of their own.
    pub all: Option<String>,
    /// Hosts that are reached directly.
    pub no_proxy: Option<String>,
}

/// Proxy URLs may hold passwords.
impl std::fmt::Debug for ProxySettings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = |value: &Option<String>| value.is_some();
        formatter
            .debug_struct("ProxySettings")
            .field("http", &set(&self.http))
            .field("https", &set(&self.https))
            .field("all", &set(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

/// Settings that no client can be made from: which, and why.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ClientError(String);

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSetup {
    /// Whether servers have to prove who they are. Not for hosts of which the user said that they cannot.
    pub(crate) verified: bool,
    /// Whether proxies are used.
    pub(crate) proxied: bool,
    /// Whether the client itself watches how long a server is silent. It cannot tell a long upload from silence.
    pub(crate) limits_silence: bool,
}

impl Default for ClientSetup {
    fn default() -> Self {
        Self { verified: true, proxied: true, limits_silence: true }
    }
}

/// Builds a client.
///
/// Redirects are not followed by it, because only its user knows which credentials belong to which host.
pub(crate) fn client(options: &NetworkOptions, setup: ClientSetup) -> Result<Client, ClientError> {
    // A process has one TLS provider; if another part was faster, it chose the same.
    drop(rustls::crypto::ring::default_provider().install_default());
    if !setup.verified {
        let client = builder(options, setup)?.tls_danger_accept_invalid_certs(true).build();
        return client.map_err(|error| ClientError(describe(&error)));
    }
    let certificates = extra_certificates(&options.extra_ca)?;
    let system_only = builder(options, setup)?.build();
    let client = match (system_only, certificates.is_empty()) {
        (Ok(client), true) => Ok(client),
        (Ok(_), false) => builder(options, setup)?.tls_certs_merge(certificates).build(),
        // A system without any certificates, such as a minimal container.
        (Err(_), _) => builder(options, setup)?
            .tls_certs_merge(built_in_certificates())
            .tls_certs_merge(certificates)
            .build(),
    };
    client.map_err(|error| ClientError(describe(&error)))
}

fn builder(options: &NetworkOptions, setup: ClientSetup) -> Result<ClientBuilder, ClientError> {
    let mut builder = Client::builder()
        .user_agent(concat!("b2i/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .connect_timeout(options.connect_timeout)
        .tcp_keepalive(Duration::from_secs(30))
        .no_proxy();
    if setup.limits_silence {
        builder = builder.read_timeout(options.read_timeout);
    }
    if !setup.proxied {
        return Ok(builder);
    }
    let ProxySettings { http, https, all, no_proxy } = &options.proxy;
    let no_proxy = no_proxy.as_deref().and_then(NoProxy::from_string);
    // The first that fits counts.
    let settings = [("http", http), ("https", https), ("all", all)];
    for (name, value) in settings {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        // The value may hold a password and is not shown.
        let proxy = match name {
            "http" => Proxy::http(value),
            "https" => Proxy::https(value),
            _ => Proxy::all(value),
        };
        let proxy = proxy.map_err(|_| ClientError(format!("the proxy for `{name}` is not a URL")))?;
        builder = builder.proxy(proxy.no_proxy(no_proxy.clone()));
    }
    Ok(builder)
}

fn extra_certificates(paths: &[impl AsRef<Path>]) -> Result<Vec<Certificate>, ClientError> {
    let mut certificates = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let failed = |reason: String| {
            ClientError(format!("the certificate file `{}` cannot be used: {reason}", path.display()))
        };
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(MAX_CA_BYTES).read_to_end(&mut bytes));
        read.map_err(|error| failed(error.to_string()))?;
        let found = Certificate::from_pem_bundle(&bytes).map_err(|error| failed(describe(&error)))?;
        if found.is_empty() {
            return Err(failed("it holds no certificate in PEM form".to_owned()));
        }
        certificates.extend(found);
    }
    Ok(certificates)
}

fn built_in_certificates() -> Vec<Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|der| Certificate::from_der(der).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_settings_it_cannot_use_without_showing_secrets() {
        let proxy =
            ProxySettings { https: Some("http://user:secret@[".to_owned()), ..ProxySettings::default() };
        assert!(!format!("{proxy:?}").contains("secret"));
        let refuse = |options| client(&options, ClientSetup::default()).expect_err("refused").to_string();
        let error = refuse(NetworkOptions { proxy, ..NetworkOptions::default() });
        assert!(error.contains("`https`") && !error.contains("secret"), "{error}");
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        let options = NetworkOptions { extra_ca: vec![file.path().to_owned()], ..NetworkOptions::default() };
        let error = refuse(options);
        assert!(error.contains("no certificate"), "{error}");
    }

    #[test]
    fn the_built_in_certificates_can_be_used() {
        assert!(built_in_certificates().len() > 50);
    }
}
