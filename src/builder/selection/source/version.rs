//! Owns the choice among the versions of a template for sources: the lowest that meets the project's requirement, else
//! the newest.
//!
//! Must not read the project's files.

use super::requirement::{self, Requirement, Wants};
use super::{SourceSelectionRequest, TemplateChoice};
use crate::builder::catalog::{Catalog, versions};
use crate::builder::error::BuilderError;
use crate::builder::metadata::Version;
use crate::builder::selection::Warning;
use crate::builder::template::Template;

/// The chosen version, with reason and warnings.
pub(super) struct VersionChoice<'a> {
    pub(super) version: &'a Version,
    pub(super) reason: Option<String>,
    pub(super) warnings: Vec<Warning>,
}

/// `NAME` or `NAME:VERSION` of the request.
pub(super) fn requested_name(template: &Template, version: Option<&str>) -> String {
    format!("{}{}", template.name(), version.map(|version| format!(":{version}")).unwrap_or_default())
}

/// Chooses among the versions that `requested` stands for, or all of them.
pub(super) fn choose<'a>(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
    choice: &TemplateChoice<'a>,
    requested: Option<&str>,
) -> Result<VersionChoice<'a>, BuilderError> {
    let template = choice.template;
    let offered = |version: &&Version| {
        let base = catalog.base(version).assumptions;
        request.platform.is_none_or(|platform| base.offers(platform))
    };
    let meant = versions(template, requested)?;
    let usable: Vec<&Version> = meant.iter().copied().filter(offered).collect();
    let refused = |reason: String, hint: String| BuilderError::NoSourceVersion {
        template: requested_name(template, requested),
        source_name: request.name.to_owned(),
        reason,
        hint,
    };
    let Some(newest) = usable.last() else {
        let platform = request.platform.map(ToString::to_string).unwrap_or_default();
        let reason = format!("no base of it is published for {platform}");
        return Err(refused(reason, "pass a builder image for it: `--source-builder IMAGE`".into()));
    };
    let Some(required) = requirement::read(&choice.section.build_files, request.tree) else {
        let one = meant.len() == 1;
        let reason = format!("the project names no version, and {} is the newest", newest.version);
        return Ok(VersionChoice { version: newest, reason: (!one).then_some(reason), warnings: Vec::new() });
    };
    if let [only] = meant[..] {
        return Ok(the_one(only, &required));
    }
    among(&usable, newest, &required).map_err(|reason| {
        let (name, newest) = (template.name(), &newest.version);
        let hint = format!(
            "pass `--source-builder {name}:{newest}` to use the newest anyway, or another builder with `--source-builder IMAGE`"
        );
        refused(reason, hint)
    })
}

/// The only version to choose from. The project may require another one.
fn the_one<'a>(version: &'a Version, required: &Requirement) -> VersionChoice<'a> {
    let enough = line(version).is_none_or(|line| required.wants.admits(&line));
    let warning = || Warning {
        message: format!("{required} and the builder's version is {}", version.version),
        hint: None,
    };
    VersionChoice { version, reason: None, warnings: if enough { Vec::new() } else { vec![warning()] } }
}

fn among<'a>(
    usable: &[&'a Version],
    newest: &'a Version,
    required: &Requirement,
) -> Result<VersionChoice<'a>, String> {
    let choice = |version, reason, warnings| Ok(VersionChoice { version, reason: Some(reason), warnings });
    match &required.wants {
        Wants::Newest => return choice(newest, format!("{required} and {} is that", newest.version), vec![]),
        Wants::Unclear => {
            let message = format!("{required} which b2i does not understand; using {}", newest.version);
            return choice(newest, format!("{} is the newest", newest.version), vec![warning(message)]);
        }
        Wants::AtLeast(_) | Wants::Within(_) => {}
    }
    let mut known: Vec<(Vec<u32>, &Version)> =
        usable.iter().filter_map(|version| Some((line(version)?, *version))).collect();
    // The sort is stable: among equal releases, the first in the list wins.
    known.sort_by(|left, right| left.0.cmp(&right.0));
    if let Some((_, version)) = known.iter().find(|(line, _)| required.wants.admits(line)) {
        let reason = format!("{required} and {} is the lowest version that meets it", version.version);
        return choice(version, reason, vec![]);
    }
    let floor = match &required.wants {
        Wants::Within(range) => range.floor().unwrap_or(&[]),
        _ => return Err(format!("{required} and it has {}", listed(usable))),
    };
    match known.iter().find(|(line, _)| line.as_slice() >= floor) {
        Some((_, version)) => {
            let message =
                format!("{required} which no version has ({}); using {}", listed(usable), version.version);
            choice(
                version,
                format!("{} is nearest to the requirement", version.version),
                vec![warning(message)],
            )
        }
        None => Err(format!("{required} and it has {}", listed(usable))),
    }
}

fn warning(message: String) -> Warning {
    Warning { message, hint: None }
}

fn listed(versions: &[&Version]) -> String {
    versions.iter().map(|version| version.version.as_str()).collect::<Vec<_>>().join(", ")
}

/// The release of a version: of the language, or of Java.
fn line(version: &Version) -> Option<Vec<u32>> {
    version
        .release
        .as_ref()
        .map(|release| release.numbers().to_vec())
        .or(version.level.map(|level| vec![level]))
}

impl Wants {
    /// Whether a line of releases meets the requirement.
    fn admits(&self, line: &[u32]) -> bool {
        match self {
            // The base has the newest patch of the line.
            Self::AtLeast(release) => line >= &release[..release.len().min(line.len())],
            Self::Within(range) => range.admits(line),
            Self::Newest | Self::Unclear => true,
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}` says `{}`,", self.file, self.text)
    }
}
