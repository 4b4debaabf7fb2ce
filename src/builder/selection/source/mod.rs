//! Owns the choice of the template that builds sources: by the files in the source root, or by the user's name; and of
//! its version by the project's requirement. Each choice has a reason in words.
//!
//! It reads names and small files of the tree. Must not look at an image.

mod pom;
pub(super) mod range;
mod requirement;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use pom::{DeclaredPackage, declared_package};

use super::{ImageChoice, Warning};
use crate::builder::base::{Base, BaseName};
use crate::builder::catalog::Catalog;
use crate::builder::error::{BuilderError, shown};
use crate::builder::metadata::{SourceSection, Takes, Version};
use crate::builder::template::Template;
use crate::detect::{build_file_order, source_tree};
use crate::image::Platform;
use crate::request::BuilderRequest;
use crate::sources::SourceTree;

/// The largest file of a source tree that is read, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;

#[derive(Clone, Copy)]
pub struct SourceSelectionRequest<'a> {
    /// The name of the sources, for messages.
    pub name: &'a str,
    pub tree: &'a SourceTree,
    /// `--source-builder`
    pub builder: Option<&'a BuilderRequest>,
    /// `--platform`
    pub platform: Option<&'a Platform>,
}

/// The choice of a source builder.
#[derive(Clone, Debug)]
pub enum SourceSelection {
    Template(Box<SourceChoice>),
    /// An image that the user names.
    Image(Box<ImageChoice>),
}

impl SourceSelection {
    /// The template's base, or the builder image.
    pub fn base(&self) -> BaseName {
        match self {
            Self::Template(choice) => choice.base.image.clone(),
            Self::Image(choice) => BaseName::Image(choice.reference.clone()),
        }
    }
}

/// A version of a template that builds sources.
#[derive(Clone, Debug)]
pub struct SourceChoice {
    pub template: Arc<Template>,
    pub section: SourceSection,
    pub version: Version,
    /// The base of the version.
    pub base: Base,
    /// `--platform`
    pub platform: Option<Platform>,
    pub reason: String,
    pub warnings: Vec<Warning>,
}

/// Chooses the builder of sources.
///
/// # Errors
/// [`BuilderError`] if the name is unknown, the source root has no build file, or no version meets the requirement.
pub fn select_source(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
) -> Result<SourceSelection, BuilderError> {
    let (choice, requested_version) = match request.builder {
        Some(BuilderRequest::Image(reference)) => {
            let choice = ImageChoice::requested(reference, request.platform.cloned());
            return Ok(SourceSelection::Image(Box::new(choice)));
        }
        Some(BuilderRequest::Template { name, version }) => {
            (named(catalog, request, name)?, version.as_deref())
        }
        None => (by_build_file(catalog, request)?, None),
    };
    let explicit = request.builder.is_some();
    let version_choice = version::choose(catalog, request, &choice, requested_version)?;
    let requested = version::requested_name(choice.template, requested_version);
    let mut reasons = Vec::new();
    if explicit {
        reasons.push(format!("`{requested}` was requested"));
    }
    reasons.extend(choice.reason);
    reasons.extend(version_choice.reason);
    let mut warnings = choice.warnings;
    warnings.extend(version_choice.warnings);
    Ok(SourceSelection::Template(Box::new(SourceChoice {
        template: Arc::clone(choice.template),
        section: choice.section.clone(),
        version: version_choice.version.clone(),
        base: catalog.base(version_choice.version),
        platform: request.platform.cloned(),
        reason: reasons.join("; "),
        warnings,
    })))
}

/// A template, with the build file and the reason that decided.
struct TemplateChoice<'a> {
    template: &'a Arc<Template>,
    section: &'a SourceSection,
    build_file: Option<String>,
    reason: Option<String>,
    warnings: Vec<Warning>,
}

/// The template that the user names.
fn named<'a>(
    catalog: &'a Catalog,
    request: &SourceSelectionRequest<'_>,
    name: &str,
) -> Result<TemplateChoice<'a>, BuilderError> {
    let template = catalog.template(name)?;
    let section = match &template.metadata.takes {
        Takes::Sources(section) => section,
        takes @ Takes::Artifacts(_) => {
            return Err(BuilderError::TakesArtifacts {
                template: template.name().to_owned(),
                takes: takes.words(),
                known: known(catalog).join(", "),
            });
        }
    };
    let build_file = section.build_files.iter().find(|file| request.tree.has_file(file)).cloned();
    let mut warnings = Vec::new();
    if build_file.is_none() {
        let message = format!(
            "the builder `{}` takes {}, and `{}` has none of these",
            template.name(),
            template.metadata.takes.words(),
            request.name
        );
        warnings.push(Warning { message, hint: None });
    }
    Ok(TemplateChoice { template, section, build_file, reason: None, warnings })
}

