//! Owns the error of the road: whatever a room failed with, and the few failures between rooms.

mod hints;

use crate::assemble::RunError;
use crate::builder::BuilderError;
use crate::detect::DetectError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::EngineError;
use crate::engine::sandbox::SandboxError;
use crate::fs::FileError;
use crate::image::config::InvalidConfig;
use crate::image::layer::InvalidLayer;
use crate::image::{InvalidImage, Platform};
use crate::input::InputError;
use crate::pipeline::source::RemovalError;
use crate::plan::dockerfile::DockerfileError;
use crate::plan::{PlanError, SourcePlanError};
use crate::source_build::ephemeral::EphemeralError;
use crate::source_build::incremental::SaveError;
use crate::source_build::on_build::OnBuildError;
use crate::source_build::produced::ProducedError;
use crate::source_build::runtime_artifacts::RuntimeArtifactError;
use crate::sources::{SourceError, environment::EnvironmentError};
use crate::store::archive::{ArchiveError, ReadArchiveError};
use crate::store::credentials::CredentialsError;
use crate::store::daemon::DaemonError;
use crate::store::layout::LayoutError;
use crate::store::registry::RegistryError;
use crate::transport::Transport;

/// Why something on the road failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fetching the input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Reading the facts.
    #[error(transparent)]
    Detect(#[from] DetectError),
    /// Choosing the builder.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// Planning.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Planning what becomes of sources.
    #[error(transparent)]
    SourcePlan(SourcePlanError),
    /// Rendering the plan as a Dockerfile.
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    /// The daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Keeping credentials, or finding them.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// An engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Running a script.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The cache, a lease or an output file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Writing an output file.
    #[error(transparent)]
    Output(FileError),
    /// Writing an OCI layout.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Writing an archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Reading an archive.
    #[error(transparent)]
    ReadArchive(#[from] ReadArchiveError),
    /// A place that nothing can be copied to.
    #[error("nothing can be copied to `{place}`")]
    Destination {
        /// The place.
        place: String,
    },
    /// The placement contradicts itself: two added files want one place.
    #[error(transparent)]
    Layer(#[from] InvalidLayer),
    /// The base's config cannot be used.
    #[error("the config of the base image `{base}` cannot be used")]
    Config {
        /// The base.
        base: String,
        /// Why not.
        source: InvalidConfig,
    },
    /// The JAR names libraries that are not there.
    #[error("`{name}` needs JARs beside it that are not there: {}", missing.join(", "))]
    ClassPath {
        /// The JAR.
        name: String,
        /// What its manifest names.
        missing: Vec<String>,
    },
    /// The main class is nowhere.
    #[error("`{name}` cannot be started: its main class `{class}` is neither in it nor on its Class-Path")]
    MainClass {
        /// The JAR.
        name: String,
        /// The class.
        class: String,
    },
    /// The program that `--run` is to start did not run in the sandbox. The image is where it was to go.
    #[error("{error}")]
    Program {
        /// Why.
        error: EngineError,
        /// Where the image went.
        outputs: Vec<Transport>,
    },
    /// A network that the program which `--run` is to start cannot have. Nothing was built.
    #[error("`--run` starts the program in the sandbox, as no daemon gets the image: {0}")]
    ProgramNetwork(SandboxError),
    /// A push without network.
    #[error("`{name}` is in a registry, and the network is not used (`--offline`)")]
    OfflinePush {
        /// The first name.
        name: String,
    },
    /// A request without an artifact.
    #[error("the request names no artifact")]
    NoArtifact,
    /// A result that would replace what it is made of.
    #[error("`{path}` is to be written, and it is what is read")]
    OwnInput {
        /// The file.
        path: String,
    },
    /// A directory that is to be written to is not empty.
    #[error("`{directory}` is there already and not empty")]
    NotEmpty {
        /// The directory.
        directory: String,
    },
    /// The built-in base needs no check.
    #[error("the built-in base of `{builder}` is part of b2i; there is no image to check")]
    NothingToCheck {
        /// The builder.
        builder: String,
    },
    /// The daemon has another image under the base's name.
    #[error("the daemon's image `{base}` has other layers than the registry's")]
    OtherBase {
        /// The base.
        base: String,
    },
    /// The variables of the sources.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// An ONBUILD instruction that is not carried out.
    #[error(transparent)]
    OnBuild(#[from] OnBuildError),
    /// A removal that is asked for where nothing can be removed.
    #[error(transparent)]
    Removal(#[from] RemovalError),
    /// An earlier result whose builder saves nothing.
    #[error("`{image}` has no script `save-artifacts`")]
    NoSaveArtifacts {
        /// The image.
        image: String,
    },
    /// Files for `assemble` alone that another script would see.
    #[error(
        "in the sandbox, `save-artifacts` would see the secrets and injected files that are for `assemble` alone"
    )]
    SavesSecrets,
    /// Running `save-artifacts`.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// A file that is to be there while `assemble` runs.
    #[error(transparent)]
    Ephemeral(#[from] EphemeralError),
    /// The place that the user named for scripts has none.
    #[error("`{place}` has none of the scripts `assemble`, `run` and `save-artifacts`")]
    NoNamedScripts {
        /// The place.
        place: String,
    },
    /// A script took too long to come.
    #[error("the script `{place}` did not come within {seconds} s")]
    ScriptsTimeout {
        /// Where from.
        place: String,
        /// How long was waited.
        seconds: u64,
    },
    /// What is at a script's place is none.
    #[error("`{place}` is larger than a script may be, which is {limit} bytes")]
    ScriptTooLarge {
        /// Where it is.
        place: String,
        /// The limit.
        limit: u64,
    },
    /// Fetching the sources.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Taking the artifact out of a container.
    #[error(transparent)]
    Produced(#[from] ProducedError),
    /// Taking what a runtime image gets out of a container.
    #[error(transparent)]
    RuntimeArtifact(#[from] RuntimeArtifactError),
    /// An image that says nothing of how it was built.
    #[error("`{image}` cannot be built again: it has no label `{label}`")]
    NotBuilt {
        /// The image.
        image: String,
        /// The label that is missing.
        label: &'static str,
    },
    /// An image of an artifact, which nothing says the sources of.
    #[error("`{image}` cannot be built again: it was made of the artifact `{artifact}`, not of sources")]
    NotOfSources {
        /// The image.
        image: String,
        /// The artifact's name.
        artifact: String,
    },
    /// The sources of an image are not where it is built again.
    #[error("`{image}` was built from sources that it calls `{place}`, and here is nothing of that name")]
    SourcesElsewhere {
        /// The image.
        image: String,
        /// What it calls them.
        place: String,
    },
    /// A plan without outputs.
    #[error("the image was to be written nowhere")]
    NoOutput,
    /// A script for another platform than that of the machine that ran it.
    #[error("a script of an image for {platform} did not run on {native}")]
    ForeignScript {
        /// The image's platform.
        platform: Platform,
        /// The machine's.
        native: Platform,
        /// How it ended.
        source: Box<Error>,
    },
    /// An engine was asked for and none answers.
    #[error("no daemon answers")]
    NoDaemon,
}

impl From<SandboxError> for Error {
    fn from(error: SandboxError) -> Self {
        Self::Engine(error.into())
    }
}

impl Error {
    fn failure(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            Self::Input(error) => error,
            Self::Detect(error) => error,
            Self::Builder(error) => error,
            Self::Plan(error) => error,
            Self::SourcePlan(error) => error,
            Self::Dockerfile(error) => error,
            Self::Daemon(error) => error,
            Self::Registry(error) => error,
            Self::Credentials(error) => error,
            Self::Run(error) => error,
            Self::Engine(error) | Self::Program { error, .. } => error,
            Self::Save(error) => error,
            Self::File(error) => error,
            Self::Archive(error) => error,
            Self::ReadArchive(error) => error,
            Self::Layout(error) => error,
            Self::Source(error) => error,
            Self::Produced(error) => error,
            Self::RuntimeArtifact(error) => error,
            Self::OnBuild(error) => error,
            Self::Removal(error) => error,
            Self::Output(error) => error,
            _ => return None,
        })
    }
}

impl From<InvalidImage> for Error {
    fn from(error: InvalidImage) -> Self {
        Self::Archive(error.into())
    }
}

impl Diagnostic for Error {
    fn kind(&self) -> FailureKind {
        // The same errors of the cache are about this machine, not about the image.
        if matches!(self, Self::Output(FileError::System { .. } | FileError::Full { .. })) {
            return FailureKind::Image;
        }
        if let Some(failure) = self.failure() {
            return failure.kind();
        }
        match self {
            Self::ForeignScript { source, .. } => source.kind(),
            Self::Config { .. } | Self::OtherBase { .. } => FailureKind::Builder,
            Self::NoOutput => FailureKind::Unexpected,
            Self::ClassPath { .. } | Self::MainClass { .. } => FailureKind::Artifact,
            Self::Environment(_)
            | Self::Ephemeral(_)
            | Self::NoNamedScripts { .. }
            | Self::SourcesElsewhere { .. }
            | Self::ScriptsTimeout { .. }
            | Self::ScriptTooLarge { .. } => FailureKind::Input,
            Self::NoDaemon => FailureKind::Engine,
            _ => FailureKind::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        hints::hints(self)
    }
}

impl From<SourcePlanError> for Error {
    fn from(error: SourcePlanError) -> Self {
        match error {
            // One kind of error has one variant, whoever found it.
            SourcePlanError::Builder(error) => Self::Builder(error),
            error => Self::SourcePlan(error),
        }
    }
}
