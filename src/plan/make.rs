//! Owns the making of a plan: the one place where request, facts and builder become decisions.

use super::image::planned_image;
use super::{
    Assembly, BaseSource, EngineKind, Plan, PlanWarning, PlannedArtifact, PlannedBuilder, PlannedRun,
    SCHEMA_VERSION, Stage, placement,
};
use crate::builder::{BaseName, BuilderError, Choice, ImageChoice, Placement, Selection, TemplateOrigin};
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::failure::{Failure, FailureKind};
use crate::image::layer::{Entry, Owner};
use crate::image::path::InvalidImagePath;
use crate::image::reference::InvalidReference;
use crate::image::{ImagePath, ImageReference, Platform};
use crate::input::Artifact;
use crate::request::{AssembleRequest, Limits, Output, Request};

/// The date of files and images where nothing else is asked for: 1980-01-01, the first day that zip archives know.
pub(crate) const FIXED_DATE: u64 = 315_532_800;

/// What was found out before planning.
#[derive(Debug)]
pub struct Decided<'a> {
    /// The artifact.
    pub artifact: &'a Artifact,
    /// What it is.
    pub facts: &'a Facts,
    /// The builder that fits.
    pub selection: &'a Selection,
    /// What makes the base into the template's builder image; empty for a builder image.
    pub template_entries: &'a [Entry],
    /// Whether a daemon answers.
    pub daemon: bool,
    /// Whether the sandbox works here; asked only where no daemon answers.
    pub sandbox: bool,
    /// The platform that the daemon, or this machine, runs.
    pub native_platform: Platform,
}

/// A request that makes no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// `--env ARGS` and `-- …` at once.
    #[error("the arguments are given twice: as `ARGS` in the environment and after `--`")]
    ArgsTwice,
    /// The date cannot be written.
    #[error("the date {0} (seconds since 1970) is out of range")]
    Date(u64),
    /// The artifact's name makes no image name.
    #[error("no image name can be made of `{name}`")]
    Tag {
        /// The artifact's name.
        name: String,
        /// Why not.
        source: InvalidReference,
    },
    /// An added file's destination is no path.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// The template cannot be used as asked.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// `--assemble place` where it is not allowed.
    #[error("`--assemble place` cannot be used with {builder}: {reason}")]
    NotPlaceable {
        /// The builder.
        builder: String,
        /// Why not.
        reason: &'static str,
    },
    /// A project's template wants to be root.
    #[error("the project's template `{builder}` wants to run as root")]
    ProjectRoot {
        /// The builder.
        builder: String,
    },
    /// The script has to run and nothing can run it.
    #[error(
        "{builder} has to run its `assemble` script; no daemon answers, and the sandbox does not work here"
    )]
    NoEngine {
        /// The builder.
        builder: String,
    },
    /// The script is to run on the daemon and there is none.
    #[error("{builder} is to run its `assemble` script on a daemon, and none answers")]
    NoDaemonToRun {
        /// The builder.
        builder: String,
    },
    /// The result has to go into a daemon and there is none.
    #[error("the image cannot be put into a daemon: none answers")]
    NoDaemon,
}

impl PlanError {
    /// Says whether a daemon that answers would have made the plan possible.
    pub fn needs_daemon(&self) -> bool {
        matches!(self, Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon)
    }
}

