//! Owns a list of platforms: one, several separated by commas, or (in files) a list.
//!
//! Must not know which platforms a builder has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::image::Platform;
use crate::image::platform::InvalidPlatform;

/// One or several platforms, each once, in the user's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platforms(Vec<Platform>);

impl Platforms {
    /// Makes a list; `None` if it is empty.
    pub fn of(platforms: Vec<Platform>) -> Option<Self> {
        let mut once = Vec::new();
        for platform in platforms {
            if !once.contains(&platform) {
                once.push(platform);
            }
        }
        (!once.is_empty()).then_some(Self(once))
    }

    pub fn as_slice(&self) -> &[Platform] {
        &self.0
    }
}

impl FromStr for Platforms {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let platforms = text.split(',').map(str::trim).map(str::parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of(platforms).expect("splitting gives at least one piece"))
    }
}

impl fmt::Display for Platforms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        formatter.write_str(&texts.join(","))
    }
}

impl Serialize for Platforms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Platforms {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a platform such as `linux/arm64`, or a list of them";
        super::text_or_list(deserializer, expected, Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_read_each_once() {
        let read = |text: &str| text.parse::<Platforms>().map(|platforms| platforms.to_string());
        assert_eq!(read("linux/arm64").as_deref(), Ok("linux/arm64"));
        assert_eq!(read("linux/amd64, linux/aarch64,linux/arm64").as_deref(), Ok("linux/amd64,linux/arm64"));
        for text in ["", "linux/amd64,", ",", "linux/amd64;linux/arm64"] {
            assert!(read(text).is_err(), "{text}");
        }
        let list: Platforms = serde_json::from_str(r#"["linux/amd64", "linux/arm/v7"]"#).expect("a list");
        assert_eq!(list.to_string(), "linux/amd64,linux/arm/v7");
        assert!(serde_json::from_str::<Platforms>("[]").is_err());
    }
}
