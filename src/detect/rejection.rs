//! Owns the rejection: what a file that cannot be packaged is, with a hint.
//! Must not read files.

use std::io;

use super::diagnosis::{ElfNoProgram, OtherZip, ScriptDefect};
use crate::diagnostic::{Diagnostic, FailureKind};

#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    #[error("cannot read `{name}`")]
    Read {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("`{name}` is {rejection}")]
    Refused { name: String, rejection: Rejection },
}

impl Diagnostic for DetectError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Read { .. } => FailureKind::Input,
            Self::Refused { .. } => FailureKind::Artifact,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof => {
                vec!["the file became shorter while it was read: wait until the program that writes it has finished".into()]
            }
            Self::Read { .. } => Vec::new(),
            Self::Refused { rejection, .. } => rejection.hints(),
        }
    }
}

/// The kind of a file that cannot be packaged. Its text completes the sentence "`name` is …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    #[error("empty (0 bytes)")]
    Empty,
    /// `a Windows program (PE, x86-64)`.
    #[error("{what}; Linux containers cannot run it")]
    ForeignProgram { what: String },
    /// A shell script, Windows program and Linux program in one file, made by Cosmopolitan.
    #[error("an Actually Portable Executable, which is not an ELF file yet")]
    PortableExecutable,
    #[error("a program for {system} (ELF), not for Linux")]
    ForeignElf { system: &'static str },
    #[error("an ELF file for an unknown processor (e_machine {machine}, {bits} bits)")]
    UnknownProcessor { machine: u16, bits: u8 },
    #[error("{what} (ELF), not a program")]
    ElfNoProgram { what: ElfNoProgram },
    #[error("a truncated ELF file: its {part} ends at byte {end}, the file has {size}")]
    TruncatedElf { part: &'static str, end: u64, size: u64 },
    #[error("a damaged ELF file: {reason}")]
    DamagedElf { reason: String },
    #[error("a single Java class file (Java {java}), not a JAR")]
    ClassFile { java: u32 },
    /// `candidates` are some classes with a main method.
    #[error("a library JAR: its manifest has no Main-Class")]
    LibraryJar { candidates: Vec<String> },
    #[error("a JAR that `java -jar` refuses: {reason}")]
    LauncherRefuses { reason: String, main_class: String },
    #[error("{what}")]
    OtherZip { what: OtherZip },
    #[error("a truncated ZIP archive (JAR, WAR): its central directory, at the end, is missing")]
    TruncatedZip,
    #[error("an encrypted ZIP archive (`{member}` is encrypted)")]
    EncryptedZip { member: String },
    #[error("one part of a ZIP archive that was split into several files")]
    SplitZip,
    #[error("a damaged ZIP archive (JAR, WAR): {reason}")]
    DamagedZip { reason: String },
    /// A page that a server sent instead of the file. `beginning` is its title or its first words.
    #[error("{format}, not an artifact; it begins: {beginning}")]
    ErrorPage { format: &'static str, beginning: String },
    /// A text that Git LFS stores in place of a large file.
    #[error("a Git LFS pointer (of {size} bytes), not the file itself")]
    GitLfsPointer { size: String },
    #[error("already a container image ({format})")]
    ContainerImage { format: &'static str },
    /// `a Debian`, `an RPM`.
    #[error("{format} package, not an artifact")]
    Package { format: &'static str },
    /// `a gzip file`.
    #[error("{what}; unpack the artifact first")]
    Archive { what: &'static str },
    #[error("a script that cannot be started: {defect}")]
    BrokenScript { defect: ScriptDefect },
    #[error("plain text without a `#!` line")]
    Text,
    /// `a WebAssembly module`.
    #[error("{what}, not an artifact that can be packaged")]
    Other { what: String },
    #[error("of an unknown type (it begins with the bytes {beginning})")]
    Unknown { beginning: String },
}

impl Rejection {
    pub(super) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Empty => "build or download the file again: it has no content",
            Self::ForeignProgram { .. } | Self::ForeignElf { .. } => {
                "build it for Linux (Go: `GOOS=linux go build`; Rust: `cargo build --target x86_64-unknown-linux-musl`), or download the version for Linux"
            }
            Self::PortableExecutable => "make it an ELF file: `sh ./FILE --assimilate`",
            Self::UnknownProcessor { .. } => {
                "build it for a processor that container images exist for, such as amd64 or arm64"
            }
            Self::ElfNoProgram { what } => what.hint(),
            Self::TruncatedElf { .. }
            | Self::DamagedElf { .. }
            | Self::TruncatedZip
            | Self::DamagedZip { .. } => {
                "build or download the file again; `--sha256` detects an incomplete download"
            }
            Self::ClassFile { .. } => {
                "pack the classes into a JAR with a main class: `jar --create --file app.jar --main-class MAIN -C classes .`"
            }
            Self::LibraryJar { candidates } => return library_hints(candidates),
            Self::LauncherRefuses { main_class, .. } => {
                return vec![
                    "build or download the file again".into(),
                    format!("or start its class without the launcher: `--main-class {main_class}`"),
                ];
            }
            Self::OtherZip { what } => what.hint(),
            Self::EncryptedZip { .. } => {
                "unpack it with its password and pack it again without: Java cannot read encrypted archives"
            }
            Self::SplitZip => "join the parts first: `zip --fix split.zip --out whole.zip`",
            Self::ErrorPage { .. } => {
                "if it was downloaded, the server sent it instead of the file: check the URL and whether it needs credentials"
            }
            Self::GitLfsPointer { .. } => "fetch the file itself: `git lfs pull`",
            Self::ContainerImage { .. } => {
                "load it with `docker load` or copy it with `skopeo copy`; b2i needs the artifact"
            }
            Self::Package { .. } => {
                "unpack the package and pass the program in it, with `--add` for the files that it needs"
            }
            Self::Archive { .. } => "unpack it and pass the artifact in it",
            Self::BrokenScript { defect } => defect.hint(),
            Self::Text => {
                "a script needs a first line such as `#!/bin/sh`; for a source tree, pass its directory"
            }
            Self::Other { .. } | Self::Unknown { .. } => {
                "b2i packages executables (ELF), scripts, runnable JARs and WARs"
            }
        };
        vec![hint.into()]
    }
}

fn library_hints(candidates: &[String]) -> Vec<String> {
    let mut hints = vec!["pass the class to start with `--main-class CLASS`".to_owned()];
    match candidates {
        [] => hints.push(
            "use the build's runnable JAR (Spring Boot: the one without `-plain`; Maven Shade, Gradle Shadow: the `-all` one)"
                .into(),
        ),
        some => hints.push(format!("classes with a main method: {}", some.join(", "))),
    }
    hints
}

/// The end of a detection, before the artifact's name is added.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) enum Stop {
    Read(#[from] io::Error),
    Refused(#[from] Rejection),
}

impl Stop {
    pub(super) fn named(self, name: &str) -> DetectError {
        let name = super::bounded_reader::text(name.as_bytes());
        match self {
            Self::Read(source) => DetectError::Read { name, source },
            Self::Refused(rejection) => DetectError::Refused { name, rejection },
        }
    }
}
