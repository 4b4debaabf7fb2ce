//! Owns what in particular is wrong with an ELF file, an archive or a script, in words and with the way out.

/// ELF files that are no programs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ElfNoProgram {
    /// `lib*.so`.
    #[error("a shared library")]
    SharedLibrary,
    /// `*.o`, `*.ko`.
    #[error("an object file that is not linked yet")]
    Relocatable,
    /// A memory image of a crashed process.
    #[error("a core dump")]
    CoreDump,
    /// What `objcopy --only-keep-debug` leaves.
    #[error("a file of debugging information only")]
    DebugFile,
}

/// ZIP archives that are no runnable JAR or WAR.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherZip {
    /// Jakarta EE application.
    #[error("an EAR (enterprise application), which needs a full application server")]
    Ear,
    /// Jakarta connector.
    #[error("a RAR (resource adapter), which needs a full application server")]
    ResourceAdapter,
    /// `*-sources.jar`.
    #[error("a JAR of source code without any class")]
    Sources,
    /// `*-javadoc.jar`.
    #[error("a JAR of documentation without any class")]
    Javadoc,
    /// Android application.
    #[error("an Android application (APK)")]
    Apk,
    /// Android library.
    #[error("an Android library (AAR)")]
    Aar,
    /// Python wheel.
    #[error("a Python package (wheel)")]
    Wheel,
    #[error("an empty ZIP archive")]
    Nothing,
    /// No class and no web application.
    #[error("a ZIP archive that is no JAR or WAR (no class, no manifest with a Main-Class, no WEB-INF)")]
    Plain,
}

/// What keeps the kernel from starting a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptDefect {
    /// `#!/bin/sh\r\n`: the kernel looks for a program named `sh\r`.
    #[error("its first line ends with CR LF (Windows line ends)")]
    CarriageReturn,
    /// The kernel looks at the very first two bytes.
    #[error("a byte order mark stands before its `#!`")]
    ByteOrderMark,
    /// `#!` and nothing more.
    #[error("its `#!` line names no interpreter")]
    NoInterpreter,
    /// `#!python3`.
    #[error("its `#!` line names `{0}`, which is no absolute path")]
    RelativeInterpreter(String),
    /// `#!/usr/bin/env`.
    #[error("its `#!` line calls `env` without a program")]
    NoProgram,
    /// `#!/usr/bin/env python3 -u`: the kernel hands over one argument, `python3 -u`.
    #[error("its `#!` line makes `env` look for one program named `{0}`")]
    UnsplitArguments(String),
}

impl ElfNoProgram {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::SharedLibrary => "give b2i the program that uses the library, and the library with `--add`",
            Self::Relocatable => "link it to a program first",
            Self::CoreDump => "give b2i the program that crashed, not its memory image",
            Self::DebugFile => "give b2i the program that the information belongs to",
        }
    }
}

impl OtherZip {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Ear => {
                "give b2i the WAR inside, or use a builder image of an application server with `--builder`"
            }
            Self::ResourceAdapter => "use a builder image of an application server with `--builder`",
            Self::Sources => "take the JAR without `-sources`, or build the source tree",
            Self::Javadoc => "take the JAR without `-javadoc`",
            Self::Apk | Self::Aar => "Android applications do not run in Linux containers",
            Self::Wheel => "build it as a source tree, or package a script or a zipapp that starts it",
            Self::Nothing => "build the archive again: nothing was put into it",
            Self::Plain => {
                "give b2i the artifact inside; a JAR needs META-INF/MANIFEST.MF with a Main-Class, a WAR needs WEB-INF/"
            }
        }
    }
}

impl ScriptDefect {
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::CarriageReturn => "convert its line ends: `sed -i 's/\\r$//' FILE`",
            Self::ByteOrderMark => "remove the mark: `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE`",
            Self::NoInterpreter | Self::RelativeInterpreter(_) => {
                "write the interpreter's full path: `#!/bin/sh`, `#!/usr/bin/env python3`"
            }
            Self::NoProgram => "name the program: `#!/usr/bin/env python3`",
            Self::UnsplitArguments(_) => "let env split the line: `#!/usr/bin/env -S PROGRAM ARGUMENTS`",
        }
    }
}
