//! Owns the setup of an HTTP client: TLS roots, proxies, time limits. Must not read the environment.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use reqwest::{Certificate, Client, ClientBuilder, NoProxy, Proxy, RequestBuilder};
use url::Url;

use super::public::{ForbiddenAddress, PublicResolver, check_literal};
use super::{NetworkOptions, describe};

const MAX_CA_BYTES: u64 = 16 * 1024 * 1024;

/// Proxies in the form of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
#[derive(Clone, Default)]
pub struct ProxySettings {
    pub http: Option<String>,
    pub https: Option<String>,
    pub all: Option<String>,
    pub no_proxy: Option<String>,
}

impl ProxySettings {
    /// The hosts of the proxies. A proxy may be written without a scheme.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let set = [&self.http, &self.https, &self.all].into_iter().flatten();
        let parse = |text: &String| {
            let parsed = Url::parse(text).ok().filter(Url::has_host);
            parsed.or_else(|| Url::parse(&format!("http://{text}")).ok())
        };
        set.filter_map(parse).filter_map(|url| url.host_str().map(str::to_owned)).collect()
    }
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

#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct ClientError(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientSetup {
    /// Whether certificates are checked. They are not for hosts that the user configured as insecure.
    pub(crate) verified: bool,
    pub(crate) proxied: bool,
    /// Whether the client enforces the read timeout. It must not for uploads, during which the server sends nothing.
    pub(crate) limits_silence: bool,
}

impl Default for ClientSetup {
    fn default() -> Self {
        Self { verified: true, proxied: true, limits_silence: true }
    }
}

/// A client that checks the address of every request.
#[derive(Clone, Debug)]
pub(crate) struct HttpClient {
    client: Client,
    public_addresses_only: bool,
}

impl HttpClient {
    /// Begins a request. Fails if its URL has a forbidden address; a forbidden name fails when it is sent.
    pub(crate) fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, ForbiddenAddress> {
        if self.public_addresses_only {
            check_literal(&url)?;
        }
        Ok(self.client.request(method, url))
    }
}

/// Builds a client that does not follow redirects: only the caller knows which credentials belong to which host.
pub(crate) fn client(options: &NetworkOptions, setup: ClientSetup) -> Result<HttpClient, ClientError> {
    let client = trusting_client(options, setup)?;
    Ok(HttpClient { client, public_addresses_only: options.public_addresses_only })
}

fn trusting_client(options: &NetworkOptions, setup: ClientSetup) -> Result<Client, ClientError> {
    // A process has one TLS provider. If another part of b2i was faster, it chose the same.
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
        // A system without certificates, such as a minimal container.
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
    if options.public_addresses_only {
        let proxies = if setup.proxied { options.proxy.hosts() } else { Vec::new() };
        builder = builder.dns_resolver(Arc::new(PublicResolver { proxies }));
    }
    if !setup.proxied {
        return Ok(builder);
    }
    let ProxySettings { http, https, all, no_proxy } = &options.proxy;
    let no_proxy = no_proxy.as_deref().and_then(NoProxy::from_string);
    // The first proxy that applies to a URL wins.
    let settings = [("http", http), ("https", https), ("all", all)];
    for (name, value) in settings {
        let Some(value) = value.as_deref().filter(|value| !value.is_empty()) else { continue };
        // The message leaves the value out, because it may contain a password.
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
            return Err(failed("it contains no certificate in PEM form".to_owned()));
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
