//! Owns files with SHA-256 checksums, as `sha256sum`, BSD's `sha256` and release tools write them.
//! Must not hash anything.

use std::io::Read;
use std::path::Path;

use super::{InputError, InputOptions, file};
use crate::blocking::Stop;
use crate::image::Digest;

/// Releases with thousands of files have less.
const MOST_BYTES: u64 = 1024 * 1024;

/// The digests in a checksum file.
pub(super) struct Checksums {
    shown: String,
    /// The name of each file. A file with one bare digest names none.
    digests: Vec<(Option<String>, Digest)>,
}

impl Checksums {
    /// Reads a checksum file.
    ///
    /// # Errors
    /// [`InputError`] if it cannot be read.
    pub(super) fn read(path: &Path, stop: &Stop) -> Result<Self, InputError> {
        let options = InputOptions { max_size: MOST_BYTES, ..InputOptions::default() };
        let file = file::open(path, &options, stop)?;
        let mut text = Vec::new();
        file.content.reader().read_to_end(&mut text).map_err(|error| InputError::read(path, error))?;
        Ok(Self { shown: path.display().to_string(), digests: parse(&String::from_utf8_lossy(&text)) })
    }

    /// The digest of the file `path`, which may be in a directory; without a name, only a bare digest is meant.
    ///
    /// # Errors
    /// [`InputError::Checksum`] if there is none, or if there are several.
    pub(super) fn require(&self, path: Option<&str>) -> Result<Digest, InputError> {
        let shown = path.unwrap_or("standard input");
        self.get(path)?.ok_or_else(|| self.error(format!("has no SHA-256 digest of `{shown}`")))
    }

    /// The digest of the file `path`, if there is one.
    ///
    /// # Errors
    /// [`InputError::Checksum`] if there are several.
    pub(super) fn get(&self, path: Option<&str>) -> Result<Option<Digest>, InputError> {
        if let [(None, digest)] = self.digests[..] {
            return Ok(Some(digest));
        }
        let Some(path) = path else { return Ok(None) };
        let file_name = |path: &str| path.rsplit('/').next().map(str::to_owned);
        let of = |is_it: &dyn Fn(&str) -> bool| {
            let named = self.digests.iter().filter(|(name, _)| name.as_deref().is_some_and(is_it));
            let mut digests: Vec<Digest> = named.map(|(_, digest)| *digest).collect();
            digests.dedup();
            digests
        };
        let mut found = of(&|name| name == path);
        if found.is_empty() {
            found = of(&|name| file_name(name) == file_name(path));
        }
        match found[..] {
            [] => Ok(None),
            [digest] => Ok(Some(digest)),
            _ => Err(self.error(format!("has several SHA-256 digests of `{path}`"))),
        }
    }

    fn error(&self, reason: String) -> InputError {
        InputError::Checksum { shown: self.shown.clone(), reason }
    }
}

/// Whether a file with this name lists the digests of the files beside it.
pub(super) fn is_checksum_file(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let stem = lower.strip_suffix(".txt").unwrap_or(&lower);
    ["sha256sums", "sha256sum", "checksums"].iter().any(|word| {
        stem.strip_suffix(word).is_some_and(|before| before.is_empty() || before.ends_with(['_', '-', '.']))
    })
}

fn parse(text: &str) -> Vec<(Option<String>, Digest)> {
    text.lines().filter_map(line).collect()
}

/// A line of `sha256sum` (`HEX  NAME`, `HEX *NAME`), of BSD (`SHA256 (NAME) = HEX`) or a bare digest.
fn line(line: &str) -> Option<(Option<String>, Digest)> {
    let line = line.trim();
    let digest = |hex: &str| format!("sha256:{}", hex.trim().to_ascii_lowercase()).parse::<Digest>().ok();
    if let Some((algorithm, rest)) = line.split_once('(')
        && matches!(algorithm.trim(), "SHA256" | "SHA2-256")
    {
        let (name, hex) = rest.rsplit_once(')')?;
        return Some((Some(relative(name)), digest(hex.trim_start().strip_prefix('=')?)?));
    }
    match line.split_once([' ', '\t']) {
        None => Some((None, digest(line)?)),
        Some((hex, name)) => {
            let name = name.trim_start();
            Some((Some(relative(name.strip_prefix('*').unwrap_or(name))), digest(hex)?))
        }
    }
}

fn relative(name: &str) -> String {
    name.strip_prefix("./").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn checksums(text: &str) -> Checksums {
        let text = text.replace("ONE", ONE).replace("TWO", TWO);
        Checksums { shown: "SHA256SUMS".into(), digests: parse(&text) }
    }

    fn get(text: &str, path: Option<&str>) -> Result<Option<String>, String> {
        let found = checksums(text).get(path).map_err(|error| error.to_string())?;
        Ok(found.map(|digest| if digest.to_string().ends_with(ONE) { "ONE".into() } else { "TWO".into() }))
    }

    #[test]
    fn every_usual_form_is_read() {
        for (text, path, expected) in [
            ("ONE  tool\nTWO  other\n", Some("tool"), Some("ONE")),
            ("ONE *tool\r\nTWO *other\r\n", Some("other"), Some("TWO")),
            ("ONE  ./dist/tool\n", Some("tool"), Some("ONE")),
            ("ONE  a/tool\nTWO  b/tool\n", Some("b/tool"), Some("TWO")),
            ("SHA256 (tool) = ONE\nSHA256 (a (b)) = TWO\n", Some("a (b)"), Some("TWO")),
            ("SHA2-256(tool)= ONE\n", Some("tool"), Some("ONE")),
            ("ONE\n", Some("anything"), Some("ONE")),
            ("ONE\n", None, Some("ONE")),
            ("# release 1\n\nONE  tool one\n", Some("tool one"), Some("ONE")),
            ("ONE  tool\n", Some("other"), None),
            ("ONE  tool\n", None, None),
            ("1234  tool\nMD5 (tool) = ONE\n<html>", Some("tool"), None),
        ] {
            assert_eq!(get(text, path), Ok(expected.map(str::to_owned)), "{text:?} {path:?}");
        }
        let several = get("ONE  a/tool\nTWO  b/tool\n", Some("tool")).expect_err("two are meant");
        assert_eq!(several, "the checksum file `SHA256SUMS` has several SHA-256 digests of `tool`");
        let upper = format!("{}  tool", "A".repeat(64));
        assert!(checksums(&upper).require(Some("tool")).is_ok());
        let missing = checksums("ONE  tool").require(Some("x")).expect_err("it is not listed");
        assert_eq!(missing.to_string(), "the checksum file `SHA256SUMS` has no SHA-256 digest of `x`");
    }

    #[test]
    fn checksum_files_are_known_by_name() {
        for name in
            ["SHA256SUMS", "sha256sum.txt", "checksums.txt", "tool_1.2_checksums.txt", "tool-SHA256SUMS"]
        {
            assert!(is_checksum_file(name), "{name}");
        }
        for name in ["tool", "SHA512SUMS", "mychecksums", "checksums.txt.asc", "tool.sha256"] {
            assert!(!is_checksum_file(name), "{name}");
        }
    }
}
