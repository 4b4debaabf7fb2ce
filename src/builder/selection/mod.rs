//! Owns the choice of a builder: by facts, or as the user names it, with the reason in words.
//!
//! What can be seen to be impossible is an error or a warning here, before anything is built. Pure: the catalog and
//! the facts decide, no image is looked at.

mod java;
mod native;
pub mod source;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::base::Base;
use super::catalog::{Catalog, versions};
use super::error::BuilderError;
use super::metadata::{ArtifactKind, ArtifactsSection, Takes, Version};
use super::template::Template;
use crate::detect::facts::{Facts, Kind};
pub use crate::diagnostic::Warning;
use crate::image::{ImageReference, Platform};
use crate::request::BuilderRequest;

/// What a builder is chosen for.
#[derive(Clone, Copy, Debug)]
pub struct SelectionRequest<'a> {
    /// The artifact's name, for messages.
    pub artifact: &'a str,
    /// What is known about it.
    pub facts: &'a Facts,
    /// The builder, if the user names one.
    pub builder: Option<&'a BuilderRequest>,
    /// The platform, if the user names one.
    pub platform: Option<&'a Platform>,
    /// The file names of what goes with the artifact: a library that is added is not missing.
    pub added: &'a BTreeSet<String>,
}

/// The builder that was chosen.
#[derive(Clone, Debug)]
pub enum Selection {
    /// A template of the catalog on a base.
    Template(Box<Choice>),
    /// An image that the user names.
    Image(Box<ImageChoice>),
}

/// An image that the user names; nothing is known of it, nothing was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageChoice {
    /// The image.
    pub reference: ImageReference,
    /// The platform, if the artifact or the user decides it.
    pub platform: Option<Platform>,
    /// Why, in words.
    pub reason: String,
}

impl Selection {
    /// Whether b2i knows what `assemble` would do, and may do it itself.
    pub fn may_be_placed(&self) -> bool {
        match self {
            Self::Template(choice) => choice.template.may_be_placed(),
            Self::Image(_) => false,
        }
    }
}

/// A template of the catalog, in one version, on a base.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The template.
    pub template: Arc<Template>,
    /// Its version.
    pub version: Version,
    /// The base of that version.
    pub base: Base,
    /// The platform, if the artifact or the user decides it.
    pub platform: Option<Platform>,
    /// Why, in words.
    pub reason: String,
    /// What may turn out wrong.
    pub warnings: Vec<Warning>,
}

impl Choice {
    /// Says whether the static assemble/run program takes the place of the scripts: the base has no shell for them.
    pub fn needs_launcher(&self) -> bool {
        self.base.assumptions.shell == Some(false) && self.template.has_text_scripts()
    }
}

/// Chooses the builder.
///
/// # Errors
/// [`BuilderError`] if the name is not known, or nothing that may be chosen can run the artifact.
pub fn select(catalog: &Catalog, request: &SelectionRequest<'_>) -> Result<Selection, BuilderError> {
    let platform = platform(request)?;
    let (template, version, explicit) = match request.builder {
        Some(BuilderRequest::Image(reference)) => {
            let reason = format!("`{}` was asked for; b2i checks nothing about it", reference.familiar());
            let choice = ImageChoice { reference: reference.clone(), platform, reason };
            return Ok(Selection::Image(Box::new(choice)));
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
    let candidate = |version| Candidate::new(catalog, version);
    let search = Search {
        request,
        template,
        artifacts,
        asked_version: version,
        platform,
        explicit,
        candidates: meant.into_iter().map(candidate).collect(),
        others: template.metadata.versions.iter().map(candidate).collect(),
    };
    let picked = match &request.facts.kind {
        Kind::Executable(facts) => native::executable(&search, facts)?,
        Kind::Script(facts) => native::script(&search, facts)?,
        Kind::Jar(facts) => java::jar(&search, facts)?,
        Kind::War(facts) => java::war(&search, facts)?,
    };
    Ok(Selection::Template(Box::new(search.choice(picked))))
}

/// The template that is chosen for an artifact when the user names none. Configuration changes it by bringing one of
/// the same name; a template of another name is chosen only by its name.
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
        // The user may know the variant that the file does not tell.
        Some(requested) if facts.platform.variant.is_none() => Ok(Some(requested.clone())),
        _ => Ok(Some(facts.platform.clone())),
    }
}

