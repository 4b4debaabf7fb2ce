//! Owns the choice among bases for native executables.
//!
//! Must not look at an image.

use super::libraries::{Libraries, listed};
use super::{Candidate, CandidateChoice, Search, Warning};
use crate::builder::base::BaseLibc;
use crate::builder::error::{BuilderError, shown};
use crate::detect::facts::{ExecutableFacts, GlibcVersion, Libc, Linkage, Payload};
use crate::image::Platform;
use crate::input::NeededLibc;

impl Candidate<'_> {
    pub(super) fn libc(&self) -> Option<BaseLibc> {
        self.version.libc.or(self.base.assumptions.libc)
    }

    fn glibc(&self) -> Option<GlibcVersion> {
        self.version.glibc.or(self.base.assumptions.glibc)
    }
}

/// Whether a base is made for programs of one language. It is larger than one for any program.
pub(super) fn is_runtime(candidate: &Candidate<'_>) -> bool {
    let assumed = &candidate.base.assumptions;
    !assumed.tools.is_empty() || assumed.java.is_some()
}

/// Chooses the smallest base that runs the executable.
pub(super) fn executable<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ExecutableFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let neighbours = search.request.neighbours;
    if matches!(facts.payload, Some(Payload::AppImage { .. })) && facts.libc != Some(Libc::Musl) {
        // Its front may be static. What it unpacks is built for a desktop, and so for glibc.
        let glibc = facts.glibc.max(neighbours.glibc(&facts.platform));
        return dynamic(search, facts, NeededLibc { libc: Libc::Glibc, glibc });
    }
    if facts.linkage != Linkage::Dynamic {
        return match neighbours.libc(&facts.platform) {
            // The programs that come along have needs, even if this one has none.
            Some(needed) => dynamic(search, facts, needed),
            None => fixed(search, facts),
        };
    }
    let glibc = facts.glibc.max(neighbours.glibc(&facts.platform));
    match facts.libc {
        Some(libc @ Libc::Glibc) => dynamic(search, facts, NeededLibc { libc, glibc }),
        Some(libc @ Libc::Musl) => dynamic(search, facts, NeededLibc { libc, glibc: None }),
        Some(Libc::Other) | None => {
            let interpreter = shown(facts.interpreter.as_deref().unwrap_or_default());
            Err(BuilderError::CannotRun {
                artifact: search.request.artifact.to_owned(),
                reason: format!(
                    "it needs the dynamic linker `{interpreter}`, which is neither that of glibc nor of musl"
                ),
                hint: "pass an image that has it and S2I scripts: `--builder IMAGE`, or link the program statically"
                    .into(),
            })
        }
    }
}

/// A static executable runs on any base of its platform. The smallest base is the one without a C library.
fn fixed<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ExecutableFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let mut fitting = search.fitting(|_| None)?;
    fitting.sort_by_key(|candidate| {
        (candidate.libc() != Some(BaseLibc::None), is_runtime(candidate), candidate.glibc())
    });
    let candidate = fitting[0];
    let word = if facts.linkage == Linkage::StaticPie { "static (position independent)" } else { "static" };
    let smallest = search.candidates.iter().find(|candidate| candidate.libc() == Some(BaseLibc::None));
    let reason = match smallest.and_then(|smallest| search.base_obstacle(smallest)) {
        _ if candidate.libc() == Some(BaseLibc::None) => {
            format!("the executable is {word} and needs nothing from its base")
        }
        Some(obstacle) => {
            format!("the executable is {word} and runs on any base; the static one: {obstacle}")
        }
        None => format!("the executable is {word} and runs on any base"),
    };
    Ok(CandidateChoice { candidate, reason, warnings: payload_warnings(search, facts) })
}

fn dynamic<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ExecutableFacts,
    needed: NeededLibc,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let libraries = Libraries::of(search, facts);
    let mut fitting = search.fitting(|candidate| libc_obstacle(candidate, facts, needed))?;
    // Bases that are known to fit are first, then those for any program, then the lowest version, then the order of the
    // list.
    fitting.sort_by_key(|candidate| {
        (candidate.libc().is_none(), is_runtime(candidate), candidate.glibc().is_none(), candidate.glibc())
    });
    let hidden = facts.payload.filter(|payload| payload.hides_machine_code());
    if hidden.is_some() {
        // The needs of what it unpacks are unknown, and the newest of these bases meets most.
        let sized = |candidate: &&&Candidate<'_>| candidate.glibc().is_some() && !is_runtime(candidate);
        let count = fitting.iter().take_while(sized).count();
        fitting[..count].reverse();
    }
    let lowest = fitting[0];
    // A newer base with every library is better than the lowest one without some.
    let complete = fitting.iter().find(|candidate| libraries.has_all(candidate));
    let candidate = complete.copied().unwrap_or(lowest);
    let mut reason = libc_reason(candidate, facts, needed);
    if candidate.version != lowest.version {
        let lacks = listed(&libraries.missing(lowest));
        reason.push_str(&format!("; `{}` lacks {lacks}", lowest.version.version));
    }
    if let Some(payload) = hidden {
        let (word, name) = (payload.word(), &candidate.version.version);
        reason.push_str(&format!(
            "; the needs of its {word} payload are hidden, so `{name}` is the newest that fits"
        ));
    }
    let others = || {
        let runs = |other: &&Candidate<'_>| libc_obstacle(other, facts, needed).is_none();
        search.others.iter().filter(runs).find(|other| libraries.has_all(other))
    };
    let mut warnings: Vec<Warning> = libraries.check(search, candidate, others)?.into_iter().collect();
    warnings.extend(payload_warnings(search, facts));
    Ok(CandidateChoice { candidate, reason, warnings })
}

