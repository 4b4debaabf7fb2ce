//! Owns values with their own syntax: quantities, choices, ports, builders, argument lists, proxies. Configuration
//! files, `B2I_*` variables and flags share them.
//!
//! Must not know the key or flag of a value.

mod platforms;
mod quantities;

use std::fmt::{self, Display};
use std::str::FromStr;

pub use platforms::Platforms;
pub use quantities::{ByteSize, Cpus, Period};

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::image::shell_words;
use crate::text::as_text;

/// A text that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(String);

impl InvalidValue {
    pub(crate) fn new(reason: impl ToString) -> Self {
        Self(reason.to_string())
    }
}

as_text!(ByteSize, Period, Port, ProxyUrl);

/// A port with its protocol, such as `8080/tcp`. The default protocol is `tcp`.
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
            return Err(invalid("ranges are not supported; list each port"));
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

impl Display for Port {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.protocol)
    }
}

/// An argument list: a list of texts, or one text that is split by the rules of [`shell_words`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub Vec<String>);

impl FromStr for Words {
    type Err = shell_words::UnclosedQuote;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        shell_words::split(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a list of strings, or one string that is split into words";
        text_or_list(deserializer, expected, |words| Some(Self(words)))
    }
}

/// Reads a text with `FromStr`, or a list with `from_list`, which rejects an empty list.
fn text_or_list<'de, T, I, D>(
    deserializer: D,
    expected: &'static str,
    from_list: fn(Vec<I>) -> Option<T>,
) -> Result<T, D::Error>
where
    T: FromStr<Err: Display>,
    I: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct TextOrList<T, I>(&'static str, fn(Vec<I>) -> Option<T>);
    impl<'de, T: FromStr<Err: Display>, I: Deserialize<'de>> Visitor<'de> for TextOrList<T, I> {
        type Value = T;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<T, A::Error> {
            let items = Vec::deserialize(SeqAccessDeserializer::new(items))?;
            (self.1)(items).ok_or_else(|| A::Error::custom("the list is empty"))
        }
    }
    deserializer.deserialize_any(TextOrList(expected, from_list))
}

/// The address of a proxy. Its text omits the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(String);

impl ProxyUrl {
    /// The address with its password, for the connection.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProxyUrl {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The message omits the text, which may contain a password.
        let invalid =
            || InvalidValue("not the address of a proxy (write `http://proxy.example:3128`)".into());
        let complete = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = url::Url::parse(&complete).map_err(|_| invalid())?;
        if url.host_str().is_none_or(str::is_empty) { Err(invalid()) } else { Ok(Self(complete)) }
    }
}

impl Display for ProxyUrl {
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
        Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn shows_no_proxy_password() {
        let proxy: ProxyUrl = "user:p@ss@proxy.example:3128".parse().expect("valid");
        assert_eq!(proxy.secret(), "http://user:p@ss@proxy.example:3128");
        assert_eq!(format!("{proxy} {proxy:?}"), "http://…@proxy.example:3128 http://…@proxy.example:3128");
        let error = "http://".parse::<ProxyUrl>().expect_err("no host");
        assert!(!error.to_string().contains("://user"), "{error}");
    }
}
