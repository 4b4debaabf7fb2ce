//! Owns quantities with a unit: sizes, time spans, processors.
//!
//! Must not guess a unit. `bytesize` 2 and `humantime` 2 were weighed: they do not read `512m` as 512 MiB, as Docker does, and
//! accept `5 minutes`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidValue;

/// A size in bytes.
///
/// A number and a unit. `B`, `kB`, `MB`, `GB`, `TB` are powers of 1000. `KiB`, `MiB`, `GiB`, `TiB` and the letters `k`, `m`,
/// `g`, `t` are powers of 1024, as in Docker. Case does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// Units as they are printed, largest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidValue(format!("`{text}` is not a size (write `500MB`, `4GiB` or `1048576`)"));
        let (number, unit) = split_number(text);
        let factor = match unit.to_ascii_lowercase().as_str() {
            "" => 1,
            "k" => 1 << 10,
            "m" => 1 << 20,
            "g" => 1 << 30,
            "t" => 1 << 40,
            unit => {
                let known = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
                known.ok_or_else(invalid)?.1
            }
        };
        scaled(number, factor).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, factor): &&(&str, u64)| self.0 >= *factor && self.0.is_multiple_of(*factor);
        let (unit, factor) = SIZE_UNITS.iter().find(fits).unwrap_or(&("B", 1));
        write!(formatter, "{}{unit}", self.0 / factor)
    }
}

/// A time span: numbers with units, such as `30s`, `5m`, `1h30m`, `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

/// Units in milliseconds, largest first.
const PERIOD_UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl FromStr for Period {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidValue(format!("`{text}` is not a time span (write `30s`, `5m` or `1h30m`)"));
        let mut rest = text;
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, after) = split_number(rest);
            let end = after.find(|character: char| !character.is_ascii_alphabetic()).unwrap_or(after.len());
            let (unit, after) = after.split_at(end);
            let known = PERIOD_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?;
            let milliseconds = scaled(number, known.1).ok_or_else(invalid)?;
            total = total.checked_add(milliseconds).ok_or_else(invalid)?;
            rest = after;
        }
        if total == 0 { Err(invalid()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (unit, milliseconds) in PERIOD_UNITS {
            if rest >= milliseconds {
                write!(formatter, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

/// Processor time, in billionths of one processor. Its text is `2` or `0.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpus(pub u64);

const NANO: u64 = 1_000_000_000;

impl FromStr for Cpus {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nano = scaled(text, NANO).filter(|nano| *nano > 0);
        nano.map(Self).ok_or_else(|| {
            InvalidValue(format!("`{text}` is not a number of processors (write `2` or `0.5`)"))
        })
    }
}

impl fmt::Display for Cpus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0 % NANO);
        match fraction.trim_end_matches('0') {
            "" => write!(formatter, "{}", self.0 / NANO),
            digits => write!(formatter, "{}.{digits}", self.0 / NANO),
        }
    }
}

impl Serialize for Cpus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cpus {
    /// Reads `2`, `0.5` and `"0.5"`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            number => number.to_string(),
        };
        text.parse().map_err(D::Error::custom)
    }
}

/// Splits `1.5GiB` into `1.5` and `GiB`.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    (number, rest.trim_start_matches(' '))
}

/// `number` times `factor`, rounded down; `None` if it is not a decimal number or is too large.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let parts = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction = fraction.parse::<u128>().ok()? * u128::from(factor) / parts;
    u64::try_from(u128::from(whole.parse::<u64>().ok()?) * u128::from(factor) + fraction).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_with_and_without_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("500MB", 500_000_000),
            ("4GiB", 4 << 30),
            ("4gib", 4 << 30),
            ("512m", 512 << 20),
            ("1.5 GiB", 3 << 29),
            ("10b", 10),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for text in ["", "GiB", "-1", "1.2.3MB", "4XB", "99999999999TiB", "1.0000000001GB", "1e3", ".5k"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        for text in ["4GiB", "500MB", "1025B", "0B", "1TiB"] {
            assert_eq!(text.parse::<ByteSize>().expect(text).to_string(), text);
        }
    }

    #[test]
    fn reads_periods() {
        for (text, milliseconds) in
            [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("500ms", 500), ("0.5s", 500)]
        {
            assert_eq!(text.parse(), Ok(Period(Duration::from_millis(milliseconds))), "{text}");
        }
        assert_eq!("90s".parse::<Period>().expect("valid").to_string(), "1m30s");
        for text in ["", "30", "s", "0s", "5 minutes", "-1s", "99999999999999999h"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_processors() {
        for (text, nano) in [("2", 2 * NANO), ("0.5", NANO / 2), ("1.25", NANO / 4 * 5)] {
            let cpus: Cpus = text.parse().expect(text);
            assert_eq!((cpus.0, cpus.to_string().as_str()), (nano, text));
        }
        for text in ["", "0", "-1", "all", "1,5"] {
            assert!(text.parse::<Cpus>().is_err(), "{text}");
        }
    }
}