/// The warnings about needs of a payload that the container must meet.
fn payload_warnings(search: &Search<'_>, facts: &ExecutableFacts) -> Vec<Warning> {
    let Some(payload) = facts.payload else { return Vec::new() };
    let artifact = search.request.artifact;
    let warning = |message: String, hint: &str| Warning { message, hint: Some(hint.to_owned()) };
    let mut warnings = Vec::new();
    if payload.starts_in_temporary_files() {
        let message = format!("`{artifact}` unpacks itself into `/tmp` and starts there");
        let hint = "if you mount a tmpfs there, allow that: `docker run --tmpfs /tmp:exec`";
        warnings.push(warning(message, hint));
    }
    match payload {
        Payload::AppImage { release: 1 } => {
            let message =
                format!("`{artifact}` is an AppImage of type 1, which needs FUSE, and containers have none");
            let hint =
                "unpack it with its option `--appimage-extract`, and build the directory `squashfs-root`";
            warnings.push(warning(message, hint));
        }
        Payload::DotNet => {
            let message =
                format!("`{artifact}` is a .NET program, and no base has ICU: it runs without cultures");
            let hint = "if it needs cultures, add ICU with `--add` and pass \
                        `--env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=0`";
            warnings.push(warning(message, hint));
        }
        _ => {}
    }
    warnings
}

/// The files that need the C library: the program, or files that come along.
fn needing(facts: &ExecutableFacts, needed: NeededLibc) -> &'static str {
    let alone = facts.libc == Some(needed.libc) && facts.glibc == needed.glibc;
    if alone { "the program" } else { "the program or a file that comes along" }
}

fn base_libc(libc: Libc) -> BaseLibc {
    if libc == Libc::Musl { BaseLibc::Musl } else { BaseLibc::Glibc }
}

fn libc_obstacle(candidate: &Candidate<'_>, facts: &ExecutableFacts, needed: NeededLibc) -> Option<String> {
    let (has, libc, subject) = (candidate.libc()?, base_libc(needed.libc), needing(facts, needed));
    if has == BaseLibc::None {
        return Some(format!(
            "{subject} is linked dynamically against {libc}, and this base has no C library"
        ));
    }
    if has != libc {
        return Some(format!("{subject} is linked against {libc}, and this base has {has}"));
    }
    let (needed, has) = (needed.glibc?, candidate.glibc()?);
    (has < needed).then(|| format!("{subject} needs glibc {needed}, and this base has {has}"))
}

fn libc_reason(candidate: &Candidate<'_>, facts: &ExecutableFacts, needed: NeededLibc) -> String {
    let name = &candidate.version.version;
    let libc = base_libc(needed.libc);
    let subject = match needing(facts, needed) {
        "the program" => "the executable",
        _ => "the executable or a file that comes along",
    };
    match (libc, needed.glibc, candidate.glibc()) {
        _ if candidate.libc().is_none() => {
            format!("{subject} needs {libc}, and the C library of `{name}` is unknown")
        }
        (BaseLibc::Glibc, Some(needed), Some(has)) => {
            format!("{subject} needs glibc {needed}, and `{name}` has {has}")
        }
        (_, Some(needed), None) if libc == BaseLibc::Glibc => {
            format!("{subject} needs glibc {needed}, and the version in `{name}` is unknown")
        }
        _ => format!("{subject} is linked against {libc}, and `{name}` has it"),
    }
}

/// Why a base does not run a program that a script may call.
pub(super) fn program_obstacle(search: &Search<'_>, candidate: &Candidate<'_>) -> Option<String> {
    let platform = search.platform.clone().unwrap_or_else(Platform::host);
    let needed = search.request.neighbours.libc(&platform)?;
    let (has, libc) = (candidate.libc()?, base_libc(needed.libc));
    if has != libc {
        return Some(format!("a program that comes along is linked against {libc}, and this base has {has}"));
    }
    let (needed, has) = (needed.glibc?, candidate.glibc()?);
    (has < needed).then(|| format!("a file that comes along needs glibc {needed}, and this base has {has}"))
}