/// A WAR that starts by its own Main-Class is also what a template for JARs takes.
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
        hint: format!("leave out `--builder`: `{}` is chosen by itself", usual_template(request.facts)),
    })
}

/// A version that may be chosen.
struct Candidate<'a> {
    version: &'a Version,
    base: Base,
}

impl<'a> Candidate<'a> {
    fn new(catalog: &Catalog, version: &'a Version) -> Self {
        Self { version, base: catalog.base(version) }
    }

    /// The Java release it runs.
    fn level(&self) -> Option<u32> {
        self.version.level.or(self.base.assumptions.java)
    }
}

/// The candidate that won, why, and what may turn out wrong with it.
struct Picked<'a, 'b> {
    candidate: &'b Candidate<'a>,
    reason: String,
    warnings: Vec<Warning>,
}

/// Everything that a choice among versions looks at.
struct Search<'a> {
    request: &'a SelectionRequest<'a>,
    template: &'a Arc<Template>,
    /// What the template says about artifacts.
    artifacts: &'a ArtifactsSection,
    asked_version: Option<&'a str>,
    platform: Option<Platform>,
    /// Whether the user named the template.
    explicit: bool,
    /// The versions that may be chosen, in the template's order.
    candidates: Vec<Candidate<'a>>,
    /// All versions, to say which would do.
    others: Vec<Candidate<'a>>,
}

impl<'a> Search<'a> {
    /// Returns the candidates for which `obstacle` finds nothing, in order.
    ///
    /// # Errors
    /// [`BuilderError::NothingFits`] with what stands against each, and the versions that were not asked for but do.
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
            Some(better) if self.asked_version.is_some() => {
                format!("`--builder {}:{}` can run it", self.template.name(), better.version.version)
            }
            _ => "name an image with S2I scripts that can run it: `--builder IMAGE`".to_owned(),
        };
        let version = self.asked_version.map(|version| format!(":{version}")).unwrap_or_default();
        Err(BuilderError::NothingFits {
            template: format!("{}{version}", self.template.name()),
            artifact: self.request.artifact.to_owned(),
            reasons,
            hint,
        })
    }

    /// What stands against a base whatever the artifact needs of it.
    fn base_obstacle(&self, candidate: &Candidate<'_>) -> Option<String> {
        if candidate.base.assumptions.shell == Some(false) && !self.template.works_without_shell() {
            return Some("its base has no shell, and the template's scripts need one".to_owned());
        }
        let platform = self.platform.as_ref()?;
        if candidate.base.assumptions.offers(platform) {
            return None;
        }
        let offered = candidate.base.assumptions.platforms.iter().flatten();
        let offered = offered.map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Some(format!("{platform} is needed, and its base is published only for {offered}"))
    }

    /// Puts "asked for" before the reason when the user named the builder.
    fn reason(&self, reason: String) -> String {
        if !self.explicit {
            return reason;
        }
        let version = self.asked_version.map(|version| format!(":{version}")).unwrap_or_default();
        format!("`{}{version}` was asked for; {reason}", self.template.name())
    }

    fn choice(&self, picked: Picked<'_, '_>) -> Choice {
        Choice {
            template: Arc::clone(self.template),
            version: picked.candidate.version.clone(),
            base: picked.candidate.base.clone(),
            platform: self.platform.clone(),
            reason: self.reason(picked.reason),
            warnings: picked.warnings,
        }
    }
}

#[cfg(test)]
mod tests;
