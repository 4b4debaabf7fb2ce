//! Owns the metadata of a Python script: the comment block of PEP 723.
//! Must not guess: a block that is not valid TOML states nothing.

use super::text;

const START: &[u8] = b"# /// script";
const END: &[u8] = b"# ///";
/// Packages beyond these are left out.
const MOST_DEPENDENCIES: usize = 100;

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// `requires-python`
    pub(super) release: Option<String>,
    pub(super) dependencies: Vec<String>,
}

/// The metadata in the beginning of a script.
pub(super) fn python(head: &[u8]) -> Metadata {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    if !lines.by_ref().any(|line| line == START) {
        return Metadata::default();
    }
    let mut block = String::new();
    for line in lines {
        let Some(content) = line.strip_prefix(b"#") else { return Metadata::default() };
        if line == END {
            return parse(&block);
        }
        block.push_str(&String::from_utf8_lossy(content));
        block.push('\n');
    }
    Metadata::default()
}

fn parse(block: &str) -> Metadata {
    let Ok(table) = block.parse::<toml::Table>() else { return Metadata::default() };
    let release = table.get("requires-python").and_then(toml::Value::as_str);
    let dependencies = table.get("dependencies").and_then(toml::Value::as_array);
    let names = dependencies.into_iter().flatten().filter_map(toml::Value::as_str);
    Metadata {
        release: release.map(|release| text(release.as_bytes())),
        dependencies: names.take(MOST_DEPENDENCIES).map(|name| text(name.as_bytes())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_block_and_nothing_else() {
        let script = b"#!/usr/bin/env python3\n# /// script\n# requires-python = \">=3.11\"\r\n# dependencies = [\n#   \"requests<3\",\n# ]\n# ///\nimport requests\n";
        let expected = Metadata { release: Some(">=3.11".into()), dependencies: vec!["requests<3".into()] };
        assert_eq!(python(script), expected);
        for other in [
            &b"#!/usr/bin/env python3\nprint(1)\n"[..],
            b"# /// script\n# requires-python = \">=3.11\"\n",
            b"# /// script\n# requires-python = \n# ///\n",
            b"# /// script\nprint(1)\n# ///\n",
            b"# /// other\n# requires-python = \">=3.11\"\n# ///\n",
            b"",
        ] {
            assert_eq!(python(other), Metadata::default(), "{}", String::from_utf8_lossy(other));
        }
    }
}
