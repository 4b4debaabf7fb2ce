//! Owns a JAR's `Class-Path` and the files added beside the JAR: finds missing JARs and locates classes.
//! Must not decide what to do about a missing JAR.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use super::super::artifact::{AddedContent, AddedFile};
use super::super::neighbours::{FileTree, Node};
use crate::detect::class_path_jar;
use crate::image::ImagePath;

/// The JARs of a `Class-Path` that do not come along. Java skips entries that do not exist, and directories are for
/// resources and single classes, so neither is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissingJars {
    /// Paths relative to the JAR's directory, in their order.
    pub relative: Vec<String>,
    /// Absolute paths and `file:` URLs, which the base may have.
    pub absolute: Vec<String>,
}

impl MissingJars {
    /// Searches `added` for the entries of `class_path` (relative URLs, decoded). The JAR is placed at `artifact`, and paths
    /// of files beside it start at `top`. An entry that ends with `/` is a directory (JAR File Specification, "Class-Path
    /// attribute").
    pub fn of(class_path: &[String], (artifact, top): (&ImagePath, &ImagePath), added: &[AddedFile]) -> Self {
        let (tree, directory) = (tree(artifact, top, added), directory(artifact));
        let is_there = |path: &str| tree.resolve(path).is_some_and(|found| found.node != Node::Directory);
        let mut missing = Self::default();
        for entry in class_path.iter().filter(|entry| !names_directory(entry)) {
            let absolute = entry.strip_prefix("file:").unwrap_or(entry);
            if is_ours(entry) && !is_there(&format!("{directory}/{entry}")) {
                missing.relative.push(entry.clone());
            } else if absolute.starts_with('/') && !is_there(absolute) {
                missing.absolute.push(entry.clone());
            }
        }
        missing
    }
}

fn names_directory(entry: &str) -> bool {
    matches!(entry.rsplit('/').next(), Some("" | "." | "..") | None)
}

/// The files at their places in the image. The number of a file is its index in `added`.
fn tree(artifact: &ImagePath, top: &ImagePath, added: &[AddedFile]) -> FileTree {
    let mut tree = FileTree::of_image(added, top);
    tree.insert(artifact.as_str().trim_start_matches('/'), Node::File(added.len()));
    tree
}

/// The limit of JARs that are searched for one class.
const MOST_JARS: usize = 4096;

/// The result of a search along a class path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassSearch {
    Found,
    Absent,
    /// The class may be where b2i cannot search: in the base image, behind a link, in a JAR that is not readable.
    Unknown,
}

/// Searches the added files for `class` along the `class_path` of the JAR at `artifact`, as Java does: in JARs, along their own
/// class paths, and in directories. Paths of files beside it start at `top`.
pub fn find_class(
    class: &str,
    class_path: &[String],
    (artifact, top): (&ImagePath, &ImagePath),
    added: &[AddedFile],
) -> io::Result<ClassSearch> {
    let (tree, own) = (tree(artifact, top, added), directory(artifact));
    let mut queue: VecDeque<(String, String)> =
        class_path.iter().map(|entry| (own.clone(), entry.clone())).collect();
    let file = format!("{}.class", class.trim().replace('.', "/"));
    let mut searched = BTreeSet::new();
    let mut unknown = false;
    while let Some((below, entry)) = queue.pop_front() {
        let absolute = entry.strip_prefix("file:").unwrap_or(&entry);
        let path = match (is_ours(&entry), absolute.starts_with('/')) {
            (true, _) => format!("{below}/{entry}"),
            (false, true) => absolute.to_owned(),
            (false, false) => {
                unknown = true;
                continue;
            }
        };
        if names_directory(&entry) {
            match tree.resolve(&format!("{path}/{file}")) {
                Some(_) => return Ok(ClassSearch::Found),
                None => unknown |= has_link(added) || !is_ours(&entry),
            }
            continue;
        }
        let Some(found) = tree.resolve(&path) else {
            // Java ignores an entry that does not exist. The base may have an absolute path, or what a link leads to.
            unknown |= has_link(added) || !is_ours(&entry);
            continue;
        };
        if !searched.insert(found.path.clone()) {
            continue;
        }
        let content = if let Node::File(number) = found.node { added.get(number) } else { None };
        let jar = match content.map(|file| &file.content) {
            Some(AddedContent::File { content, size, .. }) if searched.len() <= MOST_JARS => {
                class_path_jar(*size, content.reader(), class)?
            }
            _ => None,
        };
        match jar {
            Some(jar) if jar.has_class => return Ok(ClassSearch::Found),
            Some(jar) => {
                let below = path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
                queue.extend(jar.class_path.into_iter().map(|entry| (below.clone(), entry)));
            }
            None => unknown = true,
        }
    }
    Ok(if unknown { ClassSearch::Unknown } else { ClassSearch::Absent })
}

