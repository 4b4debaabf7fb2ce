//! Owns what all HTTP clients of b2i share: setup, redirects, retries, and URLs and errors in messages. Must not know
//! what is fetched, nor any credentials.

mod client;
mod pace;
mod public;
mod redirect;
mod retry;
mod send;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

pub use client::{ClientError, ProxySettings};
pub(crate) use client::{ClientSetup, HttpClient, client};
pub(crate) use pace::{Pace, is_slow, too_slow};
pub use public::ForbiddenAddress;
pub(crate) use public::check_public;
pub(crate) use redirect::{MAX_REDIRECTS, RefusedRedirect, same_origin, target};
pub(crate) use retry::{Retries, may_pass, retry_after};
pub use send::UntrustedConnection;
pub(crate) use send::{SendError, tries};

#[derive(Clone, Debug)]
pub struct NetworkOptions {
    pub proxy: ProxySettings,
    /// PEM files with CA certificates that are trusted besides the system's.
    pub extra_ca: Vec<PathBuf>,
    pub connect_timeout: Duration,
    /// The longest time that the server may send nothing.
    pub read_timeout: Duration,
    /// The smallest rate of a server, in bytes per second, measured over the read timeout; 0 means any rate.
    pub minimum_rate: u64,
    /// Connects to public addresses only: not to this machine, private networks or link-local addresses. Names are checked
    /// after their resolution, and redirects like other requests. The configured proxies may have any address; they
    /// resolve names themselves. [`Host::public_addresses_only`](crate::Host) sets this for all clients.
    pub public_addresses_only: bool,
    /// The number of retries after a temporary failure.
    pub retries: u32,
    /// The pause before the first retry. Each later pause is twice as long as the one before.
    pub retry_pause: Duration,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            proxy: ProxySettings::default(),
            extra_ca: Vec::new(),
            connect_timeout: Duration::from_secs(20),
            read_timeout: Duration::from_secs(60),
            minimum_rate: 1024,
            public_addresses_only: false,
            retries: 4,
            retry_pause: Duration::from_millis(500),
        }
    }
}

/// `url` as it may be shown: without user name, password, query and fragment.
pub(crate) fn shown_url(url: &Url) -> String {
    let mut shown = without_credentials(url);
    shown.set_query(None);
    shown.to_string()
}

pub(crate) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    // The call fails only for a URL without a host, which has neither.
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// The messages of an error and its causes, each one once.
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

/// The error of TLS, if that failed. A retry does not help: a certificate that is not trusted now will not be trusted in a
/// second.
fn tls_error(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let of_inner = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
        if let Some(tls) = error.downcast_ref::<rustls::Error>().or(of_inner) {
            return Some(tls);
        }
        source = inner.map_or_else(|| error.source(), |inner| Some(inner));
    }
    None
}
