//! Owns the plan of an image that is what assembling sources left: the config that S2I gives it, its names and places.
//!
//! S2I's rules: the command is `run`, the user the image's own and not that of `assemble`, an entrypoint stays, the
//! variables of the build are the image's. What a template says of its image takes the place of what its base says.

use std::collections::BTreeMap;

use super::SourceStage;
use crate::builder::Template;
use crate::image::config::set_env;
use crate::image::{ConfigEdits, ImagePath, shell_words};
use crate::plan::image::{apply_wanted, rfc3339, template_edits};
use crate::plan::names::tags;
use crate::plan::outputs::planned_outputs;
use crate::plan::{
    Assembly, FIXED_DATE, Machine, Placeholder, Plan, PlanError, PlannedImage, PlannedText, SCHEMA_VERSION,
    Stage,
};
use crate::request::{Request, SourceBuildRequest};

/// Label with the names of the variables that a later build of the same sources has to set again, empty if there are
/// none: their values are in the image's environment.
pub const ENVIRONMENT_LABEL: &str = "io.b2i.source.environment";

/// Label with the place of scripts that the user named.
pub const SCRIPTS_LABEL: &str = "io.b2i.source.scripts-url";

/// Label with the runtime image, of an extended build.
pub const RUNTIME_IMAGE_LABEL: &str = "io.b2i.source.runtime-image";

/// Label with what the user said that the runtime image gets, as S2I's label of a runtime image says it.
pub const RUNTIME_ARTIFACTS_LABEL: &str = "io.b2i.source.runtime-artifacts";

/// Label with the user of `assemble` that was asked for.
pub const ASSEMBLE_USER_LABEL: &str = "io.b2i.source.assemble-user";

/// Label with the user of `assemble-runtime` that was asked for.
pub const RUNTIME_USER_LABEL: &str = "io.b2i.source.assemble-runtime-user";

/// Label with the place in the builder that files were asked to go to.
pub const DESTINATION_LABEL: &str = "io.b2i.source.destination";

/// Label with the pattern of paths that were left out.
pub const EXCLUDE_LABEL: &str = "io.b2i.source.exclude";

/// Label with how sources were fetched otherwise than S2I does, as `SourceOptions::label` writes it.
pub const FETCHED_LABEL: &str = "io.b2i.source.fetched";

/// What was found out of an image that sources become.
pub struct SourceImage<'a> {
    /// The source stage.
    pub source: &'a SourceStage,
    /// The template of the builder; none for a builder image, and for what goes into a runtime image.
    pub template: Option<&'a Template>,
    /// Name of the image that the result stands on, as it may stand in the result.
    pub base: String,
    /// What the builder's ONBUILD instructions make of its config, if they are carried out.
    pub on_build: Option<&'a ConfigEdits>,
    /// What there is to work with.
    pub machine: &'a Machine,
}

/// Plans the image.
///
/// # Errors
/// [`PlanError`] if the request contradicts itself or what is there to work with.
pub fn make_of_sources(
    request: &Request,
    wanted: &SourceBuildRequest,
    image: &SourceImage<'_>,
) -> Result<Plan, PlanError> {
    let source = image.source;
    let names = [source.source.name.as_str()];
    let date = request.date.unwrap_or(FIXED_DATE);
    let stage = Stage {
        artifact: None,
        builder: source.builder.clone(),
        platform: source.platform.clone(),
        assembly: Assembly::Sources,
        assembly_reason: match &source.runtime {
            Some(_) => "the runtime image gets what was built".into(),
            None => "the assembled builder is the image".into(),
        },
        image: planned_image(request, wanted, image, date)?,
        date,
        warnings: Vec::new(),
    };
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        outputs: planned_outputs(request, image.machine, &names, std::slice::from_ref(&stage.platform))?,
        source: Some(source.clone()),
        stages: vec![stage],
        tags: tags(request, &names)?,
        warnings: Vec::new(),
    })
}

