//! Owns the plan of an image that is what assembling sources left: the config that S2I gives it, its names and places.
//!
//! S2I's rules: the command is `run`, the user the image's own and not that of `assemble`, an entrypoint stays, the
//! variables of the build are the image's. What a template says of its image takes the place of what its base says.

use super::SourceStage;
use crate::builder::{SourceSelection, Template};
use crate::image::config::set_env;
use crate::image::{ConfigEdits, ImagePath, shell_words};
use crate::plan::image::{apply_wanted, rfc3339, template_edits};
use crate::plan::labels::{
    ASSEMBLE_USER_LABEL, DESTINATION_LABEL, ENVIRONMENT_LABEL, EXCLUDE_LABEL, FETCHED_LABEL, LabelFacts,
    Labels, RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, RUNTIME_USER_LABEL, SCRIPTS_LABEL,
};
use crate::plan::names::tags;
use crate::plan::outputs::planned_outputs;
use crate::plan::{Assembly, FIXED_DATE, Machine, Plan, PlanError, PlannedImage, SCHEMA_VERSION, Stage};
use crate::request::{Request, SourceBuildRequest};

/// What is known of an image that sources become.
pub struct SourceImage<'a> {
    pub source: &'a SourceStage,
    pub selection: &'a SourceSelection,
    /// What the builder's ONBUILD instructions make of its config, if they are carried out.
    pub on_build: Option<&'a ConfigEdits>,
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
        later_tag: None,
        unplanned: None,
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
    let (template, base) = template_and_base(image);
    // With a runtime image, the instructions were for another one.
    let on_build = image.on_build.filter(|_| source.runtime.is_none());
    let scripts = match &source.runtime {
        Some(runtime) => runtime.run.as_ref(),
        None => source.scripts.run.as_ref(),
    };
    let run = scripts.map(|script| script.path.to_string());
    let mut edits = match (template, on_build) {
        (Some(template), _) => template_edits(template),
        (None, Some(on_build)) => on_build_edits(on_build, run.as_ref()),
        (None, None) => ConfigEdits { cmd: run.clone().map(|run| vec![run]), ..ConfigEdits::default() },
    };
    let mut resets = vec!["OnBuild"];
    if template.is_some() || edits.cmd.is_some() {
        resets.insert(0, "Cmd");
    }
    if on_build.is_some() && edits.entrypoint.is_some() {
        resets.insert(0, "Entrypoint");
    }
    if let (Some(template), Some(run)) = (template, run) {
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
    let labels = labels(request, source, wanted, base, &edits.created);
    edits.labels.extend(labels.known);
    apply_wanted(&request.image, &mut edits, None)?;
    let annotations = request.image.annotations.clone();
    Ok(PlannedImage {
        edits,
        later_history: None,
        later_labels: labels.later,
        later_cmd: None,
        annotations,
        resets: resets.into_iter().map(str::to_owned).collect(),
    })
}

/// The template that the result is of, if it is of one, and the image that it stands on.
fn template_and_base<'a>(image: &SourceImage<'a>) -> (Option<&'a Template>, String) {
    match (image.selection, &image.source.runtime) {
        (_, Some(runtime)) => (None, runtime.image.to_string()),
        (SourceSelection::Template(choice), None) => {
            (Some(&*choice.template), choice.base.recorded().to_string())
        }
        (SourceSelection::Image(image), None) => (None, image.reference.recorded()),
    }
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

/// The labels of every image, S2I's of the sources, and what a later build of the same sources needs.
fn labels(
    request: &Request,
    source: &SourceStage,
    wanted: &SourceBuildRequest,
    base: String,
    created: &str,
) -> Labels {
    let sources = &source.source;
    let url = sources.info.location.as_deref();
    // A path names the machine that builds, unless it is one below where everything is typed.
    let location = url.or(wanted.recorded_location.as_deref()).unwrap_or(&sources.name);
    let mut labels = Labels::new(LabelFacts {
        builder: source.builder.name.clone(),
        base,
        title: sources.name.as_str().into(),
        display_name: wanted.display_name.as_deref(),
        url,
        location: location.into(),
        created,
    });
    labels.set_some("io.openshift.s2i.build.source-context-dir", sources.info.context_directory.as_deref());
    if let Some(commit) = &sources.info.commit {
        labels.set("io.openshift.s2i.build.commit.id", commit.id.as_str());
        labels.set("io.openshift.s2i.build.commit.ref", commit.reference.as_str());
        labels.set("io.openshift.s2i.build.commit.author", commit.author.as_str());
        labels.set("io.openshift.s2i.build.commit.date", commit.date.as_str());
        labels.set("io.openshift.s2i.build.commit.message", commit.message.as_str());
        labels.set("org.opencontainers.image.revision", commit.id.as_str());
    }
    labels.set_some("io.k8s.description", wanted.description.as_deref());
    labels.set_some(SCRIPTS_LABEL, wanted.scripts.as_ref().map(|scripts| scripts.label()).as_deref());
    if let (Some(runtime), Some(requested)) = (&source.runtime, &wanted.runtime) {
        let places: Vec<String> = requested.artifacts.iter().map(ToString::to_string).collect();
        labels.set(RUNTIME_IMAGE_LABEL, runtime.image.to_string());
        labels.set(RUNTIME_ARTIFACTS_LABEL, places.join(";"));
        labels.set_some(RUNTIME_USER_LABEL, requested.assemble_user.as_deref());
    }
    labels.set_some(ASSEMBLE_USER_LABEL, request.limits.assemble_user.as_deref());
    labels.set_some(DESTINATION_LABEL, wanted.destination.as_ref().map(ImagePath::as_str));
    labels.set_some(EXCLUDE_LABEL, wanted.source.exclude.as_deref());
    labels.set(FETCHED_LABEL, wanted.source.label());
    // Also if there are none: then the image says so.
    let given = wanted.environment.iter().map(|variable| variable.name.as_str());
    let names: Vec<&str> = given.chain(request.image.env.iter().map(|(name, _)| name.as_str())).collect();
    labels.known.insert(ENVIRONMENT_LABEL.to_owned(), names.join(" "));
    labels
}
