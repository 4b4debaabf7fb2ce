//! Owns how layers are compressed: what can be asked for, what `auto` makes of it, and the one pass that writes a
//! layer's blob. Must not know where blobs go.
//!
//! # What the bytes of a compressed layer depend on
//! On the tar, the method, its level and the version of its library; not on the processor, the number of cores or
//! the time. The tar is cut into pieces of [`MEMBER_SIZE`] bytes, each compressed by itself and written in order:
//! gzip members and zstd frames may follow each other (RFC 1952 §2.2, RFC 8878 §3), and Docker 20.10, Podman 4.3,
//! containerd 1.6 and umoci 0.4.7 read them so. Who compressed which piece leaves no trace.
//!
//! What was found in the libraries' sources, and is held by tests with fixed digests:
//! * **libdeflate 1.26** (gzip): asks for processor features only in its checksums and in filling tables, both of
//!   which have one right result; its match finders hash little-endian words on every machine.
//! * **zstd 1.5.7**: chooses code, not matches, by BMI2. Its row match finder (levels 5–12) is switched on for smaller
//!   windows where vectors exist; at the window of a piece (18 bits) it is on everywhere. A context is used for one
//!   piece only, so that no table of an earlier piece can matter.
//! * **zlib-rs 0.6** is deterministic too, since it dropped the hash that only some processors have, but writes a
//!   fifth more at the same speed. Intel's ISA-L, the fastest, was not taken: it differs by processor by design.

mod member;
mod parallel;
mod read;
mod sample;
mod write;

use std::fmt;
use std::io;
use std::str::FromStr;

use super::layer::{LAYER_FORMAT_VERSION, Layer};
use super::manifest::LayerCompression;
use crate::text::as_text;

pub use read::{DecompressionLimit, decompress, sniff};
pub use write::{WrittenBlob, all_cores, compress_tar, write_layer};

/// Raised with every change of the bytes that an equal tar gives, other than by a level or a library's version, and
/// with every change of what `auto` decides.
pub const COMPRESSION_VERSION: u32 = 1;

/// Size of the pieces that are compressed independently, in bytes. With half of it the output grows by 0.3 %, with
/// four times of it it shrinks by 0.2 % (see CONTRIBUTING, "Measuring"); small pieces keep every core busy on a small
/// layer and memory small on many cores.
pub const MEMBER_SIZE: usize = 256 * 1024;

const GZIP_LEVELS: std::ops::RangeInclusive<u8> = 1..=9;
const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=19;

/// Level that is taken if none is asked for: for both, speed decides. Level 6 is 2.3 times slower for 9 % less.
const GZIP_LEVEL: u8 = 1;
const ZSTD_LEVEL: u8 = 1;

/// The version of libdeflate; `Cargo.toml` pins it.
const LIBDEFLATE: &str = "libdeflate 1.26";

/// How a user wants layers compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// What every runtime reads: gzip, or nothing where that would not help.
    #[default]
    Auto,
    /// This, whatever the bytes are.
    Fixed(Method),
}

/// How one layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Method {
    codec: LayerCompression,
    /// 0 for no compression.
    level: u8,
}

/// A text that names no compression.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidCompression {
    /// Not one of the four words.
    #[error(
        "`{0}` is no compression: it is `auto`, `gzip`, `zstd` or `none`, the middle two with `:LEVEL` if wanted"
    )]
    Unknown(String),
    #[error("`{0}` takes no level; `gzip:LEVEL` and `zstd:LEVEL` do")]
    NoLevel(String),
    #[error("`{level}` is no level of {name}: it is a number from {first} to {last}")]
    Level {
        /// The method.
        name: &'static str,
        /// What was given.
        level: String,
        /// The lowest.
        first: u8,
        /// The highest.
        last: u8,
    },
}

impl Method {
    /// A plain tar.
    pub const NONE: Self = Self { codec: LayerCompression::None, level: 0 };
    /// gzip at its default level.
    pub const GZIP: Self = Self { codec: LayerCompression::Gzip, level: GZIP_LEVEL };
    /// zstd at its default level.
    pub const ZSTD: Self = Self { codec: LayerCompression::Zstd, level: ZSTD_LEVEL };

    /// What the layer's media type says of it.
    pub fn codec(self) -> LayerCompression {
        self.codec
    }
}

impl Compression {
    /// Decides for `layer`, by its bytes alone: for `auto`, half a megabyte of its files is read and compressed.
    ///
    /// # Errors
    /// Errors of the layer's contents.
    pub fn method_for(self, layer: &Layer) -> io::Result<Method> {
        match self {
            Self::Fixed(method) => Ok(method),
            Self::Auto if sample::shrinks(layer, Method::GZIP)? => Ok(Method::GZIP),
            Self::Auto => Ok(Method::NONE),
        }
    }

    /// What a tar that exists already is compressed by: layers of base images are programs and texts.
    pub fn method_for_base(self) -> Method {
        match self {
            Self::Fixed(method) => method,
            Self::Auto => Method::GZIP,
        }
    }

    /// Names everything that the blob of an equal layer depends on. Digests remembered under another key are not
    /// those of the blob that would be written.
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
        let leveled = |method: Method, name, levels: std::ops::RangeInclusive<u8>| {
            let Some(text) = level else { return Ok(Self::Fixed(method)) };
            // Digits alone: `parse` would take `+1` too, and one level should have one name.
            let parsed = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
            match parsed.filter(|level| levels.contains(level)) {
                Some(level) => Ok(Self::Fixed(Method { level, ..method })),
                None => Err(InvalidCompression::Level {
                    name,
                    level: text.to_owned(),
                    first: *levels.start(),
                    last: *levels.end(),
                }),
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
