//! Owns the choice among Java releases and Tomcat versions.
//!
//! Must not look at an image.

use std::cmp::Reverse;

use super::{Candidate, CandidateChoice, Search, Warning};
use crate::builder::error::{BuilderError, shown};
use crate::builder::metadata::{ArtifactKind, Version};
use crate::builder::version::DottedVersion;
use crate::detect::facts::{JarFacts, ServletApi, ServletVersion, WarFacts};

/// The Java release for an archive without class files.
const USUAL_LEVEL: u32 = 21;

/// Chooses the lowest release that runs the JAR.
pub(super) fn jar<'a, 'b>(
    search: &'b Search<'a>,
    facts: &JarFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let along = search.request.neighbours.java();
    let level = Level { java: facts.java.max(along), is_exact: facts.preview && along <= facts.java };
    let mut choice = runtime(search, level)?;
    if along > facts.java {
        choice.reason.push_str("; a JAR that comes along needs it");
    }
    Ok(choice)
}

/// The Java release that an archive needs.
#[derive(Clone, Copy, Debug)]
struct Level {
    java: Option<u32>,
    /// Whether no other release runs it: its classes use preview features (JEP 12).
    is_exact: bool,
}

fn runtime<'a, 'b>(search: &'b Search<'a>, needed: Level) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    let level = needed.java;
    let mut fitting = search.fitting(|candidate| level_obstacle(candidate, needed))?;
    // The sort is stable: among equal releases, the first in the list wins.
    fitting.sort_by_key(|candidate| rank(level, candidate.level()));
    let candidate = fitting[0];
    let mut warnings = Vec::new();
    let has = candidate.level();
    let reason = match (level, has) {
        (Some(level), Some(_)) if needed.is_exact => {
            format!("its classes use preview features of Java {level}, which only that release runs")
        }
        (Some(level), Some(has)) if search.candidates.len() > 1 => {
            format!("its classes need Java {level}, and {has} is the lowest release that runs them")
        }
        (Some(level), Some(has)) => format!("its classes need Java {level}, and this has {has}"),
        (None, Some(has)) => {
            format!("it contains no class file that states its Java release, so it gets Java {has}")
        }
        (_, None) => {
            warnings.push(unknown("Java release", candidate.version));
            "its Java release is unknown".to_owned()
        }
    };
    Ok(CandidateChoice { candidate, reason, warnings })
}

/// Orders releases: the lowest that is enough first. Without a requirement: the usual one, the next above it, then the
/// newest below it. Unknown releases are last.
fn rank(needed: Option<u32>, has: Option<u32>) -> (bool, u32, Reverse<u32>) {
    match has {
        Some(has) if needed.is_some() || has >= USUAL_LEVEL => (false, has, Reverse(0)),
        Some(has) => (true, 0, Reverse(has)),
        None => (true, u32::MAX, Reverse(0)),
    }
}

fn unknown(what: &str, version: &Version) -> Warning {
    let message = format!(
        "the {what} of the builder's version `{}` is unknown, so it was not checked",
        version.version
    );
    Warning { message, hint: None }
}

fn level_obstacle(candidate: &Candidate<'_>, level: Level) -> Option<String> {
    let (needed, has) = (level.java?, candidate.level()?);
    if level.is_exact && has != needed {
        let reason =
            format!("its classes use preview features of Java {needed}, which only that release runs");
        return Some(format!("{reason}, and this has {has}"));
    }
    (has < needed).then(|| format!("its classes need Java {needed}, and this has {has}"))
}

/// Chooses the Tomcat for the WAR's servlet API on a Java release that runs it; or Java alone for a WAR with a
/// Main-Class, if the user names such a builder.
pub(super) fn war<'a, 'b>(
    search: &'b Search<'a>,
    facts: &WarFacts,
) -> Result<CandidateChoice<'a, 'b>, BuilderError> {
    if !search.artifacts.kinds.contains(&ArtifactKind::War) {
        let mut choice = runtime(search, level(facts))?;
        let main_class = shown(facts.main_class.as_deref().unwrap_or_default());
        choice.reason = format!("the WAR starts by its Main-Class `{main_class}`; {}", choice.reason);
        return Ok(choice);
    }
    let api = facts.servlet_api;
    let mut fitting = search.fitting(|candidate| {
        api_obstacle(candidate, api)
            .or_else(|| version_obstacle(candidate, facts.servlet_version))
            .or_else(|| level_obstacle(candidate, level(facts)))
    })?;
    fitting.sort_by_key(|candidate| {
        // If the API is unknown, `jakarta` is the better guess, with the lowest Tomcat.
        let guessed = api.is_none() && candidate.version.servlet_api != Some(ServletApi::Jakarta);
        (guessed, candidate.version.tomcat.clone(), rank(facts.java, candidate.level()))
    });
    let candidate = fitting[0];
    let mut warnings = Vec::new();
    if api.is_none() && candidate.version.servlet_api.is_some() {
        warnings.push(undecided(search, facts, candidate));
    }
    warnings.extend(unsupported(search, facts));
    if facts.mixed_libraries {
        warnings.push(mixed_libraries(search, facts, candidate));
    }
    if api.is_some() && candidate.version.servlet_api.is_none() {
        warnings.push(unknown("servlet API", candidate.version));
    }
    let reason = war_reason(facts, candidate);
    Ok(CandidateChoice { candidate, reason, warnings })
}

