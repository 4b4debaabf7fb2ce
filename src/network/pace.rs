//! Owns the smallest rate at which a server must send. Must not know what is sent.

use std::time::Duration;

/// Measures the time in which b2i waits for a server. A slow reader of the bytes is not the server's fault.
pub(crate) struct Pace {
    /// Bytes per second; 0 means any rate.
    minimum: u64,
    /// Time over which the rate is measured.
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Pace {
    pub(crate) fn new(minimum: u64, window: Duration) -> Self {
        Self { minimum, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Counts a piece, and fails with the reason if the server is too slow.
    pub(crate) fn received(&mut self, waited: Duration, bytes: usize) -> Result<(), String> {
        self.waited += waited;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.waited < self.window {
            return Ok(());
        }
        let is_slow = is_slow(self.minimum, self.bytes, self.waited);
        *self = Self::new(self.minimum, self.window);
        if is_slow { Err(too_slow(self.minimum)) } else { Ok(()) }
    }
}

/// Whether `bytes` in a time are fewer than the `minimum` per second.
pub(crate) fn is_slow(minimum: u64, bytes: u64, time: Duration) -> bool {
    (bytes as f64) < minimum as f64 * time.as_secs_f64()
}

pub(crate) fn too_slow(minimum: u64) -> String {
    format!("the server is slower than {minimum} bytes per second (`network.min-rate`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_time_of_waiting_counts() {
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(100, 10 * second);
        for _ in 0..9 {
            assert_eq!(pace.received(second, 1), Ok(()), "the window is not over");
        }
        assert!(pace.received(second, 1).is_err());
        for _ in 0..20 {
            assert_eq!(pace.received(second, 100), Ok(()), "fast enough");
        }
        for _ in 0..100 {
            assert_eq!(pace.received(Duration::ZERO, 1), Ok(()), "the reader was slow");
        }
        let mut off = Pace::new(0, second);
        assert_eq!(off.received(9 * second, 0), Ok(()));
    }
}
