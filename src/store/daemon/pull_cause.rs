//! Owns why a daemon did not pull an image, found in its message: neither Docker nor Podman has codes for it.
//!
//! Must not decide what follows.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullCause {
    NotFound,
    /// The registry requires other credentials, or hides whether the image exists.
    Denied,
    /// The registry has it only for other platforms.
    Platform,
    Network,
    Other,
}

impl PullCause {
    pub(super) fn of(message: &str) -> Self {
        let causes: [(Self, &[&str]); 4] = [
            (
                Self::Platform,
                &[
                    "no matching manifest",
                    "no image found in manifest list",
                    "does not match the specified platform",
                ],
            ),
            (
                Self::Denied,
                &["denied", "unauthorized", "authentication required", "no basic auth", "forbidden"],
            ),
            (Self::NotFound, &["manifest unknown", "not found", "name unknown", "no such image"]),
            (
                Self::Network,
                &["dial tcp", "lookup ", "no such host", "connection re", "timeout", "tls", "x509", "eof"],
            ),
        ];
        let message = message.to_ascii_lowercase();
        let said = causes.iter().find(|(_, words)| words.iter().any(|word| message.contains(word)));
        said.map_or(Self::Other, |(cause, _)| *cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_of_a_refused_pull_is_read_from_the_message() {
        for (message, cause) in [
            ("manifest for app:9 not found: manifest unknown: manifest unknown", PullCause::NotFound),
            (
                "pull access denied for x, repository does not exist or may require 'docker login': denied",
                PullCause::Denied,
            ),
            ("Get \"http://host/v2/x/manifests/1\": no basic auth credentials", PullCause::Denied),
            ("dial tcp 127.0.0.1:1: connect: connection refused", PullCause::Network),
            (
                "no matching manifest for linux/s390x in the manifest list entries: not found",
                PullCause::Platform,
            ),
            ("something else", PullCause::Other),
        ] {
            assert_eq!(PullCause::of(message), cause, "{message}");
        }
    }
}
