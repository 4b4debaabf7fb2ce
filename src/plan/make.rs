//! Owns the making of a plan: the one place where request, facts and builders become decisions.

use super::assembly::{assemble_image, assemble_template};
use super::image::planned_image;
use super::names::{stem, tags};
use super::outputs::planned_outputs;
use super::{
    Assembly, BaseSource, Placeholder, Plan, PlanError, PlannedArtifact, PlannedFacts, PlannedOutput,
    PlannedText, SCHEMA_VERSION, SourceStage, Stage, Takes, base_directories, notes,
};
use crate::builder::base::{BUILT_IN_GROUPS, BUILT_IN_USERS};
use crate::builder::{BaseName, Choice, Selection};
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::diagnostic::Warning;
use crate::image::layer::Entry;
use crate::image::{ImageReference, Platform};
use crate::input::Artifact;
use crate::request::{ImageRequest, Limits, Request};
use crate::transport::Transport;

/// The default date of files and images: 1980-01-01, the first day of zip archives.
pub(crate) const FIXED_DATE: u64 = 315_532_800;

/// The engines of this machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Whether a daemon answers.
    pub daemon: bool,
    /// Whether the sandbox works; tested only if no daemon answers, and a script or `--run` may need it.
    pub sandbox: bool,
    /// The daemon's platform, or this machine's.
    pub native_platform: Platform,
}

/// The input of planning one image.
#[derive(Debug)]
pub struct ImageFacts<'a> {
    pub artifact: &'a Artifact,
    pub facts: &'a Facts,
    /// Whether the artifact is not built yet: its facts are declared, and its name is a placeholder.
    pub is_declared: bool,
    pub selection: &'a Selection,
    /// The template's files; empty for a builder image.
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

    /// The file name without its extension.
    pub(super) fn stem(&self) -> PlannedText {
        match self.is_declared {
            true => Placeholder::ArtifactStem.into(),
            false => stem(&self.artifact.name).into(),
        }
    }
}

/// Plans a stage for each of `images`, and the outputs. `names` has every artifact, also those without an image; empty means
/// not known yet.
///
/// # Errors
/// [`PlanError`] if the request contradicts itself, the artifacts or the machine.
pub fn make(
    request: &Request,
    names: &[&str],
    images: &[ImageFacts<'_>],
    machine: &Machine,
) -> Result<Plan, PlanError> {
    let platforms = images.iter().map(|image| platform(request, image)).collect();
    make_for(request, names, images, platforms, machine)
}

fn make_for(
    request: &Request,
    names: &[&str],
    images: &[ImageFacts<'_>],
    platforms: Vec<Platform>,
    machine: &Machine,
) -> Result<Plan, PlanError> {
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

/// Plans the outputs of an image whose stage can only be planned after the build, for `reason`.
///
/// # Errors
/// [`PlanError`] if the outputs cannot be written.
pub fn make_unplanned(
    request: &Request,
    source: SourceStage,
    machine: &Machine,
    reason: String,
) -> Result<Plan, PlanError> {
    let plan = make_for(request, &[], &[], vec![source.platform.clone()], machine)?;
    Ok(Plan { source: Some(source), unplanned: Some(reason), ..plan })
}

/// The names of the result, or the name with a placeholder.
fn tags_or_later(
    request: &Request,
    names: &[&str],
) -> Result<(Vec<ImageReference>, Option<PlannedText>), PlanError> {
    match request.tags.is_empty() && names.is_empty() {
        true => Ok((Vec::new(), Some(PlannedText::later(Placeholder::ArtifactStem, ":latest")))),
        false => Ok((tags(request, names)?, None)),
    }
}

/// The outputs of one stage.
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
            check_base(&request.image, choice)?;
            assemble_template(request, image, choice, outputs)?
        }
        Selection::Image(choice) => assemble_image(request, image, choice)?,
    };
    // These two limits also apply to a program that `--run` starts in the sandbox.
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
        let message = format!("`--main-class` has no effect: `{}` is not a JAR", image.name());
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
        notes: notes::left_out(image.artifact).into_iter().collect(),
    })
}

/// Rejects settings that cannot work in an image on this base.
fn check_base(options: &ImageRequest, choice: &Choice) -> Result<(), PlanError> {
    let has_command = options.health_cmd.as_deref().is_some_and(|command| !command.is_empty());
    if has_command && choice.base.assumptions.shell == Some(false) {
        return Err(PlanError::HealthCommand { base: choice.base.image.to_string() });
    }
    let user = options.user.as_ref().map(ToString::to_string).unwrap_or_default();
    let is_known = |account: &str, known: &[&str]| {
        known.contains(&account) || account.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (name, group) = user.split_once(':').unwrap_or((&user, ""));
    if choice.base.image == BaseName::BuiltInStatic
        && !(is_known(name, &BUILT_IN_USERS) && is_known(group, &BUILT_IN_GROUPS))
    {
        return Err(PlanError::UnknownUser { user });
    }
    Ok(())
}

/// Options for outputs that the plan does not have.
fn without_effect(request: &Request, outputs: &[PlannedOutput]) -> Vec<Warning> {
    if request.image.annotations.is_empty() || outputs.iter().any(|planned| planned.output.accepts_index()) {
        return Vec::new();
    }
    let message = "`--annotation` has no effect: daemons and their archives do not store annotations".into();
    let hint = Some("Use `--label`, which every output stores.".into());
    vec![Warning { message, hint }]
}

fn platform(request: &Request, image: &ImageFacts<'_>) -> Platform {
    let native = &image.machine.native_platform;
    let is_free = request.platforms.is_empty() && request.artifacts.len() < 2;
    let chosen = match image.selection {
        Selection::Template(choice) => choice.platform.as_ref(),
        // Few builder images exist for 32 bits, and a 64-bit one may still package such a program.
        Selection::Image(choice) => {
            choice.platform.as_ref().filter(|platform| !(is_free && native.also_runs(platform)))
        }
    };
    chosen.unwrap_or(native).clone()
}
