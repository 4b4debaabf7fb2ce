//! Owns the choice of the template that builds sources: by what lies in the source root, or as the user names it, and
//! of its version by what the project asks for; with the reason in words.
//!
//! Pure: it asks for names and small files of the tree, and looks at no image.

mod pom;
mod range;
mod requirement;
mod tree;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use pom::{DeclaredPackage, declared_package};

use super::{ImageChoice, Warning};
use crate::builder::base::Base;
use crate::builder::catalog::Catalog;
use crate::builder::error::{BuilderError, shown};
use crate::builder::metadata::{SourceSection, Takes, Version};
use crate::builder::template::Template;
use crate::detect::{build_file_order, source_tree};
use crate::image::Platform;
use crate::request::BuilderRequest;

/// Largest file of a source tree that is read for the choice, in bytes.
pub const MAXIMUM_FILE: u64 = 1 << 20;

/// What a choice looks at in a source tree.
pub trait SourceFiles {
    /// The names at the top.
    fn top_level_names(&self) -> Vec<&str>;

    /// Whether there is a regular file at `path`.
    fn has_file(&self, path: &str) -> bool;

    /// The regular file at `path`; none if there is none, it cannot be read, or has more than [`MAXIMUM_FILE`] bytes.
    fn read(&self, path: &str) -> Option<Vec<u8>>;
}

/// What a source builder is chosen for.
#[derive(Clone, Copy)]
pub struct SourceSelectionRequest<'a> {
    /// The name of the sources, for messages.
    pub name: &'a str,
    /// The sources.
    pub files: &'a dyn SourceFiles,
    /// The builder, if the user names one (`--source-builder`).
    pub builder: Option<&'a BuilderRequest>,
    /// The platform, if the user names one.
    pub platform: Option<&'a Platform>,
}

/// The source builder that was chosen.
#[derive(Clone, Debug)]
pub enum SourceSelection {
    /// A template of the catalog on a base.
    Template(Box<SourceChoice>),
    /// An image that the user names.
    Image(Box<ImageChoice>),
}

/// A template that builds sources, in one version, on a base.
#[derive(Clone, Debug)]
pub struct SourceChoice {
    /// The template.
    pub template: Arc<Template>,
    /// What it says about sources.
    pub section: SourceSection,
    /// Its version.
    pub version: Version,
    /// The base of that version.
    pub base: Base,
    /// The platform, if the user names one.
    pub platform: Option<Platform>,
    /// The file of the sources that chose the template; none if the user named it and none of its files is there.
    pub build_file: Option<String>,
    /// Why, in words.
    pub reason: String,
    /// What may turn out wrong.
    pub warnings: Vec<Warning>,
}

/// Chooses the builder of sources.
///
/// # Errors
/// [`BuilderError`] if the name is not known, nothing at the top says how it is built, or no version will do.
pub fn select_source(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
) -> Result<SourceSelection, BuilderError> {
    let (found, asked_version) = match request.builder {
        Some(BuilderRequest::Image(reference)) => {
            let reason = format!("`{}` was asked for; b2i checks nothing about it", reference.familiar());
            let platform = request.platform.cloned();
            let choice = ImageChoice { reference: reference.clone(), platform, reason };
            return Ok(SourceSelection::Image(Box::new(choice)));
        }
        Some(BuilderRequest::Template { name, version }) => {
            (named(catalog, request, name)?, version.as_deref())
        }
        None => (by_build_file(catalog, request)?, None),
    };
    let explicit = request.builder.is_some();
    let picked = version::pick(catalog, request, &found, asked_version)?;
    let asked = version::asked_name(found.template, asked_version);
    let mut reasons = Vec::new();
    if explicit {
        reasons.push(format!("`{asked}` was asked for"));
    }
    reasons.extend(found.reason);
    reasons.extend(picked.reason);
    let mut warnings = found.warnings;
    warnings.extend(picked.warnings);
    Ok(SourceSelection::Template(Box::new(SourceChoice {
        template: Arc::clone(found.template),
        section: found.section.clone(),
        version: picked.version.clone(),
        base: catalog.base(picked.version),
        platform: request.platform.cloned(),
        build_file: found.build_file,
        reason: reasons.join("; "),
        warnings,
    })))
}

