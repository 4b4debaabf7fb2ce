//! Owns the choice among the versions of a template that builds sources: the lowest that is enough for what the
//! project asks for, else the newest.

use super::requirement::{self, Requirement, Wants};
use super::{Found, SourceSelectionRequest};
use crate::builder::catalog::{Catalog, versions};
use crate::builder::error::BuilderError;
use crate::builder::metadata::Version;
use crate::builder::selection::Warning;
use crate::builder::template::Template;

/// The version that won, why, and what may turn out wrong with it.
pub(super) struct Picked<'a> {
    pub(super) version: &'a Version,
    pub(super) reason: Option<String>,
    pub(super) warnings: Vec<Warning>,
}

/// `NAME` or `NAME:VERSION`, as it was asked for.
pub(super) fn asked_name(template: &Template, version: Option<&str>) -> String {
    format!("{}{}", template.name(), version.map(|version| format!(":{version}")).unwrap_or_default())
}

/// Chooses among the versions that `asked` means, all without it.
pub(super) fn pick<'a>(
    catalog: &Catalog,
    request: &SourceSelectionRequest<'_>,
    found: &Found<'a>,
    asked: Option<&str>,
) -> Result<Picked<'a>, BuilderError> {
    let template = found.template;
    let offered = |version: &&Version| {
        let base = catalog.base(version).assumptions;
        request.platform.is_none_or(|platform| base.offers(platform))
    };
    let meant = versions(template, asked)?;
    let usable: Vec<&Version> = meant.iter().copied().filter(offered).collect();
    let refused = |reason: String, hint: String| BuilderError::NoSourceVersion {
        template: asked_name(template, asked),
        source_name: request.name.to_owned(),
        reason,
        hint,
    };
    let Some(newest) = usable.last() else {
        let platform = request.platform.map(ToString::to_string).unwrap_or_default();
        let reason = format!("none of its bases is published for {platform}");
        return Err(refused(reason, "name a builder image that is: `--source-builder IMAGE`".into()));
    };
    let Some(required) = requirement::read(&found.section.build_files, request.files) else {
        let one = meant.len() == 1;
        let reason = format!("the project names no version, and {} is the newest", newest.version);
        return Ok(Picked { version: newest, reason: (!one).then_some(reason), warnings: Vec::new() });
    };
    if let [only] = meant[..] {
        return Ok(the_one(only, &required));
    }
    among(&usable, newest, &required).map_err(|reason| {
        let (name, newest) = (template.name(), &newest.version);
        let hint = format!(
            "`--source-builder {name}:{newest}` takes the newest all the same, `--source-builder IMAGE` any other"
        );
        refused(reason, hint)
    })
}

/// The only version there is to choose; what the project asks for may be something else.
fn the_one<'a>(version: &'a Version, required: &Requirement) -> Picked<'a> {
    let enough = line(version).is_none_or(|line| required.wants.admits(&line));
    let warning = || Warning {
        message: format!("{required} and the builder's version is {}", version.version),
        hint: None,
    };
    Picked { version, reason: None, warnings: if enough { Vec::new() } else { vec![warning()] } }
}

fn among<'a>(
    usable: &[&'a Version],
    newest: &'a Version,
    required: &Requirement,
) -> Result<Picked<'a>, String> {
    let picked = |version, reason, warnings| Ok(Picked { version, reason: Some(reason), warnings });
    match &required.wants {
        Wants::Newest => return picked(newest, format!("{required} and {} is that", newest.version), vec![]),
        Wants::Unclear => {
            let message = format!("{required} which is not understood; {} is taken", newest.version);
            return picked(newest, format!("{} is the newest", newest.version), vec![warning(message)]);
        }
        Wants::AtLeast(_) | Wants::Within(_) => {}
    }
    let mut known: Vec<(Vec<u32>, &Version)> =
        usable.iter().filter_map(|version| Some((line(version)?, *version))).collect();
    // Stable: of equal releases the one listed first.
    known.sort_by(|left, right| left.0.cmp(&right.0));
    if let Some((_, version)) = known.iter().find(|(line, _)| required.wants.admits(line)) {
        let reason = format!("{required} and {} is the lowest offered that will do", version.version);
        return picked(version, reason, vec![]);
    }
    let floor = match &required.wants {
        Wants::Within(range) => range.floor().unwrap_or(&[]),
        _ => return Err(format!("{required} and it has {}", listed(usable))),
    };
    match known.iter().find(|(line, _)| line.as_slice() >= floor) {
        Some((_, version)) => {
            let message =
                format!("{required} which is not offered ({}); {} is taken", listed(usable), version.version);
            picked(
                version,
                format!("{} comes next to what is asked for", version.version),
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

/// The release that a version has: of the language, or of Java.
fn line(version: &Version) -> Option<Vec<u32>> {
    version
        .release
        .as_ref()
        .map(|release| release.numbers().to_vec())
        .or(version.level.map(|level| vec![level]))
}

impl Wants {
    /// Says whether a line of releases is what is wanted.
    fn admits(&self, line: &[u32]) -> bool {
        match self {
            // The line's base is at its newest patch.
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
