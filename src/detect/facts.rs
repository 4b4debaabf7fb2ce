//! Owns the facts: what can be known about an artifact from its bytes.
//!
//! Plain data, serialised as `b2i inspect --format json` shows it. Must not decide anything.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use crate::image::Platform;

/// Everything that was read out of an artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    pub size: u64,
    /// What it is, with what that kind of thing is known by.
    #[serde(flatten)]
    pub kind: Kind,
}

impl Facts {
    /// Says in one line what it is, as people would.
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
                format!("{linkage} for {}{libc}", facts.platform)
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

/// What an artifact can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// A native executable (ELF).
    Executable(ExecutableFacts),
    /// A text file that names its interpreter in its first line.
    Script(ScriptFacts),
    /// A runnable JAR.
    Jar(JarFacts),
    /// A web application archive.
    War(WarFacts),
}

impl Kind {
    /// The word for it in messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Executable(_) => "executable",
            Self::Script(_) => "script",
            Self::Jar(_) => "JAR",
            Self::War(_) => "WAR",
        }
    }
}

/// How an executable is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Linkage {
    /// No interpreter, fixed address.
    Static,
    /// No interpreter, position independent.
    StaticPie,
    /// Needs an interpreter (the dynamic linker).
    Dynamic,
}

/// Which C library a dynamic executable was linked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Libc {
    /// The GNU C library.
    Glibc,
    Musl,
    /// Something else; the interpreter's path tells more.
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
    type Err = ();

    /// Parses `2.36` and `2.2.5` (the third number never decides anything).
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut numbers = text.split('.').map(|number| number.parse().map_err(|_| ()));
        let major = numbers.next().ok_or(())??;
        let minor = numbers.next().unwrap_or(Ok(0))?;
        Ok(Self { major, minor })
    }
}

impl Serialize for GlibcVersion {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is known about a native executable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutableFacts {
    /// Operating system and architecture it runs on.
    pub platform: Platform,
    /// How it is linked.
    pub linkage: Linkage,
    /// The dynamic linker it asks for.
    pub interpreter: Option<String>,
    /// The C library, if it is linked dynamically.
    pub libc: Option<Libc>,
    /// The highest `GLIBC_x.y` symbol version it needs.
    pub glibc: Option<GlibcVersion>,
    /// The shared libraries it names as needed, in its order.
    pub libraries: Vec<String>,
    /// Where it searches libraries itself (RPATH and RUNPATH).
    pub run_path: Vec<String>,
    /// The toolchain that left its mark: `go1.24.1`, `rustc 1.89.0`.
    pub built_by: Option<String>,
    /// Whether it is compressed by UPX, which hides what it needs: it looks static even if it is not.
    pub packed: bool,
    /// Whether its symbol table was removed.
    pub stripped: bool,
}

/// What is known about a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScriptFacts {
    /// The interpreter's path, as the first line names it.
    pub interpreter: String,
    /// The program that runs it, after `/usr/bin/env`: `sh`, `python3`.
    pub program: String,
}

/// Spring Boot's marks in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SpringBootFacts {
    /// `Spring-Boot-Version` of the manifest.
    pub version: Option<String>,
    /// The layers that `layers.idx` names, in its order; empty without one.
    pub layers: Vec<String>,
}

/// What is known about a runnable JAR.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JarFacts {
    /// `Main-Class` of the manifest, or what the user named instead.
    pub main_class: String,
    /// Whether the class file of the main class is in the JAR itself; it may be in a library of its class path.
    pub has_main_class: bool,
    /// `Start-Class` of the manifest (the application's own main class behind a launcher).
    pub start_class: Option<String>,
    /// Lowest Java release that runs it (8, 11, 17 …), if class files were found.
    pub java: Option<u32>,
    /// `Multi-Release: true`.
    pub multi_release: bool,
    /// Spring Boot's marks.
    pub spring_boot: Option<SpringBootFacts>,
    /// `Class-Path` of the manifest: relative URLs, decoded, in order.
    pub class_path: Vec<String>,
    /// Libraries inside (`*.jar`), sorted.
    pub libraries: Vec<String>,
    /// Whether a script is put before the archive, so that the file runs by itself.
    pub self_executing: bool,
}

/// Which servlet API a web application was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServletApi {
    /// `javax.servlet`: Tomcat up to 9.
    Javax,
    /// `jakarta.servlet`: Tomcat 10 and later.
    Jakarta,
}

/// What is known about a web application archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WarFacts {
    /// The servlet API, if the descriptor or the classes tell.
    pub servlet_api: Option<ServletApi>,
    /// What told it, one clause.
    pub servlet_evidence: Option<String>,
    /// Lowest Java release that runs it, if class files were found.
    pub java: Option<u32>,
    /// `Main-Class`: `java -jar` starts it too.
    pub main_class: Option<String>,
    /// `Start-Class` of the manifest.
    pub start_class: Option<String>,
    /// Spring Boot's marks.
    pub spring_boot: Option<SpringBootFacts>,
    /// Libraries in `WEB-INF/lib`, sorted, without the path.
    pub libraries: BTreeSet<String>,
    /// Whether a script is put before the archive, so that the file runs by itself.
    pub self_executing: bool,
}
