//! Owns rejecting a JAR without its libraries or main class. Must not read other artifacts.

use crate::detect::facts::Kind;
use crate::detect::{DetectError, Facts};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::input::{Artifact, ClassSearch, find_class, missing_class_path};
use crate::request::{BuilderRequest, Request};

/// Why a JAR cannot start.
#[derive(Debug, thiserror::Error)]
pub enum JarError {
    #[error("`{name}` needs JARs beside it that are not there: {}", missing.join(", "))]
    ClassPath { name: String, missing: Vec<String> },
    #[error("`{name}` cannot be started: its main class `{class}` is neither in it nor on its Class-Path")]
    MainClass { name: String, class: String },
}

impl Diagnostic for JarError {
    fn kind(&self) -> FailureKind {
        FailureKind::Artifact
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ClassPath { missing, .. } => {
                let directory = missing.first().and_then(|path| path.split_once('/')).map(|(top, _)| top);
                vec![match directory {
                    Some(directory) => format!("add them with `--add {directory}/`"),
                    None => "add them with `--add FILE`".into(),
                }]
            }
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
pub(crate) fn check_jar(request: &Request, artifact: &Artifact, facts: &Facts) -> Result<(), Error> {
    check_class_path(artifact, facts)?;
    check_main_class(request, artifact, facts)
}

fn check_class_path(artifact: &Artifact, facts: &Facts) -> Result<(), Error> {
    let Kind::Jar(jar) = &facts.kind else { return Ok(()) };
    let missing = missing_class_path(&jar.class_path, artifact.directory(), &artifact.added);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(JarError::ClassPath { name: artifact.name.clone(), missing }.into())
    }
}

/// Rejects a JAR whose main class is in no file of its class path.
fn check_main_class(request: &Request, artifact: &Artifact, facts: &Facts) -> Result<(), Error> {
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
    let found = find_class(&jar.main_class, &jar.class_path, artifact.directory(), &artifact.added);
    match found.map_err(unreadable)? {
        ClassSearch::Found | ClassSearch::Unknown => Ok(()),
        ClassSearch::Absent => {
            Err(JarError::MainClass { name: artifact.name.clone(), class: jar.main_class.clone() }.into())
        }
    }
}
