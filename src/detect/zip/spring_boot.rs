//! Owns the marks of Spring Boot in an archive: its version and the layers of its index ("Executable JAR format").
//! Must not read the libraries.

use std::io;

use super::super::bounded_reader::text;
use super::super::facts::SpringBootFacts;
use super::Archive;
use super::manifest::Manifest;

const LONGEST_INDEX: u64 = 1024 * 1024;
const MOST_LAYERS: usize = 127;

/// Reads the marks; `None` for other archives.
pub(super) fn detect(archive: &mut Archive<'_>, manifest: &Manifest) -> io::Result<Option<SpringBootFacts>> {
    let version = manifest.get("Spring-Boot-Version").map(str::to_owned);
    if version.is_none() && !archive.survey.boot {
        return Ok(None);
    }
    let places = match manifest.get("Spring-Boot-Layers-Index") {
        Some(place) => vec![place],
        None => vec!["BOOT-INF/layers.idx", "WEB-INF/layers.idx"],
    };
    let mut entries = archive.directory.entries();
    let index = entries.find(|entry| places.iter().any(|place| place.as_bytes() == entry.name));
    let bytes = match index {
        Some(index) => index.read(&mut archive.view, LONGEST_INDEX)?,
        None => None,
    };
    Ok(Some(SpringBootFacts { version, layers: bytes.map(|bytes| layer_names(&bytes)).unwrap_or_default() }))
}

/// Reads the names: lines such as `- "dependencies":` without indentation.
fn layer_names(index: &[u8]) -> Vec<String> {
    let names = index.split(|byte| *byte == b'\n').filter_map(|line| {
        let name = line.trim_ascii_end().strip_prefix(b"- \"")?.strip_suffix(b"\":")?;
        Some(text(name))
    });
    names.take(MOST_LAYERS).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn layers_are_the_names_that_are_not_indented() {
        let index = b"- \"dependencies\":\r\n  - \"BOOT-INF/lib/\"\n- \"snapshot-dependencies\":\n- \"application\":\n  - \"BOOT-INF/classes/\"\n";
        assert_eq!(super::layer_names(index), ["dependencies", "snapshot-dependencies", "application"]);
    }
}
