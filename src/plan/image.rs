//! Owns planning the config of an image: environment, labels, user and entrypoint. Must not make b2i's labels; `labels` does.

use super::labels::{LabelFacts, Labels, RecordedBuilder};
use super::make::ImageFacts;
use super::{Placeholder, PlanError, PlannedImage, PlannedText};
use crate::base_files::{CERTIFICATES, CERTIFICATES_VARIABLE};
use crate::builder::s2i_contract::{CONTRACT_LABELS, CONTRACT_VARIABLES};
use crate::builder::{Placement, Places, RecordedBase, Selection, Template};
use crate::detect::facts::{Kind, Payload};
use crate::image::ConfigEdits;
use crate::image::config::set_env;
use crate::image::shell_words;
use crate::input::Origin;
use crate::request::{ImageRequest, Request};

/// Default arguments, which `run` puts before the container's.
const ARGS: &str = "ARGS";

/// The main class for `run`, as in S2I's builders for Java.
const MAIN_CLASS: &str = "JAVA_MAIN_CLASS";

/// More entries of the class path, and options of Java, as the template's `run` script reads them.
const CLASS_PATH: &str = "JAVA_CLASSPATH";
const JAVA_OPTIONS: &str = "JAVA_OPTIONS";

/// Options that the launcher of Java puts before its arguments.
const JDK_OPTIONS: &str = "JDK_JAVA_OPTIONS";

pub(super) fn planned_image(
    request: &Request,
    image: &ImageFacts<'_>,
    date: u64,
) -> Result<PlannedImage, PlanError> {
    let options = &request.image;
    let (mut edits, base_name, later_cmd, resets) = match image.selection {
        Selection::Template(choice) => {
            let mut edits = template_edits(&choice.template);
            if choice.needs_certificates() {
                set_env(&mut edits.env, &[(CERTIFICATES_VARIABLE.into(), CERTIFICATES.into())]);
            }
            (edits, choice.base.recorded(), None, vec!["Entrypoint", "Cmd", "OnBuild"])
        }
        Selection::Image(image) => {
            // S2I's rule: the entrypoint of the builder image stays, and `run` is the command.
            let run = vec![PlannedText::later(Placeholder::BuilderScripts, "/run")];
            (
                ConfigEdits::default(),
                RecordedBase::Name(image.reference.recorded()),
                Some(run),
                vec!["Cmd", "OnBuild"],
            )
        }
    };
    edits.reset_on_build = true;
    edits.created = rfc3339(request.created_date().unwrap_or(date))?;
    let later_history = match image.name() {
        PlannedText::Known(name) => {
            edits.history = history(&name);
            None
        }
        later => Some(later),
    };
    let later_labels = labels(image, base_name, &edits.created).apply(&mut edits);
    if image.is_declared {
        // b2i's labels take precedence over the template's, also as placeholders.
        edits.labels.retain(|name, _| {
            !later_labels.iter().any(|(later, text)| later == name && text.is_of_artifact())
        });
    }
    if let Selection::Template(choice) = image.selection
        && image.artifact.tree_path.is_some()
    {
        // The working directory is the top of the tree, as after `cd tool-1.2 && bin/tool`.
        let Placement { artifact, beside, .. } =
            choice.template.placement(options.context_path.as_deref())?;
        let places = Places::new(&artifact, &beside, image.artifact.tree_path.as_deref())?;
        edits.working_dir = Some(places.top.to_string());
    }
    set_env(&mut edits.env, &payload_environment(image));
    if let Some(options) = source_launcher(image) {
        set_env(&mut edits.env, &[(JDK_OPTIONS.into(), options)]);
    }
    if let (Some(main_class), Kind::Jar(_)) = (&request.main_class, &image.facts.kind) {
        set_env(&mut edits.env, &[(MAIN_CLASS.into(), main_class.clone())]);
        let class_path = added_jars(request, image)?.join(":");
        if !class_path.is_empty() {
            set_env(&mut edits.env, &[(CLASS_PATH.into(), class_path)]);
        }
    }
    if has_preview(image) {
        set_env(&mut edits.env, &[(JAVA_OPTIONS.into(), "--enable-preview".into())]);
    }
    let later_cmd = apply_request(options, &mut edits, later_cmd)?;
    let annotations = options.annotations.clone();
    let resets = resets.into_iter().map(str::to_owned).collect();
    Ok(PlannedImage { edits, later_history, later_labels, later_cmd, annotations, resets })
}

