//! Owns the question which files of an archive could be the artifact, from a file's name and first bytes.
//!
//! Must not judge whether a candidate can be packaged; detection does, with reasons.

/// How many first bytes of a file are looked at. Program headers stand within them.
pub(super) const HEAD_BYTES: usize = 4096;

const ELF_MAGIC: &[u8] = b"\x7fELF";
const ZIP_MAGIC: &[u8] = b"PK\x03\x04";

/// Directories whose scripts belong to the product but are not it. In lower case.
const BESIDE: &[&str] = &[
    "autocomplete",
    "bash-completion",
    "bash_completion.d",
    "complete",
    "completion",
    "completions",
    "contrib",
    "doc",
    "docs",
    "example",
    "examples",
    "fish",
    "init.d",
    "licenses",
    "man",
    "scripts",
    "site-functions",
    "test",
    "tests",
    "zsh",
];

/// How likely a file is the artifact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candidate {
    /// A script: only when there is nothing better.
    Script,
    /// A program, JAR or WAR.
    Artifact,
}

/// Says whether the file `path` that begins with `head` could be the artifact.
pub(super) fn candidate(path: &str, head: &[u8]) -> Option<Candidate> {
    let name = file_name(path);
    if is_resource_fork(path) {
        return None;
    }
    let lower = name.to_ascii_lowercase();
    if head.starts_with(ELF_MAGIC) {
        return is_program(head, &lower).then_some(Candidate::Artifact);
    }
    if is_java_archive_name(&lower) && (head.starts_with(ZIP_MAGIC) || head.starts_with(b"#!")) {
        let accompanies = ["-sources.jar", "-javadoc.jar", "-tests.jar"];
        let is_artifact = !accompanies.iter().any(|suffix| lower.ends_with(suffix));
        return is_artifact.then_some(Candidate::Artifact);
    }
    let in_side_directory = || {
        let directories = path.rsplit_once('/').map(|(directories, _)| directories.to_ascii_lowercase());
        directories.is_some_and(|directories| directories.split('/').any(|part| BESIDE.contains(&part)))
    };
    let is_completion = || [".bash", ".zsh", ".fish", ".ps1"].iter().any(|suffix| lower.ends_with(suffix));
    (head.starts_with(b"#!") && !is_completion() && !in_side_directory()).then_some(Candidate::Script)
}

/// Names the foreign system whose program begins with `head`.
pub(super) fn foreign_program(path: &str, head: &[u8]) -> Option<&'static str> {
    if is_resource_fork(path) {
        return None;
    }
    let first = head.first_chunk::<4>().map(|bytes| u32::from_be_bytes(*bytes))?;
    match first {
        0xfeed_face | 0xfeed_facf | 0xcefa_edfe | 0xcffa_edfe => Some("macOS"),
        // A Java class file begins likewise; there follow its versions, which are greater than any number of
        // architectures in one program.
        0xcafe_babe | 0xcafe_babf => {
            let count = head.get(4..8)?.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
            (count < 20).then_some("macOS")
        }
        _ => head.starts_with(b"MZ").then_some("Windows"),
    }
}

/// Says whether a file of this name is meant as a Java archive, although it is a zip like any other.
pub(super) fn is_java_archive_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".jar", ".war", ".ear"].iter().any(|suffix| lower.ends_with(suffix))
}

/// What macOS's `tar` and `zip` add to each file.
fn is_resource_fork(path: &str) -> bool {
    file_name(path).starts_with("._") || path.split('/').any(|part| part == "__MACOSX")
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Tells programs from shared libraries, object files and core dumps (System V ABI, "ELF Header").
fn is_program(head: &[u8], lower_name: &str) -> bool {
    const EXECUTABLE: u64 = 2;
    const SHARED: u64 = 3;
    let is_library_name =
        lower_name.ends_with(".so") || lower_name.contains(".so.") || lower_name.ends_with(".debug");
    match number(head, 16, 2) {
        Some(EXECUTABLE) => !lower_name.ends_with(".debug"),
        // A library may have an interpreter, and a static-pie program has none; the name decides.
        Some(SHARED) => !is_library_name || (has_interpreter(head) && !lower_name.contains(".so")),
        _ => false,
    }
}

fn has_interpreter(head: &[u8]) -> bool {
    const INTERPRETER: u64 = 3;
    let is_64_bit = head.get(4) == Some(&2);
    let (table, size, count) = if is_64_bit {
        (number(head, 32, 8), number(head, 54, 2), number(head, 56, 2))
    } else {
        (number(head, 28, 4), number(head, 42, 2), number(head, 44, 2))
    };
    let (Some(table), Some(size), Some(count)) = (table, size, count) else { return false };
    (0..count).any(|index| {
        let offset = table.checked_add(index * size).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| number(head, offset, 4)) == Some(INTERPRETER)
    })
}

/// Reads a number of `width` bytes in the byte order that the ELF header states.
fn number(head: &[u8], offset: usize, width: usize) -> Option<u64> {
    let bytes = head.get(offset..offset.checked_add(width)?)?;
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(if head.get(5) == Some(&2) { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(kind: u8) -> Vec<u8> {
        let mut head = vec![0; 64];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[16] = kind;
        head
    }

    #[test]
    fn programs_are_candidates_and_libraries_are_not() {
        assert_eq!(candidate("tool-1.2/tool", &elf(2)), Some(Candidate::Artifact));
        assert_eq!(candidate("tool-1.2/docs/tool", &elf(3)), Some(Candidate::Artifact));
        for (path, kind) in
            [("lib/libx.so", 3), ("lib/libx.so.1.2", 3), ("tool.o", 1), ("core", 4), ("x.debug", 2)]
        {
            assert_eq!(candidate(path, &elf(kind)), None, "{path}");
        }
        assert_eq!(candidate("cut", b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn java_archives_are_known_by_name_and_content() {
        assert_eq!(candidate("app/App.JAR", b"PK\x03\x04"), Some(Candidate::Artifact));
        assert_eq!(candidate("app.war", b"#!/bin/sh"), Some(Candidate::Artifact));
        for path in ["app-sources.jar", "app.zip", "._app.jar", "__MACOSX/app.jar"] {
            assert_eq!(candidate(path, b"PK\x03\x04"), None, "{path}");
        }
        assert_eq!(candidate("app.jar", b"<html>"), None);
    }

    #[test]
    fn scripts_count_unless_they_accompany_something() {
        assert_eq!(candidate("tool/run", b"#!/bin/sh\n"), Some(Candidate::Script));
        for path in ["tool/completions/tool", "tool.fish", "Docs/x.sh", "._run"] {
            assert_eq!(candidate(path, b"#!/bin/sh\n"), None, "{path}");
        }
        assert_eq!(candidate("README", b"hello"), None);
    }

    #[test]
    fn foreign_programs_are_named() {
        assert_eq!(foreign_program("a.exe", b"MZ\x90\0"), Some("Windows"));
        assert_eq!(foreign_program("a", &[0xcf, 0xfa, 0xed, 0xfe]), Some("macOS"));
        assert_eq!(foreign_program("a", &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2]), Some("macOS"));
        assert_eq!(foreign_program("A.class", &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 65]), None);
        assert_eq!(foreign_program("a", b"MZ"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_head_is_judged(mut head in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            candidate("a", &head);
            foreign_program("a", &head);
            head.splice(0..0, *b"\x7fELF");
            candidate("a.so", &head);
        }
    }
}
