//! Owns `[image]`: what makes a base into the builder image.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use crate::image::ImagePath;
use crate::image::layer::Owner;

/// `[image]`: what makes a base into the builder image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImageSection {
    /// The user, numeric, so that what is placed can be owned by it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub user: Owner,
    /// The working directory.
    pub working_directory: ImagePath,
    /// The entrypoint.
    pub entrypoint: Vec<String>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Ports that the program listens on, such as `8080/tcp`.
    #[serde(default)]
    pub ports: Vec<String>,
    /// The directories that the template owns.
    #[serde(default)]
    pub directories: Vec<DirectoryEntry>,
    /// Files beside the scripts.
    #[serde(default)]
    pub files: Vec<FileEntry>,
}

/// A directory that the template owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DirectoryEntry {
    /// Where it is.
    pub path: ImagePath,
    /// Its mode.
    pub mode: Mode,
    /// Who owns it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
}

/// A file that the template brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileEntry {
    /// Its path in the template's folder.
    #[serde(deserialize_with = "relative_path")]
    pub source: String,
    /// Where it goes.
    pub path: ImagePath,
    /// Its mode.
    pub mode: Mode,
    /// Who owns it.
    #[serde(deserialize_with = "owner", serialize_with = "as_text")]
    pub owner: Owner,
}

/// Permission bits, written as octal digits (`"0775"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octal = (3..=5).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
        let bits = octal.then(|| u32::from_str_radix(&text, 8).ok()).flatten().filter(|bits| *bits <= 0o7777);
        bits.map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{text}` is not a mode (expected octal digits, such as `0755`)"
            ))
        })
    }
}

/// Reads `uid:gid`; both are numbers, because names mean different users in different bases.
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