/// The variables without which the payload of an executable does not start in a container.
fn payload_environment(image: &ImageFacts<'_>) -> Vec<(String, String)> {
    let (Kind::Executable(facts), Selection::Template(_)) = (&image.facts.kind, image.selection) else {
        return Vec::new();
    };
    let name = match facts.payload {
        // There is no FUSE.
        Some(Payload::AppImage { .. }) => "APPIMAGE_EXTRACT_AND_RUN",
        // There is no ICU.
        Some(Payload::DotNet) => "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT",
        _ => return Vec::new(),
    };
    vec![(name.into(), "1".into())]
}

/// The options of Java for a script that states no `--source`: without it, Java takes only a file `*.java` for a source.
fn source_launcher(image: &ImageFacts<'_>) -> Option<String> {
    let (Kind::Script(script), Selection::Template(choice)) = (&image.facts.kind, image.selection) else {
        return None;
    };
    let is_unstated = script.program == "java" && script.release.is_none();
    choice.version.level.filter(|_| is_unstated).map(|level| format!("--source {level}"))
}

/// The JARs that come along with a JAR: with the main class of the user, no manifest names them.
fn added_jars(request: &Request, image: &ImageFacts<'_>) -> Result<Vec<String>, PlanError> {
    let Selection::Template(choice) = image.selection else { return Ok(Vec::new()) };
    let Placement { artifact, beside, .. } =
        choice.template.placement(request.image.context_path.as_deref())?;
    let places = Places::new(&artifact, &beside, image.artifact.tree_path.as_deref())?;
    Ok(image.artifact.added_jars(&places.top).iter().map(ToString::to_string).collect())
}

/// Whether the classes use preview features, which Java enables by an option only.
fn has_preview(image: &ImageFacts<'_>) -> bool {
    match &image.facts.kind {
        Kind::Jar(jar) => jar.preview,
        Kind::War(war) => war.preview,
        _ => false,
    }
}

/// The line of the image's history.
pub(super) fn history(artifact: &str) -> String {
    format!("b2i: {artifact}")
}

/// Applies the user's settings. Returns the command with placeholders, unless an entrypoint replaces it.
pub(super) fn apply_request(
    options: &ImageRequest,
    edits: &mut ConfigEdits,
    later_cmd: Option<Vec<PlannedText>>,
) -> Result<Option<Vec<PlannedText>>, PlanError> {
    edits.labels.extend(options.labels.clone());
    set_env(&mut edits.env, &options.env);
    if let Some(args) = &options.args {
        if options.env.iter().any(|(name, _)| name == ARGS) {
            return Err(PlanError::ArgsTwice);
        }
        set_env(&mut edits.env, &[(ARGS.into(), shell_words::quote(args))]);
    }
    edits.exposed_ports.extend(options.ports.iter().map(ToString::to_string));
    let working_dir = options.working_dir.as_ref().map(ToString::to_string);
    edits.working_dir = working_dir.or(edits.working_dir.take());
    edits.user = options.user.as_ref().map(ToString::to_string).or(edits.user.take());
    edits.health_cmd = options.health_cmd.clone().or(edits.health_cmd.take());
    edits.stop_signal = options.stop_signal.as_ref().map(ToString::to_string).or(edits.stop_signal.take());
    Ok(match &options.entrypoint {
        Some(entrypoint) => {
            edits.entrypoint = Some(entrypoint.clone());
            edits.cmd = Some(Vec::new());
            None
        }
        None => later_cmd,
    })
}

/// The config changes of a template.
pub(super) fn template_edits(template: &Template) -> ConfigEdits {
    let image = &template.metadata.image;
    ConfigEdits {
        // The base may be a builder, whose labels are about its own scripts.
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

/// The labels of all images, and those of the artifact.
fn labels(image: &ImageFacts<'_>, base: RecordedBase, created: &str) -> Labels {
    let builder = match image.selection {
        Selection::Template(choice) => {
            RecordedBuilder::Template(format!("{}:{}", choice.template.name(), choice.version.version))
        }
        Selection::Image(choice) => RecordedBuilder::Image(choice.reference.recorded()),
    };
    let url = match &image.artifact.origin {
        Origin::Url { url } | Origin::Sources { location: Some(url) } => Some(url.as_str()),
        Origin::File { .. } | Origin::Stdin | Origin::Sources { location: None } => None,
    };
    let mut labels = Labels::new(LabelFacts {
        builder,
        base,
        title: image.stem(),
        display_name: None,
        url,
        location: url.map_or_else(|| image.name(), Into::into),
        created,
    });
    labels.set("io.b2i.artifact.digest", Placeholder::ArtifactDigest);
    labels.set("io.b2i.artifact.name", image.name());
    labels
}

pub(super) fn rfc3339(date: u64) -> Result<String, PlanError> {
    let seconds = i64::try_from(date).map_err(|_| PlanError::Date(date))?;
    let date = jiff::Timestamp::from_second(seconds).map_err(|_| PlanError::Date(date))?;
    Ok(date.to_string())
}
