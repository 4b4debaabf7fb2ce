//! Owns what front ends ask of the catalog, and of new builders: list, show, check, export, create.

use std::path::Path;

use serde::Serialize;

use crate::builder::check::{Finding, check};
use crate::builder::metadata::{Product, Takes};
use crate::builder::observe::observe;
use crate::builder::scaffold::scaffold;
use crate::builder::{Base, BaseName, Catalog, Template, TemplateOrigin};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::fs::FileError;
use crate::image::ImageReference;
use crate::request::PullPolicy;
use crate::session::Session;
use crate::store::daemon::ResolveOptions;

/// One builder of the catalog, as `b2i builders list` shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderSummary {
    /// Its name.
    pub name: String,
    /// Its versions, newest last.
    pub versions: Vec<String>,
    /// Whether it takes finished artifacts or sources.
    pub takes: TakesSummary,
    /// What it is for, one line.
    pub description: String,
    /// Where it comes from: `built in` or a directory.
    pub origin: String,
}

/// What a builder makes images of, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakesSummary {
    /// Finished artifacts.
    Artifacts,
    /// Sources.
    Sources,
}

/// One builder in all detail.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuilderDetails {
    /// The summary.
    #[serde(flatten)]
    pub summary: BuilderSummary,
    /// Names and values, in the order to show them.
    pub details: Vec<(String, String)>,
}

/// What became of the check of one base image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BaseCheck {
    /// The base image.
    pub base: String,
    /// What came out.
    #[serde(flatten)]
    pub outcome: BaseOutcome,
}

/// What came out of the check of one base image.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum BaseOutcome {
    /// Every assumption holds.
    Ok {
        /// The assumptions.
        findings: Vec<Finding>,
    },
    /// At least one does not.
    Differs {
        /// The assumptions.
        findings: Vec<Finding>,
    },
    /// The image is not to be had, or cannot be read.
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// How the images to be checked may be had.
#[derive(Clone, Copy, Debug, Default)]
pub struct CheckOptions {
    /// When they are pulled.
    pub pull: PullPolicy,
    /// Whether the network is forbidden.
    pub offline: bool,
}

/// Lists the catalog.
///
/// # Errors
/// [`Error`] if a configured template cannot be read.
pub async fn list_builders(session: &Session) -> Result<Vec<BuilderSummary>, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    Ok(catalog.templates().map(|template| summary(template)).collect())
}

/// Describes one builder, `NAME[:VERSION]`.
///
/// # Errors
/// [`Error`] if there is none.
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
            format!("{kind}, taken from {places}")
        }
        Product::Image => "the image itself".to_owned(),
    }
}

/// The text that a `usage` script prints, if it is one here-document, as the built-in ones are.
fn usage_text(script: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(script).ok()?;
    let (_, here) = text.split_once("<<'")?;
    let (end, body) = here.split_once("'\n")?;
    let (body, _) = body.split_once(&format!("\n{end}\n"))?;
    Some(body.to_owned())
}

/// Compares what is assumed of a builder's bases with the real images, every one of them.
///
/// # Errors
/// [`Error`] if there is no such builder, or no daemon to get images from. A base that cannot be had is none.
pub async fn check_builder(
    name: &str,
    options: CheckOptions,
    session: &Session,
) -> Result<Vec<BaseCheck>, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let (_, versions) = catalog.find(name)?;
    let mut checks = Vec::new();
    for version in versions {
        let base = catalog.base(version);
        let BaseName::Image(reference) = &base.image else { continue };
        let outcome = match check_base(&base, reference, options, session).await {
            Ok(findings) if findings.iter().all(|finding| finding.agrees) => BaseOutcome::Ok { findings },
            Ok(findings) => BaseOutcome::Differs { findings },
            // What is wrong with one image, or with the way into its registry, says nothing about the next one.
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

async fn check_base(
    base: &Base,
    reference: &ImageReference,
    options: CheckOptions,
    session: &Session,
) -> Result<Vec<Finding>, Error> {
    let daemon = session.find_daemon().await?.ok_or(Error::NoDaemon)?;
    let lease = session.lease()?;
    let options = ResolveOptions {
        platform: None,
        pull: options.pull,
        offline: options.offline,
        credential_files: session.host.daemon.credential_files.clone(),
    };
    let image = daemon.resolve(reference, &options, &session.events).await?;
    let Some(image_id) = &image.image_id else { return Ok(Vec::new()) };
    let mut seen = daemon.read_tree(image_id, lease.id(), observe).await??;
    seen.add_config(&image.config);
    Ok(check(&base.assumptions, &seen))
}

/// Writes a template's folder, ready for `docker build`, and returns the files' names.
///
/// # Errors
/// [`Error`] if there is no such builder or the directory is not empty.
pub async fn export_builder(name: &str, directory: &Path, session: &Session) -> Result<Vec<String>, Error> {
    let catalog = Catalog::new(&session.host.catalog)?;
    let (template, _) = catalog.find(name)?;
    if directory.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(Error::NotEmpty { directory: directory.display().to_string() });
    }
    let mut names = Vec::new();
    for file in template.files() {
        let path = directory.join(file.path);
        let parent = path.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent).map_err(|error| FileError::new("create", parent, error))?;
        std::fs::write(&path, file.bytes).map_err(|error| FileError::new("write", &path, error))?;
        if file.executable {
            make_executable(&path)?;
        }
        names.push(file.path.to_owned());
    }
    Ok(names)
}

/// Writes the files of a new builder image, ready for `docker build`, and returns their names. What is there already is
/// never written over.
///
/// # Errors
/// [`Error`] if no image can have the name or the directory is not empty; nothing is written then.
pub async fn create_builder(
    name: &str,
    base: &ImageReference,
    directory: &Path,
    session: &Session,
) -> Result<Vec<String>, Error> {
    let files = scaffold(name, base)?;
    let not_empty = || Error::NotEmpty { directory: directory.display().to_string() };
    let is_filled = || directory.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if is_filled() {
        return Err(not_empty());
    }
    let out = session.new_directory(directory)?;
    for file in &files {
        let path = out.path().join(file.path);
        let parent = path.parent().unwrap_or(out.path());
        let failed = |action, path: &Path, error| Error::Output(FileError::new(action, path, error));
        std::fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
        std::fs::write(&path, &file.text).map_err(|error| failed("write", &path, error))?;
        if file.executable {
            make_executable(&path)?;
        }
    }
    if is_filled() {
        return Err(not_empty());
    }
    out.commit().map_err(Error::Output)?;
    Ok(files.iter().map(|file| file.path.to_owned()).collect())
}

#[cfg(unix)]
fn make_executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, permissions)
        .map_err(|error| FileError::new("make executable", path, error).into())
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> Result<(), Error> {
    Ok(())
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
            TemplateOrigin::Project { directory } => format!("{} (of the project)", directory.display()),
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
