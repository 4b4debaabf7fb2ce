//! Owns what a JAR lacks: warns of libraries, and rejects a JAR without its main class. Must not read other artifacts.

use crate::builder::{Places, Selection};
use crate::detect::facts::{JarFacts, Kind};
use crate::detect::{DetectError, Facts};
use crate::diagnostic::{Diagnostic, FailureKind, Warning};
use crate::error::Error;
use crate::image::ImagePath;
use crate::input::{Artifact, ClassSearch, MissingJars, Origin, class_path_options, find_class};
use crate::plan::PlanError;
use crate::request::{BuilderRequest, Request};

/// The limit of paths in a warning.
const MOST_SHOWN: usize = 5;

/// Why a JAR cannot start.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    #[error("`{name}` cannot be started: its main class `{class}` is neither in it nor on its Class-Path")]
    MainClass { name: String, class: String, add: Option<String> },
}

impl Diagnostic for JarError {
    fn kind(&self) -> FailureKind {
        FailureKind::Artifact
    }

    fn hints(&self) -> Vec<String> {
        let Self::MainClass { add, .. } = self;
        let library = "add its library with `--add FILE` if the JAR's Class-Path names it";
        vec![
            add.clone().unwrap_or_else(|| library.into()),
            "or set the class to start with `--main-class`".into(),
        ]
    }
}

/// Warns of missing libraries of a JAR, and rejects a JAR whose main class is in no file of its class path.
///
/// # Errors
/// [`JarError`] with the missing class.
pub(crate) fn check_jar(
    request: &Request,
    artifact: &Artifact,
    facts: &Facts,
    selection: &Selection,
) -> Result<Option<Warning>, Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(None) };
    let (artifact_path, beside) = match selection {
        Selection::Template(choice) => {
            let placement = choice.template.placement(None)?;
            (placement.artifact, placement.beside)
        }
        // The place that a foreign script gives the JAR is unknown. Most scripts keep the files beside it there.
        Selection::Image(_) => (usual_place("/opt/app-root/bin/binary"), usual_place("/opt/app-root/bin")),
    };
    let places =
        Places::new(&artifact_path, &beside, artifact.tree_path.as_deref()).map_err(PlanError::from)?;
    let missing = MissingJars::of(&jar.class_path, (&places.artifact, &places.top), &artifact.added);
    let hint = hint(artifact, &places, &missing);
    check_main_class(request, artifact, jar, &places, hint.as_ref())?;
    Ok(message(&artifact.name, &missing).map(|message| Warning { message, hint }))
}

fn usual_place(path: &str) -> ImagePath {
    ImagePath::new(path).expect("absolute and normal")
}

fn message(name: &str, missing: &MissingJars) -> Option<String> {
    let mut parts = Vec::new();
    if !missing.relative.is_empty() {
        let paths = shown(&missing.relative);
        parts.push(format!("JARs on the Class-Path of `{name}` do not come along: {paths}"));
    }
    if !missing.absolute.is_empty() {
        let paths = shown(&missing.absolute);
        parts
            .push(format!("the Class-Path of `{name}` has absolute paths, which the base may lack: {paths}"));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The options that add what is missing: with their paths if they are beside the input.
fn hint(artifact: &Artifact, places: &Places, missing: &MissingJars) -> Option<String> {
    let options = match &artifact.origin {
        Origin::File { path } => class_path_options(path, &places.artifact, &missing.relative),
        Origin::Stdin | Origin::Url { .. } | Origin::Sources { .. } => Vec::new(),
    };
    if options.is_empty() {
        let entry = missing.relative.iter().find(|entry| !entry.starts_with(".."))?;
        return Some(format!("if the program needs them, add each with its path: `--add FILE:{entry}`"));
    }
    Some(format!("add them with `{}`", options.join(" ")))
}

fn shown(paths: &[String]) -> String {
    let first = paths[..paths.len().min(MOST_SHOWN)].join(", ");
    match paths.len() - paths.len().min(MOST_SHOWN) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn check_main_class(
    request: &Request,
    artifact: &Artifact,
    jar: &JarFacts,
    places: &Places,
    add: Option<&String>,
) -> Result<(), Error> {
    // A foreign script, or a variable, may set another main class.
    let is_foreign = matches!(request.builder, Some(BuilderRequest::Image(_)));
    let is_set = |name: &str| request.image.env.iter().any(|(set, _)| set == name);
    let is_of_java =
        ["java.", "javax.", "jdk.", "sun.", "com.sun."].iter().any(|start| jar.main_class.starts_with(start));
    if jar.has_main_class || is_of_java || is_foreign || is_set("JAVA_MAIN_CLASS") || is_set("JAVA_CLASSPATH")
    {
        return Ok(());
    }
    let unreadable = |source| DetectError::Read { name: artifact.name.clone(), source };
    let mut class_path = jar.class_path.clone();
    if request.main_class.is_some() {
        class_path.extend(artifact.added_jars(&places.top).iter().map(ToString::to_string));
    }
    let places = (&places.artifact, &places.top);
    let found = find_class(&jar.main_class, &class_path, places, &artifact.added);
    match found.map_err(unreadable)? {
        ClassSearch::Found | ClassSearch::Unknown => Ok(()),
        ClassSearch::Absent => Err(JarError::MainClass {
            name: artifact.name.clone(),
            class: jar.main_class.clone(),
            add: add.cloned(),
        }
        .into()),
    }
}