/// The template for the most specific build file.
fn by_build_file<'a>(
    catalog: &'a Catalog,
    request: &SourceSelectionRequest<'_>,
) -> Result<TemplateChoice<'a>, BuilderError> {
    let mut fitting: BTreeMap<(usize, usize, &str), TemplateChoice<'a>> = BTreeMap::new();
    for template in catalog.templates() {
        let Some(section) = template.metadata.source() else { continue };
        let present = section.build_files.iter().enumerate().filter(|(_, file)| request.tree.has_file(file));
        // A file that is not a build file for other tools, such as index.html, is the least specific.
        let Some((order, build_file)) = present
            .map(|(own, file)| ((build_file_order(file).unwrap_or(usize::MAX), own), file.clone()))
            .min()
        else {
            continue;
        };
        let choice = TemplateChoice {
            template,
            section,
            build_file: Some(build_file),
            reason: None,
            warnings: Vec::new(),
        };
        fitting.insert((order.0, order.1, template.name()), choice);
    }
    let paths = request.tree.entries.iter().map(|entry| entry.path.as_str());
    let build_file = source_tree(paths.filter(|path| !path.contains('/') && request.tree.has_file(path)));
    let mut fitting = fitting.into_values();
    let best = fitting.next();
    let is_more_specific = |file: &str, choice: &TemplateChoice<'_>| {
        let own = choice.build_file.as_deref().and_then(build_file_order);
        build_file_order(file).unwrap_or(usize::MAX - 1) < own.unwrap_or(usize::MAX)
    };
    match (best, build_file) {
        (Some(best), Some(other)) if is_more_specific(&other.name, &best) => {
            let (name, word) = (shown(&other.name), other.system);
            let reason = format!("`{name}` makes it a {word} project, and no builder takes those");
            let hint = format!(
                "pass `--source-builder {}` to build it by its `{}` anyway",
                best.template.name(),
                best.build_file.as_deref().unwrap_or_default()
            );
            Err(nothing_fits(catalog, request, reason, Some(hint)))
        }
        (Some(mut best), _) => {
            let file = best.build_file.clone().unwrap_or_default();
            let others: Vec<String> = fitting
                .map(|other| {
                    let file = other.build_file.unwrap_or_default();
                    format!("`{file}` is less specific: `--source-builder {}`", other.template.name())
                })
                .collect();
            let beside = others.iter().map(|other| format!(" ({other})")).collect::<String>();
            best.reason = Some(format!("it has `{file}`{beside}"));
            Ok(best)
        }
        (None, Some(other)) => {
            let (name, word) = (shown(&other.name), other.system);
            let reason = format!("`{name}` makes it a {word} project, and no builder takes those");
            Err(nothing_fits(catalog, request, reason, None))
        }
        (None, None) if request.tree.entries.is_empty() => {
            Err(BuilderError::NoSources { source_name: shown(request.name) })
        }
        (None, None) => {
            let reason = "it has no build file that b2i knows".to_owned();
            let hint =
                "if it contains an artifact, pass that file, and its other files with `--add`".to_owned();
            Err(nothing_fits(catalog, request, reason, Some(hint)))
        }
    }
}

fn nothing_fits(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
    reason: String,
    first_hint: Option<String>,
) -> BuilderError {
    let list = format!("choose a builder with `--source-builder NAME`: {}", known(catalog).join(", "));
    let image = "or use any S2I builder image: `--source-builder IMAGE`".to_owned();
    let hints = first_hint.into_iter().chain([list, image]).collect();
    BuilderError::NoSourceBuilder { source_name: shown(request.name), reason, hints }
}

/// The templates that take sources, each with a build file.
fn known(catalog: &Catalog) -> Vec<String> {
    let templates = catalog.templates().filter_map(|template| Some((template, template.metadata.source()?)));
    let words = |(template, section): (&Arc<Template>, &SourceSection)| {
        let first = section.build_files.first().map(String::as_str).unwrap_or_default();
        format!("`{}` ({})", template.name(), shown(first))
    };
    templates.map(words).collect()
}

/// The regular file at `path`; `None` if it does not exist, cannot be read, or is larger than [`MAXIMUM_FILE`].
fn read_file(tree: &SourceTree, path: &str) -> Option<Vec<u8>> {
    tree.has_file(path).then(|| tree.read(path, MAXIMUM_FILE).ok().flatten()).flatten()
}

#[cfg(test)]
mod tests;
