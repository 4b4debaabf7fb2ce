//! Owns the facts: everything that was read out of an artifact, as in `b2i inspect --format json`.
//! Must not decide anything.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::image::Platform;
use crate::text::as_text;

/// Everything that was read out of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub size: u64,
    #[serde(flatten)]
    pub kind: Kind,
}

impl Facts {
    /// A description in one line.
    pub fn describe(&self) -> String {
        let java = |java: Option<u32>| java.map(|java| format!(" for Java {java}")).unwrap_or_default();
        match &self.kind {
            Kind::Executable(facts) => {
                let linkage = match facts.linkage {
                    Linkage::Static => "static executable",
                    Linkage::StaticPie => "static-pie executable",
                    Linkage::Dynamic => "dynamic executable",
                };
                let libc = match (facts.libc, facts.glibc) {
                    (Some(Libc::Glibc), Some(version)) => format!(", glibc {version}"),
                    (Some(Libc::Musl), _) => ", musl".into(),
                    _ => String::new(),
                };
                let payload =
                    facts.payload.map(|payload| format!(", {}", payload.word())).unwrap_or_default();
                format!("{linkage} for {}{libc}{payload}", facts.platform)
            }
            Kind::Script(facts) => format!("script for {}", facts.program),
            Kind::Jar(facts) => {
                let boot = facts.spring_boot.as_ref().map(|boot| match &boot.version {
                    Some(version) => format!(", Spring Boot {version}"),
                    None => ", Spring Boot".into(),
                });
                format!("JAR{}{}", java(facts.java), boot.unwrap_or_default())
            }
            Kind::War(facts) => {
                let api = match facts.servlet_api {
                    Some(ServletApi::Javax) => ", javax.servlet",
                    Some(ServletApi::Jakarta) => ", jakarta.servlet",
                    None => "",
                };
                format!("WAR{}{api}", java(facts.java))
            }
        }
    }
}

/// The kind of an artifact, with the facts about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A native executable (ELF).
    Executable(ExecutableFacts),
    /// A text file with its interpreter in the first line.
    Script(ScriptFacts),
    /// A runnable JAR.
    Jar(JarFacts),
    /// A web application archive.
    War(WarFacts),
}

impl Kind {
    /// The name in messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Executable(_) => "executable",
            Self::Script(_) => "script",
            Self::Jar(_) => "JAR",
            Self::War(_) => "WAR",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// No interpreter, fixed address.
    Static,
    /// No interpreter, position independent.
    StaticPie,
    /// Needs an interpreter (the dynamic linker).
    Dynamic,
}

/// The C library of a dynamic executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    Musl,
    /// Another C library; the interpreter's path names it.
    Other,
}

/// A version of the GNU C library, such as 2.36. Compares by number, not by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    /// 2 in 2.36.
    pub major: u32,
    /// 36 in 2.36.
    pub minor: u32,
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for GlibcVersion {
    type Err = String;

    /// Parses `2.36` and `2.2.5`. The third number is ignored.
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = |_| format!("`{text}` is not a version such as 2.34");
        let (major, rest) = text.split_once('.').unwrap_or((text, "0"));
        let (minor, _) = rest.split_once('.').unwrap_or((rest, ""));
        Ok(Self { major: major.parse().map_err(invalid)?, minor: minor.parse().map_err(invalid)? })
    }
}

as_text!(GlibcVersion);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutableFacts {
    pub platform: Platform,
    pub linkage: Linkage,
    /// Its dynamic linker.
    pub interpreter: Option<String>,
    /// `None` if it is linked statically.
    pub libc: Option<Libc>,
    /// The highest `GLIBC_x.y` symbol version that it needs.
    pub glibc: Option<GlibcVersion>,
    /// The shared libraries that it needs, in the order of the file.
    pub libraries: Vec<String>,
    /// RPATH and RUNPATH.
    pub run_path: Vec<String>,
    /// The toolchain: `go1.24.1`, `rustc 1.89.0`.
    pub built_by: Option<String>,
    /// Whether it is compressed by UPX, which hides its libraries: it looks static even if it is not.
    pub packed: bool,
    /// Whether its symbol table was removed.
    pub stripped: bool,
    /// The payload beside machine code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Payload>,
}

/// The payload that a tool has put into an executable: a program of another language, or files that it unpacks when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "tool", rename_all = "kebab-case")]
pub enum Payload {
    /// A Python program in one file.
    #[serde(rename = "pyinstaller")]
    PyInstaller,
    /// A compiled Python program in one file.
    Nuitka,
    /// A file system of type 1 (ISO 9660) or 2 (SquashFS).
    #[serde(rename = "appimage")]
    AppImage { release: u8 },
    /// A dynamic program with its libraries and its dynamic linker.
    Staticx,
    /// The assemblies of a .NET program.
    #[serde(rename = "dotnet")]
    DotNet,
    /// A JavaScript program and its runtime.
    Bun,
    /// A JavaScript program and its runtime.
    Deno,
    /// A single executable application of Node.js.
    NodeSea,
    /// A program for Node.js, packed by `pkg`.
    Pkg,
}

