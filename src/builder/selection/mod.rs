//! Owns the choice of a builder: by facts, or by the user's name, with the reason in words.
//!
//! An impossible choice is an error or a warning here, before anything is built. Must not look at an image: the catalog
//! and the facts decide.

mod java;
mod libraries;
mod native;
mod script;
pub mod source;
mod user_base;

use std::sync::Arc;

use super::base::{Base, BaseName};
use super::catalog::{Catalog, versions};
use super::error::BuilderError;
use super::metadata::{ArtifactKind, ArtifactsSection, Takes, Version};
use super::template::Template;
use crate::detect::facts::{Facts, Kind};
pub use crate::diagnostic::Warning;
use crate::image::{ImageReference, Platform};
use crate::input::Neighbours;
use crate::request::BuilderRequest;

#[derive(Clone, Copy, Debug)]
pub struct SelectionRequest<'a> {
    /// The artifact's name, for messages.
    pub artifact: &'a str,
    pub facts: &'a Facts,
    /// `--builder`
    pub builder: Option<&'a BuilderRequest>,
    /// `--platform`
    pub platform: Option<&'a Platform>,
    /// `--allow-missing`
    pub allow_missing: bool,
    /// The artifact's path in the tree that it came with.
    pub tree_path: Option<&'a str>,
    /// The files that go with it.
    pub neighbours: &'a Neighbours,
    /// The variables that the user sets in the image.
    pub environment: &'a [(String, String)],
    /// The base that replaces the base of every version (`--base`).
    pub base: Option<&'a Base>,
}

/// The choice of a builder.
#[derive(Clone, Debug)]
pub enum Selection {
    Template(Box<Choice>),
    /// An image that the user names.
    Image(Box<ImageChoice>),
}

/// An image that the user names. b2i knows nothing about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageChoice {
    pub reference: ImageReference,
    /// The platform of the artifact, or of the request.
    pub platform: Option<Platform>,
    pub reason: String,
}

impl ImageChoice {
    fn requested(reference: &ImageReference, platform: Option<Platform>) -> Self {
        let reason = format!("`{}` was requested; b2i does not check it", reference.familiar());
        Self { reference: reference.clone(), platform, reason }
    }
}

impl Selection {
    /// The template's base, or the builder image.
    pub fn base(&self) -> BaseName {
        match self {
            Self::Template(choice) => choice.base.image.clone(),
            Self::Image(choice) => BaseName::Image(choice.reference.clone()),
        }
    }

    /// Whether b2i may do the work of `assemble` itself.
    pub fn may_be_placed(&self) -> bool {
        match self {
            Self::Template(choice) => choice.template.may_be_placed(),
            Self::Image(_) => false,
        }
    }
}

/// A version of a template.
#[derive(Clone, Debug)]
pub struct Choice {
    pub template: Arc<Template>,
    pub version: Version,
    /// The base of the version.
    pub base: Base,
    /// The platform of the artifact, or of the request.
    pub platform: Option<Platform>,
    pub reason: String,
    pub warnings: Vec<Warning>,
}

impl Choice {
    /// Whether the launcher replaces the scripts, because the base has no shell.
    pub fn needs_launcher(&self) -> bool {
        self.base.assumptions.shell == Some(false) && self.template.has_text_scripts()
    }

    /// Whether b2i brings CA certificates along: programs need them, and the base has none. Java has its own.
    pub fn needs_certificates(&self) -> bool {
        self.template.runs_programs() && self.base.assumptions.certificates == Some(false)
    }

    /// Whether b2i brings the time zones along.
    pub fn needs_time_zones(&self) -> bool {
        self.template.runs_programs() && self.base.assumptions.time_zones == Some(false)
    }
}

