//! Owns the values that people write with a unit or in a shape of their own: sizes, periods, processors, ports,
//! builders, argument lists, proxies. Configuration files, `B2I_*` variables and flags share them.
//!
//! Must not know which key or flag a value stands behind.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::image::words;
use crate::request::{AssembleRequest, BuilderRequest, PullPolicy};

/// A text that is not a value of the kind that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(String);

/// Implements serde by way of `FromStr` and `Display`.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(ByteSize, Period, AssembleChoice, PullChoice, Port, BuilderName, ProxyUrl);

/// A size in bytes.
///
/// Written as a number and a unit: `B`, `kB`, `MB`, `GB`, `TB` are powers of 1000, `KiB`, `MiB`, `GiB`, `TiB` and the
/// single letters `k`, `m`, `g`, `t` (as Docker has them) powers of 1024. Case does not matter.
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

/// A time span, written as numbers and units: `30s`, `5m`, `1h30m`, `500ms`.
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

/// Processor time, in billionths of one processor; written `2` or `0.5`.
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
    /// Takes `2`, `0.5` and `"0.5"`.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CpusVisitor;
        impl Visitor<'_> for CpusVisitor {
            type Value = Cpus;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number of processors, such as 0.5")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Cpus, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Cpus, E> {
                number.to_string().parse().map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Cpus, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(CpusVisitor)
    }
}

/// Splits `1.5GiB` into `1.5` and `GiB`.
fn split_number(text: &str) -> (&str, &str) {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.');
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    (number, rest.trim_start_matches(' '))
}

/// `number` times `factor`, rounded down; nothing if it is no decimal number or too large.
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

/// How the artifact gets into the image: `auto`, `place` or `docker`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssembleChoice(pub AssembleRequest);

/// The texts of [`AssembleChoice`].
pub const ASSEMBLE_CHOICES: [&str; 3] = ["auto", "place", "docker"];

impl FromStr for AssembleChoice {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self(AssembleRequest::Auto)),
            "place" => Ok(Self(AssembleRequest::Place)),
            "docker" => Ok(Self(AssembleRequest::Docker)),
            _ => Err(InvalidValue(format!("`{text}` is none of {}", ASSEMBLE_CHOICES.join(", ")))),
        }
    }
}

impl fmt::Display for AssembleChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            AssembleRequest::Auto => "auto",
            AssembleRequest::Place => "place",
            AssembleRequest::Docker => "docker",
        })
    }
}

/// When images are pulled: `always`, `missing` or `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullChoice(pub PullPolicy);

/// The texts of [`PullChoice`].
pub const PULL_CHOICES: [&str; 3] = ["always", "missing", "never"];

impl FromStr for PullChoice {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "always" => Ok(Self(PullPolicy::Always)),
            "missing" => Ok(Self(PullPolicy::Missing)),
            "never" => Ok(Self(PullPolicy::Never)),
            _ => Err(InvalidValue(format!("`{text}` is none of {}", PULL_CHOICES.join(", ")))),
        }
    }
}

impl fmt::Display for PullChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            PullPolicy::Always => "always",
            PullPolicy::Missing => "missing",
            PullPolicy::Never => "never",
        })
    }
}

/// A port with its protocol, such as `8080/tcp`; `tcp` may be left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

impl FromStr for Port {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: &str| InvalidValue(format!("`{text}` is not a port: {why}"));
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        if number.contains('-') {
            return Err(invalid("ranges are not taken; name each port"));
        }
        if number.contains(':') {
            return Err(invalid("an image exposes ports, `docker run -p` publishes them; write `8080`"));
        }
        let protocol = ["tcp", "udp", "sctp"].into_iter().find(|known| *known == protocol);
        let protocol = protocol.ok_or_else(|| invalid("the protocol is tcp, udp or sctp"))?;
        // `+80` would parse as a number.
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u16> = number.parse().ok().filter(|number| *number > 0 && digits);
        Ok(Self { number: number.ok_or_else(|| invalid("expected 1 to 65535"))?, protocol })
    }
}

impl fmt::Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

