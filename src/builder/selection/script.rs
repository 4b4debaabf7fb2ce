//! Owns the choice among bases for scripts: one with the interpreter, in a release that the script accepts.
//!
//! Must not look at an image.

use super::native::{is_runtime, program_obstacle};
use super::source::range::Range;
use super::{Candidate, CandidateChoice, Search, Warning};
use crate::builder::base::{BaseLibc, Tool};
use crate::builder::error::{BuilderError, shown};
use crate::builder::version::DottedVersion;
use crate::detect::facts::ScriptFacts;

/// The limit of packages in a message.
const MOST_SHOWN: usize = 10;

/// The interpreter that every base with a shell has.
const SHELL: &str = "sh";

/// The Java release for a script that states none: the one for JARs without class files.
const USUAL_JAVA: u32 = 21;

/// The interpreter that a script needs.
enum Interpreter<'f> {
    Shell,
    /// A program in `/bin` or `/usr/bin`.
    Program(&'f str),
    /// A language with releases.
    Language {
        tool: Tool,
        line: Option<DottedVersion>,
        range: Option<Range>,
    },
    /// The launcher of the JDK, which compiles the script. It accepts sources of its own and of earlier releases.
    Java {
        source: Option<u32>,
    },
    /// A shell that starts Java with the JARs that come along.
    StartScript {
        shell: &'f str,
        level: u32,
    },
}

impl<'f> Interpreter<'f> {
    /// `jars` is the highest Java release that a JAR beside the script needs.
    fn of(facts: &'f ScriptFacts, jars: Option<u32>) -> Self {
        let program = facts.program.as_str();
        let range = || facts.release.as_deref().and_then(Range::parse);
        // `#!/bin/busybox sh` needs the file, not its applet.
        if facts.interpreter.ends_with("/busybox") {
            return Self::Program("busybox");
        }
        if let Some(line) = program.strip_prefix("python")
            && (line.is_empty() || line.starts_with(|first: char| first.is_ascii_digit()))
        {
            let line = line.parse().ok();
            return Self::Language { tool: Tool::Python, line, range: range() };
        }
        if let (Some(level), SHELL | "bash" | "dash") = (jars, program) {
            return Self::StartScript { shell: program, level };
        }
        match program {
            SHELL => Self::Shell,
            "node" | "nodejs" => Self::Language { tool: Tool::Node, line: None, range: range() },
            "java" => Self::Java { source: facts.release.as_deref().and_then(|text| text.parse().ok()) },
            other => Self::Program(other),
        }
    }

    /// Whether a base has it; `None` if that is unknown.
    fn is_in(&self, candidate: &Candidate<'_>) -> Option<bool> {
        let assumed = &candidate.base.assumptions;
        match self {
            Self::Shell => assumed.shell,
            // An unlisted base, about which nothing is known, may have it.
            _ if assumed == &Default::default() => None,
            Self::Program(program) => Some(assumed.interpreters.contains(*program)),
            Self::Language { tool, line, range } => Some(assumed.tools.get(tool).is_some_and(|has| {
                line.as_ref().is_none_or(|line| line.covers(has))
                    && range.as_ref().is_none_or(|range| range.admits(has.numbers()))
            })),
            // The levels of a template for scripts are those of JDKs.
            Self::Java { source } => {
                let level = candidate.version.level;
                Some(level.is_some_and(|level| source.is_none_or(|source| source <= level)))
            }
            Self::StartScript { shell, level } => {
                let has_shell = *shell == SHELL || assumed.interpreters.contains(*shell);
                Some(has_shell && candidate.version.level.is_some_and(|has| *level <= has))
            }
        }
    }
}

/// Chooses a base that has the script's interpreter.
pub(super) fn script<'a, 'b>(
    search: &'b Search<'a>,
    facts: &ScriptFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    // A version that the user names may be right for a script that only has JARs beside it.
    let has_java = search.others.iter().any(|candidate| candidate.version.level.is_some());
    let may_need_java = has_java && search.requested_version.is_none();
    let interpreter = Interpreter::of(facts, search.request.neighbours.java().filter(|_| may_need_java));
    let needed = match &interpreter {
        Interpreter::StartScript { level, .. } => format!("{} and Java {level}", needed(facts)),
        _ => needed(facts),
    };
    if !search.others.iter().any(|candidate| interpreter.is_in(candidate) != Some(false)) {
        return Err(nothing_has_it(search, facts, &interpreter, &needed));
    }
    let mut fitting = search.fitting(|candidate| {
        (interpreter.is_in(candidate) == Some(false))
            .then(|| format!("the script needs {needed}, which this base is not known to have"))
            .or_else(|| program_obstacle(search, candidate))
    })?;
    // Scripts call common tools, so the newest base with glibc is first.
    fitting.reverse();
    fitting.sort_by_key(|candidate| {
        let is_more =
            matches!(interpreter, Interpreter::Shell | Interpreter::Program(_)) && is_runtime(candidate);
        (
            interpreter.is_in(candidate).is_none(),
            is_more,
            candidate.libc() != Some(BaseLibc::Glibc),
            order(&interpreter, candidate),
        )
    });
    let candidate = fitting[0];
    let reason = match &interpreter {
        Interpreter::StartScript { level, .. } => format!(
            "it is a script beside JARs that need Java {level}, and `{}` has it",
            candidate.version.version
        ),
        _ => format!("it is a script for {needed}, and `{}` has it", candidate.version.version),
    };
    Ok(CandidateChoice { candidate, reason, warnings: warnings(facts, &interpreter, candidate) })
}

