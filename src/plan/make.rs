//! Owns the making of a plan: the one place where request, facts and builders become decisions.

use super::assembly::{assemble_image, assemble_template};
use super::image::planned_image;
use super::names::{stem, tags};
use super::outputs::planned_outputs;
use super::{
    Assembly, BaseSource, Placeholder, Plan, PlanError, PlannedArtifact, PlannedFacts, PlannedOutput,
    PlannedText, SCHEMA_VERSION, SourceStage, Stage, Takes, base_directories,
};
use crate::builder::Selection;
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::diagnostic::Warning;
use crate::image::layer::Entry;
use crate::image::{ImageReference, Platform};
use crate::input::Artifact;
use crate::request::{Limits, Request};
use crate::transport::Transport;

/// The date of files and images where nothing else is asked for: 1980-01-01, the first day that zip archives know.
pub(crate) const FIXED_DATE: u64 = 315_532_800;

/// What there is to work with.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Whether a daemon answers.
    pub daemon: bool,
    /// Whether the sandbox works here; asked only where no daemon answers.
    pub sandbox: bool,
    /// The platform that the daemon, or this machine, runs.
    pub native_platform: Platform,
}

/// What was found out, before planning, for one image.
#[derive(Debug)]
pub struct ImageFacts<'a> {
    pub artifact: &'a Artifact,
    pub facts: &'a Facts,
    /// Whether sources are still to become it: its facts are declared, and its name is not known.
    pub is_declared: bool,
    pub selection: &'a Selection,
    /// What makes the base into the template's builder image; empty for a builder image.
    pub template_entries: &'a [Entry],
    pub machine: &'a Machine,
}

impl ImageFacts<'_> {
    /// The artifact's file name.
    pub(super) fn name(&self) -> PlannedText {
        match self.is_declared {
            true => Placeholder::ArtifactName.into(),
            false => self.artifact.name.as_str().into(),
        }
    }

    /// The artifact's name without the ending that says what it is.
    pub(super) fn stem(&self) -> PlannedText {
        match self.is_declared {
            true => Placeholder::ArtifactStem.into(),
            false => stem(&self.artifact.name).into(),
        }
    }
}

/// Decides everything: a stage for each of `images`, and where they go. `names` are those of all artifacts, also of
/// such that become no image; none means that they are not known yet.
///
/// # Errors
/// [`PlanError`] if the request contradicts itself, the artifacts, or what is there to work with.
pub fn make(
    request: &Request,
    names: &[&str],
    images: &[ImageFacts<'_>],
    machine: &Machine,
) -> Result<Plan, PlanError> {
    let platforms: Vec<Platform> = images.iter().map(|image| platform(request, image)).collect();
    let outputs = planned_outputs(request, machine, names, &platforms)?;
    let mut stages = Vec::new();
    for (index, (image, platform)) in images.iter().zip(platforms).enumerate() {
        stages.push(stage(request, image, platform, &taking(&outputs, index))?);
    }
    let (tags, later_tag) = tags_or_later(request, names)?;
    let warnings = without_effect(request, &outputs);
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        source: None,
        stages,
        tags,
        later_tag,
        outputs,
        unplanned: None,
        warnings,
    })
}

/// Plans where the image of an artifact goes whose stage cannot be planned before the artifact is built, and why not.
///
/// # Errors
/// [`PlanError`] if the outputs cannot be written.
pub fn make_unplanned(
    request: &Request,
    source: SourceStage,
    machine: &Machine,
    reason: String,
) -> Result<Plan, PlanError> {
    let outputs = planned_outputs(request, machine, &[], std::slice::from_ref(&source.platform))?;
    let (tags, later_tag) = tags_or_later(request, &[])?;
    let warnings = without_effect(request, &outputs);
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        source: Some(source),
        stages: Vec::new(),
        tags,
        later_tag,
        outputs,
        unplanned: Some(reason),
        warnings,
    })
}