fn directory(path: &ImagePath) -> String {
    path.parent().map(|parent| parent.to_string()).unwrap_or_default()
}

fn has_link(added: &[AddedFile]) -> bool {
    added.iter().any(|file| matches!(file.content, AddedContent::Symlink { .. }))
}

fn is_ours(entry: &str) -> bool {
    let has_scheme = entry.split_once(':').is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    });
    !has_scheme && !entry.starts_with('/') && !entry.is_empty()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::input::artifact::{AddedDestination, FileContent};

    /// An archive of stored members, with as much of a directory as is needed.
    fn archive(members: &[(&str, &str)]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options =
            zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        for (name, text) in members {
            writer.start_file(*name, options).expect("starts");
            writer.write_all(text.as_bytes()).expect("writes");
        }
        writer.finish().expect("finishes").into_inner()
    }

    fn beside(path: &str, bytes: &[u8]) -> AddedFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(bytes).expect("writes");
        let (file, path_on_disk) = file.into_parts();
        let content = FileContent::new(file, &path_on_disk);
        let content = AddedContent::File { content, size: bytes.len() as u64, executable: false };
        AddedFile { destination: AddedDestination::Beside(path.into()), content }
    }

    fn search(class_path: &[&str], added: &[AddedFile]) -> ClassSearch {
        let class_path: Vec<String> = class_path.iter().map(|entry| (*entry).to_owned()).collect();
        let [artifact, top] =
            ["/app/bin/binary", "/app/bin"].map(|path| ImagePath::new(path).expect("valid"));
        find_class("a.Main", &class_path, (&artifact, &top), added).expect("reads")
    }

    #[test]
    fn a_class_is_found_where_java_finds_it() {
        let own = archive(&[("a/Main.class", "")]);
        let other = archive(&[("META-INF/MANIFEST.MF", "Class-Path: ../own.jar b.jar\n"), ("b/B.class", "")]);
        let added = [beside("lib/other.jar", &other), beside("own.jar", &own), beside("lib/b.jar", &other)];
        assert_eq!(search(&["own.jar"], &added), ClassSearch::Found);
        assert_eq!(search(&["lib/other.jar"], &added), ClassSearch::Found, "by the library's own class path");
        assert_eq!(
            search(&["lib/b.jar"], &added[2..]),
            ClassSearch::Absent,
            "it names itself and what is not there"
        );
        assert_eq!(search(&["lib/other.jar"], &added[..1]), ClassSearch::Absent);
        assert_eq!(search(&[], &added), ClassSearch::Absent, "what is beside it counts only if it is named");
        let classes = [beside("conf/classes/a/Main.class", b"")];
        assert_eq!(search(&["conf/classes/"], &classes), ClassSearch::Found);
        assert_eq!(search(&["conf/"], &classes), ClassSearch::Absent);
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_held_against_it() {
        assert_eq!(search(&["/opt/lib.jar"], &[]), ClassSearch::Unknown);
        assert_eq!(search(&["file:/opt/lib.jar"], &[]), ClassSearch::Unknown);
        assert_eq!(search(&["a.jar"], &[beside("a.jar", b"no archive")]), ClassSearch::Unknown);
        let link = AddedContent::Symlink { target: "elsewhere".into() };
        let link = [AddedFile { destination: AddedDestination::Beside("lib".into()), content: link }];
        assert_eq!(search(&["lib/a.jar"], &link), ClassSearch::Unknown);
    }
}