fn api_obstacle(candidate: &Candidate<'_>, needed: Option<ServletApi>) -> Option<String> {
    let (needed, has) = (needed?, candidate.version.servlet_api?);
    (has != needed).then(|| {
        let (needed, has) = (package(needed), package(has));
        format!("the WAR is written for `{needed}`, and {} has `{has}`", server(candidate))
    })
}

fn level(facts: &WarFacts) -> Level {
    Level { java: facts.java, is_exact: facts.preview }
}

/// The Tomcat releases that introduced a servlet version (Tomcat, "Which version?").
const SERVLET_VERSIONS: [(ServletVersion, &str); 3] = [
    (ServletVersion { major: 6, minor: 1 }, "11.0"),
    (ServletVersion { major: 6, minor: 0 }, "10.1"),
    (ServletVersion { major: 5, minor: 0 }, "10.0"),
];

/// The obstacle of an application whose descriptor is newer than the server.
fn version_obstacle(candidate: &Candidate<'_>, needed: Option<ServletVersion>) -> Option<String> {
    let (needed, has) = (needed?, candidate.version.tomcat.as_ref()?);
    let (version, first) = SERVLET_VERSIONS.iter().find(|(version, _)| needed >= *version)?;
    let first: DottedVersion = first.parse().ok()?;
    (*has < first).then(|| format!("its descriptor is of Servlet {version}, which Tomcat {first} introduced, and this has Tomcat {has}"))
}

/// The warning about parts of the application that Tomcat does not support.
fn unsupported(search: &Search<'_>, facts: &WarFacts) -> Option<Warning> {
    if facts.unsupported.is_empty() {
        return None;
    }
    let parts: Vec<String> = facts.unsupported.iter().map(|part| shown(part)).collect();
    let message =
        format!("Tomcat does not support these parts of `{}`: {}", search.request.artifact, parts.join(", "));
    let hint = "if the application needs them, use an image of its server: `--builder IMAGE`".to_owned();
    Some(Warning { message, hint: Some(hint) })
}

fn mixed_libraries(search: &Search<'_>, facts: &WarFacts, candidate: &Candidate<'_>) -> Warning {
    let message = format!(
        "libraries of `{}` refer to `javax` and to `jakarta`, and nothing else decides; using {}",
        search.request.artifact,
        server(candidate)
    );
    Warning { message, hint: other_server(search, facts, candidate) }
}

fn package(api: ServletApi) -> &'static str {
    match api {
        ServletApi::Javax => "javax.servlet",
        ServletApi::Jakarta => "jakarta.servlet",
    }
}

fn server(candidate: &Candidate<'_>) -> String {
    match &candidate.version.tomcat {
        Some(tomcat) => format!("Tomcat {tomcat}"),
        None => format!("version `{}`", candidate.version.version),
    }
}

fn war_reason(facts: &WarFacts, candidate: &Candidate<'_>) -> String {
    let api = match facts.servlet_api {
        None => "it does not state its servlet API".to_owned(),
        Some(api) => {
            let evidence =
                facts.servlet_evidence.as_ref().map(|why| format!(" ({})", shown(why))).unwrap_or_default();
            format!("it is written for `{}`{evidence}", package(api))
        }
    };
    let needs = facts.java.map(|level| format!(" and needs Java {level}")).unwrap_or_default();
    let has = candidate.level().map(|level| format!(" on Java {level}")).unwrap_or_default();
    let alone = facts.main_class.as_ref().map(|_| "; `--builder java` starts it by its own Main-Class");
    format!("{api}{needs}, so it gets {}{has}{}", server(candidate), alone.unwrap_or_default())
}

/// The warning that the servlet API is a guess, with the other one as a hint.
fn undecided(search: &Search<'_>, facts: &WarFacts, candidate: &Candidate<'_>) -> Warning {
    let message = format!(
        "`{}` does not state whether it is written for `javax.servlet` or `jakarta.servlet`; using {}",
        search.request.artifact,
        server(candidate)
    );
    let other = other_server(search, facts, candidate);
    let alone =
        facts.main_class.is_some().then(|| "`--builder java` starts it by its own Main-Class".to_owned());
    let hints: Vec<String> = other.into_iter().chain(alone).collect();
    Warning { message, hint: (!hints.is_empty()).then(|| hints.join("; ")) }
}

/// The hint at a version for the other servlet API.
fn other_server(search: &Search<'_>, facts: &WarFacts, candidate: &Candidate<'_>) -> Option<String> {
    let taken = candidate.version.servlet_api;
    let other = search.others.iter().find(|one| {
        one.version.servlet_api != taken
            && one.version.servlet_api.is_some()
            && level_obstacle(one, level(facts)).is_none()
    })?;
    let api = package(other.version.servlet_api?);
    Some(format!("`--builder {}:{}` has `{api}`", search.template.name(), other.version.version))
}
