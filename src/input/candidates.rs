//! Owns the choice among the files of an archive: scripts in some directories only accompany the program.
//! Must not judge what a file is, nor whether it can be packaged; [`crate::detect`] does.

use crate::detect::{Strength, candidate_strength, is_shell_script};

/// The number of bytes at the beginning of a file that decide whether it is a candidate.
pub(super) const HEAD_BYTES: usize = 4096;

/// Directories whose scripts are not the program. In lower case.
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

/// The strength of the member `path` as a candidate, by its first bytes; `None` if it cannot be the artifact.
pub(super) fn candidate(path: &str, head: &[u8]) -> Option<Strength> {
    let lower = path.to_ascii_lowercase();
    let (directories, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    // Metadata that macOS's `tar` and `zip` add to each file, and separate debug information.
    if name.starts_with("._") || path.split('/').any(|part| part == "__MACOSX") || name.ends_with(".debug") {
        return None;
    }
    let strength = candidate_strength(head, path)?;
    let is_completion = [".bash", ".zsh", ".fish", ".ps1"].iter().any(|suffix| name.ends_with(suffix));
    let accompanies = is_completion || directories.split('/').any(|part| BESIDE.contains(&part));
    (strength != Strength::Script || !accompanies).then_some(strength)
}

/// Whether a shell script is in a directory `bin`, where distributions have their start scripts.
pub(super) fn is_start_script(path: &str, head: &[u8]) -> bool {
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    directory.rsplit('/').next() == Some("bin")
        && candidate(path, head) == Some(Strength::Script)
        && is_shell_script(head)
}

/// Whether the file has the name of the release in the directory `root`: `ant` in `apache-ant-1.10.15`.
pub(super) fn names_release(path: &str, root: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let name = file.strip_suffix(".sh").unwrap_or(file);
    let mut product = root;
    while let Some((before, last)) = product.rsplit_once('-') {
        let is_version = last.starts_with(|first: char| first.is_ascii_digit());
        if !is_version && !matches!(last, "SNAPSHOT" | "bin" | "dist") {
            break;
        }
        product = before;
    }
    product == name || product.strip_suffix(name).is_some_and(|before| before.ends_with('-'))
}

/// Whether a zip with this name is meant as a Java archive.
pub(super) fn is_java_archive_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    [".jar", ".war", ".ear"].iter().any(|suffix| lower.ends_with(suffix))
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
    fn start_scripts_have_the_name_of_their_release() {
        assert!(is_start_script("app/bin/app", b"#!/bin/sh\n"));
        for (path, head) in [
            ("app/bin/app", &b"PK\x03\x04"[..]),
            ("app/bin/app", b"#!/usr/bin/env node\n"),
            ("app/sbin/app", b"#!/bin/sh\n"),
            ("app", b"#!/"),
        ] {
            assert!(!is_start_script(path, head), "{path}");
        }
        for root in ["app", "app-1.0", "app-1.0-SNAPSHOT", "apache-app-1.2.3-bin"] {
            assert!(names_release("x/bin/app", root), "{root}");
            assert!(!names_release("x/bin/app-admin", root), "{root}");
        }
        assert!(!names_release("bin/app", "myapp-1"));
    }

    #[test]
    fn what_accompanies_the_product_is_left_out() {
        assert_eq!(candidate("tool-1.2/docs/tool", &elf(2)), Some(Strength::Artifact));
        assert_eq!(candidate("tool/run", b"#!/bin/sh\n"), Some(Strength::Script));
        for path in ["tool/completions/tool", "tool.fish", "Docs/x.sh", "._run"] {
            assert_eq!(candidate(path, b"#!/bin/sh\n"), None, "{path}");
        }
        for path in ["lib/libx.so", "lib/libx.so.1.2", "x.debug", "__MACOSX/tool", "a/._tool"] {
            assert_eq!(candidate(path, &elf(3)), None, "{path}");
        }
        assert_eq!(candidate("__MACOSX/app.jar", b"PK\x03\x04"), None);
    }
}
