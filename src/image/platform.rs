//! Owns platforms: operating system, architecture and variant, by the names of the OCI image spec, which are Go's.
//! Must not know artifacts or images.

use std::fmt;
use std::str::FromStr;

use crate::suggestion::nearest;
use crate::text::as_text;

/// A platform such as `linux/amd64` or `linux/arm/v7`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`, … (Go's GOOS).
    pub os: String,
    /// `amd64`, `arm64`, … (Go's GOARCH).
    pub architecture: String,
    /// `v7`, …
    pub variant: Option<String>,
}

/// The error for a text that is not a platform.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a platform (expected `os/architecture[/variant]`, such as `linux/amd64`)")]
pub struct InvalidPlatform(String);

impl Platform {
    /// A Linux platform. `arm64` and `aarch64`, `amd64` and `x86_64` are the same.
    pub fn linux(architecture: &str) -> Self {
        Self::new("linux", architecture, None)
    }

    /// `linux/arm64/v8` becomes `linux/arm64`: registries use both.
    pub(super) fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let architecture = canonical_architecture(architecture);
        let variant =
            variant.filter(|variant| !matches!((architecture, *variant), (_, "") | ("arm64", "v8")));
        Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) }
    }

    /// Linux on this machine's processor. Daemons on macOS and Windows run Linux containers, too.
    pub fn host() -> Self {
        Self::linux(std::env::consts::ARCH)
    }

    /// Whether its processors also run programs for the other platform `other`: amd64 runs 32-bit programs.
    pub fn also_runs(&self, other: &Self) -> bool {
        self.os == other.os && self.architecture == "amd64" && other.architecture == "386"
    }

    /// Whether an image for `other` runs on this platform. A missing variant matches any.
    pub fn matches(&self, other: &Self) -> bool {
        self.os == other.os
            && self.architecture == other.architecture
            && (self.variant.is_none() || other.variant.is_none() || self.variant == other.variant)
    }
}

fn canonical_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" | "i686" => "386",
        "powerpc64le" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(formatter, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('/').collect();
        let word = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        if !parts.iter().copied().all(word) {
            return Err(InvalidPlatform(text.to_owned()));
        }
        match parts[..] {
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(InvalidPlatform(text.to_owned())),
        }
    }
}

as_text!(Platform);

/// The architectures that images exist for, as Go names them.
const ARCHITECTURES: [&str; 14] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
    "riscv64", "s390x", "wasm",
];

impl Platform {
    /// Whether images can exist for it: its architecture is known, and `arm` has a known variant.
    pub fn exists(&self) -> bool {
        let variants: Option<&[&str]> = match self.architecture.as_str() {
            "arm" => Some(&["v5", "v6", "v7", "v8"]),
            "amd64" => Some(&["v1", "v2", "v3", "v4"]),
            "arm64" => None,
            architecture => return ARCHITECTURES.contains(&architecture),
        };
        match (&self.variant, variants) {
            (Some(variant), Some(known)) => known.contains(&variant.as_str()),
            (None, _) | (_, None) => true,
        }
    }

    /// The known platform with the most similar name.
    pub fn nearest(&self) -> Option<Self> {
        let architecture = nearest(&self.architecture, ARCHITECTURES)?;
        (architecture != self.architecture).then(|| Self::new(&self.os, architecture, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_architectures_do_not_exist() {
        let platform = |text: &str| text.parse::<Platform>().expect("a platform");
        for text in
            ["linux/amd64", "linux/arm", "linux/arm/v7", "linux/arm64", "linux/x86_64", "linux/riscv64"]
        {
            assert!(platform(text).exists(), "{text}");
        }
        for (text, nearest) in [
            ("linux/arm46", Some("linux/arm64")),
            ("linux/adm64", Some("linux/amd64")),
            ("linux/x68", None),
            ("linux/arm/v9", None),
        ] {
            assert!(!platform(text).exists(), "{text}");
            assert_eq!(platform(text).nearest().map(|near| near.to_string()).as_deref(), nearest, "{text}");
        }
    }

    #[test]
    fn parses_and_canonicalises() {
        for (text, shown) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/aarch64", "linux/arm64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("linux/arm/v7", "linux/arm/v7"),
        ] {
            assert_eq!(text.parse::<Platform>().expect("valid").to_string(), shown);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/a b", "a/b/c/d"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_missing_variant_matches_any() {
        let any: Platform = "linux/arm".parse().expect("valid");
        let seven: Platform = "linux/arm/v7".parse().expect("valid");
        let six: Platform = "linux/arm/v6".parse().expect("valid");
        assert!(any.matches(&seven) && seven.matches(&any) && !six.matches(&seven));
    }
}
