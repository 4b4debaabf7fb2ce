//! Owns one repository of a registry: its manifests, and whether it has a blob. Must not upload blobs.
//!
//! Source: OCI distribution spec v1.1, "Pulling manifests", "Pushing Manifests", "Checking if content exists",
//! "Mounting a blob from another repository".

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::form_urlencoded;

use super::auth::Scope;
use super::error::RequestError;
use super::host::Host;
use super::request::{Call, send, send_and_read};
use super::speculative::Session;
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{Digest, ManifestFormat};

const CONTENT_DIGEST: &str = "docker-content-digest";

#[derive(Clone)]
pub(super) struct Repository {
    pub(super) host: Arc<Host>,
    /// Its path, such as `library/debian`.
    pub(super) name: String,
    /// The permissions that its requests need.
    pub(super) scopes: Vec<Scope>,
}

pub(super) struct FetchedManifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) media_type: Option<String>,
}

pub(super) enum Mount {
    Mounted,
    /// The mount failed, and the registry has begun an upload.
    Session(Session),
    Refused,
}

impl Repository {
    pub(super) fn reading(host: Arc<Host>, name: &str) -> Self {
        Self { host, name: name.to_owned(), scopes: vec![Scope::pull(name)] }
    }

    pub(super) fn writing(host: Arc<Host>, name: &str) -> Self {
        Self { host, name: name.to_owned(), scopes: vec![Scope::push(name)] }
    }

    pub(super) fn call(&self, method: Method, rest: &str) -> Call {
        Call::new(method, format!("v2/{}/{rest}", self.name), self.scopes.clone())
    }

    /// Reads a manifest by tag or digest. Compares its digest with the registry's header.
    pub(super) async fn manifest(&self, reference: &str) -> Result<FetchedManifest, RequestError> {
        let call = self.call(Method::GET, &format!("manifests/{reference}")).header(ACCEPT, accepted());
        let (headers, bytes) = send_and_read(&self.host, &call, StatusCode::OK, MAXIMUM_MANIFEST).await?;
        let digest = Digest::of(&bytes);
        if let Some(stated) = stated_digest(&headers).filter(|stated| *stated != digest) {
            let url = format!("{}/{}", self.host.name, self.name);
            let reason = format!("the registry sent the digest {stated}, but the bytes have {digest}");
            return Err(RequestError::Answer { url, reason });
        }
        let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(FetchedManifest { bytes, digest, media_type })
    }

    /// The digest of a tag; `None` if the tag does not exist, or the registry sends no digest.
    pub(super) async fn manifest_digest(&self, reference: &str) -> Result<Option<Digest>, RequestError> {
        let call = self.call(Method::HEAD, &format!("manifests/{reference}")).header(ACCEPT, accepted());
        let answer = send(&self.host, &call).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.expect(&[StatusCode::OK]).await?;
        Ok(stated_digest(answer.response.headers()))
    }

    pub(super) async fn put_manifest(
        &self,
        reference: &str,
        media_type: &str,
        bytes: Bytes,
    ) -> Result<(), RequestError> {
        let digest = Digest::of(&bytes);
        let content_type = HeaderValue::from_str(media_type).map_err(|_| RequestError::Answer {
            url: format!("{}/{}", self.host.name, self.name),
            reason: "a header cannot contain the manifest's media type".into(),
        })?;
        let call = self.call(Method::PUT, &format!("manifests/{reference}"));
        let call = Call { body: Some(bytes), ..call.header(CONTENT_TYPE, content_type) };
        let answer = send(&self.host, &call).await?;
        let answer = answer.expect(&[StatusCode::CREATED, StatusCode::OK, StatusCode::ACCEPTED]).await?;
        match stated_digest(answer.response.headers()) {
            Some(stated) if stated != digest => Err(RequestError::Answer {
                url: crate::network::shown_url(&answer.url),
                reason: format!("the registry stored the manifest {digest} as {stated}"),
            }),
            _ => Ok(()),
        }
    }

    /// Whether the repository has a blob. A denied request counts as no; the upload reports the reason.
    pub(super) async fn has_blob(&self, digest: &Digest) -> Result<bool, RequestError> {
        let answer = send(&self.host, &self.call(Method::HEAD, &format!("blobs/{digest}"))).await?;
        match answer.status() {
            status if status.is_client_error() => Ok(false),
            _ => answer.expect(&[StatusCode::OK]).await.map(|_| true),
        }
    }

    /// Whether the registry returns a blob that it claims to have stored. Asks again a few times, because some
    /// registries show a new blob late. Storage behind a redirect may reject HEAD, so then GET is sent.
    pub(super) async fn shows_blob(&self, digest: &Digest) -> Result<bool, RequestError> {
        let path = format!("blobs/{digest}");
        let mut retries = self.host.retries();
        loop {
            let mut answer = send(&self.host, &self.call(Method::HEAD, &path)).await?;
            if matches!(answer.status().as_u16(), 400 | 401 | 403 | 405) {
                answer = send(&self.host, &self.call(Method::GET, &path)).await?;
            }
            if answer.status() != StatusCode::NOT_FOUND {
                return answer.expect(&[StatusCode::OK]).await.map(|_| true);
            }
            let url = crate::network::shown_url(&answer.url);
            let reason = "the registry does not show the new blob".to_owned();
            if self.host.pause(&mut retries, &url, reason, None).await.is_err() {
                return Ok(false);
            }
        }
    }

    /// Mounts a blob of the repository `from` of the same registry. A denied mount is not an error: the blob can be
    /// uploaded.
    pub(super) async fn mount(&self, digest: &Digest, from: &str) -> Result<Mount, RequestError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from)
            .finish();
        let mut call = self.call(Method::POST, &format!("blobs/uploads/?{query}"));
        call.scopes.push(Scope::pull(from));
        let answer = match send(&self.host, &call).await {
            Ok(answer) => answer,
            Err(error) if error.is_refusal() => return Ok(Mount::Refused),
            Err(error) => return Err(error),
        };
        match answer.status() {
            StatusCode::CREATED => Ok(Mount::Mounted),
            StatusCode::ACCEPTED => Ok(Session::of(&answer).map_or(Mount::Refused, Mount::Session)),
            // If this is a problem, the upload meets it too and reports it.
            _ => Ok(Mount::Refused),
        }
    }
}

fn accepted() -> HeaderValue {
    let [oci, docker] = [ManifestFormat::Oci, ManifestFormat::Docker];
    let types = [oci.manifest(), docker.manifest(), oci.index(), docker.index()].join(", ");
    HeaderValue::from_str(&types).expect("media types are plain ASCII")
}

/// The digest in a registry's header, if it is a SHA-256.
pub(super) fn stated_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}
