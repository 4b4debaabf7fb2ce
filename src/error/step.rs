//! Owns the errors of steps that no code matches on. Must not change their words, kinds or hints.

use std::{error, fmt};

use super::Error;
use crate::detect::DetectError;
use crate::diagnostic::Diagnostic;
use crate::fs::FileError;
use crate::host::SecretError;
use crate::ops::RebuildError;
use crate::pipeline::JarError;
use crate::pipeline::source::{RemovalError, ScriptsError};
use crate::plan::dockerfile::DockerfileError;
use crate::request::RequestError;
use crate::source_build::ephemeral::EphemeralError;
use crate::source_build::extraction::ExtractionError;
use crate::source_build::incremental::SaveError;
use crate::source_build::on_build::OnBuildError;
use crate::sources::environment::EnvironmentError;
use crate::store::archive::{ArchiveError, ReadArchiveError};
use crate::store::credentials::CredentialsError;
use crate::store::layout::LayoutError;

/// The error of one step.
#[derive(Debug)]
pub struct StepError(pub(super) Box<dyn Diagnostic>);

impl fmt::Display for StepError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl error::Error for StepError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source()
    }
}

/// `From` for each type: a blanket impl for `Diagnostic` would overlap with the reflexive `From`.
macro_rules! steps {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::Step(StepError(Box::new(error)))
            }
        })*
    };
}

steps!(
    ArchiveError,
    CredentialsError,
    DetectError,
    DockerfileError,
    EnvironmentError,
    EphemeralError,
    ExtractionError,
    FileError,
    JarError,
    LayoutError,
    OnBuildError,
    ReadArchiveError,
    RebuildError,
    RemovalError,
    RequestError,
    SaveError,
    ScriptsError,
    SecretError,
);
