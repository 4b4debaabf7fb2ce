//! Owns `[image]` of `builder.toml`: the settings and files that make a base into the builder image.
//!
//! Must not read files.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::image::ImagePath;
use crate::image::layer::Owner;
use crate::text::as_text;

/// `[image]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageSection {
    /// The user of the image, as numbers, so that it can own the placed files.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub user: Owner,
    pub working_directory: ImagePath,
    pub entrypoint: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Ports of the program, such as `8080/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// Directories of the template.
    #[serde(default)]
    pub directories: Vec<DirectoryEntry>,
    /// Files other than the scripts.
    #[serde(default)]
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectoryEntry {
    pub path: ImagePath,
    pub mode: Mode,
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileEntry {
    /// The path of the file, relative to the template's folder.
    #[serde(deserialize_with = "relative_path")]
    pub source: String,
    pub path: ImagePath,
    pub mode: Mode,
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
}

/// Permission bits in octal digits (`"0775"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let octal = (3..=5).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|bits| *bits <= 0o7777);
        let invalid = || format!("`{text}` is not a mode (expected octal digits, such as `0755`)");
        bits.map(Self).ok_or_else(invalid)
    }
}

as_text!(Mode);

/// Reads `uid:gid`. Both are numbers, because names may stand for different users in different bases.
fn owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Owner, D::Error> {
    let text = String::deserialize(deserializer)?;
    let number = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse::<u32>().ok()).flatten()
    };
    let parsed =
        text.split_once(':').and_then(|(uid, gid)| Some(Owner { uid: number(uid)?, gid: number(gid)? }));
    parsed.ok_or_else(|| {
        serde::de::Error::custom(format!("`{text}` is not an owner (expected two numbers, such as `1001:0`)"))
    })
}

fn as_text<S: serde::Serializer>(owner: &Owner, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(owner)
}

/// Reads an owner that a file may leave out.
pub(super) fn optional_owner<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Owner>, D::Error> {
    owner(deserializer).map(Some)
}

pub(super) fn optional_owner_text<S: serde::Serializer>(
    owner: &Option<Owner>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    owner.as_ref().map(ToString::to_string).serialize(serializer)
}

/// Reads a path below the template's folder: relative, normal, `/` between its components.
pub(super) fn relative_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let good = ImagePath::new(&format!("/{text}")).is_ok_and(|path| path.relative() == text)
        && !text.is_empty()
        && !text.contains('\\');
    if good {
        return Ok(text);
    }
    Err(serde::de::Error::custom(format!("`{text}` is not a relative path inside the template's folder")))
}
