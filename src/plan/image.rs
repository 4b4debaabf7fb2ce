//! Owns what the plan says of the image's config: environment, labels, user, entrypoint, and what is reset.
//!
//! Order of strength for labels: the user's, then those b2i generates, then the template's, then the base's.

use std::collections::BTreeMap;

use super::make::ImageFacts;
use super::names::stem;
use super::{Placeholder, PlanError, PlannedImage, PlannedText};
use crate::builder::s2i_contract::{CONTRACT_LABELS, CONTRACT_VARIABLES};
use crate::builder::{Selection, Template};
use crate::detect::facts::Kind;
use crate::image::ConfigEdits;
use crate::image::config::set_env;
use crate::image::shell_words;
use crate::input::Origin;
use crate::request::{ImageRequest, Request};

/// Default arguments: `run` puts these words before the arguments of the container.
const ARGS: &str = "ARGS";

/// The variable by which `run` starts another class than the JAR's own; S2I's builders for Java have the same.
const MAIN_CLASS: &str = "JAVA_MAIN_CLASS";

pub(super) fn planned_image(
    request: &Request,
    image: &ImageFacts<'_>,
    date: u64,
) -> Result<PlannedImage, PlanError> {
    let wanted = &request.image;
    let (mut edits, base_name, later_cmd, resets) = match image.selection {
        Selection::Template(choice) => {
            let edits = template_edits(&choice.template);
            // A replacement is a mirror as a rule: which one this machine uses is not the image's to tell.
            let base = choice.base.replaces.as_ref().unwrap_or(&choice.base.image);
            (edits, base.to_string(), None, vec!["Entrypoint", "Cmd", "OnBuild"])
        }
        Selection::Image(image) => {
            // S2I keeps the entrypoint of the builder image and makes `run` its command.
            let run = vec![PlannedText::Later(Placeholder::BuilderScripts, "/run")];
            (ConfigEdits::default(), image.reference.recorded(), Some(run), vec!["Cmd", "OnBuild"])
        }
    };
    let mut later_labels = vec![("org.opencontainers.image.base.name".to_owned(), base_name.into())];
    later_labels.push((
        "org.opencontainers.image.base.digest".into(),
        PlannedText::Later(Placeholder::BaseDigest, ""),
    ));
    later_labels.push(("io.b2i.artifact.digest".into(), PlannedText::Later(Placeholder::ArtifactDigest, "")));
    edits.reset_on_build = true;
    edits.created = rfc3339(date)?;
    edits.history = format!("b2i: {}", image.artifact.name);
    edits.labels.extend(generated_labels(image, &edits.created));
    if let (Some(main_class), Kind::Jar(_)) = (&request.main_class, &image.facts.kind) {
        set_env(&mut edits.env, &[(MAIN_CLASS.into(), main_class.clone())]);
    }
    let later_cmd = apply_wanted(wanted, &mut edits, later_cmd)?;
    Ok(PlannedImage { edits, later_labels, later_cmd, annotations: wanted.annotations.clone(), resets })
}

/// Applies what the user wants of the config; gives the command that is known only later, if it is kept.
pub(super) fn apply_wanted(
    wanted: &ImageRequest,
    edits: &mut ConfigEdits,
    later_cmd: Option<Vec<PlannedText>>,
) -> Result<Option<Vec<PlannedText>>, PlanError> {
    edits.labels.extend(wanted.labels.clone());
    set_env(&mut edits.env, &wanted.env);
    if let Some(args) = &wanted.args {
        if wanted.env.iter().any(|(name, _)| name == ARGS) {
            return Err(PlanError::ArgsTwice);
        }
        set_env(&mut edits.env, &[(ARGS.into(), shell_words::quote(args))]);
    }
    edits.exposed_ports.extend(wanted.ports.clone());
    let working_dir = wanted.working_dir.as_ref().map(ToString::to_string);
    edits.working_dir = working_dir.or(edits.working_dir.take());
    edits.user = wanted.user.clone().or(edits.user.take());
    edits.health_cmd = wanted.health_cmd.clone().or(edits.health_cmd.take());
    edits.stop_signal = wanted.stop_signal.clone().or(edits.stop_signal.take());
    Ok(match &wanted.entrypoint {
        Some(entrypoint) => {
            edits.entrypoint = Some(entrypoint.clone());
            edits.cmd = Some(Vec::new());
            None
        }
        None => later_cmd,
    })
}

/// What a template makes of any base.
pub(super) fn template_edits(template: &Template) -> ConfigEdits {
    let image = &template.metadata.image;
    ConfigEdits {
        // What a base that is a builder itself says of its own scripts would be wrong about ours.
        removed_env: CONTRACT_VARIABLES.map(str::to_owned).into(),
        removed_labels: CONTRACT_LABELS.map(str::to_owned).into(),
        env: image.env.clone().into_iter().collect(),
        labels: image.labels.clone(),
        exposed_ports: image.ports.clone(),
        working_dir: Some(image.working_directory.to_string()),
        user: Some(image.user.to_string()),
        entrypoint: Some(image.entrypoint.clone()),
        cmd: Some(Vec::new()),
        ..ConfigEdits::default()
    }
}

fn generated_labels(image: &ImageFacts<'_>, created: &str) -> BTreeMap<String, String> {
    let stem = stem(&image.artifact.name).to_owned();
    let mut labels = BTreeMap::from([
        ("io.openshift.s2i.build.image".to_owned(), build_image(image)),
        ("io.k8s.display-name".to_owned(), stem.clone()),
        ("org.opencontainers.image.created".to_owned(), created.to_owned()),
        ("org.opencontainers.image.title".to_owned(), stem),
        ("io.b2i.artifact.name".to_owned(), image.artifact.name.clone()),
    ]);
    // A path names the machine that builds; S2I's source-location is kept for what others can fetch too.
    let location = match &image.artifact.origin {
        Origin::Url { url } | Origin::Sources { location: Some(url) } => {
            labels.insert("org.opencontainers.image.source".into(), url.clone());
            url.clone()
        }
        Origin::File { .. } | Origin::Stdin | Origin::Sources { location: None } => {
            image.artifact.name.clone()
        }
    };
    labels.insert("io.openshift.s2i.build.source-location".into(), location);
    labels
}

/// The builder image, as S2I's label names it; a template on a base is one that was never built.
fn build_image(image: &ImageFacts<'_>) -> String {
    match image.selection {
        Selection::Template(choice) => format!("{}:{}", choice.template.name(), choice.version.version),
        Selection::Image(image) => image.reference.recorded(),
    }
}

pub(super) fn rfc3339(date: u64) -> Result<String, PlanError> {
    let seconds = i64::try_from(date).map_err(|_| PlanError::Date(date))?;
    let date = jiff::Timestamp::from_second(seconds).map_err(|_| PlanError::Date(date))?;
    Ok(date.to_string())
}
