//! Owns the runtime image of an extended build: what is planned for it, and carrying that out.
//!
//! Nothing of it is optional in silence: an image that cannot be pulled, a user that is not allowed and an artifact that
//! is not there end the build. Whether there is an `assemble-runtime` or a `run` is the image's affair, as long as
//! something starts the result.

use super::image::MadeImage;
use super::run::SourceWork;
use super::saved_artifacts::KeptArtifacts;
use super::stage::{Decided, below};
use crate::assemble::RunError;
use crate::builder::S2iContract;
use crate::diagnostic::Warning;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::engine::docker::DockerEngine;
use crate::engine::sandbox::SandboxEngine;
use crate::engine::{Container, Engine};
use crate::error::Error;
use crate::image::{BaseImage, ImageConfig, ImagePath};
use crate::pipeline::sandbox::sandbox_image;
use crate::pipeline::script::container_limits;
use crate::pipeline::stage::UsedContainer;
use crate::plan::{EngineKind, PlannedRuntime};
use crate::request::{RuntimeArtifactPlace, RuntimeRequest};
use crate::source_build::assemble::AssembledSources;
use crate::source_build::assemble_runtime::{RuntimeRun, assemble_runtime};
use crate::source_build::incremental::SaveError;
use crate::source_build::runtime_artifacts::{RuntimeArtifactError, RuntimeArtifacts};
use crate::source_build::uids::check_user;

/// A runtime image that makes no result.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeImageError {
    /// Something else is to become of the artifact.
    #[error(
        "`--artifact` makes an image of one artifact, and `--runtime-image` puts artifacts into another image"
    )]
    Artifact,
    /// Nobody says what it gets.
    #[error("nothing says what the runtime image `{image}` gets of what is built")]
    NoArtifacts {
        /// The image.
        image: String,
    },
    /// The result would do nothing.
    #[error(
        "nothing starts the result: the runtime image `{image}` has neither scripts nor a command of its own"
    )]
    NothingStarts {
        /// The image.
        image: String,
    },
}

impl Diagnostic for RuntimeImageError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Artifact | Self::NoArtifacts { .. } => FailureKind::Usage,
            Self::NothingStarts { .. } => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Artifact => "name what the runtime image gets with `--runtime-artifact PATH`".into(),
            Self::NoArtifacts { .. } => {
                "name it with `--runtime-artifact PATH`, or in the image's label `io.openshift.s2i.assemble-input-files`"
                    .into()
            }
            Self::NothingStarts { .. } => "put a script `run` into the sources, in `.s2i/bin`".into(),
        }]
    }
}

/// Plans what becomes of the runtime image, if there is one.
pub(super) fn plan(decided: &Decided<'_>) -> Result<Option<PlannedRuntime>, Error> {
    let (Some(wanted), Some(image)) = (&decided.wanted.runtime, decided.runtime) else { return Ok(None) };
    if decided.wanted.artifact.is_some() {
        return Err(RuntimeImageError::Artifact.into());
    }
    let directory = working_directory(&image.config)?;
    let allow_root = decided.request.limits.allow_root;
    let asked = wanted.assemble_user.as_deref();
    let user = S2iContract::runtime_user_of(&image.name, &image.config, asked, allow_root)?;
    let allowed = &decided.wanted.allowed_uids;
    check_user(allowed, &user, &format!("`assemble-runtime` of the runtime image `{}`", image.name))?;
    check_user(allowed, image.config.user(), &format!("the runtime image `{}`", image.name))?;
    let own = || S2iContract::scripts_of(&image.name, &image.config);
    let run = decided.scripts.place("run", &directory, own)?;
    let starts = ["Entrypoint", "Cmd"].iter().any(|field| !image.config.list(field).is_empty());
    if run.is_none() && !starts && decided.request.image.entrypoint.is_none() {
        return Err(RuntimeImageError::NothingStarts { image: image.name.clone() }.into());
    }
    Ok(Some(PlannedRuntime {
        image: wanted.image.clone(),
        artifacts: artifacts(wanted, image, &directory)?,
        user,
        assemble: decided.scripts.place("assemble-runtime", &directory, own)?,
        run,
        keeps_artifacts: decided.wanted.incremental.as_ref().is_some_and(|previous| previous.image.is_none())
            && decided.on_build.is_none(),
        destination: directory,
    }))
}