impl Failure for PlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::ArgsTwice
            | Self::Date(_)
            | Self::Tag { .. }
            | Self::Path(_)
            | Self::NotPlaceable { .. } => FailureKind::Usage,
            Self::Builder(error) => error.kind(),
            Self::ProjectRoot { .. } => FailureKind::Builder,
            Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon => FailureKind::Engine,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ArgsTwice => vec!["give the arguments after `--` and drop `--env ARGS`".into()],
            Self::Date(_) => vec!["set SOURCE_DATE_EPOCH to a number of seconds since 1970".into()],
            Self::Tag { .. } => vec!["name the image with `-t NAME:TAG`".into()],
            Self::Path(_) => vec!["give `--add SRC:DEST` an absolute or plain relative destination".into()],
            Self::Builder(error) => error.hints(),
            Self::NotPlaceable { .. } => {
                vec!["use `--assemble docker` or `--assemble sandbox`, or leave the option out".into()]
            }
            Self::ProjectRoot { .. } => vec![
                "name another `user` in its `builder.toml`".into(),
                "`--allow-root` allows it, if you trust the project".into(),
            ],
            Self::NoDaemonToRun { .. } => vec![
                "start Docker or Podman, or name its socket with DOCKER_HOST".into(),
                "or run it without a daemon: `--assemble sandbox`".into(),
            ],
            Self::NoEngine { .. } => vec![
                "`b2i doctor` says what the sandbox lacks".into(),
                "or start Docker or Podman, or name its socket with DOCKER_HOST".into(),
            ],
            Self::NoDaemon => vec!["start Docker or Podman, or name its socket with DOCKER_HOST".into()],
        }
    }
}

/// Decides everything.
///
/// # Errors
/// [`PlanError`] if the request contradicts itself, the artifact, or what is there to work with.
pub fn make(request: &Request, decided: &Decided<'_>) -> Result<Plan, PlanError> {
    let date = request.date.unwrap_or(FIXED_DATE);
    let platform = platform(request, decided);
    let outputs = outputs(request, decided);
    if !decided.daemon && outputs.contains(&Output::Docker) {
        return Err(PlanError::NoDaemon);
    }
    let mut warnings = Vec::new();
    let (builder, assembly, assembly_reason) = match decided.selection {
        Selection::Template(choice) => {
            let warning = |warning: &crate::builder::Warning| PlanWarning {
                message: warning.message.clone(),
                hint: warning.hint.clone(),
            };
            warnings.extend(choice.warnings.iter().map(warning));
            assemble_template(request, decided, choice, &outputs)?
        }
        Selection::Image(image) => assemble_image(request, decided, image, &outputs)?,
    };
    if matches!(assembly, Assembly::Place { .. }) && request.limits != Limits::default() {
        warnings.push(PlanWarning {
            message: "limits, network and user of `assemble` have no effect: b2i places the artifact itself"
                .into(),
            hint: Some("Run the script with `--assemble docker`.".into()),
        });
    }
    warnings.extend(without_effect(request, decided, &outputs));
    let image = planned_image(request, decided, date)?;
    let stage = Stage {
        artifact: PlannedArtifact {
            name: decided.artifact.name.clone(),
            origin: decided.artifact.origin.clone(),
            facts: decided.facts.clone(),
        },
        builder,
        platform,
        assembly,
        assembly_reason,
        image,
        tags: tags(request, &decided.artifact.name)?,
        outputs,
        date,
        warnings,
    };
    Ok(Plan { schema_version: SCHEMA_VERSION, source: None, stages: vec![stage] })
}

/// Options that say something about what is not there.
fn without_effect(request: &Request, decided: &Decided<'_>, outputs: &[Output]) -> Vec<PlanWarning> {
    let mut warnings = Vec::new();
    if request.main_class.is_some() && !matches!(decided.facts.kind, Kind::Jar(_)) {
        let name = &decided.artifact.name;
        let message = format!("`--main-class` has no effect: `{name}` is no JAR");
        warnings.push(PlanWarning { message, hint: None });
    }
    if !request.image.annotations.is_empty() && !outputs.iter().any(Output::has_manifest) {
        let message = "`--annotation` has no effect: a daemon and its archives keep no annotations".into();
        let hint = Some("Use `--label`, which every output keeps.".into());
        warnings.push(PlanWarning { message, hint });
    }
    warnings
}

fn platform(request: &Request, decided: &Decided<'_>) -> Platform {
    let chosen = match decided.selection {
        Selection::Template(choice) => choice.platform.clone(),
        Selection::Image(_) => None,
    };
    chosen.or_else(|| request.platform.clone()).unwrap_or_else(|| decided.native_platform.clone())
}

