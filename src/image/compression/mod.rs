//! Owns the compression of layers: the methods, the decision of `auto`, and the pass that writes a layer's blob.
//! Must not know where blobs go.
//!
//! # The bytes of a compressed layer
//! They depend on the tar, the method, its level and the version of its library. They do not depend on the processor,
//! the number of cores or the time. The tar is cut into pieces of [`MEMBER_SIZE`] bytes. Each piece becomes one gzip
//! member or zstd frame, and these may follow each other (RFC 1952 §2.2, RFC 8878 §3). Docker 20.10, Podman 4.3,
//! containerd 1.6 and umoci 0.4.7 read them.
//!
//! From the sources of the libraries; tests with fixed digests check it:
//! * **libdeflate 1.26** (gzip) uses processor features only for checksums and for filling tables, which have one
//!   correct result. Its match finders hash little-endian words on every machine.
//! * **zstd 1.5.7** chooses code by BMI2, not matches. Machines with vectors use its row match finder (levels 5–12) for
//!   smaller windows; at the window of a piece (18 bits) every machine uses it.
//! * **zlib-rs 0.6** is deterministic, too, but writes a fifth more at the same speed.
//! * **ISA-L** is the fastest, but its output differs by processor.

mod member;
mod parallel;
mod read;
mod sample;
mod write;

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::layer::{LAYER_FORMAT_VERSION, Layer};
use super::manifest::LayerCompression;
use crate::text::as_text;

pub use read::{DecompressionLimit, decompress, sniff};
pub use write::{WrittenBlob, all_cores, compress_tar, write_layer};

/// Raised with each change of the bytes of an equal tar that is not a change of level or library, and with each change
/// of the decisions of `auto`.
pub const COMPRESSION_VERSION: u32 = 1;

/// Size of the pieces that are compressed independently, in bytes. Half the size makes the output 0.3 % larger; four
/// times the size makes it 0.2 % smaller. Small pieces keep every core busy on a small layer, and memory small on many
/// cores.
pub const MEMBER_SIZE: usize = 256 * 1024;

const GZIP_LEVELS: RangeInclusive<u8> = 1..=9;
const ZSTD_LEVELS: RangeInclusive<u8> = 1..=19;

/// The default levels are the fastest. Level 6 takes 2.3 times as long for 9 % less.
const GZIP_LEVEL: u8 = 1;
const ZSTD_LEVEL: u8 = 1;

/// The version of libdeflate; `Cargo.toml` pins it.
const LIBDEFLATE: &str = "libdeflate 1.26";

/// The compression of layers, as the user sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// gzip, which every runtime reads, or none if gzip would not help.
    #[default]
    Auto,
    Fixed(Method),
}

/// The compression of one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    codec: LayerCompression,
    /// 0 for no compression.
    level: u8,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidCompression {
    #[error("`{0}` is not a valid compression (expected `auto`, `none`, `gzip[:LEVEL]` or `zstd[:LEVEL]`)")]
    Unknown(String),
    #[error("`{0}` takes no level; `gzip:LEVEL` and `zstd:LEVEL` do")]
    NoLevel(String),
    #[error("`{level}` is not a valid level of {name} (expected {} to {})", levels.start(), levels.end())]
    Level { name: &'static str, level: String, levels: RangeInclusive<u8> },
}

impl Method {
    pub const NONE: Self = Self { codec: LayerCompression::None, level: 0 };
    pub const GZIP: Self = Self { codec: LayerCompression::Gzip, level: GZIP_LEVEL };
    pub const ZSTD: Self = Self { codec: LayerCompression::Zstd, level: ZSTD_LEVEL };

    pub fn codec(self) -> LayerCompression {
        self.codec
    }
}

impl Compression {
    /// The method for `layer`. For `auto`, it reads and compresses half a megabyte of the layer's files.
    pub fn method_for(self, layer: &Layer) -> io::Result<Method> {
        match self {
            Self::Fixed(method) => Ok(method),
            Self::Auto if sample::shrinks(layer, Method::GZIP)? => Ok(Method::GZIP),
            Self::Auto => Ok(Method::NONE),
        }
    }

    /// The method for a layer of a base image, which holds programs and texts.
    pub fn method_for_base(self) -> Method {
        match self {
            Self::Fixed(method) => method,
            Self::Auto => Method::GZIP,
        }
    }

    /// A key with everything that the blob of an equal layer depends on. Blobs with different keys may have different
    /// digests.
    pub fn memo_key(self) -> String {
        let library = match self {
            Self::Auto => LIBDEFLATE.to_owned(),
            Self::Fixed(method) => match method.codec {
                LayerCompression::None => "plain".to_owned(),
                LayerCompression::Gzip => LIBDEFLATE.to_owned(),
                LayerCompression::Zstd => format!("zstd {}", zstd::zstd_safe::version_string()),
            },
        };
        format!(
            "layer {LAYER_FORMAT_VERSION}, compression {COMPRESSION_VERSION}, {self}, {library}, member {MEMBER_SIZE}"
        )
    }
}

impl FromStr for Compression {
    type Err = InvalidCompression;

    /// Parses `auto`, `none`, `gzip`, `zstd`, `gzip:LEVEL` (1–9) or `zstd:LEVEL` (1–19).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (word, level) = text.split_once(':').map_or((text, None), |(word, level)| (word, Some(level)));
        let leveled = |method: Method, name, levels: RangeInclusive<u8>| {
            let Some(text) = level else { return Ok(Self::Fixed(method)) };
            // Only digits: `parse` accepts `+1`, too, and a level has one spelling.
            let parsed = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
            match parsed.filter(|level| levels.contains(level)) {
                Some(level) => Ok(Self::Fixed(Method { level, ..method })),
                None => Err(InvalidCompression::Level { name, level: text.to_owned(), levels }),
            }
        };
        match (word, level) {
            ("gzip", _) => leveled(Method::GZIP, "gzip", GZIP_LEVELS),
            ("zstd", _) => leveled(Method::ZSTD, "zstd", ZSTD_LEVELS),
            ("auto", None) => Ok(Self::Auto),
            ("none", None) => Ok(Self::Fixed(Method::NONE)),
            ("auto" | "none", Some(_)) => Err(InvalidCompression::NoLevel(word.to_owned())),
            _ => Err(InvalidCompression::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Fixed(method) => method.fmt(formatter),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.codec {
            LayerCompression::None => formatter.write_str("none"),
            LayerCompression::Gzip => write!(formatter, "gzip:{}", self.level),
            LayerCompression::Zstd => write!(formatter, "zstd:{}", self.level),
        }
    }
}

as_text!(Compression);

#[cfg(test)]
mod tests;