/// Chooses the builder.
///
/// # Errors
/// [`BuilderError`] if the name is unknown, or no version can run the artifact.
pub fn select(catalog: &Catalog, request: &SelectionRequest<'_>) -> Result<Selection, BuilderError> {
    let platform = platform(request)?;
    let (template, version, explicit) = match request.builder {
        Some(BuilderRequest::Image(reference)) => {
            return Ok(Selection::Image(Box::new(ImageChoice::requested(reference, platform))));
        }
        Some(BuilderRequest::Template { name, version }) => {
            (catalog.template(name)?, version.as_deref(), true)
        }
        None => (catalog.template(usual_template(request.facts))?, None, false),
    };
    let Takes::Artifacts(artifacts) = &template.metadata.takes else {
        let takes = template.metadata.takes.words();
        return Err(BuilderError::TakesSources { template: template.name().to_owned(), takes });
    };
    check_kind(template, artifacts, request)?;
    let meant = versions(template, version)?;
    let (meant, all) = match request.base {
        None => (meant.into_iter().cloned().collect(), template.metadata.versions.clone()),
        Some(base) => {
            let version = user_base::version(catalog, &meant, base);
            (vec![version.clone()], vec![version])
        }
    };
    let candidate = |version| Candidate::new(catalog, version, request.base);
    let search = Search {
        request,
        template,
        artifacts,
        requested_version: version,
        platform,
        explicit,
        candidates: meant.iter().map(candidate).collect(),
        others: all.iter().map(candidate).collect(),
    };
    let choice = match &request.facts.kind {
        Kind::Executable(facts) => native::executable(&search, facts)?,
        Kind::Script(facts) => script::script(&search, facts)?,
        Kind::Jar(facts) => java::jar(&search, facts)?,
        Kind::War(facts) => java::war(&search, facts)?,
    };
    Ok(Selection::Template(Box::new(search.choice(choice))))
}

/// The template for an artifact if the user names none. The configuration can replace it by one of the same name. A
/// template of another name is used only if the user names it.
fn usual_template(facts: &Facts) -> &'static str {
    match facts.kind {
        Kind::Executable(_) | Kind::Script(_) => "binary",
        Kind::Jar(_) => "java",
        Kind::War(_) => "tomcat",
    }
}

fn platform(request: &SelectionRequest<'_>) -> Result<Option<Platform>, BuilderError> {
    let Kind::Executable(facts) = &request.facts.kind else { return Ok(request.platform.cloned()) };
    match request.platform {
        Some(requested) if !requested.matches(&facts.platform) => Err(BuilderError::PlatformContradicts {
            artifact: request.artifact.to_owned(),
            built_for: facts.platform.to_string(),
            requested: requested.to_string(),
        }),
        // The user may know the variant, which the file does not state.
        Some(requested) if facts.platform.variant.is_none() => Ok(Some(requested.clone())),
        _ => Ok(Some(facts.platform.clone())),
    }
}

/// Checks that the template takes the artifact. A template for JARs also takes a WAR with a Main-Class.
fn check_kind(
    template: &Template,
    artifacts: &ArtifactsSection,
    request: &SelectionRequest<'_>,
) -> Result<(), BuilderError> {
    let kinds = &artifacts.kinds;
    let kind = ArtifactKind::from(&request.facts.kind);
    let takes_jars = kinds.contains(&ArtifactKind::Jar);
    let main_class = matches!(&request.facts.kind, Kind::War(facts) if facts.main_class.is_some());
    if kinds.contains(&kind) || (takes_jars && main_class) {
        return Ok(());
    }
    let mut words = kinds.iter().map(|kind| kind.plural()).collect::<Vec<_>>().join(" and ");
    let mut is = kind.singular().to_owned();
    if takes_jars && kind == ArtifactKind::War {
        words.push_str(" and WARs with a Main-Class");
        is.push_str(" without one");
    }
    Err(BuilderError::WrongKind {
        template: template.name().to_owned(),
        takes: words,
        artifact: request.artifact.to_owned(),
        is,
        hint: format!("omit `--builder`: b2i chooses `{}`", usual_template(request.facts)),
    })
}

/// A version that may be chosen.
struct Candidate<'a> {
    version: &'a Version,
    base: Base,
}

impl<'a> Candidate<'a> {
    fn new(catalog: &Catalog, version: &'a Version, user_base: Option<&Base>) -> Self {
        Self { version, base: user_base.cloned().unwrap_or_else(|| catalog.base(version)) }
    }

    /// The Java release it runs.
    fn level(&self) -> Option<u32> {
        self.version.level.or(self.base.assumptions.java)
    }
}

/// The chosen candidate, with reason and warnings.
struct CandidateChoice<'a, 'b> {
    candidate: &'b Candidate<'a>,
    reason: String,
    warnings: Vec<Warning>,
}

