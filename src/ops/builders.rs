//! Owns the commands on builders: list, show, check, export, create.
//!
//! Must not select a builder or start one.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::base_files;
use crate::blocking::blocking;
use crate::builder::check::{Finding, check};
use crate::builder::metadata::{Product, Takes};
use crate::builder::observe::{observe, observe_layers};
use crate::builder::scaffold::scaffold;
use crate::builder::{Base, BaseName, Catalog, Template, TemplateOrigin};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::fs::FileError;
use crate::image::{ImageReference, Platform, PullPolicy, open_tar};
use crate::pipeline::base::image_in_file;
use crate::pipeline::set_mode;
use crate::session::Session;
use crate::store::daemon::ResolveOptions;

/// One builder of the catalog, as `b2i builders list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderSummary {
    pub name: String,
    /// Newest last.
    pub versions: Vec<String>,
    pub takes: TakesSummary,
    /// One line.
    pub description: String,
    /// `built in` or a directory.
    pub origin: String,
}

/// The input of a builder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakesSummary {
    Artifacts,
    Sources,
}

/// One builder in detail.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderDetails {
    #[serde(flatten)]
    pub summary: BuilderSummary,
    /// Names and values, in display order.
    pub details: Vec<(String, String)>,
}

/// The check of one base image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseCheck {
    pub base: String,
    #[serde(flatten)]
    pub outcome: BaseOutcome,
}

#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum BaseOutcome {
    /// Every assumption holds.
    Ok { findings: Vec<Finding> },
    /// At least one assumption does not hold.
    Differs { findings: Vec<Finding> },
    /// The image cannot be pulled or read.
    Unavailable { reason: String },
}

/// Lists the catalog.
pub async fn list_builders(session: &Session) -> Result<Vec<BuilderSummary>, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    Ok(catalog.templates().map(|template| summary(template)).collect())
}

/// Describes the builder `NAME[:VERSION]`.
pub async fn show_builder(name: &str, session: &Session) -> Result<BuilderDetails, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let (template, versions) = catalog.find(name)?;
    let metadata = &template.metadata;
    let mut details = Vec::new();
    let mut detail = |name: &str, value: String| details.push((name.to_owned(), value));
    detail("takes", metadata.takes.words());
    detail("digest", template.digest().to_string());
    detail("assembled by", if template.may_be_placed() { "placing" } else { "running its script" }.into());
    match &metadata.takes {
        Takes::Artifacts(section) => detail("artifact", section.placement.artifact.to_string()),
        Takes::Sources(section) => {
            detail("makes", product_words(&section.product));
            for cache in &section.caches {
                detail(&format!("cache {}", cache.name), cache.path.to_string());
            }
        }
    }
    detail("scripts", metadata.scripts_directory.to_string());
    detail("user", metadata.image.user.to_string());
    detail("working directory", metadata.image.working_directory.to_string());
    for version in versions {
        let base = catalog.base(version);
        let replaced = base.replaces.map(|public| format!(" (replaces {public})")).unwrap_or_default();
        detail(&format!("version {}", version.version), format!("{}{replaced}", base.image));
    }
    if let Some(usage) = template.script("usage").and_then(usage_text) {
        detail("usage", usage);
    }
    Ok(BuilderDetails { summary: summary(template), details })
}

fn product_words(product: &Product) -> String {
    match product {
        Product::Artifact { kind, places } => {
            let places = places.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
            format!("{kind} at {places}")
        }
        Product::Image => "the image itself".to_owned(),
    }
}

/// The text of a `usage` script that prints one here-document, as the built-in scripts do.
fn usage_text(script: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(script).ok()?;
    let (_, here) = text.split_once("<<'")?;
    let (end, body) = here.split_once("'\n")?;
    let (body, _) = body.split_once(&format!("\n{end}\n"))?;
    Some(body.to_owned())
}

/// Compares b2i's assumptions about every base of a builder with the real image.
///
/// # Errors
/// [`Error`] if the builder is unknown or no daemon is available. A missing base is an outcome.
pub async fn check_builder(
    name: &str,
    pull: PullPolicy,
    offline: bool,
    session: &Session,
) -> Result<Vec<BaseCheck>, Error> {
    let options = ResolveOptions {
        platform: None,
        pull,
        offline,
        credential_files: session.host.daemon.credential_files.clone(),
    };
    let catalog = Catalog::new(&session.host.catalog)?;
    let (_, versions) = catalog.find(name)?;
    let mut checks = Vec::new();
    for version in versions {
        let base = catalog.base(version);
        if base.image == BaseName::BuiltInStatic {
            continue;
        }
        let outcome = match check_base(&base, &options, session).await {
            Ok(findings) if findings.iter().all(|finding| finding.agrees) => BaseOutcome::Ok { findings },
            Ok(findings) => BaseOutcome::Differs { findings },
            // A problem with one image or its registry says nothing about the next one.
            Err(error) if matches!(error.kind(), FailureKind::Builder | FailureKind::Usage) => {
                BaseOutcome::Unavailable { reason: error.to_string() }
            }
            Err(error) => return Err(error),
        };
        checks.push(BaseCheck { base: base.image.to_string(), outcome });
    }
    if checks.is_empty() {
        return Err(Error::NothingToCheck { builder: name.to_owned() });
    }
    Ok(checks)
}

