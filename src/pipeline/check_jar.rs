//! Owns rejecting a JAR without its libraries or main class. Must not read other artifacts.

use crate::builder::{Places, Selection};
use crate::detect::facts::Kind;
use crate::detect::{DetectError, Facts};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::image::ImagePath;
use crate::input::{Artifact, ClassSearch, Origin, class_path_options, find_class, missing_class_path};
use crate::plan::PlanError;
use crate::request::{BuilderRequest, Request};

/// Why a JAR cannot start.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    #[error("`{name}` needs JARs beside it that are not there: {}", missing.join(", "))]
    ClassPath {
        name: String,
        missing: Vec<String>,
        /// The options that add those which are beside the input.
        options: Vec<String>,
    },
    #[error("`{name}` cannot be started: its main class `{class}` is neither in it nor on its Class-Path")]
    MainClass { name: String, class: String },
}

impl Diagnostic for JarError {
    fn kind(&self) -> FailureKind {
        FailureKind::Artifact
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ClassPath { missing, options, .. } => vec![match &options[..] {
                [] => {
                    let first = missing.first().map(String::as_str).unwrap_or_default();
                    format!("add each with its path: `--add FILE:{first}`")
                }
                options => format!("add them with `{}`", options.join(" ")),
            }],
            Self::MainClass { .. } => vec![
                "set the class to start with `--main-class`".into(),
                "or add its library with `--add FILE` if the JAR's Class-Path names it".into(),
            ],
        }
    }
}

/// Checks the libraries and the main class of a JAR.
///
/// # Errors
/// [`JarError`] with what is missing.
pub(crate) fn check_jar(
    request: &Request,
    artifact: &Artifact,
    facts: &Facts,
    selection: &Selection,
) -> Result<(), Error> {
    let Kind::Jar(_) = &facts.kind else { return Ok(()) };
    let (artifact_path, beside) = match selection {
        Selection::Template(choice) => {
            let placement = choice.template.placement(None)?;
            (placement.artifact, placement.beside)
        }
        // Where its script puts the JAR is unknown; most keep what is beside it beside it.
        Selection::Image(_) => (usual_place("/opt/app-root/bin/binary"), usual_place("/opt/app-root/bin")),
    };
    let places =
        Places::new(&artifact_path, &beside, artifact.tree_path.as_deref()).map_err(PlanError::from)?;
    check_class_path(artifact, facts, &places)?;
    check_main_class(request, artifact, facts, &places)
}

fn usual_place(path: &str) -> ImagePath {
    ImagePath::new(path).expect("absolute and normal")
}

fn check_class_path(artifact: &Artifact, facts: &Facts, places: &Places) -> Result<(), Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(()) };
    let missing = missing_class_path(&jar.class_path, (&places.artifact, &places.top), &artifact.added);
    if missing.is_empty() {
        return Ok(());
    }
    let options = match &artifact.origin {
        Origin::File { path } => class_path_options(path, &places.artifact, &missing),
        Origin::Stdin | Origin::Url { .. } | Origin::Sources { .. } => Vec::new(),
    };
    Err(JarError::ClassPath { name: artifact.name.clone(), missing, options }.into())
}

/// Rejects a JAR whose main class is in no file of its class path.
fn check_main_class(
    request: &Request,
    artifact: &Artifact,
    facts: &Facts,
    places: &Places,
) -> Result<(), Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(()) };
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
    let places = (&places.artifact, &places.top);
    let found = find_class(&jar.main_class, &jar.class_path, places, &artifact.added);
    match found.map_err(unreadable)? {
        ClassSearch::Found | ClassSearch::Unknown => Ok(()),
        ClassSearch::Absent => {
            Err(JarError::MainClass { name: artifact.name.clone(), class: jar.main_class.clone() }.into())
        }
    }
}
