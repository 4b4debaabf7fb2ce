//! Owns finding the artifact in a directory of finished files, by the listing that archives have, and the rule that tells
//! such a directory from a source tree. Must not know archive formats.
//!
//! The rule: a directory is a source tree if a build file, a repository or source code of a compiled language is at its
//! top. Without them, it is an artifact if a program, a JAR or a WAR is in it. Everything else is a source tree.
//! `package.json` is no build file of an unpacked package of npm that contains a program.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::add::walk::{DirectoryEntry, Modes, walk};
use super::archive::{Contents, Listing, NPM_MANIFEST, resolve};
use super::artifact::{AddedContent, FileContent};
use super::candidates::HEAD_BYTES;
use super::checksums::{Checksums, is_checksum_file};
use super::file::digest;
use super::name::artifact_name;
use super::neighbours::needs;
use super::tree::Tree;
use super::{ArchiveError, InputError, InputFile, InputOptions};
use crate::blocking::Stop;
use crate::detect::source_tree;
use crate::fs::unpack::member_path;
use crate::image::{Digest, Platform};

/// Files of sources without a build file: repositories, own scripts, and web pages, as the builders know them.
const SOURCE_MARKS: [&str; 6] =
    [".git", ".s2i", "HEAD", "index.html", "public/index.html", "dist/index.html"];

/// The ends of names of source code that a compiler reads. Finished programs come with scripts, but not with these.
const COMPILED_LANGUAGES: [&str; 10] =
    [".c", ".cc", ".cpp", ".cs", ".go", ".java", ".kt", ".rs", ".scala", ".swift"];

/// The number of names at the top of a package of npm that contains a program. A project may be large, and is not walked.
const MOST_IN_PACKAGE: usize = 20;

/// Whether a directory holds finished files. One that cannot be read does not.
pub(crate) fn is_finished(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    let names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    let has_mark = SOURCE_MARKS.iter().any(|mark| path.join(mark).exists());
    let has_code = names.iter().any(|name| COMPILED_LANGUAGES.iter().any(|end| name.ends_with(end)));
    let build_file = source_tree(names.iter().map(String::as_str));
    let has_build_file =
        build_file.is_some_and(|file| file.name != NPM_MANIFEST || names.len() > MOST_IN_PACKAGE);
    if has_mark || has_code || has_build_file {
        return false;
    }
    let Ok(entries) = walk(path, Modes::Kept, &Stop::default()) else { return false };
    list(path, &entries, None).is_ok_and(|listing| listing.source_tree().is_none() && listing.has_program())
}

/// Finds the artifact below the directory `path`.
pub(super) fn find_artifact(
    path: &Path,
    options: &InputOptions,
    stop: &Stop,
) -> Result<Contents, InputError> {
    let entries = walk(path, Modes::Kept, stop)?;
    let listing = list(path, &entries, options.platform.as_ref())?;
    let mut contents = chosen_of(path, &listing, &entries, options, stop)?;
    contents.has_other_platforms = listing.has_other_platforms();
    Ok(contents)
}

fn chosen_of(
    path: &Path,
    listing: &Listing,
    entries: &[DirectoryEntry],
    options: &InputOptions,
    stop: &Stop,
) -> Result<Contents, InputError> {
    let shown = path.display().to_string();
    if options.sha256.is_some() {
        return Err(InputError::NotAFile { path: path.to_owned(), what: "a directory" });
    }
    if options.treat_as.is_none()
        && options.member_path.is_none()
        && let Some(file) = listing.source_tree()
    {
        let (build_file, build_system) = (file.name, file.system);
        return Err(InputError::SourceTree { shown, build_file, build_system, archive: false });
    }
    let missing = |path: &str, reason: String| ArchiveError::NoSuchMember {
        shown: shown.clone(),
        path: path.to_owned(),
        reason,
    };
    let choice = match &options.member_path {
        Some(wanted) => member_path(wanted).map_err(|error| missing(wanted, error.to_string()))?,
        None => listing.choose(&shown)?.to_owned(),
    };
    let found = resolve(path, &choice).and_then(|found| entries.iter().find(|entry| entry.path == found));
    let Some(DirectoryEntry { path: member, content: AddedContent::File { content, size, .. } }) = found
    else {
        return Err(missing(&choice, format!("it is missing or not a file; {}", listing.inside())).into());
    };
    if *size > options.max_size {
        return Err(InputError::TooLarge { shown, size: Some(*size), limit: options.max_size });
    }
    let name = artifact_name(member);
    let sha256 = verified(path, member, content, options, stop)?;
    let artifact = InputFile { name, size: *size, sha256, content: content.clone() };
    let unreadable = |error| InputError::read(&path.join(member), error);
    if options.keep_tree || listing.starts_distribution(member) {
        return Ok(Contents { tree: Some(Tree::below(path, member, stop)?), ..Contents::alone(artifact) });
    }
    if !listing.has_mark() && !needs::names_files(*size, content).map_err(unreadable)? {
        return Ok(Contents { left_out: listing.programs_files(member), ..Contents::alone(artifact) });
    }
    let tree = Tree::below(path, member, stop)?.needed(*size, content).map_err(unreadable)?;
    let left_out = listing.programs_files(member).saturating_sub(tree.programs_files());
    let tree = Some(tree).filter(|tree| !tree.files.is_empty());
    Ok(Contents { tree, left_out, ..Contents::alone(artifact) })
}