async fn check_base(base: &Base, options: &ResolveOptions, session: &Session) -> Result<Vec<Finding>, Error> {
    if let Some(file) = base.image.file() {
        let image = image_in_file(file, &Platform::host()).await?.into_base();
        let layers = image.layers.clone();
        let mut observations = blocking(move || observe_layers(layers.iter().rev().map(open_tar))).await?;
        observations.add_config(&image.config);
        return Ok(check(&base.assumptions, &observations));
    }
    let Some(reference) = base.image.reference() else { return Ok(Vec::new()) };
    let daemon = session.find_daemon().await?.ok_or(Error::NoDaemon)?;
    let lease = session.lease()?;
    let image = daemon.resolve(reference, options, &session.events).await?;
    let Some(image_id) = &image.image_id else { return Ok(Vec::new()) };
    let mut observations = daemon.read_tree(image_id, lease.id(), observe).await??;
    observations.add_config(&image.config);
    Ok(check(&base.assumptions, &observations))
}

/// Writes a template's folder, ready for `docker build`, and returns the names of its files.
///
/// # Errors
/// [`Error`] if the builder is unknown or the directory is not empty.
pub async fn export_builder(name: &str, directory: &Path, session: &Session) -> Result<Vec<String>, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let (template, _) = catalog.find(name)?;
    require_empty(directory)?;
    let mut written = Vec::new();
    for file in template.files() {
        write_file(&directory.join(file.path), file.bytes, file.executable)?;
        written.push(file.path.to_owned());
    }
    if template.origin == TemplateOrigin::BuiltIn && template.runs_programs() {
        for (path, bytes) in base_files::exported() {
            write_file(&directory.join(path), &bytes, false)?;
            written.push(path.to_owned());
        }
        written.sort();
    }
    Ok(written)
}

/// Writes the files of a new builder image, ready for `docker build`, and returns their names. Never overwrites a file.
///
/// # Errors
/// [`Error`] if the name is not valid or the directory is not empty. Nothing has been written then.
pub async fn create_builder(
    name: &str,
    base: &ImageReference,
    directory: &Path,
    session: &Session,
) -> Result<Vec<String>, Error> {
    let files = scaffold(name, base)?;
    require_empty(directory)?;
    let out = session.new_directory(directory)?;
    for file in &files {
        write_file(&out.path().join(file.path), file.text.as_bytes(), file.executable)
            .map_err(Error::Output)?;
    }
    require_empty(directory)?;
    out.commit().map_err(Error::Output)?;
    Ok(files.iter().map(|file| file.path.to_owned()).collect())
}

fn require_empty(directory: &Path) -> Result<(), Error> {
    match directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        true => Err(Error::NotEmpty { directory: directory.display().to_string() }),
        false => Ok(()),
    }
}

fn write_file(path: &Path, bytes: &[u8], executable: bool) -> Result<(), FileError> {
    let parent = path.parent().expect("a file of a builder is in its directory");
    fs::create_dir_all(parent).map_err(|error| FileError::new("create", parent, error))?;
    fs::write(path, bytes).map_err(|error| FileError::new("write", path, error))?;
    match executable {
        true => set_mode(path, 0o755).map_err(|error| FileError::new("make executable", path, error)),
        false => Ok(()),
    }
}

fn summary(template: &Template) -> BuilderSummary {
    let metadata = &template.metadata;
    BuilderSummary {
        name: metadata.name.clone(),
        versions: metadata.versions.iter().map(|version| version.version.clone()).collect(),
        takes: match metadata.takes {
            Takes::Artifacts(_) => TakesSummary::Artifacts,
            Takes::Sources(_) => TakesSummary::Sources,
        },
        description: metadata.description.clone(),
        origin: match &template.origin {
            TemplateOrigin::BuiltIn => "built in".into(),
            TemplateOrigin::Configured { directory } => directory.display().to_string(),
            TemplateOrigin::Project { directory } => format!("{} (project)", directory.display()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::CatalogSettings;

    #[test]
    fn the_usage_of_every_template_is_shown() {
        let catalog = Catalog::new(&CatalogSettings::default()).expect("the built-in catalog is valid");
        for template in catalog.templates() {
            let usage = template
                .script("usage")
                .and_then(usage_text)
                .unwrap_or_else(|| panic!("{} has a usage text", template.name()));
            assert!(usage.starts_with("b2i builder image"), "{usage}");
            assert!(!usage.ends_with("TEXT"), "{usage}");
        }
        assert_eq!(usage_text(b"#!/bin/sh\necho usage\n"), None);
    }
}
