//! The room of the network: what every HTTP client of b2i shares, whatever it talks to.
//!
//! Setting clients up (TLS roots, proxies, time limits), where redirects may lead, how often to try again, and how
//! URLs and errors may be shown. Must not know what is fetched, nor any credentials.

mod client;
mod redirect;
mod retry;
mod send;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use client::{ClientError, ProxySettings};
pub(crate) use client::{ClientSetup, client};
pub(crate) use redirect::{MAX_REDIRECTS, RefusedRedirect, same_origin, target};
pub(crate) use retry::{Retries, may_pass, retry_after};
pub use send::UntrustedConnection;
pub(crate) use send::{SendError, tries};

/// How the network is used.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// Proxies.
    pub proxy: ProxySettings,
    /// Files with certificates (PEM) that are trusted besides the system's.
    pub extra_ca: Vec<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the server may be silent.
    pub read_timeout: Duration,
    /// How often a failure that may pass is tried again.
    pub retries: u32,
    /// The pause before the first of these tries; it doubles from one to the next.
    pub retry_pause: Duration,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            proxy: ProxySettings::default(),
            extra_ca: Vec::new(),
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(60),
            retries: 4,
            retry_pause: Duration::from_millis(500),
        }
    }
}

/// Returns `url` as it may be shown: without user name, password, query and fragment.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut shown = without_credentials(url);
    shown.set_query(None);
    shown.to_string()
}

/// Returns `url` without user name, password and fragment.
pub(crate) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    // This fails only for a URL without a host, which has neither.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

/// Says whether `url` leads to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Joins an error with what caused it, each said once.
pub(crate) fn describe(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// Says whether TLS itself failed; a certificate that is not trusted now will not be a second later.
fn is_tls(error: &reqwest::Error) -> bool {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if error.is::<rustls::Error>() || inner.is_some_and(|inner| inner.is::<rustls::Error>()) {
            return true;
        }
        source = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    false
}
