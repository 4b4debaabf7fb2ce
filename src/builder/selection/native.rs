//! Owns the choice among bases for native executables and scripts.
//!
//! Must not look at an image.

use std::collections::BTreeSet;

use super::{Candidate, CandidateChoice, Search, Warning};
use crate::builder::base::BaseLibc;
use crate::builder::error::{BuilderError, shown};
use crate::detect::facts::{ExecutableFacts, GlibcVersion, Libc, Linkage, ScriptFacts};

/// Libraries of the GNU C library (glibc manual, "Installed libraries"), without the part after `.so`.
const GLIBC_LIBRARIES: [&str; 15] = [
    "libc",
    "libm",
    "libmvec",
    "libdl",
    "libpthread",
    "librt",
    "libresolv",
    "libutil",
    "libanl",
    "libnsl",
    "libBrokenLocale",
    "libthread_db",
    "libnss_files",
    "libnss_dns",
    "libc_malloc_debug",
];

/// The interpreter that every base with a shell has.
const SHELL: &str = "sh";

impl Candidate<'_> {
    fn libc(&self) -> Option<BaseLibc> {
        self.version.libc.or(self.base.assumptions.libc)
    }

    fn glibc(&self) -> Option<GlibcVersion> {
        self.version.glibc.or(self.base.assumptions.glibc)
    }
}

/// Chooses the smallest base that runs the executable.
pub(super) fn executable<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ExecutableFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    if facts.linkage != Linkage::Dynamic {
        return fixed(search, facts);
    }
    match facts.libc {
        Some(Libc::Glibc) => dynamic(search, facts, BaseLibc::Glibc),
        Some(Libc::Musl) => dynamic(search, facts, BaseLibc::Musl),
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
    fitting.sort_by_key(|candidate| (candidate.libc() != Some(BaseLibc::None), candidate.glibc()));
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
    Ok(CandidateChoice { candidate, reason, warnings: Vec::new() })
}

fn dynamic<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ExecutableFacts,
    libc: BaseLibc,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let mut fitting = search.fitting(|candidate| libc_obstacle(candidate, libc, facts.glibc))?;
    // Bases that are known to fit are first, then the lowest version, then the order of the list.
    fitting.sort_by_key(|candidate| {
        (candidate.libc().is_none(), candidate.glibc().is_none(), candidate.glibc())
    });
    let lowest = fitting[0];
    // A newer base with every library is better than the lowest one without some.
    let complete = fitting.iter().find(|candidate| missing(candidate, facts, search).is_empty());
    let candidate = complete.copied().unwrap_or(lowest);
    let mut reason = libc_reason(candidate, libc, facts.glibc);
    if candidate.version != lowest.version {
        let libraries = listed(&missing(lowest, facts, search));
        reason.push_str(&format!("; `{}` lacks {libraries}", lowest.version.version));
    }
    let warnings = library_warnings(search, candidate, facts);
    Ok(CandidateChoice { candidate, reason, warnings })
}

fn libc_obstacle(candidate: &Candidate<'_>, needed: BaseLibc, glibc: Option<GlibcVersion>) -> Option<String> {
    let has = candidate.libc()?;
    if has == BaseLibc::None {
        return Some(format!(
            "the program is linked dynamically against {needed}, and this base has no C library"
        ));
    }
    if has != needed {
        return Some(format!("the program is linked against {needed}, and this base has {has}"));
    }
    let (needed, has) = (glibc?, candidate.glibc()?);
    (has < needed).then(|| format!("the program needs glibc {needed}, and this base has {has}"))
}

fn libc_reason(candidate: &Candidate<'_>, libc: BaseLibc, glibc: Option<GlibcVersion>) -> String {
    let name = &candidate.version.version;
    match (libc, glibc, candidate.glibc()) {
        _ if candidate.libc().is_none() => {
            format!("the executable needs {libc}, and the C library of `{name}` is unknown")
        }
        (BaseLibc::Glibc, Some(needed), Some(has)) => {
            format!("the executable needs glibc {needed}, and `{name}` has {has}")
        }
        (_, Some(needed), None) if libc == BaseLibc::Glibc => {
            format!("the executable needs glibc {needed}, and the version in `{name}` is unknown")
        }
        _ => format!("the executable is linked against {libc}, and `{name}` has it"),
    }
}

/// The libraries that the program needs, and that neither the base nor the added files have; none if the libraries of
/// the base are unknown.
fn missing<'f>(candidate: &Candidate<'_>, facts: &'f ExecutableFacts, search: &Search<'_>) -> Vec<&'f str> {
    let Some(present) = &candidate.base.assumptions.libraries else { return Vec::new() };
    let absent = |name: &&str| {
        !belongs_to_libc(name) && !present.contains(*name) && !search.request.added.contains(*name)
    };
    let mut seen = BTreeSet::new();
    let names = facts.libraries.iter().map(String::as_str);
    names.filter(absent).filter(|name| seen.insert(*name)).collect()
}

