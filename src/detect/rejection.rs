//! Owns the rejection: what a file that cannot be packaged is, with a hint.
//!
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
    /// A program of another operating system, not in ELF.
    #[error("{what}; Linux containers cannot run it")]
    ForeignProgram {
        /// `a Windows program (PE, x86-64)`.
        what: String,
    },
    /// A shell script, Windows program and Linux program in one file, made by Cosmopolitan.
    #[error("an Actually Portable Executable, which is not an ELF file yet")]
    PortableExecutable,
    /// An ELF program of another operating system.
    #[error("a program for {system} (ELF), not for Linux")]
    ForeignElf {
        /// `FreeBSD`.
        system: &'static str,
    },
    /// An ELF file for a processor without a platform name.
    #[error("an ELF file for an unknown processor (e_machine {machine}, {bits} bits)")]
    UnknownProcessor {
        /// `e_machine`.
        machine: u16,
        /// 32 or 64.
        bits: u8,
    },
    #[error("{what} (ELF), not a program")]
    ElfNoProgram { what: ElfNoProgram },
    #[error("a truncated ELF file: its {part} ends at byte {end}, the file has {size}")]
    TruncatedElf {
        /// The part beyond the end.
        part: &'static str,
        /// The offset of its end.
        end: u64,
        /// The size of the file.
        size: u64,
    },
    /// An ELF file that contradicts itself.
    #[error("a damaged ELF file: {reason}")]
    DamagedElf { reason: String },
    #[error("a single Java class file (Java {java}), not a JAR")]
    ClassFile {
        /// The Java release it needs.
        java: u32,
    },
    #[error("a library JAR: its manifest has no Main-Class")]
    LibraryJar {
        /// Some classes in it with a main method.
        candidates: Vec<String>,
    },
    /// A JAR or ZIP of a kind that cannot be started.
    #[error("{what}")]
    OtherZip { what: OtherZip },
    #[error("a truncated ZIP archive (JAR, WAR): its central directory, at the end, is missing")]
    TruncatedZip,
    #[error("an encrypted ZIP archive (`{member}` is encrypted)")]
    EncryptedZip {
        /// The first encrypted member.
        member: String,
    },
    /// One volume of a ZIP archive in several files.
    #[error("one part of a ZIP archive that was split into several files")]
    SplitZip,
    /// A ZIP archive that contradicts itself.
    #[error("a damaged ZIP archive (JAR, WAR): {reason}")]
    DamagedZip { reason: String },
    /// A page that a server sent instead of the file.
    #[error("{format}, not an artifact; it begins: {says}")]
    ErrorPage {
        /// `an HTML page`.
        format: &'static str,
        /// Its title or beginning.
        says: String,
    },
    /// Git has it in place of a large file.
    #[error("a Git LFS pointer (of {size} bytes), not the file itself")]
    GitLfsPointer {
        /// As the pointer states it.
        size: String,
    },
    #[error("already a container image ({format})")]
    ContainerImage {
        /// `docker save` or OCI layout.
        format: &'static str,
    },
    /// A package of a distribution.
    #[error("{format} package, not an artifact")]
    Package {
        /// `a Debian`, `an RPM`.
        format: &'static str,
    },
    /// An archive or compressed file.
    #[error("{what}; unpack the artifact first")]
    Archive {
        /// `a gzip file`.
        what: &'static str,
    },
    #[error("a script that cannot be started: {defect}")]
    BrokenScript { defect: ScriptDefect },
    #[error("plain text without a `#!` line")]
    Text,
    /// A known type that is not an artifact.
    #[error("{what}, not an artifact that can be packaged")]
    Other {
        /// `a WebAssembly module`.
        what: String,
    },
    #[error("of an unknown type (it begins with the bytes {beginning})")]
    Unknown {
        /// The first bytes in hexadecimal.
        beginning: String,
    },
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
            Self::ElfNoProgram { what } => return vec![what.hint().into()],
            Self::TruncatedElf { .. } | Self::DamagedElf { .. } => {
                "build or download the file again; `--sha256` detects an incomplete download"
            }
            Self::ClassFile { .. } => {
                "pack the classes into a JAR with a main class: `jar --create --file app.jar --main-class MAIN -C classes .`"
            }
            Self::LibraryJar { candidates } => return library_hints(candidates),
            Self::OtherZip { what } => return vec![what.hint().into()],
            Self::TruncatedZip | Self::DamagedZip { .. } => {
                "build or download the file again; `--sha256` detects an incomplete download"
            }
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
            Self::BrokenScript { defect } => return vec![defect.hint().into()],
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
#[derive(Debug)]
pub(super) enum Stop {
    Read(io::Error),
    Refused(Rejection),
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

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Rejection> for Stop {
    fn from(rejection: Rejection) -> Self {
        Self::Refused(rejection)
    }
}