/// The lowest JDK that accepts the source, as for JARs; of others the newest, which is first.
fn order(interpreter: &Interpreter<'_>, candidate: &Candidate<'_>) -> u32 {
    let level = candidate.version.level.unwrap_or(u32::MAX);
    let source = match interpreter {
        Interpreter::Java { source } => *source,
        Interpreter::StartScript { level, .. } => Some(*level),
        Interpreter::Shell | Interpreter::Program(_) | Interpreter::Language { .. } => return 0,
    };
    match source {
        Some(_) => level,
        None => level.abs_diff(USUAL_JAVA),
    }
}

/// The interpreter in words: `python3`, or with the release that the script states.
fn needed(facts: &ScriptFacts) -> String {
    match &facts.release {
        Some(release) => format!("`{}` ({})", shown(&facts.program), shown(release)),
        None => format!("`{}`", shown(&facts.program)),
    }
}

fn nothing_has_it(
    search: &Search<'_>,
    facts: &ScriptFacts,
    interpreter: &Interpreter<'_>,
    needed: &str,
) -> BuilderError {
    let releases: Vec<String> = search
        .others
        .iter()
        .filter_map(|candidate| match interpreter {
            Interpreter::Language { tool, .. } => {
                candidate.base.assumptions.tools.get(tool).map(ToString::to_string)
            }
            Interpreter::Java { .. } | Interpreter::StartScript { .. } => {
                candidate.version.level.map(|level| level.to_string())
            }
            Interpreter::Shell | Interpreter::Program(_) => None,
        })
        .collect();
    let bases = match &releases[..] {
        [] => "which no base is known to have".to_owned(),
        releases => format!("and the bases have {}", releases.join(", ")),
    };
    BuilderError::CannotRun {
        artifact: search.request.artifact.to_owned(),
        reason: format!("it is a script for {needed} (`{}`), {bases}", shown(&facts.interpreter)),
        hint: format!(
            "pass an image that has `{}` and S2I scripts: `--builder IMAGE`",
            shown(&facts.program)
        ),
    }
}

fn warnings(facts: &ScriptFacts, interpreter: &Interpreter<'_>, candidate: &Candidate<'_>) -> Vec<Warning> {
    let program = shown(&facts.program);
    let mut warnings = Vec::new();
    if interpreter.is_in(candidate).is_none() {
        let message = format!("it is unknown whether the base `{}` has `{program}`", candidate.base.image);
        warnings.push(Warning { message, hint: None });
    }
    // `run` finds interpreters of languages on the PATH.
    let is_language = matches!(interpreter, Interpreter::Language { .. } | Interpreter::Java { .. });
    let usual = ["/bin/", "/usr/bin/"].iter().any(|folder| {
        let name = facts.interpreter.strip_prefix(folder).unwrap_or_default();
        name == facts.program || matches!(name, "env" | "busybox")
    });
    if !usual && !is_language {
        let message = format!(
            "the script needs `{}`; the base is only known to have `{program}` in `/bin` or `/usr/bin`",
            shown(&facts.interpreter)
        );
        let hint = format!("change its first line to `#!/usr/bin/env {program}`");
        warnings.push(Warning { message, hint: Some(hint) });
    }
    if !facts.dependencies.is_empty() {
        let names = facts.dependencies.iter().take(MOST_SHOWN).map(|name| format!("`{}`", shown(name)));
        let names = names.collect::<Vec<_>>().join(", ");
        let message = format!("the script depends on packages that no base has: {names}");
        let hint = "package it with them as one file, with `pex` or `shiv`, or build it from sources: `b2i build DIRECTORY` with a `pyproject.toml`";
        warnings.push(Warning { message, hint: Some(hint.into()) });
    }
    warnings
}
