//! Owns the rejection: what a file that cannot be packaged really is, and the way out.
//!
//! Must not look into files; the modules that do say which rejection it is.

use std::io;

use super::diagnosis::{ElfNoProgram, OtherZip, ScriptDefect};
use crate::diagnostic::{Diagnostic, FailureKind};

/// Why an artifact has no facts.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The bytes could not be read.
    #[error("cannot read `{name}`")]
    Read {
        /// The artifact's name.
        name: String,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// It is nothing that can be packaged.
    #[error("`{name}` is {rejection}")]
    Refused {
        /// The artifact's name.
        name: String,
        /// What it is instead.
        rejection: Rejection,
    },
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
                vec!["the file became shorter while it was read: wait until it is completely written".into()]
            }
            Self::Read { .. } => Vec::new(),
            Self::Refused { rejection, .. } => rejection.hints(),
        }
    }
}

/// What a file is that cannot be packaged. As text it completes the sentence "`name` is …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// No bytes at all.
    #[error("empty (0 bytes)")]
    Empty,
    /// A program of another operating system, not in ELF.
    #[error("{what}; Linux containers cannot run it")]
    ForeignProgram {
        /// `a Windows program (PE, x86-64)`.
        what: String,
    },
    /// A shell script, Windows and Linux program in one, made by Cosmopolitan.
    #[error("an Actually Portable Executable, which is no ELF file yet")]
    PortableExecutable,
    /// An ELF program of another operating system.
    #[error("a program for {system} (ELF), not for Linux")]
    ForeignElf {
        /// `FreeBSD`.
        system: &'static str,
    },
    /// An ELF file for a processor that no platform name is known for.
    #[error("an ELF file for a processor that is not known here (e_machine {machine}, {bits} bits)")]
    UnknownProcessor {
        /// `e_machine`.
        machine: u16,
        /// 32 or 64.
        bits: u8,
    },
    /// ELF, but nothing that can be started.
    #[error("{what} (ELF), not a program")]
    ElfNoProgram {
        /// What it is instead.
        what: ElfNoProgram,
    },
    /// An ELF file that ends too early.
    #[error("an ELF file that was cut short: its {part} ends at byte {end}, the file has {size}")]
    TruncatedElf {
        /// What lies beyond the end.
        part: &'static str,
        /// Where it should end.
        end: u64,
        /// The size of the file.
        size: u64,
    },
    /// An ELF file that contradicts itself.
    #[error("a damaged ELF file: {reason}")]
    DamagedElf { reason: String },
    /// One Java class.
    #[error("a single Java class file (Java {java}), not a JAR")]
    ClassFile {
        /// The Java release it needs.
        java: u32,
    },
    /// A JAR that names no main class.
    #[error("a library JAR: its manifest names no Main-Class")]
    LibraryJar {
        /// Classes inside that have a main method; not complete.
        candidates: Vec<String>,
    },
    /// A JAR or ZIP of a kind that cannot be started.
    #[error("{what}")]
    OtherZip { what: OtherZip },
    /// A ZIP archive whose end is missing.
    #[error("a ZIP archive (JAR, WAR) that was cut short: its central directory, at the end, is missing")]
    TruncatedZip,
    /// A ZIP archive with encrypted members.
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
    /// What a server sent instead of the file.
    #[error("{format}, not an artifact; it says: {says}")]
    ErrorPage {
        /// `an HTML page`.
        format: &'static str,
        /// Its title or beginning.
        says: String,
    },
    /// What Git keeps in place of a large file.
    #[error("a Git LFS pointer (of {size} bytes), not the file itself")]
    GitLfsPointer {
        /// The size that the pointer states, as it states it.
        size: String,
    },
    #[error("a container image archive already ({format})")]
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
    #[error("{what}; the artifact has to be taken out of it first")]
    Archive {
        /// `a gzip file`.
        what: &'static str,
    },
    /// A script that the kernel would not start as it is.
    #[error("a script that cannot be started: {defect}")]
    BrokenScript {
        /// What is wrong with its first line.
        defect: ScriptDefect,
    },
    /// Text without a first line that says what runs it.
    #[error("plain text without a `#!` line")]
    Text,
    /// Known, but nothing to package.
    #[error("{what}, not an artifact that can be packaged")]
    Other {
        /// `a WebAssembly module`.
        what: String,
    },
    /// Nothing that is known here.
    #[error("of no known kind (it begins with the bytes {beginning})")]
    Unknown {
        /// The first bytes in hexadecimal.
        beginning: String,
    },
}

impl Rejection {
    /// What the user can do next.
    pub(super) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Empty => "build or download the file again: nothing was written to it",
            Self::ForeignProgram { .. } | Self::ForeignElf { .. } => {
                "build it for Linux (Go: `GOOS=linux go build`; Rust: `cargo build --target x86_64-unknown-linux-musl`), or take the Linux download"
            }
            Self::PortableExecutable => "make it an ELF file: `sh ./FILE --assimilate`",
            Self::UnknownProcessor { .. } => {
                "build it for a processor that container images exist for, such as amd64 or arm64"
            }
            Self::ElfNoProgram { what } => return vec![what.hint().into()],
            Self::TruncatedElf { .. } | Self::DamagedElf { .. } => {
                "build or download the file again; `--sha256` makes sure that a download is complete"
            }
            Self::ClassFile { .. } => {
                "pack the classes into a JAR with a main class: `jar --create --file app.jar --main-class MAIN -C classes .`"
            }
            Self::LibraryJar { candidates } => return library_hints(candidates),
            Self::OtherZip { what } => return vec![what.hint().into()],
            Self::TruncatedZip | Self::DamagedZip { .. } => {
                "build or download the file again; `--sha256` makes sure that a download is complete"
            }
            Self::EncryptedZip { .. } => {
                "unpack it with its password and pack it again without one: Java cannot read encrypted archives"
            }
            Self::SplitZip => "put the parts together first: `zip --fix split.zip --out whole.zip`",
            Self::ErrorPage { .. } => {
                "if it was downloaded, a server sent this in place of the file: check the URL and whether it needs credentials"
            }
            Self::GitLfsPointer { .. } => "fetch the file itself: `git lfs pull`",
            Self::ContainerImage { .. } => {
                "load it with `docker load` or copy it with `skopeo copy`; give b2i the artifact, not an image"
            }
            Self::Package { .. } => {
                "unpack the package and give b2i the program inside, with `--add` for the files it needs"
            }
            Self::Archive { .. } => "unpack it and give b2i the artifact inside",
            Self::BrokenScript { defect } => return vec![defect.hint().into()],
            Self::Text => {
                "a script needs a first line such as `#!/bin/sh`; a source tree is given as its directory"
            }
            Self::Other { .. } | Self::Unknown { .. } => {
                "b2i packages executables (ELF), scripts, runnable JARs and WARs"
            }
        };
        vec![hint.into()]
    }
}

fn library_hints(candidates: &[String]) -> Vec<String> {
    let mut hints = vec!["name the class to start with `--main-class CLASS`".to_owned()];
    match candidates {
        [] => hints.push(
            "use the build's runnable JAR (Spring Boot: the one without `-plain`; Maven Shade, Gradle Shadow: the `-all` one)"
                .into(),
        ),
        some => hints.push(format!("classes with a main method: {}", some.join(", "))),
    }
    hints
}

/// What ends a detection early, before the artifact's name is put to it.
#[derive(Debug)]
pub(super) enum Stop {
    /// The source cannot be read.
    Read(io::Error),
    /// It is nothing that can be packaged.
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
