//! Owns dotted version numbers (`10.1`, `9.0.85`) that compare by number.
//!
//! Must not know whose versions they are.

use std::fmt;
use std::str::FromStr;

use crate::text::as_text;

/// A version of up to eight numbers, such as `10.1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DottedVersion(Vec<u32>);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a version (expected numbers with dots between them, such as `10.1`)")]
pub struct InvalidVersion(String);

impl DottedVersion {
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// Whether `other` is this version or one of its patches: `10.1` covers `10.1.18`, not `10.10`.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for DottedVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        formatter.write_str(&numbers.join("."))
    }
}

impl FromStr for DottedVersion {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.chars().take(64).collect());
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<&str> = text.split('.').take(9).collect();
        if parts.len() > 8 || !parts.iter().all(|part| digits(part)) {
            return Err(invalid());
        }
        let numbers: Result<Vec<u32>, _> = parts.iter().map(|part| part.parse()).collect();
        numbers.map(Self).map_err(|_| invalid())
    }
}

as_text!(DottedVersion);

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> DottedVersion {
        text.parse().expect(text)
    }

    #[test]
    fn compares_by_number() {
        assert!(version("9") < version("10.1") && version("10.1") < version("10.10"));
        assert!(version("10.1").covers(&version("10.1.18")) && !version("10.1").covers(&version("10.10")));
        assert_eq!(version("10.1").to_string(), "10.1");
    }

    #[test]
    fn refuses_what_is_no_version() {
        for text in ["", ".", "1.", "a", "1.x", "+1", "99999999999", "1.2.3.4.5.6.7.8.9"] {
            assert!(text.parse::<DottedVersion>().is_err(), "{text}");
        }
    }
}
