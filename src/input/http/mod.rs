//! Owns downloads: hashed on arrival, cached by digest, and downloaded again only if they have changed.
//! Must not send credentials to another host than the user's.

mod cache;
mod credentials;
mod download;
mod encoding;
mod error;
mod name;
mod netrc;
mod request;
mod resume;

use http::{HeaderName, HeaderValue};
use url::Url;

use super::artifact::FileContent;
use super::name::FALLBACK;
use super::spool::Progress;
use super::{InputError, InputFile, InputOptions};
use crate::blocking::blocking;
use crate::events::Events;
use crate::fs::Lease;
use crate::image::Digest;
use crate::network::{self, ClientSetup, NetworkOptions, is_loopback, shown_url, without_credentials};
use cache::{DownloadCache, DownloadEntry};
use credentials::Credentials;
pub use credentials::Secret;
use download::{Complete, Download, Outcome};
pub use error::HttpError;

#[derive(Clone, Default)]
pub struct HttpOptions {
    /// Headers for the host of the URL only. Their values are treated as secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A bearer token for the host of the URL only.
    pub bearer: Option<Secret>,
    pub netrc: Option<Secret>,
    pub network: NetworkOptions,
}

/// Leaves out the values of headers, which may be secrets.
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

/// Fetches `url`, from the cache if it has not changed.
pub(super) async fn fetch(
    url: &Url,
    options: &InputOptions,
    lease: &Lease,
    events: &Events,
    mut progress: Progress,
) -> Result<InputFile, InputError> {
    let cache = DownloadCache::open(lease.cache())?;
    let key = key(url, &options.http);
    let mut entry = cache.lookup(&key);
    tracing::debug!(url = shown_url(url), cached = entry.is_some(), "looked up the download in the cache");
    if let Some(file) = without_network(&cache, url, entry.as_ref(), options).await? {
        events.note(format!("using the cached `{}`", shown_url(url)));
        return Ok(file);
    }
    if options.offline {
        return Err(HttpError::Offline { url: shown_url(url) }.into());
    }
    // If another digest is expected, an unchanged file would not help.
    entry = entry.filter(|entry| options.sha256.is_none_or(|digest| digest == entry.digest));
    let client = network::client(&options.http.network, ClientSetup::default()).map_err(HttpError::from)?;
    let credentials = Credentials::gather(url, &options.http)?;
    warn_if_unprotected(url, &credentials, events);
    let download = Download {
        client: &client,
        url,
        credentials: &credentials,
        options: &options.http,
        max_size: options.max_size,
        expected: options.sha256,
        events,
    };
    loop {
        match download.run(entry.as_ref(), lease.temporary_directory(), &mut progress).await? {
            Outcome::Complete(complete) => {
                return complete_download(*complete, url, &key, &cache, options, lease);
            }
            Outcome::Unchanged => {
                if let Some(entry) = entry.take()
                    && let Some(file) = open_cached(&cache, entry.digest, entry.name, url, options).await?
                {
                    events.note(format!("using the cached `{}`: it has not changed", shown_url(url)));
                    return Ok(file);
                }
                // The cached bytes are damaged. Without an entry, the next attempt downloads all of them.
                cache.forget(&key);
            }
        }
    }
}

/// Finds a file that needs no request: one with the expected digest or, offline, any cached one.
async fn without_network(
    cache: &DownloadCache,
    url: &Url,
    entry: Option<&DownloadEntry>,
    options: &InputOptions,
) -> Result<Option<InputFile>, InputError> {
    let name = entry.map(|entry| entry.name.clone());
    let name = name.or_else(|| name::from_path(url)).unwrap_or_else(|| FALLBACK.to_owned());
    let digest = match (options.sha256, entry) {
        (Some(digest), _) => digest,
        (None, Some(entry)) if options.offline => entry.digest,
        _ => return Ok(None),
    };
    open_cached(cache, digest, name, url, options).await
}

/// Opens a file in the cache; `None` if it is missing or damaged.
async fn open_cached(
    cache: &DownloadCache,
    digest: Digest,
    name: String,
    url: &Url,
    options: &InputOptions,
) -> Result<Option<InputFile>, InputError> {
    let (cache, shown, limit) = (cache.clone(), shown_url(url), options.max_size);
    blocking(move || {
        let Some((file, path)) = cache.open_blob(&digest) else { return Ok(None) };
        let size = file.metadata().map_err(|error| InputError::read(&path, error))?.len();
        if size > limit {
            return Err(InputError::TooLarge { shown, size: Some(size), limit });
        }
        Ok(Some(InputFile { name, size, sha256: Some(digest), content: FileContent::private(file, &path) }))
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
) -> Result<InputFile, InputError> {
    let Complete { file, entry, cacheable } = complete;
    if let Some(expected) = options.sha256.filter(|expected| *expected != entry.digest) {
        let shown = shown_url(url);
        return Err(InputError::DigestMismatch { shown, expected, actual: entry.digest });
    }
    let content = if cacheable {
        let (file, path) = cache.keep(file, &entry.digest)?;
        cache.remember(key, &entry, lease.temporary_directory())?;
        FileContent::private(file, &path)
    } else {
        FileContent::temporary(file)
    };
    let DownloadEntry { digest, size, name, .. } = entry;
    tracing::debug!(url = shown_url(url), size, %digest, cacheable, "downloaded");
    Ok(InputFile { name, size, sha256: Some(digest), content })
}

/// The key of a download in the cache: its URL, and `Accept`, with which the server may send other bytes. Credentials are
/// not in it, because the cache belongs to one user and every use sends a request to the server.
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
        let message = format!("credentials for `{}` are sent over an unencrypted connection", shown_url(url));
        events.warning(message, Some("use an https URL".to_owned()));
    }
}