/// A template, and what led to it.
struct Found<'a> {
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
) -> Result<Found<'a>, BuilderError> {
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
    let build_file = section.build_files.iter().find(|file| request.files.has_file(file)).cloned();
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
    Ok(Found { template, section, build_file, reason: None, warnings })
}

/// The template for the build file that says most, of those that are there.
fn by_build_file<'a>(
    catalog: &'a Catalog,
    request: &SourceSelectionRequest<'_>,
) -> Result<Found<'a>, BuilderError> {
    let mut fitting: BTreeMap<(usize, usize, &str), Found<'a>> = BTreeMap::new();
    for template in catalog.templates() {
        let Some(section) = template.metadata.source() else { continue };
        let present = section.build_files.iter().enumerate().filter(|(_, file)| request.files.has_file(file));
        // A file that is no build file to others, such as index.html, says least.
        let Some((order, build_file)) = present
            .map(|(own, file)| ((build_file_order(file).unwrap_or(usize::MAX), own), file.clone()))
            .min()
        else {
            continue;
        };
        let found =
            Found { template, section, build_file: Some(build_file), reason: None, warnings: Vec::new() };
        fitting.insert((order.0, order.1, template.name()), found);
    }
    let names = request.files.top_level_names();
    let telling = source_tree(names.iter().copied().filter(|name| request.files.has_file(name)));
    let mut fitting = fitting.into_values();
    let best = fitting.next();
    let says_more = |found: &Found<'_>, file: &str| {
        let own = found.build_file.as_deref().and_then(build_file_order);
        build_file_order(file).unwrap_or(usize::MAX - 1) < own.unwrap_or(usize::MAX)
    };
    match (best, telling) {
        (Some(best), Some(other)) if says_more(&best, &other.name) => {
            let (name, word) = (shown(&other.name), other.system.word());
            let reason = format!("`{name}` makes it a {word} project, and no builder takes those");
            let hint = format!(
                "`--source-builder {}` builds it by its `{}` all the same",
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
                    format!("`{file}` says less, `--source-builder {}` builds by it", other.template.name())
                })
                .collect();
            let beside = others.iter().map(|other| format!(" ({other})")).collect::<String>();
            best.reason = Some(format!("it has `{file}`{beside}"));
            Ok(best)
        }
        (None, Some(other)) => {
            let (name, word) = (shown(&other.name), other.system.word());
            let reason = format!("`{name}` makes it a {word} project, and no builder takes those");
            Err(nothing_fits(catalog, request, reason, None))
        }
        (None, None) => {
            let reason = "no file in it says how it is built".to_owned();
            let finished =
                "if an artifact is in it, name that file, and what belongs to it with `--add`".to_owned();
            Err(nothing_fits(catalog, request, reason, Some(finished)))
        }
    }
}

fn nothing_fits(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
    reason: String,
    first_hint: Option<String>,
) -> BuilderError {
    let list =
        format!("builders for sources: {}; `--source-builder NAME` takes one", known(catalog).join(", "));
    let image = "any other S2I builder image: `--source-builder IMAGE`".to_owned();
    let hints = first_hint.into_iter().chain([list, image]).collect();
    BuilderError::NoSourceBuilder { source_name: shown(request.name), reason, hints }
}

/// The templates that take sources, and which.
fn known(catalog: &Catalog) -> Vec<String> {
    let templates = catalog.templates().filter_map(|template| Some((template, template.metadata.source()?)));
    let words = |(template, section): (&Arc<Template>, &SourceSection)| {
        let first = section.build_files.first().map(String::as_str).unwrap_or_default();
        format!("`{}` ({})", template.name(), shown(first))
    };
    templates.map(words).collect()
}

/// For tests: paths and their bytes.
#[cfg(test)]
impl SourceFiles for BTreeMap<String, Vec<u8>> {
    fn top_level_names(&self) -> Vec<&str> {
        self.keys().filter_map(|path| path.split('/').next()).collect()
    }

    fn has_file(&self, path: &str) -> bool {
        self.contains_key(path)
    }

    fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path).cloned()
    }
}

#[cfg(test)]
mod tests;
