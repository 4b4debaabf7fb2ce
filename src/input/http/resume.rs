//! Owns the bytes of a download that have arrived, and the check whether a later response continues them.
//! Must not send a request.

use std::io::Write;
use std::path::{Path, PathBuf};

use http::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue};

use crate::fs::FileError;
use crate::image::Digest;
use crate::image::digest::DigestBuilder;

/// The first part of a download, on disk, with its digest.
pub(super) struct Partial {
    file: tempfile::NamedTempFile,
    directory: PathBuf,
    digest: DigestBuilder,
    /// The size of the whole file, if the server sent it.
    pub(super) total: Option<u64>,
    /// The strong validator of this version.
    validator: Option<HeaderValue>,
}

/// The reason why a response does not continue the download.
pub(super) type Mismatch = &'static str;

impl Partial {
    pub(super) fn new(directory: &Path) -> Result<Self, FileError> {
        let file = tempfile::NamedTempFile::new_in(directory)
            .map_err(|error| FileError::new("create a file in", directory, error))?;
        Ok(Self {
            file,
            directory: directory.to_owned(),
            digest: DigestBuilder::new(),
            total: None,
            validator: None,
        })
    }

    pub(super) fn received(&self) -> u64 {
        self.digest.length()
    }

    pub(super) fn restart(&mut self) -> Result<(), FileError> {
        *self = Self::new(&self.directory)?;
        Ok(())
    }

    /// Records the headers of a complete response.
    pub(super) fn begin(&mut self, headers: &HeaderMap, total: Option<u64>) {
        self.total = total;
        self.validator = validator(headers).cloned();
    }

    /// The headers that request the rest; empty to request everything.
    pub(super) fn range(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let (Some(validator), 1..) = (&self.validator, self.received())
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.received()))
        {
            headers.insert(RANGE, range);
            headers.insert(IF_RANGE, validator.clone());
        }
        headers
    }

    /// Checks that a partial response (206) starts at the next byte of the same version. Records the total size.
    pub(super) fn continues(&mut self, headers: &HeaderMap, length: Option<u64>) -> Result<(), Mismatch> {
        let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).and_then(parse_range);
        let range = range.ok_or("the response does not state its range")?;
        if range.start != self.received() {
            return Err("the response has another range than the request");
        }
        let expected = range.end.checked_sub(range.start).and_then(|length| length.checked_add(1));
        if expected.is_none() || length.is_some_and(|length| Some(length) != expected) {
            return Err("length and range of the response disagree");
        }
        match (self.total, range.total) {
            (Some(earlier), Some(total)) if earlier != total => return Err("its length changed"),
            (None, total) => self.total = total,
            _ => {}
        }
        match validator(headers) {
            Some(now) if self.validator.as_ref() != Some(now) => Err("the server has another version now"),
            _ => Ok(()),
        }
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.digest.update(bytes);
        self.file
            .write_all(bytes)
            .map_err(|error| FileError::new("write to", &self.directory, error).after(self.digest.length()))
    }

    pub(super) fn finish(self) -> (tempfile::NamedTempFile, Digest, u64) {
        let size = self.digest.length();
        (self.file, self.digest.finish(), size)
    }
}

/// The validator that identifies a version byte for byte: a strong ETag, or a date if there is no ETag (RFC 9110,
/// section 13.1.5).
fn validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    match headers.get(ETAG) {
        Some(etag) if etag.as_bytes().starts_with(b"\"") => Some(etag),
        Some(_) => None,
        None => headers.get(LAST_MODIFIED),
    }
}

struct Range {
    start: u64,
    end: u64,
    total: Option<u64>,
}

/// RFC 9110, section 14.4.
fn parse_range(text: &str) -> Option<Range> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let range = Range { start: start.trim().parse().ok()?, end: end.trim().parse().ok()?, total };
    range.total.is_none_or(|total| range.end < total).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn partial(validator: &[(http::HeaderName, &'static str)]) -> (tempfile::TempDir, Partial) {
        let directory = tempfile::tempdir().expect("temporary directory");
        let mut partial = Partial::new(directory.path()).expect("creates");
        partial.begin(&headers(validator), Some(10));
        partial.append(b"0123").expect("writes");
        (directory, partial)
    }

    #[test]
    fn asks_for_the_rest_only_of_the_same_version() {
        let (_directory, mut strong) = partial(&[(ETAG, "\"1\"")]);
        assert_eq!(strong.range(), headers(&[(RANGE, "bytes=4-"), (IF_RANGE, "\"1\"")]));
        strong.restart().expect("restarts");
        assert!(strong.range().is_empty());
        assert!(partial(&[(ETAG, "W/\"1\"")]).1.range().is_empty());
        assert!(partial(&[]).1.range().is_empty());
        assert!(!partial(&[(LAST_MODIFIED, "Wed, 21 Oct 2015 07:28:00 GMT")]).1.range().is_empty());
    }

    #[test]
    fn continues_only_what_fits_exactly() {
        let (_directory, mut partial) = partial(&[(ETAG, "\"1\"")]);
        let mut check = |range, etag, length| {
            partial.continues(&headers(&[(CONTENT_RANGE, range), (ETAG, etag)]), length)
        };
        assert_eq!(check("bytes 4-9/10", "\"1\"", Some(6)), Ok(()));
        for (range, etag, length) in [
            ("bytes 3-9/10", "\"1\"", Some(7)),
            ("bytes 4-9/11", "\"1\"", Some(6)),
            ("bytes 4-9/10", "\"2\"", Some(6)),
            ("bytes 4-9/10", "\"1\"", Some(5)),
            ("bytes 4-10/10", "\"1\"", Some(7)),
            ("bytes 4-3/10", "\"1\"", Some(0)),
            ("bytes 4", "\"1\"", None),
        ] {
            assert!(check(range, etag, length).is_err(), "{range} {etag} {length:?}");
        }
    }
}
