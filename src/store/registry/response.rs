//! Owns reading a registry's responses: bounded bodies, and the error messages in them.
//!
//! Must not return a message with control characters or of any length: people read it.
//!
//! Source: OCI distribution spec v1.1 "Error Codes".

use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;

/// Longest body of an error that is read, in bytes.
const MAXIMUM_ERROR: u64 = 16 << 10;

const MAXIMUM_SHOWN: usize = 300;

#[derive(Debug)]
pub(super) enum BodyError {
    TooLong,
    Transfer(String),
}

/// Reads a body of at most `maximum` bytes. `silence` is the time limit for each piece.
pub(super) async fn read_body(
    mut response: Response,
    maximum: u64,
    silence: Duration,
) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    loop {
        let piece = match tokio::time::timeout(silence, response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return Ok(bytes),
            Ok(Err(error)) => {
                return Err(BodyError::Transfer(crate::network::describe(&error.without_url())));
            }
            Err(_) => return Err(BodyError::Transfer(silent(silence))),
        };
        if (bytes.len() + piece.len()) as u64 > maximum {
            return Err(BodyError::TooLong);
        }
        bytes.extend_from_slice(&piece);
    }
}

pub(super) fn silent(silence: Duration) -> String {
    format!("the server was silent for {:.0} s", silence.as_secs_f64())
}

/// The registry's own error message, if it has one.
pub(super) async fn message(response: Response, silence: Duration) -> Option<String> {
    let bytes = read_body(response, MAXIMUM_ERROR, silence).await.ok()?;
    message_in(&bytes)
}

fn message_in(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Errors {
        #[serde(default)]
        errors: Vec<Error>,
        /// Sent by token services and by Docker Hub.
        #[serde(default)]
        details: Option<String>,
        #[serde(default)]
        message: Option<String>,
    }
    #[derive(Deserialize)]
    struct Error {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let answer: Errors = serde_json::from_slice(bytes).ok()?;
    let mut texts: Vec<String> = Vec::new();
    for Error { code, message } in answer.errors {
        let text = match (code.as_str(), message.as_str()) {
            ("", message) => message.to_owned(),
            (code, "") => code.to_owned(),
            (code, message) => format!("{code}: {message}"),
        };
        if !text.is_empty() && !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() {
        texts.extend(answer.message.or(answer.details));
    }
    Some(shown(&texts.join("; "))).filter(|text| !text.is_empty())
}

/// `text` on one line, without control characters, cut to a length.
pub(super) fn shown(text: &str) -> String {
    let is_plain = |character: char| {
        !character.is_control()
            && !matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown: String = text
        .trim()
        .chars()
        .map(|character| if is_plain(character) { character } else { ' ' })
        .take(MAXIMUM_SHOWN)
        .collect();
    if text.trim().chars().count() > MAXIMUM_SHOWN {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_read_and_made_harmless() {
        let text =
            r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m access","detail":{"a":1}},{"code":"X"}]}"#;
        assert_eq!(message_in(text.as_bytes()).as_deref(), Some("DENIED: no [31m access; X"));
        assert_eq!(
            message_in(br#"{"details":"incorrect username or password"}"#).as_deref(),
            Some("incorrect username or password")
        );
        for nothing in ["", "<html>", "{}", r#"{"errors":[{}]}"#, r#"{"errors":3}"#] {
            assert_eq!(message_in(nothing.as_bytes()), None, "{nothing}");
        }
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(message_in(long.as_bytes()).expect("some").chars().count(), MAXIMUM_SHOWN + 1);
    }
}
