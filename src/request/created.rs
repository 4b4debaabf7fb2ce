//! Owns the date of an image as a request states it. Must not read a clock or a repository.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::config::values::InvalidValue;
use crate::text::as_text;

/// The last second of the year 9999, the latest date of RFC 3339.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

/// The date in the config of an image. The files of its layers keep their date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreatedDate {
    /// The date of the commit that the work tree around the input is at.
    Git,
    /// The time of the build.
    Now,
    /// 1970-01-01.
    Epoch,
    /// Seconds since 1970.
    At(u64),
}

impl FromStr for CreatedDate {
    type Err = InvalidValue;

    /// Parses `git`, `now`, `epoch`, a date of RFC 3339 or a number of seconds since 1970.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = || text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let date = || u64::try_from(text.parse::<Timestamp>().ok()?.as_second()).ok();
        match text {
            "git" => Ok(Self::Git),
            "now" => Ok(Self::Now),
            "epoch" => Ok(Self::Epoch),
            _ => number().or_else(date).filter(|seconds| *seconds <= LAST_SECOND).map(Self::At).ok_or_else(|| {
                InvalidValue::new(format!(
                    "`{text}` is not a valid date (write git, now, epoch, a date such as 2026-01-31T12:00:00Z, or \
                     seconds since 1970)"
                ))
            }),
        }
    }
}

impl fmt::Display for CreatedDate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Git => formatter.write_str("git"),
            Self::Now => formatter.write_str("now"),
            Self::Epoch => formatter.write_str("epoch"),
            Self::At(seconds) => write!(formatter, "{seconds}"),
        }
    }
}

as_text!(CreatedDate);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_word_a_date_or_a_number() {
        for (text, date) in [
            ("git", CreatedDate::Git),
            ("now", CreatedDate::Now),
            ("epoch", CreatedDate::Epoch),
            ("1700000000", CreatedDate::At(1_700_000_000)),
            ("2023-11-14T22:13:20Z", CreatedDate::At(1_700_000_000)),
            ("2023-11-15T00:13:20+02:00", CreatedDate::At(1_700_000_000)),
            ("253402300799", CreatedDate::At(LAST_SECOND)),
        ] {
            assert_eq!(text.parse(), Ok(date), "{text}");
            assert_eq!(date.to_string().parse(), Ok(date));
        }
        for text in [
            "",
            "Git",
            "yesterday",
            "-1",
            "+1",
            "1.5",
            "253402300800",
            "2023-13-01T00:00:00Z",
            "1969-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<CreatedDate>().is_err(), "{text}");
        }
    }
}
