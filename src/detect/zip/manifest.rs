//! Owns the manifest of a JAR: the attributes of its main section (JAR File Specification, "JAR Manifest").
//! Must not fail: lines that are not attributes are skipped.

use super::super::bounded_reader::text;
use percent_encoding::percent_decode_str;

/// The main section of META-INF/MANIFEST.MF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    attributes: Vec<(String, String)>,
}

impl Manifest {
    /// Parses the main section. Other lines are skipped, as in Java's launcher.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in physical_lines(bytes) {
            match (line.first(), lines.last_mut()) {
                // An empty line ends the main section.
                (None, Some(_)) => break,
                (None, None) => {}
                // A line has at most 72 bytes. A longer value continues after a space, in the middle of a word or even of
                // a character, so lines are joined as bytes.
                (Some(b' '), Some(last)) => last.extend_from_slice(&line[1..]),
                _ => lines.push(line.to_vec()),
            }
        }
        let attributes = lines.iter().filter_map(|line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let value = line.get(colon + 1..).unwrap_or_default();
            let value = value.strip_prefix(b" ").unwrap_or(value);
            Some((text(&line[..colon]), sanitised(value)))
        });
        Self { attributes: attributes.collect() }
    }

    /// A value without surrounding white space. Names are compared without case, and the last one wins.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.attributes.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    /// `Class-Path`, split at white space and percent-decoded. URLs with a scheme are not decoded.
    pub(super) fn class_path(&self) -> Vec<String> {
        let entries = self.get("Class-Path").unwrap_or_default().split(' ').filter(|entry| !entry.is_empty());
        entries
            .map(|entry| match has_scheme(entry) {
                true => entry.to_owned(),
                false => text(&percent_decode_str(entry).collect::<Vec<u8>>()),
            })
            .collect()
    }
}

/// Removes control characters. Unlike [`text`], it has no limit, because a class path may be long. The reader limits the
/// manifest.
fn sanitised(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|character| !character.is_control()).collect()
}

/// Whether it begins with a scheme such as `file:`. A single letter is the drive of a Windows path.
fn has_scheme(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| {
        scheme.len() > 1
            && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// Splits at CR LF, LF and CR, as the specification allows all three.
fn physical_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(bytes);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
            rest = None;
            return Some(bytes);
        };
        let skipped = if bytes[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&bytes[end + skipped..]);
        Some(&bytes[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_joined_as_bytes() {
        let manifest = Manifest::parse(
            b"Manifest-Version: 1.0\r\nMain-Class: com.exam\r\n ple.Gr\xc3\r\n \xbc\xc3\x9fe\r\nClass-Path: a.jar lib/b%2\r\n 0c.jar\r\n\r\nName: x/\r\nMain-Class: wrong\r\n",
        );
        assert_eq!(manifest.get("Main-Class"), Some("com.example.Grüße"));
        assert_eq!(manifest.class_path(), ["a.jar", "lib/b c.jar"]);
    }

    #[test]
    fn names_have_no_case_and_lines_any_end() {
        for end in ["\n", "\r\n", "\r"] {
            let text = ["MANIFEST-VERSION: 1.0", "main-class:  Main ", "multi-release: TRUE"].join(end);
            let manifest = Manifest::parse(text.as_bytes());
            assert_eq!(manifest.get("Main-Class"), Some("Main"), "{end:?}");
            assert_eq!(manifest.get("Multi-Release"), Some("TRUE"));
        }
        assert_eq!(Manifest::parse(b"Main-Class: \n").get("Main-Class"), None);
    }

    #[test]
    fn class_path_keeps_urls_with_a_scheme() {
        let manifest = Manifest::parse(b"Class-Path: file:/opt/a%20b.jar  ./x.jar ../y/");
        assert_eq!(manifest.class_path(), ["file:/opt/a%20b.jar", "./x.jar", "../y/"]);
    }
}
