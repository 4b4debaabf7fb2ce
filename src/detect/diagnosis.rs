//! Owns the diagnosis of an ELF file, an archive or a script that cannot be packaged, each with a hint.
//! Must not read files.

/// ELF files that are not programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfNoProgram {
    #[error("a shared library")]
    SharedLibrary,
    #[error("an object file that is not linked yet")]
    Relocatable,
    #[error("a core dump")]
    CoreDump,
    /// A debug file, made by `objcopy --only-keep-debug`.
    #[error("a file of debugging information only")]
    DebugFile,
}

/// ZIP archives that are neither runnable JARs nor WARs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherZip {
    #[error("an EAR (enterprise application), which needs a full application server")]
    Ear,
    #[error("a RAR (resource adapter), which needs a full application server")]
    ResourceAdapter,
    #[error("a JAR of source code without any class")]
    Sources,
    #[error("a JAR of documentation without any class")]
    Javadoc,
    #[error("an Android application (APK)")]
    Apk,
    #[error("an Android library (AAR)")]
    Aar,
    #[error("a Python package (wheel)")]
    Wheel,
    #[error("an empty ZIP archive")]
    Nothing,
    #[error(
        "a ZIP archive that is neither a JAR nor a WAR (no class, no manifest with a Main-Class, no WEB-INF)"
    )]
    Plain,
}

/// The reason why the kernel cannot start a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptDefect {
    /// `#!/bin/sh\r\n`: the kernel searches for a program named `sh\r`.
    #[error("its first line ends with CR LF (Windows line endings)")]
    CarriageReturn,
    /// The kernel checks the first two bytes.
    #[error("it has a byte order mark before its `#!`")]
    ByteOrderMark,
    #[error("its `#!` line has no interpreter")]
    NoInterpreter,
    #[error("its `#!` line has the interpreter `{0}`, which is not an absolute path")]
    RelativeInterpreter(String),
    #[error("its `#!` line calls `env` without a program")]
    NoProgram,
    /// `#!/usr/bin/env python3 -u`: the kernel passes one argument, `python3 -u`.
    #[error("its `#!` line makes `env` search for one program named `{0}`")]
    UnsplitArguments(String),
}

impl ElfNoProgram {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::SharedLibrary => "pass the program that uses the library, and the library with `--add`",
            Self::Relocatable => "link it into a program first",
            Self::CoreDump => "pass the program that crashed, not its memory image",
            Self::DebugFile => "pass the program that the information belongs to",
        }
    }
}

impl OtherZip {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Ear => "pass the WAR in it, or a builder image of an application server with `--builder`",
            Self::ResourceAdapter => "pass a builder image of an application server with `--builder`",
            Self::Sources => "pass the JAR without `-sources`, or build the source tree",
            Self::Javadoc => "pass the JAR without `-javadoc`",
            Self::Apk | Self::Aar => "Android applications do not run in Linux containers",
            Self::Wheel => "build it as a source tree, or package a script or a zipapp that starts it",
            Self::Nothing => "build the archive again: it contains no file",
            Self::Plain => {
                "pass the artifact in it; a JAR needs META-INF/MANIFEST.MF with a Main-Class, a WAR needs WEB-INF/"
            }
        }
    }
}

impl ScriptDefect {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::CarriageReturn => "convert its line endings: `sed -i 's/\\r$//' FILE`",
            Self::ByteOrderMark => "remove the mark: `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE`",
            Self::NoInterpreter | Self::RelativeInterpreter(_) => {
                "write the interpreter's full path: `#!/bin/sh`, `#!/usr/bin/env python3`"
            }
            Self::NoProgram => "add the program: `#!/usr/bin/env python3`",
            Self::UnsplitArguments(_) => "let env split the line: `#!/usr/bin/env -S PROGRAM ARGUMENTS`",
        }
    }
}
