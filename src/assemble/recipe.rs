//! Owns the recipe of a layer: a text with everything that its bytes depend on. Equal recipes make equal layers. Must
//! not read the artifact, and must not know where recipes are stored.

use std::fmt::Write as _;
use std::io;

use super::place::Inputs;
use crate::base_files;
use crate::image::Digest;
use crate::image::digest::DigestReader;
use crate::image::layer::{EntryKind, LAYER_FORMAT_VERSION};
use crate::input::{AddedContent, FileContent};
use crate::plan::{EntrySource, PlannedEntry};

/// The recipe of the layer of `entries`. `artifact` is the artifact's digest; `digest_of` returns the digest
/// of an added file.
pub fn recipe(
    entries: &[PlannedEntry],
    inputs: Inputs<'_>,
    date: u64,
    artifact: Digest,
    mut digest_of: impl FnMut(&FileContent) -> io::Result<Digest>,
) -> io::Result<String> {
    let mut text = format!("layer {LAYER_FORMAT_VERSION}, date {date}\n");
    for entry in entries {
        // The path is last and quoted, so no name can look like another line.
        let what = match &entry.what {
            EntrySource::Directory => "directory".to_owned(),
            EntrySource::Artifact => format!("file {artifact}"),
            EntrySource::HardLink { target } => format!("hard link {:?}", target.as_str()),
            EntrySource::Symlink { target } => format!("symbolic link {target:?}"),
            EntrySource::Certificates => format!("file {}", Digest::of(&base_files::certificates())),
            EntrySource::TimeZones => format!("time zones {}", base_files::time_zones_digest()),
            EntrySource::Template { index } => match inputs.template.get(*index).map(|entry| &entry.kind) {
                Some(EntryKind::File { content, .. }) => {
                    format!("file {}", read_digest(&mut *content.open()?)?)
                }
                _ => "directory".to_owned(),
            },
            EntrySource::Added { index } => match inputs.artifact.added.get(*index).map(|file| &file.content)
            {
                Some(AddedContent::File { content, .. }) => format!("file {}", digest_of(content)?),
                Some(AddedContent::Symlink { target }) => format!("symbolic link {target:?}"),
                Some(AddedContent::Directory) | None => "directory".to_owned(),
            },
        };
        let (mode, owner, path) = (entry.mode, entry.owner, entry.path.as_str());
        writeln!(text, "{mode:o} {owner} {what} {path:?}").expect("writing to a String");
    }
    Ok(text)
}

pub fn read_digest(reader: &mut dyn io::Read) -> io::Result<Digest> {
    let mut reader = DigestReader::new(reader);
    io::copy(&mut reader, &mut io::sink())?;
    Ok(reader.finish().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::ImagePath;
    use crate::image::layer::Owner;
    use crate::input::{AddedDestination, AddedFile, Artifact, Origin};

    fn content(bytes: &[u8]) -> FileContent {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        io::Write::write_all(&mut file, bytes).expect("writes");
        FileContent::temporary(file)
    }

    fn artifact(added: &[u8]) -> Artifact {
        let file =
            AddedContent::File { content: content(added), size: added.len() as u64, executable: false };
        Artifact {
            name: "app".into(),
            size: 3,
            sha256: None,
            origin: Origin::Stdin,
            content: content(b"app"),
            tree_path: None,
            added: vec![AddedFile { destination: AddedDestination::Beside("lib".into()), content: file }],
            left_out: 0,
            has_other_platforms: false,
        }
    }

    fn entry(path: &str, what: EntrySource) -> PlannedEntry {
        PlannedEntry { path: ImagePath::new(path).expect("valid"), what, mode: 0o755, owner: Owner::ROOT }
    }

    fn made(entries: &[PlannedEntry], artifact: &Artifact, date: u64, digest: &[u8]) -> String {
        let inputs = Inputs { artifact, template: &[] };
        let read = |content: &FileContent| read_digest(&mut content.reader());
        recipe(entries, inputs, date, Digest::of(digest), read).expect("everything can be read")
    }

    #[test]
    fn says_everything_that_the_bytes_depend_on_and_nothing_else() {
        let entries = [entry("/a", EntrySource::Artifact), entry("/l", EntrySource::Added { index: 0 })];
        let first = made(&entries, &artifact(b"one"), 1, b"app");
        assert_eq!(first, made(&entries, &artifact(b"one"), 1, b"app"));
        let mut others = vec![
            made(&entries, &artifact(b"two"), 1, b"app"),
            made(&entries, &artifact(b"one"), 2, b"app"),
            made(&entries, &artifact(b"one"), 1, b"other"),
            made(&entries[..1], &artifact(b"one"), 1, b"app"),
        ];
        let moved = entry("/b", EntrySource::Artifact);
        let owned = PlannedEntry { owner: Owner { uid: 1, gid: 0 }, ..entries[0].clone() };
        let secret = PlannedEntry { mode: 0o700, ..entries[0].clone() };
        others.extend(
            [moved, owned, secret]
                .map(|changed| made(&[changed, entries[1].clone()], &artifact(b"one"), 1, b"app")),
        );
        assert!(others.iter().all(|other| *other != first), "{first}");
        // A name with a line end in it is no second entry.
        let sneaky = [entry("/a\n755 0:0 directory \"/b\"", EntrySource::Directory)];
        assert_eq!(made(&sneaky, &artifact(b""), 1, b"").lines().count(), 2);
    }
}
