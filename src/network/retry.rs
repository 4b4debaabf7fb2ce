//! Owns retries: how many, and the pauses between them. Must not know what is retried.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use jiff::Timestamp;

const MAX_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Retries {
    allowed: u32,
    first_pause: Duration,
    failures: u32,
    pub(crate) attempts: u32,
}

impl Retries {
    pub(crate) fn new(allowed: u32, first_pause: Duration) -> Self {
        Self { allowed, first_pause, failures: 0, attempts: 1 }
    }

    /// Counts failures from zero again, since bytes have arrived.
    pub(crate) fn made_progress(&mut self) {
        self.failures = 0;
    }

    /// The pause before the next attempt, at least as long as `server` demands; `None` after the last one.
    /// Each pause is twice as long as the one before, less a random part, so that many clients do not return
    /// at the same time.
    pub(crate) fn next(&mut self, server: Option<Duration>) -> Option<Duration> {
        if self.failures >= self.allowed {
            return None;
        }
        let pause = self.first_pause.saturating_mul(1 << self.failures.min(16)).min(MAX_PAUSE);
        self.failures += 1;
        self.attempts += 1;
        let share =
            f64::from(u16::try_from(RandomState::new().hash_one(self.attempts) & 0xffff).unwrap_or(0));
        let pause = pause.mul_f64(0.5 + share / f64::from(u16::MAX) / 2.0);
        Some(server.map_or(pause, |server| server.max(pause)).min(MAX_PAUSE))
    }
}

pub(crate) fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502..=504 | 507 | 509 | 520..=599)
}

/// The pause in `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Duration::try_from(date.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let mut retries = Retries::new(3, Duration::from_millis(100));
        let pauses: Vec<_> =
            std::iter::from_fn(|| retries.next(None)).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses.len(), 3);
        for (pause, full) in pauses.iter().zip([100, 200, 400]) {
            assert!((full / 2..=full).contains(pause), "{pauses:?}");
        }
        retries.made_progress();
        assert_eq!(retries.next(Some(Duration::from_secs(1_000_000))), Some(MAX_PAUSE));
        assert_eq!(retries.attempts, 5);
    }

    #[test]
    fn reads_both_forms_of_retry_after() {
        let now: Timestamp = "2015-10-21T07:28:00Z".parse().expect("valid");
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Wed, 21 Oct 2015 07:27:30 GMT"), None);
        assert_eq!(read("soon"), None);
    }
}
