//! Owns the first check of an archive's member: whether it could be the artifact, by its first bytes and its name.
//! Must not choose: `input` compares the candidates.

use super::{elf, script, unsupported};

/// The strength of the evidence for a candidate, weakest first. The artifact is the only candidate of the highest
/// strength in its archive. If there are several, the user must choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strength {
    /// A program of another system: never the artifact, but worth a message if it is the only candidate.
    Foreign,
    /// A script, often an installer or a completion next to the program.
    Script,
    /// A JAR that belongs to the artifact: in a directory of libraries, or `-sources`, `-javadoc`, `-plain`.
    Companion,
    /// A program, a JAR or a WAR.
    Artifact,
}

/// The strength of a file as a candidate, by its first bytes (4 KiB, or all if it is shorter) and its path in the archive
/// (`/` as separator); `None` for other files, such as documentation or libraries.
pub fn candidate_strength(head: &[u8], name: &str) -> Option<Strength> {
    let path = name.to_ascii_lowercase();
    if path.ends_with(".jar") && may_hold_zip(head) {
        Some(if is_companion(&path) { Strength::Companion } else { Strength::Artifact })
    } else if path.ends_with(".war") && may_hold_zip(head)
        || elf::may_be_program(head) && !elf::is_library_name(&path)
    {
        Some(Strength::Artifact)
    } else if head.starts_with(script::MAGIC) {
        Some(Strength::Script)
    } else {
        unsupported::program(head).map(|_| Strength::Foreign)
    }
}

/// Whether a shell runs the script that begins with `head`.
pub fn is_shell_script(head: &[u8]) -> bool {
    script::detect(head).is_ok_and(|facts| {
        matches!(facts.program.as_str(), "sh" | "ash" | "bash" | "dash" | "ksh" | "mksh" | "zsh")
    })
}

/// Whether the file is a ZIP archive, or the script at the beginning of a self-executing one.
fn may_hold_zip(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(script::MAGIC)
}

fn is_companion(path: &str) -> bool {
    let (directories, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.strip_suffix(".jar").unwrap_or(file);
    let in_libraries = directories
        .split('/')
        .any(|part| matches!(part, "lib" | "libs" | "boot" | "repo" | "modules" | "plugins" | "dependency"));
    let beside = ["-sources", "-javadoc", "-tests", "-test-sources", "-plain"];
    in_libraries || beside.iter().any(|ending| stem.ends_with(ending)) || stem.starts_with("original-")
}

#[cfg(test)]
mod tests {
    use super::super::elf::tests::sample::Elf;
    use super::Strength;
    use super::candidate_strength as strength;

    #[test]
    fn programs_are_told_from_libraries_by_name() {
        let program = Elf::default().bytes();
        assert_eq!(strength(&program, "tool-1.2/bin/tool"), Some(Strength::Artifact));
        assert_eq!(strength(&program, "tool-1.2/lib/libtool.so.1.2.3"), None);
        assert_eq!(strength(&program, "lib/libtool.so"), None);
        assert_eq!(strength(&program, "bin/node.sort"), Some(Strength::Artifact));
        let object = Elf { file_type: 1, ..Elf::default() }.bytes();
        assert_eq!(strength(&object, "crt1.o"), None);
    }

    #[test]
    fn jars_and_wars_need_name_and_content() {
        assert_eq!(strength(b"PK\x03\x04", "app/app.JAR"), Some(Strength::Artifact));
        assert_eq!(strength(b"PK\x03\x04", "app/lib/dep.jar"), Some(Strength::Companion));
        assert_eq!(strength(b"PK\x03\x04", "app/repo/org/x/1/x-1.jar"), Some(Strength::Companion));
        assert_eq!(strength(b"PK\x03\x04", "app/boot/launcher.jar"), Some(Strength::Companion));
        assert_eq!(strength(b"PK\x03\x04", "app-1.0-sources.jar"), Some(Strength::Companion));
        assert_eq!(strength(b"PK\x03\x04", "data.zip"), None);
        assert_eq!(strength(b"<html>", "app.jar"), None);
        assert_eq!(strength(b"PK\x03\x04", "shop.war"), Some(Strength::Artifact));
        assert_eq!(strength(b"#!/bin/bash\n", "app.jar"), Some(Strength::Artifact), "a self-executing JAR");
    }

    #[test]
    fn strengths_rank() {
        let script = strength(b"#!/bin/sh\n", "install.sh").expect("a script");
        let program = strength(&Elf::default().bytes(), "tool").expect("a program");
        let mut windows = b"MZ".to_vec();
        windows.resize(0x3c, 0);
        windows.extend([0x40, 0, 0, 0]);
        windows.extend(b"PE\0\0\x64\x86");
        let windows = strength(&windows, "tool.exe").expect("a program");
        assert!(windows < script && script < program);
        assert_eq!(strength(b"hello", "README.md"), None);
        assert_eq!(strength(b"", "empty"), None);
    }
}