/// The digest of the chosen file, compared with the user's checksum file, or with the one in the directory that lists it.
fn verified(
    path: &Path,
    member: &str,
    content: &FileContent,
    options: &InputOptions,
    stop: &Stop,
) -> Result<Option<Digest>, InputError> {
    let expected = match &options.sha256_file {
        Some(checksums) => Some(Checksums::read(checksums, stop)?.require(Some(member))?),
        None => listed_digest(path, member, stop)?,
    };
    let Some(expected) = expected else { return Ok(None) };
    let full = path.join(member);
    let actual = digest(content, &full, stop)?;
    if actual != expected {
        return Err(InputError::DigestMismatch { shown: full.display().to_string(), expected, actual });
    }
    Ok(Some(actual))
}

/// The digest of a file in a checksum file at the top of the directory.
fn listed_digest(path: &Path, member: &str, stop: &Stop) -> Result<Option<Digest>, InputError> {
    let entries = std::fs::read_dir(path).map_err(|error| InputError::read(path, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.file_name().and_then(|name| name.to_str()).is_some_and(is_checksum_file));
    files.sort();
    for file in files {
        if let Some(digest) = Checksums::read(&file, stop)?.get(Some(member))? {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// Reads the beginning of every file.
fn list(path: &Path, entries: &[DirectoryEntry], platform: Option<&Platform>) -> Result<Listing, InputError> {
    let shown = path.display().to_string();
    let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = full.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut listing = Listing::of_directory(name, platform);
    for entry in entries {
        listing.add_name(&entry.path, matches!(entry.content, AddedContent::Directory));
        if let AddedContent::File { content, size, .. } = &entry.content {
            let mut head = Vec::with_capacity(HEAD_BYTES);
            let read = content.reader().take(HEAD_BYTES as u64).read_to_end(&mut head);
            read.map_err(|error| InputError::read(&path.join(&entry.path), error))?;
            listing.add_file(&shown, &entry.path, *size, &head)?;
        }
    }
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::ElfSample as Elf;

    const JAR: &[u8] = b"PK\x03\x04";
    const SCRIPT: &[u8] = b"#!/bin/sh\n";

    fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("temporary directory");
        for (path, bytes) in files {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().expect("below the top")).expect("creates");
            std::fs::write(path, bytes).expect("writes");
        }
        directory
    }

    fn find(files: &[(&str, &[u8])], options: &InputOptions) -> Result<Contents, InputError> {
        // The files are read by name only when the image is made.
        let directory = directory(files);
        find_artifact(directory.path(), options, &Stop::default())
    }

    fn for_arm64() -> InputOptions {
        InputOptions { platform: Some(Platform::linux("arm64")), ..InputOptions::default() }
    }

    /// One program for two platforms, and the digests of both.
    fn release() -> (Vec<u8>, Vec<u8>, String) {
        let amd64 = Elf::default().bytes();
        let arm64 = Elf { machine: 183, ..Elf::default() }.bytes();
        let line = |name: &str, bytes: &[u8]| {
            format!("{}  {name}\n", Digest::of(bytes).to_string().trim_start_matches("sha256:"))
        };
        let sums = line("tool-amd64", &amd64) + &line("tool-arm64", &arm64);
        (amd64, arm64, sums)
    }

    #[test]
    fn the_platform_chooses_among_programs() {
        let (amd64, arm64, sums) = release();
        let files = [("tool-amd64", &*amd64), ("tool-arm64", &arm64), ("SHA256SUMS", sums.as_bytes())];
        let found = find(&files, &for_arm64()).expect("one is for arm64");
        assert_eq!((found.artifact.name.as_str(), found.left_out), ("tool-arm64", 0));
        assert!(found.has_other_platforms);
        assert_eq!(found.artifact.sha256, Some(Digest::of(&arm64)), "it was compared with SHA256SUMS");
        let several = find(&files, &InputOptions::default()).err().expect("two are possible");
        let hints = crate::diagnostic::Diagnostic::hints(&several);
        assert!(hints[0].ends_with("`--platform linux/amd64`"), "{hints:?}");
        assert!(hints[1].ends_with("`--platform linux/amd64,linux/arm64`"), "{hints:?}");
        let other = InputOptions { platform: Some(Platform::linux("s390x")), ..InputOptions::default() };
        let error = find(&files, &other).err().expect("none is for s390x").to_string();
        assert!(
            error.ends_with("its programs are for linux/amd64, linux/arm64, not for linux/s390x"),
            "{error}"
        );
        let alone = find(&files[1..2], &for_arm64()).expect("the only one");
        assert!(!alone.has_other_platforms);
    }

    #[test]
    fn a_checksum_file_in_the_directory_must_be_right() {
        let (amd64, arm64, sums) = release();
        let wrong = sums.replace("tool-arm64", "tool-x").replace("tool-amd64", "tool-arm64");
        let files = |sums| [("tool-amd64", &*amd64), ("tool-arm64", &arm64), ("tool_checksums.txt", sums)];
        assert!(matches!(
            find(&files(wrong.as_bytes()), &for_arm64()),
            Err(InputError::DigestMismatch { .. })
        ));
        let unlisted = find(&files(b"no digest at all"), &for_arm64()).expect("it is not listed");
        assert_eq!(unlisted.artifact.sha256, None);
        let other = directory(&[("SUMS", sums.as_bytes())]);
        let options = InputOptions { sha256_file: Some(other.path().join("SUMS")), ..for_arm64() };
        let found = find(&files(b""), &options).expect("it is listed");
        assert_eq!(found.artifact.sha256, Some(Digest::of(&arm64)));
        assert!(matches!(find(&[("x", &arm64)], &options), Err(InputError::Checksum { .. })));
    }

    #[test]
    fn a_build_file_or_a_repository_makes_sources() {
        let program = Elf::default().bytes();
        for (files, expected) in [
            (&[("app.jar", JAR), ("classes/A.class", b"x")][..], true),
            (&[("app/bin/app", SCRIPT), ("app/lib/app.jar", JAR)], true),
            (&[("run.jar", JAR), ("app/a.jar", JAR), ("quarkus/quarkus-application.dat", b"x")], true),
            (&[("tool_linux_amd64/tool", &program), ("checksums.txt", b"x")], true),
            (&[("tool", &program), ("go.mod", b"module x")], false),
            (&[("app.jar", JAR), ("pom.xml", b"<project/>")], false),
            (&[("bin/tool", &program), ("package.json", b"{}"), ("README.md", b"x")], true),
            (&[("bin/tool", &program), ("package.json", b"{}"), ("index.js", b"x")], false),
            (&[("tool", &program), (".git/HEAD", b"x")], false),
            (&[("tool", &program), ("index.html", b"x")], false),
            (&[("assets/tool", &program), ("main.rs", b"fn main() {}")], false),
            (&[("tool", &program), ("examples/Hello.java", b"class Hello {}")], true),
            (&[("app.py", b"#!/usr/bin/env python3\n")], false),
            (&[("main.c", b"int main;")], false),
            (&[], false),
        ] {
            assert_eq!(is_finished(directory(files).path()), expected, "{files:?}");
        }
        assert!(!is_finished(Path::new("/nonexistent")));
    }

    #[test]
    fn the_start_script_of_a_distribution_keeps_its_tree() {
        let files = [("bin/app", SCRIPT), ("lib/app.jar", JAR), ("lib/x.jar", JAR), ("conf/a", b"x")];
        let found = find(&files, &InputOptions::default()).expect("found");
        let tree = found.tree.expect("a tree");
        assert_eq!((found.artifact.name.as_str(), tree.artifact.as_str()), ("app", "bin/app"));
        assert_eq!(
            tree.files.iter().filter(|file| !matches!(file.content, AddedContent::Directory)).count(),
            3
        );
    }

    #[test]
    fn one_program_is_taken_alone() {
        let files = [("app.jar", JAR), ("original-app.jar", JAR), ("classes/A.class", b"x")];
        let found = find(&files, &InputOptions::default()).expect("found");
        assert_eq!((found.artifact.name.as_str(), found.left_out), ("app.jar", 2));
        assert!(found.tree.is_none());
        let original =
            InputOptions { member_path: Some("original-app.jar".into()), ..InputOptions::default() };
        assert_eq!(find(&files, &original).expect("found").artifact.name, "original-app.jar");
        let absent = InputOptions { member_path: Some("x.jar".into()), ..InputOptions::default() };
        assert!(
            find(&files, &absent).err().expect("absent").to_string().contains("contains no file `x.jar`")
        );
    }

    #[test]
    fn candidates_are_listed_and_sources_are_refused() {
        let program = Elf::default().bytes();
        let several = find(&[("a", &program), ("b", &program)], &InputOptions::default());
        assert!(several.err().expect("two").to_string().contains("2 files that could be the artifact"));
        let files = [("a", &program[..]), ("go.mod", b"module x")];
        assert!(matches!(find(&files, &InputOptions::default()), Err(InputError::SourceTree { .. })));
        let finished =
            InputOptions { treat_as: Some(super::super::TreatAs::Artifact), ..InputOptions::default() };
        assert_eq!(find(&files, &finished).expect("found").artifact.name, "a");
    }
}
