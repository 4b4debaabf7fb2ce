//! Owns pulling an image with the daemon: credentials, progress and errors. Must not decide whether to pull.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http::{HeaderValue, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::connection::Daemon;
use super::error::DaemonError;
use super::pull_cause::PullCause;
use super::request::{RawRequest, describe};
use super::source::ResolveOptions;
use crate::events::RunningStep;
use crate::image::ImageReference;
use crate::store::credentials::{Credentials, find_credentials};

/// Longest line of an answer, in bytes.
const MAXIMUM_LINE: usize = 1 << 20;

/// Everything but unreserved characters is encoded in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Daemon {
    pub(super) async fn pull(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
        step: &RunningStep,
    ) -> Result<(), DaemonError> {
        let (registry, repository) = (reference.registry(), reference.repository());
        let credentials = find_credentials(registry, Some(repository), &options.credential_files).await?;
        let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
        let version = match (reference.digest(), reference.tag()) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.unwrap_or("latest").to_owned(),
        };
        let mut path =
            format!("/images/create?fromImage={}&tag={}", encode(&reference.name()), encode(&version));
        if let Some(platform) = &options.platform {
            path.push_str(&format!("&platform={}", encode(&platform.to_string())));
        }
        let registry_auth = credentials.and_then(|credentials| auth_header(&credentials, registry));
        let request = RawRequest { method: Method::POST, path, registry_auth, body: None };
        let refused = |reason: String| DaemonError::Pull {
            name: reference.familiar(),
            cause: PullCause::of(&reason),
            reason,
        };
        let mut lines = Box::pin(json_lines(self.raw(request)));
        let mut progress = Progress::default();
        while let Some(line) = lines.next().await {
            let line = line.map_err(|error| refused(describe(&error).1))?;
            if let Some(reason) = error_in(&line) {
                return Err(refused(reason));
            }
            if let Some((bytes, total)) = progress.add(&line) {
                step.progress(bytes, Some(total));
            }
        }
        Ok(())
    }
}

fn auth_header(credentials: &Credentials, registry: &str) -> Option<HeaderValue> {
    let text = match &credentials.identity_token {
        Some(token) => json!({"identitytoken": token, "serveraddress": registry}),
        None => json!({
            "username": credentials.username, "password": credentials.password, "serveraddress": registry
        }),
    };
    let mut value = HeaderValue::from_str(&URL_SAFE.encode(text.to_string())).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The error in an answer with status 200. Docker and Podman write it differently.
pub(super) fn error_in(line: &Value) -> Option<String> {
    let detail = line["errorDetail"]["message"].as_str();
    detail.or_else(|| line["error"].as_str()).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[derive(Default)]
struct Progress {
    layers: HashMap<String, (u64, u64)>,
}

impl Progress {
    /// Adds a line. Returns the sums if they changed.
    fn add(&mut self, line: &Value) -> Option<(u64, u64)> {
        if line["status"] != "Downloading" {
            return None;
        }
        let detail = &line["progressDetail"];
        let (current, total) = (detail["current"].as_u64()?, detail["total"].as_u64()?);
        self.layers.insert(line["id"].as_str()?.to_owned(), (current, total));
        let sum =
            |which: fn(&(u64, u64)) -> u64| self.layers.values().map(which).fold(0_u64, u64::saturating_add);
        Some((sum(|layer| layer.0), sum(|layer| layer.1)))
    }
}

/// Splits an answer into its JSON lines, and skips other lines.
pub(super) fn json_lines<E>(
    stream: impl Stream<Item = Result<Bytes, E>> + Unpin,
) -> impl Stream<Item = Result<Value, E>> {
    futures_util::stream::unfold(
        (stream, Vec::new(), false),
        |(mut stream, mut buffer, mut ended)| async move {
            loop {
                if let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    match serde_json::from_slice(&line) {
                        Ok(value) => return Some((Ok(value), (stream, buffer, ended))),
                        Err(_) => continue,
                    }
                }
                if ended {
                    let value = serde_json::from_slice(&buffer).ok()?;
                    return Some((Ok(value), (stream, Vec::new(), true)));
                }
                match stream.next().await {
                    // A line without an end is cut: bounded memory matters more than its content.
                    Some(Ok(piece)) if buffer.len() + piece.len() <= MAXIMUM_LINE => {
                        buffer.extend_from_slice(&piece);
                    }
                    Some(Ok(_)) => buffer.clear(),
                    Some(Err(error)) => return Some((Err(error), (stream, Vec::new(), true))),
                    None => ended = true,
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_found_across_pieces_and_without_a_last_line_end() {
        let pieces = ["{\"a\":", "1}\r\n{\"b\":2}\nnoise\n{\"c\"", ":3}"];
        let stream = futures_util::stream::iter(pieces.map(|piece| Ok::<_, String>(Bytes::from(piece))));
        let lines: Vec<_> = json_lines(stream).map(|line| line.expect("no error")).collect().await;
        assert_eq!(lines, [json!({"a": 1}), json!({"b": 2}), json!({"c": 3})]);
    }

    #[tokio::test]
    async fn a_line_without_end_does_not_fill_the_memory() {
        let piece = Bytes::from(vec![b'x'; MAXIMUM_LINE / 2]);
        let endless = futures_util::stream::iter((0..100).map(move |_| Ok::<_, String>(piece.clone())));
        assert_eq!(json_lines(endless).count().await, 0);
    }

    #[test]
    fn errors_inside_a_good_answer_are_seen() {
        let docker = json!({"errorDetail": {"message": "no"}, "error": "no"});
        assert_eq!(error_in(&docker).as_deref(), Some("no"));
        assert_eq!(error_in(&json!({"error": "manifest unknown"})).as_deref(), Some("manifest unknown"));
        assert_eq!(error_in(&json!({"stream": "Loaded", "error": ""})), None);
    }

    #[test]
    fn progress_is_summed_over_layers() {
        let mut progress = Progress::default();
        let line = |id: &str, current: u64| json!({"status": "Downloading", "id": id, "progressDetail": {"current": current, "total": 10}});
        assert_eq!(progress.add(&line("a", 1)), Some((1, 10)));
        assert_eq!(progress.add(&line("b", 2)), Some((3, 20)));
        assert_eq!(progress.add(&line("a", 9)), Some((11, 20)));
        assert_eq!(progress.add(&json!({"status": "Extracting", "id": "a"})), None);
    }
}