/// The input of a choice among versions.
struct Search<'a> {
    request: &'a SelectionRequest<'a>,
    template: &'a Arc<Template>,
    artifacts: &'a ArtifactsSection,
    requested_version: Option<&'a str>,
    platform: Option<Platform>,
    /// Whether the user named the template.
    explicit: bool,
    /// The versions that may be chosen, in the template's order.
    candidates: Vec<Candidate<'a>>,
    /// All versions, for hints.
    others: Vec<Candidate<'a>>,
}

impl<'a> Search<'a> {
    /// The candidates for which `obstacle` finds nothing, in order.
    ///
    /// # Errors
    /// [`BuilderError::NothingFits`] with the obstacle of each, and a version that was not requested but fits.
    fn fitting(
        &self,
        obstacle: impl Fn(&Candidate<'_>) -> Option<String>,
    ) -> Result<Vec<&Candidate<'a>>, BuilderError> {
        let obstacle =
            |candidate: &Candidate<'_>| obstacle(candidate).or_else(|| self.base_obstacle(candidate));
        let (fitting, refused): (Vec<_>, Vec<_>) =
            self.candidates.iter().map(|one| (one, obstacle(one))).partition(|(_, why)| why.is_none());
        if !fitting.is_empty() {
            return Ok(fitting.into_iter().map(|(candidate, _)| candidate).collect());
        }
        let reasons = match &refused[..] {
            [(_, Some(only))] => only.clone(),
            several => several
                .iter()
                .map(|(one, why)| format!("{}: {}", one.version.version, why.as_deref().unwrap_or_default()))
                .collect::<Vec<_>>()
                .join("; "),
        };
        let better = self.others.iter().find(|one| obstacle(one).is_none());
        let hint = match better {
            Some(better) if self.requested_version.is_some() => {
                format!(
                    "pass `--builder {}:{}`, which can run it",
                    self.template.name(),
                    better.version.version
                )
            }
            _ => self.way_out("can run it"),
        };
        let version = self.requested_version.map(|version| format!(":{version}")).unwrap_or_default();
        Err(BuilderError::NothingFits {
            template: format!("{}{version}", self.template.name()),
            artifact: self.request.artifact.to_owned(),
            reasons,
            hint,
        })
    }

    /// The hint if no candidate is possible: another base or builder that has the ability.
    fn way_out(&self, ability: &str) -> String {
        match self.request.base {
            Some(_) => format!("pass a base that {ability}, or omit `--base`: b2i chooses one"),
            None => format!("pass an image with S2I scripts that {ability}: `--builder IMAGE`"),
        }
    }

    /// The obstacle in the base of a candidate, whatever the artifact needs.
    fn base_obstacle(&self, candidate: &Candidate<'_>) -> Option<String> {
        if let Some(obstacle) = user_base::obstacle(self.template, &candidate.base, self.platform.as_ref()) {
            return Some(obstacle);
        }
        if candidate.base.assumptions.shell == Some(false) && !self.template.works_without_shell() {
            return Some("its base has no shell, which the template's scripts need".to_owned());
        }
        let platform = self.platform.as_ref()?;
        if candidate.base.assumptions.offers(platform) {
            return None;
        }
        let offered = candidate.base.assumptions.platforms.iter().flatten();
        let offered = offered.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Some(format!("its base is published for {offered}, not for {platform}"))
    }

    /// Adds to `reason` that the user named the builder.
    fn reason(&self, reason: String) -> String {
        let reason = match self.request.base {
            Some(base) => format!("the base `{}` was requested; {reason}", base.image),
            None => reason,
        };
        if !self.explicit {
            return reason;
        }
        let version = self.requested_version.map(|version| format!(":{version}")).unwrap_or_default();
        format!("`{}{version}` was requested; {reason}", self.template.name())
    }

    fn choice(&self, choice: CandidateChoice<'_, '_>) -> Choice {
        Choice {
            template: Arc::clone(self.template),
            version: choice.candidate.version.clone(),
            base: choice.candidate.base.clone(),
            platform: self.platform.clone(),
            reason: self.reason(choice.reason),
            warnings: choice.warnings,
        }
    }
}

#[cfg(test)]
mod tests;