/// The names of the result, or the one that is made of an artifact's name once that is known.
fn tags_or_later(
    request: &Request,
    names: &[&str],
) -> Result<(Vec<ImageReference>, Option<PlannedText>), PlanError> {
    match request.tags.is_empty() && names.is_empty() {
        true => Ok((Vec::new(), Some(PlannedText::later(Placeholder::ArtifactStem, ":latest")))),
        false => Ok((tags(request, names)?, None)),
    }
}

/// Where the image of one stage goes.
fn taking(outputs: &[PlannedOutput], index: usize) -> Vec<Transport> {
    let takes = |planned: &&PlannedOutput| match planned.takes {
        Takes::Index => true,
        Takes::Image { stage } => stage == index,
    };
    outputs.iter().filter(takes).map(|planned| planned.output.clone()).collect()
}

fn stage(
    request: &Request,
    image: &ImageFacts<'_>,
    platform: Platform,
    outputs: &[Transport],
) -> Result<Stage, PlanError> {
    let date = request.date.unwrap_or(FIXED_DATE);
    let mut warnings = Vec::new();
    let (builder, assembly, assembly_reason) = match image.selection {
        Selection::Template(choice) => {
            warnings.extend(choice.warnings.iter().cloned());
            assemble_template(request, image, choice, outputs)?
        }
        Selection::Image(choice) => assemble_image(request, image, choice, outputs)?,
    };
    // In the sandbox, these are also the program's that `--run` starts.
    let in_sandbox = request.run && !outputs.iter().any(Transport::is_daemon);
    let network = request.limits.network.clone().filter(|_| in_sandbox);
    let allow_root_sandbox = request.limits.allow_root_sandbox && in_sandbox;
    let of_program = Limits { network, allow_root_sandbox, ..Limits::default() };
    if matches!(assembly, Assembly::Place { .. }) && request.limits != of_program {
        warnings.push(Warning {
            message: "limits, network and user of `assemble` have no effect: b2i places the artifact itself"
                .into(),
            hint: Some("Run the script with `--assemble docker`.".into()),
        });
    }
    if request.main_class.is_some() && !matches!(image.facts.kind, Kind::Jar(_)) {
        let message = format!("`--main-class` has no effect: `{}` is no JAR", image.name());
        warnings.push(Warning { message, hint: None });
    }
    if matches!(assembly, Assembly::Place { .. }) && builder.base_source != BaseSource::BuiltIn {
        warnings.extend(base_directories::warning(&image.artifact.added));
    }
    Ok(Stage {
        artifact: Some(PlannedArtifact {
            name: image.name(),
            origin: image.artifact.origin.clone(),
            facts: match image.is_declared {
                true => PlannedFacts::Declared {
                    declared: image.facts.describe(),
                    is_executable: matches!(image.facts.kind, Kind::Executable(_)),
                },
                false => PlannedFacts::Read(image.facts.clone()),
            },
        }),
        builder,
        platform,
        assembly,
        assembly_reason,
        image: planned_image(request, image, date)?,
        date,
        warnings,
    })
}

/// Options that say something about outputs that are not there.
fn without_effect(request: &Request, outputs: &[PlannedOutput]) -> Vec<Warning> {
    if request.image.annotations.is_empty() || outputs.iter().any(|planned| planned.output.accepts_index()) {
        return Vec::new();
    }
    let message = "`--annotation` has no effect: a daemon and its archives keep no annotations".into();
    let hint = Some("Use `--label`, which every output keeps.".into());
    vec![Warning { message, hint }]
}

fn platform(request: &Request, image: &ImageFacts<'_>) -> Platform {
    let native = &image.machine.native_platform;
    let is_free = request.platforms.is_empty() && request.artifacts.len() < 2;
    let chosen = match image.selection {
        Selection::Template(choice) => choice.platform.as_ref(),
        // Hardly a builder is there for 32 bits, and what its script makes of such a program may run all the same.
        Selection::Image(choice) => {
            choice.platform.as_ref().filter(|platform| !(is_free && native.also_runs(platform)))
        }
    };
    chosen.unwrap_or(native).clone()
}