fn outputs(request: &Request, decided: &Decided<'_>) -> Vec<Output> {
    if !request.outputs.is_empty() {
        return request.outputs.clone();
    }
    if decided.daemon {
        return vec![Output::Docker];
    }
    vec![Output::DockerArchive { path: format!("{}.tar", stem(&decided.artifact.name)).into() }]
}

type Assembled = (PlannedBuilder, Assembly, String);

fn assemble_template(
    request: &Request,
    decided: &Decided<'_>,
    choice: &Choice,
    outputs: &[Output],
) -> Result<Assembled, PlanError> {
    let template = &choice.template;
    let is_built_in = choice.base.image == BaseName::BuiltInStatic;
    let mut builder = PlannedBuilder {
        name: format!("{}:{}", template.name(), choice.version.version),
        base: choice.base.image.to_string(),
        base_source: base_source(is_built_in, None, outputs, decided),
        template_digest: Some(template.digest()),
        reason: choice.reason.clone(),
    };
    // As with a label: what comes from elsewhere gets no root unless the user says so.
    let from_project = matches!(template.origin, TemplateOrigin::Project { .. });
    if from_project && template.metadata.image.user.uid == 0 && !request.limits.allow_root {
        return Err(PlanError::ProjectRoot { builder: builder.name });
    }
    let shown = format!("the template `{}`", builder.name);
    let added = &decided.artifact.added;
    let placement = template.placement(request.image.context_path.as_deref())?;
    let mut entries = placement::template_entries(decided.template_entries);
    let place = match request.assemble {
        AssembleRequest::Place if !template.may_be_placed() => {
            let reason =
                "only b2i's own, unchanged templates are placed; this one's script decides what happens";
            return Err(PlanError::NotPlaceable { builder: shown, reason });
        }
        AssembleRequest::Place => Some("asked for with `--assemble place`"),
        AssembleRequest::Auto if template.may_be_placed() => Some("the template's script is unchanged"),
        AssembleRequest::Auto | AssembleRequest::Docker | AssembleRequest::Sandbox => None,
    };
    if let Some(reason) = place {
        entries.extend(placement::placed(&placement, added)?);
        return Ok((builder, Assembly::Place { entries }, reason.into()));
    }
    let engine = engine(request, decided, shown)?;
    builder.base_source = base_source(is_built_in, Some(engine), outputs, decided);
    entries.extend(placement::absolute(&placement, added));
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries,
        sources: placement::sources(&decided.artifact.name, &placement, added),
        environment: script_environment(request, decided),
        limits: request.limits.clone(),
        scripts: Some(template.metadata.scripts_directory.clone()),
        user: Some(template.metadata.image.user.to_string()),
    }));
    Ok((builder, assembly, run_reason(request, "the template is not b2i's own, so its script has to run")))
}

fn assemble_image(
    request: &Request,
    decided: &Decided<'_>,
    image: &ImageChoice,
    outputs: &[Output],
) -> Result<Assembled, PlanError> {
    let name = image.reference.to_string();
    let shown = format!("the builder image `{}`", image.reference.familiar());
    if request.assemble == AssembleRequest::Place {
        let reason = "what its script does is not known without running it";
        return Err(PlanError::NotPlaceable { builder: shown, reason });
    }
    let engine = engine(request, decided, shown)?;
    let added = &decided.artifact.added;
    // A builder image has no declared placement; only modes and the owner of files beside it matter here.
    let placement = undeclared_placement();
    let assembly = Assembly::Run(Box::new(PlannedRun {
        engine,
        entries: placement::absolute(&placement, added),
        sources: placement::sources(&decided.artifact.name, &placement, added),
        environment: script_environment(request, decided),
        limits: request.limits.clone(),
        scripts: None,
        user: None,
    }));
    let builder = PlannedBuilder {
        name: name.clone(),
        base: name,
        base_source: base_source(false, Some(engine), outputs, decided),
        template_digest: None,
        reason: image.reason.clone(),
    };
    Ok((builder, assembly, run_reason(request, "a builder image's script has to run")))
}