fn belongs_to_libc(soname: &str) -> bool {
    let stem = soname.split(".so").next().unwrap_or_default();
    GLIBC_LIBRARIES.contains(&stem)
        || stem.starts_with("ld-")
        || stem.starts_with("ld64")
        || stem.starts_with("libc.musl-")
}

fn library_warnings(search: &Search<'_>, candidate: &Candidate<'_>, facts: &ExecutableFacts) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let beside = &search.artifacts.placement.beside;
    let looks_beside = facts.run_path.iter().any(|path| {
        path.starts_with("$ORIGIN") || path.starts_with("${ORIGIN}") || path.starts_with(beside.as_str())
    });
    let missing = missing(candidate, facts, search);
    if !missing.is_empty() {
        let message = format!(
            "`{}` needs {}, which the base `{}` is not known to have",
            search.request.artifact,
            listed(&missing),
            candidate.base.image
        );
        let add = missing
            .iter()
            .take(10)
            .map(|name| format!("--add {}", shown(name)))
            .collect::<Vec<_>>()
            .join(" ");
        let hint = if looks_beside {
            format!("add them; the program searches its own directory: `{add}`")
        } else {
            format!("add the libraries with `{add} --env LD_LIBRARY_PATH={beside}`, or choose another base")
        };
        warnings.push(Warning { message, hint: Some(hint) });
    }
    let added: Vec<&str> = facts.libraries.iter().map(String::as_str).collect();
    let added: Vec<&str> = added.into_iter().filter(|name| search.request.added.contains(*name)).collect();
    if !added.is_empty() && facts.run_path.is_empty() {
        let message = format!(
            "{} is added, but `{}` has no run path by which the dynamic linker would find it",
            listed(&added),
            search.request.artifact
        );
        let hint = format!("if it is next to the program, pass `--env LD_LIBRARY_PATH={beside}`");
        warnings.push(Warning { message, hint: Some(hint) });
    }
    warnings
}

/// Lists up to ten names. A file may have thousands.
fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(10).map(|name| format!("`{}`", shown(name))).collect::<Vec<_>>().join(", ");
    if names.len() > 10 { format!("{shown} and {} more", names.len() - 10) } else { shown }
}

/// Chooses a base that has the script's interpreter.
pub(super) fn script<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ScriptFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let program = facts.program.as_str();
    let (shown_program, shown_interpreter) = (shown(program), shown(&facts.interpreter));
    let has = |candidate: &Candidate<'_>| {
        let assumed = &candidate.base.assumptions;
        match program {
            SHELL => assumed.shell,
            // An unlisted base, about which nothing is known, may have it.
            _ if assumed == &Default::default() => None,
            _ => Some(assumed.interpreters.contains(program)),
        }
    };
    if !search.others.iter().any(|candidate| has(candidate) != Some(false)) {
        return Err(BuilderError::CannotRun {
            artifact: search.request.artifact.to_owned(),
            reason: format!(
                "it is a script for `{shown_program}` (`{shown_interpreter}`), which no base is known to have"
            ),
            hint: format!("pass an image that has `{shown_program}` and S2I scripts: `--builder IMAGE`"),
        });
    }
    let mut fitting = search.fitting(|candidate| {
        (has(candidate) == Some(false))
            .then(|| format!("the script needs `{shown_program}`, which this base is not known to have"))
    })?;
    // Scripts call common tools, so the newest base with glibc is first.
    fitting.reverse();
    fitting.sort_by_key(|candidate| (has(candidate).is_none(), candidate.libc() != Some(BaseLibc::Glibc)));
    let candidate = fitting[0];
    let reason = format!("it is a script for `{shown_program}`, and `{}` has it", candidate.version.version);
    let mut warnings = Vec::new();
    if has(candidate).is_none() {
        let message =
            format!("it is unknown whether the base `{}` has `{shown_program}`", candidate.base.image);
        warnings.push(Warning { message, hint: None });
    }
    let usual = ["/bin/", "/usr/bin/"].iter().any(|folder| {
        facts.interpreter.strip_prefix(folder).is_some_and(|name| name == program || name == "env")
    });
    if !usual {
        let message = format!(
            "the script needs `{shown_interpreter}`; the base is only known to have `{shown_program}` in `/bin` or `/usr/bin`"
        );
        warnings.push(Warning {
            message,
            hint: Some(format!("change its first line to `#!/usr/bin/env {shown_program}`")),
        });
    }
    Ok(CandidateChoice { candidate, reason, warnings })
}