impl Payload {
    /// The name in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::PyInstaller => "PyInstaller",
            Self::Nuitka => "Nuitka",
            Self::AppImage { .. } => "AppImage",
            Self::Staticx => "staticx",
            Self::DotNet => ".NET",
            Self::Bun => "Bun",
            Self::Deno => "Deno",
            Self::NodeSea => "Node.js",
            Self::Pkg => "pkg",
        }
    }

    /// Whether it has machine code of its own, whose needs cannot be read: it is compressed, or in a file system.
    pub fn hides_machine_code(self) -> bool {
        match self {
            Self::PyInstaller | Self::Nuitka | Self::AppImage { .. } | Self::DotNet => true,
            // It brings the C library along.
            Self::Staticx => false,
            Self::Bun | Self::Deno | Self::NodeSea | Self::Pkg => false,
        }
    }

    /// Whether it unpacks a program into the directory for temporary files and starts it there.
    pub fn starts_in_temporary_files(self) -> bool {
        matches!(self, Self::PyInstaller | Self::Nuitka | Self::AppImage { .. } | Self::Staticx)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScriptFacts {
    /// The path in the first line.
    pub interpreter: String,
    /// The program that runs it: `sh`, or the one that `/usr/bin/env` starts.
    pub program: String,
    /// The release of its language that it states: `>=3.11` (`requires-python`), `17` (`java --source 17`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Packages that it needs beside its language (`dependencies` of its metadata).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<String>,
}

impl ScriptFacts {
    /// Whether the interpreter reads the language off the file's name: for Node.js, `.mjs` is a module.
    pub fn must_keep_its_name(&self, name: &str) -> bool {
        let endings = [".mjs", ".cjs", ".mts", ".cts", ".ts"];
        matches!(self.program.as_str(), "node" | "nodejs")
            && endings.iter().any(|ending| name.len() > ending.len() && name.ends_with(ending))
    }
}

/// The marks of Spring Boot in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpringBootFacts {
    /// `Spring-Boot-Version` of the manifest.
    pub version: Option<String>,
    /// The layers of `layers.idx`, in its order; empty without this file.
    pub layers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JarFacts {
    /// `Main-Class` of the manifest, or `--main-class`.
    pub main_class: String,
    /// Whether the JAR contains the main class. If not, it may be in a library of its class path.
    pub has_main_class: bool,
    /// `Start-Class` of the manifest: the application's main class, which Spring Boot's launcher starts.
    pub start_class: Option<String>,
    /// Lowest Java release that runs it (8, 11, 17 …), if it contains class files.
    pub java: Option<u32>,
    /// Whether its classes use preview features. Then only the release `java` runs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// `Multi-Release: true`.
    pub multi_release: bool,
    pub spring_boot: Option<SpringBootFacts>,
    /// `Class-Path` of the manifest: relative URLs, decoded, in order.
    pub class_path: Vec<String>,
    /// The libraries in the archive (`*.jar`), sorted.
    pub libraries: Vec<String>,
    /// Whether the file begins with a launch script.
    pub self_executing: bool,
}

/// The servlet API of a web application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServletApi {
    /// `javax.servlet`: Tomcat up to 9.
    Javax,
    /// `jakarta.servlet`: Tomcat 10 and later.
    Jakarta,
}

/// A version of the servlet API, such as 6.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ServletVersion {
    pub major: u16,
    pub minor: u16,
}

impl fmt::Display for ServletVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WarFacts {
    /// The servlet API, by the classes or the descriptor.
    pub servlet_api: Option<ServletApi>,
    /// The evidence for the servlet API, one clause.
    pub servlet_evidence: Option<String>,
    /// The version of the servlet API in its descriptor, such as `6.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servlet_version: Option<ServletVersion>,
    /// Parts that Tomcat does not support: descriptors of other servers, and Enterprise Beans.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unsupported: BTreeSet<String>,
    /// Whether its libraries refer to both APIs, and nothing else decides.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mixed_libraries: bool,
    /// Whether its classes use preview features. Then only the release `java` runs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
    /// Lowest Java release that runs it, if it contains class files.
    pub java: Option<u32>,
    /// `Main-Class`, with which `java -jar` starts it.
    pub main_class: Option<String>,
    /// `Start-Class` of the manifest.
    pub start_class: Option<String>,
    pub spring_boot: Option<SpringBootFacts>,
    /// Libraries in `WEB-INF/lib`, sorted, without the path.
    pub libraries: BTreeSet<String>,
    /// Whether the file begins with a launch script.
    pub self_executing: bool,
}