/// Chooses what runs the script: what is asked for, else a daemon that answers, else the sandbox.
fn engine(request: &Request, decided: &Decided<'_>, builder: String) -> Result<EngineKind, PlanError> {
    match request.assemble {
        AssembleRequest::Sandbox => Ok(EngineKind::Sandbox),
        _ if decided.daemon => Ok(EngineKind::Docker),
        AssembleRequest::Docker => Err(PlanError::NoDaemonToRun { builder }),
        AssembleRequest::Auto | AssembleRequest::Place if decided.sandbox => Ok(EngineKind::Sandbox),
        AssembleRequest::Auto | AssembleRequest::Place => Err(PlanError::NoEngine { builder }),
    }
}

/// Chooses where the base comes from: where its layers are needed. A manifest needs them as a registry has them.
fn base_source(
    is_built_in: bool,
    engine: Option<EngineKind>,
    outputs: &[Output],
    decided: &Decided<'_>,
) -> BaseSource {
    let needs_blobs = outputs.iter().any(Output::has_manifest);
    match engine {
        _ if is_built_in => BaseSource::BuiltIn,
        Some(EngineKind::Docker) => BaseSource::Daemon,
        Some(EngineKind::Sandbox) => BaseSource::Registry,
        None if decided.daemon && !needs_blobs => BaseSource::Daemon,
        None => BaseSource::Registry,
    }
}

fn undeclared_placement() -> Placement {
    let nowhere = ImagePath::new("/").expect("absolute and normal");
    Placement {
        artifact: nowhere.clone(),
        beside: nowhere,
        hard_links: Vec::new(),
        owner: Owner::ROOT,
        artifact_mode: 0o755,
        file_mode: 0o644,
        executable_mode: 0o755,
        directory_mode: 0o755,
    }
}

fn run_reason(request: &Request, otherwise: &str) -> String {
    match request.assemble {
        AssembleRequest::Docker => "asked for with `--assemble docker`".into(),
        AssembleRequest::Sandbox => "asked for with `--assemble sandbox`".into(),
        AssembleRequest::Auto | AssembleRequest::Place => otherwise.into(),
    }
}

/// What the script sees beside the image's own environment: the user's variables, as S2I has it, and which of
/// several files is the artifact.
fn script_environment(request: &Request, decided: &Decided<'_>) -> Vec<(String, String)> {
    let mut environment = request.image.env.clone();
    environment.push(("B2I_ARTIFACT".into(), decided.artifact.name.clone()));
    if let Some(context) = &request.image.context_path {
        environment.push(("B2I_CONTEXT_PATH".into(), context.clone()));
    }
    environment
}

fn tags(request: &Request, name: &str) -> Result<Vec<ImageReference>, PlanError> {
    if !request.tags.is_empty() {
        return Ok(request.tags.clone());
    }
    let tag = format!("{}:latest", repository(stem(name))).parse();
    Ok(vec![tag.map_err(|source| PlanError::Tag { name: name.to_owned(), source })?])
}

/// The nearest name that a repository may have: lower case, and between letters and digits one separator.
fn repository(stem: &str) -> String {
    let mut name = String::new();
    let mut separator = None;
    for character in stem.to_lowercase().chars() {
        if character.is_ascii_alphanumeric() {
            name.extend(separator.take().filter(|_| !name.is_empty()));
            name.push(character);
        } else {
            // `._` or a foreign letter in between: the one separator that may stand for anything.
            separator = Some(if separator.is_none() && "._".contains(character) { character } else { '-' });
        }
    }
    name
}

/// The artifact's name without the ending that says what it is.
pub(super) fn stem(name: &str) -> &str {
    let known = [".jar", ".war", ".sh", ".py", ".bin", ".run", ".exe"];
    let ending = known.iter().find(|ending| {
        name.len() > ending.len()
            && name.is_char_boundary(name.len() - ending.len())
            && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
    });
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}