/// A builder by its name: `java`, `java:21`, or any image reference, which has a `/` or a `@` in it.
///
/// The text alone decides between the two, so that a template that is added later never changes what an existing
/// command line means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderName(pub BuilderRequest);

impl FromStr for BuilderName {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains(['/', '@']) {
            let reference = text.parse().map_err(|error| InvalidValue(format!("{error}")))?;
            return Ok(Self(BuilderRequest::Image(reference)));
        }
        let is_name = |text: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) && text.bytes().all(allowed)
        };
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        if !is_name(name) || !version.is_none_or(is_name) {
            return Err(InvalidValue(format!(
                "`{text}` is not a builder (write `java`, `java:21` or an image such as `localhost/builder:1`)"
            )));
        }
        Ok(Self(BuilderRequest::Template { name: name.to_owned(), version: version.map(str::to_owned) }))
    }
}

impl fmt::Display for BuilderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            BuilderRequest::Image(reference) => write!(formatter, "{}", reference.familiar()),
            BuilderRequest::Template { name, version: Some(version) } => {
                write!(formatter, "{name}:{version}")
            }
            BuilderRequest::Template { name, version: None } => formatter.write_str(name),
        }
    }
}

/// An argument list: a list of texts, or one text that is split by the quoting rules of [`words`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl FromStr for Words {
    type Err = words::UnclosedQuote;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        words::split(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of strings, or one string that is split into words")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Words, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Words, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = items.next_element()? {
                    words.push(word);
                }
                Ok(Words(words))
            }
        }
        deserializer.deserialize_any(WordsVisitor)
    }
}

/// The address of a proxy. May hold a password, so that it is shown without one.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// Returns the address with its password, for making the connection.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProxyUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text is left out of the message: it may hold a password.
        let invalid =
            || InvalidValue("not the address of a proxy (write `http://proxy.example:3128`)".into());
        let complete = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = url::Url::parse(&complete).map_err(|_| invalid())?;
        if url.host_str().is_none_or(str::is_empty) { Err(invalid()) } else { Ok(Self(complete)) }
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once("://") {
            Some((scheme, rest)) => match rest.rsplit_once('@') {
                Some((_, host)) => write!(formatter, "{scheme}://…@{host}"),
                None => formatter.write_str(&self.0),
            },
            None => formatter.write_str("…"),
        }
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
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

    #[test]
    fn reads_ports_and_says_why_not() {
        assert_eq!("8080".parse::<Port>().expect("valid").to_string(), "8080/tcp");
        assert_eq!("53/udp".parse::<Port>().expect("valid").to_string(), "53/udp");
        for (text, why) in [
            ("8000-8010", "ranges"),
            ("80:8080", "publishes"),
            ("0", "1 to 65535"),
            ("65536", "1 to 65535"),
            ("+80", "1 to 65535"),
            ("80/icmp", "protocol"),
            ("http", "1 to 65535"),
        ] {
            let error = text.parse::<Port>().expect_err(text).to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn tells_templates_from_images() {
        let template = |name: &str, version: Option<&str>| BuilderRequest::Template {
            name: name.into(),
            version: version.map(Into::into),
        };
        assert_eq!("java".parse(), Ok(BuilderName(template("java", None))));
        assert_eq!("java:21".parse(), Ok(BuilderName(template("java", Some("21")))));
        let image = "any/s2i-builder:3".parse::<BuilderName>().expect("valid");
        assert!(
            matches!(&image.0, BuilderRequest::Image(reference) if reference.repository() == "any/s2i-builder")
        );
        for text in ["", ":21", "java:", "-x", "a b", "Any/Builder"] {
            assert!(text.parse::<BuilderName>().is_err(), "{text}");
        }
    }

    #[test]
    fn shows_no_proxy_password() {
        let proxy: ProxyUrl = "user:p@ss@proxy.example:3128".parse().expect("valid");
        assert_eq!(proxy.secret(), "http://user:p@ss@proxy.example:3128");
        assert_eq!(format!("{proxy} {proxy:?}"), "http://…@proxy.example:3128 http://…@proxy.example:3128");
        let error = "http://".parse::<ProxyUrl>().expect_err("no host");
        assert!(!error.to_string().contains("://user"), "{error}");
    }
}