fn planned_image(
    request: &Request,
    wanted: &SourceBuildRequest,
    image: &SourceImage<'_>,
    date: u64,
) -> Result<PlannedImage, PlanError> {
    let source = image.source;
    let scripts = match &source.runtime {
        Some(runtime) => runtime.run.as_ref(),
        None => source.scripts.run.as_ref(),
    };
    let run = scripts.map(|script| script.path.to_string());
    let mut edits = match (image.template, image.on_build) {
        (Some(template), _) => template_edits(template),
        (None, Some(on_build)) => on_build_edits(on_build, run.as_ref()),
        (None, None) => ConfigEdits { cmd: run.clone().map(|run| vec![run]), ..ConfigEdits::default() },
    };
    let mut resets = vec!["OnBuild"];
    if image.template.is_some() || edits.cmd.is_some() {
        resets.insert(0, "Cmd");
    }
    if image.on_build.is_some() && edits.entrypoint.is_some() {
        resets.insert(0, "Entrypoint");
    }
    if let (Some(template), Some(run)) = (image.template, run) {
        resets.insert(0, "Entrypoint");
        // A script of the sources takes the template's place.
        let own = template.metadata.scripts_directory.join("run").map(|path| path.to_string());
        if own.as_ref() != Ok(&run) {
            edits.entrypoint = Some(vec![run]);
        }
    }
    edits.reset_on_build = true;
    edits.created = rfc3339(date)?;
    edits.history = format!("b2i: {}", shell_words::quote(&[&source.source.name]));
    set_env(&mut edits.env, &source.environment);
    edits.labels.extend(labels(request, source, wanted, &edits.created));
    let later_labels = vec![
        ("org.opencontainers.image.base.name".to_owned(), PlannedText::from(image.base.clone())),
        ("org.opencontainers.image.base.digest".into(), PlannedText::Later(Placeholder::BaseDigest, "")),
    ];
    apply_wanted(&request.image, &mut edits, None)?;
    let annotations = request.image.annotations.clone();
    Ok(PlannedImage { edits, later_labels, later_cmd: None, annotations, resets })
}

/// What instructions say, and S2I's rule that a script of the sources starts the result: it is the entrypoint, which a
/// command of the image below was not for.
fn on_build_edits(on_build: &ConfigEdits, run: Option<&String>) -> ConfigEdits {
    let mut edits = on_build.clone();
    if let Some(run) = run {
        edits.entrypoint = Some(vec![run.clone()]);
        edits.cmd = Some(Vec::new());
    }
    edits
}

/// S2I's labels, OCI's, and what a later build of the same sources needs.
fn labels(
    request: &Request,
    source: &SourceStage,
    wanted: &SourceBuildRequest,
    created: &str,
) -> BTreeMap<String, String> {
    let sources = &source.source;
    let mut labels = BTreeMap::new();
    let mut set = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            labels.insert(name.to_owned(), value.to_owned());
        }
    };
    set("io.openshift.s2i.build.image", Some(&source.builder.name));
    // A path names the machine that builds, unless it is one below where everything is typed.
    let location = sources.info.location.as_deref().or(wanted.recorded_location.as_deref());
    set("io.openshift.s2i.build.source-location", location.or(Some(&sources.name)));
    set("io.openshift.s2i.build.source-context-dir", sources.info.context_directory.as_deref());
    if let Some(commit) = &sources.info.commit {
        set("io.openshift.s2i.build.commit.id", Some(&commit.id));
        set("io.openshift.s2i.build.commit.ref", Some(&commit.reference));
        set("io.openshift.s2i.build.commit.author", Some(&commit.author));
        set("io.openshift.s2i.build.commit.date", Some(&commit.date));
        set("io.openshift.s2i.build.commit.message", Some(&commit.message));
        set("org.opencontainers.image.revision", Some(&commit.id));
    }
    set("io.k8s.display-name", wanted.display_name.as_deref().or(Some(&sources.name)));
    set("io.k8s.description", wanted.description.as_deref());
    set("org.opencontainers.image.created", Some(created));
    set("org.opencontainers.image.title", Some(&sources.name));
    set("org.opencontainers.image.source", sources.info.location.as_deref());
    set(SCRIPTS_LABEL, wanted.scripts.as_ref().map(|scripts| scripts.label()).as_deref());
    if let (Some(runtime), Some(asked)) = (&source.runtime, &wanted.runtime) {
        let places: Vec<String> = asked.artifacts.iter().map(ToString::to_string).collect();
        set(RUNTIME_IMAGE_LABEL, Some(&runtime.image.to_string()));
        set(RUNTIME_ARTIFACTS_LABEL, Some(&places.join(";")));
        set(RUNTIME_USER_LABEL, asked.assemble_user.as_deref());
    }
    set(ASSEMBLE_USER_LABEL, request.limits.assemble_user.as_deref());
    set(DESTINATION_LABEL, wanted.destination.as_ref().map(ImagePath::as_str));
    set(EXCLUDE_LABEL, wanted.source.exclude.as_deref());
    set(FETCHED_LABEL, Some(&wanted.source.label()));
    // Also if there are none: then the image says so.
    let given = wanted.environment.iter().map(|variable| variable.name.as_str());
    let names: Vec<&str> = given.chain(request.image.env.iter().map(|(name, _)| name.as_str())).collect();
    labels.insert(ENVIRONMENT_LABEL.to_owned(), names.join(" "));
    labels
}