/// What is taken, and the directory in the runtime image that it goes to.
fn artifacts(
    wanted: &RuntimeRequest,
    image: &BaseImage,
    working_directory: &ImagePath,
) -> Result<Vec<(ImagePath, ImagePath)>, Error> {
    let stated = || {
        let listed = S2iContract::input_files_of(&image.name, &image.config);
        let places = listed.iter().map(|text| text.parse::<RuntimeArtifactPlace>());
        places.collect::<Result<Vec<_>, String>>().map_err(|reason| {
            let reason = format!("in which one place is none: {reason}");
            S2iContract::invalid_input_file(&image.name, &image.config, &reason)
        })
    };
    let places = match wanted.artifacts.is_empty() {
        true => stated()?,
        false => wanted.artifacts.clone(),
    };
    if places.is_empty() {
        return Err(RuntimeImageError::NoArtifacts { image: image.name.clone() }.into());
    }
    let placed = places.into_iter().map(|place| {
        let directory = match &place.directory {
            Some(directory) => below(working_directory, directory, "`--runtime-artifact`")?,
            None => working_directory.clone(),
        };
        Ok((place.source, directory))
    });
    placed.collect()
}

fn working_directory(config: &ImageConfig) -> Result<ImagePath, Error> {
    let stated = config.working_dir();
    let absolute = if stated.is_empty() { "/" } else { stated };
    let what = "the working directory of the runtime image";
    ImagePath::new(absolute).map_err(|source| Error::SourcePlace { what, source })
}

/// What the runtime image asks for and does not get.
pub(super) fn warning(image: &BaseImage) -> Option<Warning> {
    let count = image.config.list("OnBuild").len();
    (count > 0).then(|| Warning {
        message: format!(
            "the {count} ONBUILD instructions of the runtime image are not carried out: it gets finished artifacts"
        ),
        hint: None,
    })
}

impl SourceWork<'_> {
    /// Takes the artifacts out of the assembled builder, which saves what the next build can use and goes then, and fills the runtime image with them.
    pub(super) async fn fill_runtime<C: Container>(
        &self,
        runtime: &PlannedRuntime,
        assembled: AssembledSources<C>,
        kept: Option<KeptArtifacts>,
    ) -> Result<MadeImage, Error>
    where
        Error: From<RuntimeArtifactError<C::Error>> + From<SaveError<C::Error>> + From<C::Error>,
    {
        let prepared = self.prepared;
        let AssembledSources { container, labels } = assembled;
        let directory = prepared.lease.temporary_directory();
        let limit = self.request.input.max_size;
        let taken = RuntimeArtifacts::take(&container, &runtime.artifacts, limit, directory).await;
        let removed = match kept.filter(|_| taken.is_ok()) {
            Some(kept) => {
                self.keep(container, &kept).await;
                Ok(())
            }
            None => container.remove().await,
        };
        let artifacts = taken?;
        removed?;
        let base = prepared.runtime.as_ref().expect("a runtime image that is planned was found");
        let made = match prepared.stage.engine {
            EngineKind::Docker => {
                let daemon = prepared.daemon.as_ref().ok_or(Error::NoDaemon)?;
                let engine = DockerEngine::new(daemon.clone(), directory.to_owned());
                let image = daemon.ensure_loaded(base, prepared.lease.id()).await?;
                self.fill_on(&engine, &image, runtime, &artifacts, UsedContainer::Docker).await?
            }
            EngineKind::Sandbox => {
                let events = self.session.events.clone();
                let engine = SandboxEngine::new(self.sandbox_settings(), sandbox_image(base)?, events);
                self.fill_on(&engine, &base.name, runtime, &artifacts, UsedContainer::Sandbox).await?
            }
        };
        // What the later script says counts.
        let mut all = labels;
        all.extend(made.labels);
        Ok(MadeImage { labels: all, ..made })
    }

    async fn fill_on<E: Engine>(
        &self,
        engine: &E,
        image: &str,
        runtime: &PlannedRuntime,
        artifacts: &RuntimeArtifacts,
        used: impl FnOnce(E::Container) -> UsedContainer,
    ) -> Result<MadeImage, Error>
    where
        E::Container: Container<Error = E::Error>,
        Error: From<RunError<E::Error>> + From<E::Error>,
    {
        let prepared = self.prepared;
        let run = RuntimeRun {
            stage: &prepared.stage,
            runtime,
            image,
            artifacts,
            scripts: &prepared.scripts,
            limits: container_limits(&prepared.stage.limits),
            commit_config: prepared.runtime.as_ref().and_then(|base| self.commit_config(base)),
            date: self.date(),
            lease: prepared.lease.id(),
        };
        let assembled = assemble_runtime(engine, run, &self.session.events).await?;
        let base = prepared.runtime.clone().expect("a runtime image that is planned was found");
        self.made(base, assembled, used).await
    }
}
