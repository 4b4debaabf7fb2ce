//! Downloads: fetched once while hashing, kept in the cache by digest, and asked for again only when they changed.

mod credentials;
mod download;
mod error;
mod name;
mod netrc;
mod request;
mod resume;

use http::{HeaderName, HeaderValue};
use url::Url;

use super::artifact::FileContent;
use super::name::FALLBACK;
use super::spool::{Progress, run_blocking};
use super::{Fetched, InputError, InputOptions};
use crate::events::Events;
use crate::fs::Lease;
use crate::image::Digest;
use crate::network::{self, ClientSetup, NetworkOptions, is_loopback, shown_url, without_credentials};
use crate::store::cache::{DownloadCache, DownloadEntry};
use credentials::Credentials;
pub use credentials::Secret;
use download::{Complete, Download, Outcome};
pub use error::HttpError;

/// How to download.
#[derive(Clone, Default)]
pub struct HttpOptions {
    /// Headers that go to the host of the URL only; their values count as secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A bearer token, likewise.
    pub bearer: Option<Secret>,
    /// The text of the netrc file.
    pub netrc: Option<Secret>,
    /// Proxies, certificates, time limits and retries.
    pub network: NetworkOptions,
}

/// The values of headers may be secrets, whether or not they are marked so.
impl std::fmt::Debug for HttpOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("HttpOptions")
            .field("headers", &names)
            .field("bearer", &self.bearer)
            .field("netrc", &self.netrc)
            .field("network", &self.network)
            .finish()
    }
}

/// Fetches `url`, from the cache if it is there and unchanged.
pub(super) async fn fetch(
    url: &Url,
    options: &InputOptions,
    lease: &Lease,
    events: &Events,
    mut progress: Progress,
) -> Result<Fetched, InputError> {
    let cache = DownloadCache::open(lease.cache())?;
    let key = key(url, &options.http);
    let mut known = cache.lookup(&key);
    tracing::debug!(url = shown_url(url), kept = known.is_some(), "looked the download up in the cache");
    if let Some(kept) = without_network(&cache, url, known.as_ref(), options).await? {
        events.note(format!("`{}` is taken from the cache", shown_url(url)));
        return Ok(kept);
    }
    if options.offline {
        return Err(HttpError::Offline { url: shown_url(url) }.into());
    }
    // With another digest wanted, that it is unchanged would be of no use.
    known = known.filter(|known| download::is(known, options.sha256));
    let client = network::client(&options.http.network, ClientSetup::default()).map_err(HttpError::from)?;
    let credentials = Credentials::gather(url, &options.http)?;
    warn_if_unprotected(url, &credentials, events);
    let download = Download {
        client: &client,
        url,
        credentials: &credentials,
        options: &options.http,
        max_size: options.max_size,
        digest_known: options.sha256.is_some(),
        events,
    };
    loop {
        match download.run(known.as_ref(), lease.temporary_directory(), &mut progress).await? {
            Outcome::Complete(complete) => {
                return complete_download(*complete, url, &key, &cache, options, lease);
            }
            Outcome::Unchanged => {
                let entry = known.take();
                if let Some(entry) = entry
                    && let Some(kept) = open_kept(&cache, entry.digest, entry.name, url, options).await?
                {
                    events.note(format!("`{}` has not changed and is taken from the cache", shown_url(url)));
                    return Ok(kept);
                }
                // The bytes were damaged; without an entry everything is fetched.
                cache.forget(&key);
            }
        }
    }
}

/// Finds what needs no request: bytes with the digest that was asked for, or whatever is there when offline.
async fn without_network(
    cache: &DownloadCache,
    url: &Url,
    known: Option<&DownloadEntry>,
    options: &InputOptions,
) -> Result<Option<Fetched>, InputError> {
    let name = known.map(|known| known.name.clone());
    let name = name.or_else(|| name::from_path(url)).unwrap_or_else(|| FALLBACK.to_owned());
    let digest = match (options.sha256, known) {
        (Some(digest), _) => digest,
        (None, Some(known)) if options.offline => known.digest,
        _ => return Ok(None),
    };
    open_kept(cache, digest, name, url, options).await
}

/// Opens bytes from the cache; nothing if they are not there or damaged.
async fn open_kept(
    cache: &DownloadCache,
    digest: Digest,
    name: String,
    url: &Url,
    options: &InputOptions,
) -> Result<Option<Fetched>, InputError> {
    let (cache, shown, limit) = (cache.clone(), shown_url(url), options.max_size);
    run_blocking(move |_| {
        let Some((file, path)) = cache.open_blob(&digest) else { return Ok(None) };
        let size = file.metadata().map_err(|error| InputError::read(&path, error))?.len();
        if size > limit {
            return Err(InputError::TooLarge { shown, size: Some(size), limit });
        }
        Ok(Some(Fetched { name, size, sha256: Some(digest), content: FileContent::private(file, &path) }))
    })
    .await
}

fn complete_download(
    complete: Complete,
    url: &Url,
    key: &str,
    cache: &DownloadCache,
    options: &InputOptions,
    lease: &Lease,
) -> Result<Fetched, InputError> {
    let Complete { file, entry, keep } = complete;
    if let Some(expected) = options.sha256.filter(|expected| *expected != entry.digest) {
        let shown = shown_url(url);
        return Err(InputError::DigestMismatch { shown, expected, actual: entry.digest });
    }
    let content = if keep {
        let (file, path) = cache.keep(file, &entry.digest)?;
        cache.remember(key, &entry, lease.temporary_directory())?;
        FileContent::private(file, &path)
    } else {
        FileContent::temporary(file)
    };
    let DownloadEntry { digest, size, name, .. } = entry;
    tracing::debug!(url = shown_url(url), size, %digest, kept = keep, "downloaded");
    Ok(Fetched { name, size, sha256: Some(digest), content })
}

/// Names a download in the cache: its URL, and what the client says it accepts, for that may give other bytes.
/// Credentials are no part of it: the cache belongs to one user, and the server is asked each time.
fn key(url: &Url, options: &HttpOptions) -> String {
    let mut key = without_credentials(url).to_string();
    for (_, value) in options.headers.iter().filter(|(name, _)| *name == http::header::ACCEPT) {
        key.push('\n');
        key.push_str(&String::from_utf8_lossy(value.as_bytes()));
    }
    key
}

fn warn_if_unprotected(url: &Url, credentials: &Credentials, events: &Events) {
    if url.scheme() == "http" && credentials.any() && !is_loopback(url) {
        let message = format!("credentials for `{}` go over an unprotected connection", shown_url(url));
        events.warning(message, Some("use an https URL".to_owned()));
    }
}
