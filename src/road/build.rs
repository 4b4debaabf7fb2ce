//! Owns the second half of the road: base, assemble, finish, outputs.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::prepare::{Prepared, prepare};
use super::{Built, Error, Surroundings};
use crate::assemble::{self, Inputs, RunResult, ScriptRun, run_script};
use crate::builder::{BaseName, S2iContract, Selection};
use crate::engine::docker::DockerEngine;
use crate::engine::{Changes, Container, ContainerLimits, Engine};
use crate::events::Step;
use crate::fs::AtomicFile;
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, ImagePath, ImageReference};
use crate::plan::{Assembly, KnownValues, Stage};
use crate::request::{Limits, Output, Request};
use crate::store::archive::{ArchiveError, LayerFile, unpack_for_archive, write_archive, write_from_files};
use crate::store::builtin::static_base;
use crate::store::daemon::{Daemon, PublishContext, ResolveOptions, remove_leftovers};
use crate::store::{BaseImage, BaseLayers, UnfinishedImage};

/// Where S2I puts the sources unless a label says otherwise.
const DEFAULT_DESTINATION: &str = "/tmp";

fn container_limits(limits: &Limits) -> ContainerLimits {
    ContainerLimits {
        memory: limits.memory,
        nano_cpus: limits.nano_cpus,
        pids: limits.pids,
        timeout: limits.timeout,
    }
}

/// Builds an image.
///
/// # Errors
/// [`Error`] of the step that failed; nothing half-made stays behind.
pub async fn build(request: &Request, surroundings: &Surroundings) -> Result<Built, Error> {
    let prepared = prepare(request, surroundings).await?;
    let stage = prepared.plan.stages.first().expect("a plan for a finished artifact has one stage");
    let work = Work { request, surroundings, prepared: &prepared, stage, exported: OnceCell::new() };
    let result = work.build().await;
    work.clean_up(result.is_err()).await;
    let result = result?;
    let daemon = prepared.daemon.as_ref().map(|daemon| daemon.info().flavour.command().to_owned());
    Ok(Built {
        image_id: result.image_id,
        tags: stage.tags.clone(),
        outputs: stage.outputs.clone(),
        daemon,
        ports: result.ports,
        builder: stage.builder.name.clone(),
        assembly: stage.assembly.kind(),
        assembly_reason: stage.assembly_reason.clone(),
        artifact_digest: result.artifact_digest.or(prepared.artifact.sha256),
        layer_digest: result.layer_digest,
    })
}

/// One stage on its way.
pub(super) struct Work<'a> {
    pub(super) request: &'a Request,
    pub(super) surroundings: &'a Surroundings,
    pub(super) prepared: &'a Prepared,
    pub(super) stage: &'a Stage,
    /// The layers that the daemon gave: several outputs read the same files.
    exported: OnceCell<Vec<LayerFile>>,
}

struct StageResult {
    image_id: Digest,
    ports: Vec<String>,
    artifact_digest: Option<Digest>,
    layer_digest: Option<Digest>,
}

impl Work<'_> {
    fn daemon(&self) -> Result<&Daemon, Error> {
        self.prepared.daemon.as_ref().ok_or(Error::NoDaemon)
    }

    async fn build(&self) -> Result<StageResult, Error> {
        if let Assembly::RunOnDocker { limits, .. } = &self.stage.assembly {
            let engine = DockerEngine::new(self.daemon()?.clone());
            engine.check(&container_limits(limits), limits.network.as_deref()).await?;
        }
        let base = self.base().await?;
        match &self.stage.assembly {
            Assembly::Place { entries } => self.place(entries, base).await,
            Assembly::RunOnDocker { .. } => self.run_on_docker(base).await,
        }
    }

    /// Removes what the daemon holds for this run alone: the built-in base that a script ran on, and after an error
    /// what was committed or loaded and never got its name.
    async fn clean_up(&self, failed: bool) {
        let may_hold = failed || matches!(self.stage.assembly, Assembly::RunOnDocker { .. });
        let Some(daemon) = self.prepared.daemon.as_ref().filter(|_| may_hold) else { return };
        let lease = self.prepared.lease.id().to_owned();
        if let Err(error) = remove_leftovers(daemon, &[lease]).await {
            tracing::warn!(%error, "something of this run stays in the daemon; a later run removes it");
            self.surroundings.keep_lease();
        }
    }

    async fn base(&self) -> Result<BaseImage, Error> {
        let reference = match &self.prepared.selection {
            Selection::Template(choice) => match &choice.base.image {
                BaseName::BuiltInStatic => return Ok(static_base(&self.stage.platform)),
                BaseName::Image(reference) => reference,
            },
            Selection::Image(choice) => &choice.reference,
        };
        let options = ResolveOptions {
            platform: Some(self.stage.platform.clone()),
            pull: self.request.pull,
            offline: self.request.offline,
            credential_files: self.surroundings.daemon.credential_files.clone(),
        };
        Ok(self.daemon()?.resolve(reference, &options, &self.surroundings.events).await?)
    }

    fn inputs(&self) -> Inputs<'_> {
        Inputs { artifact: &self.prepared.artifact, template: &self.prepared.template_entries }
    }

    fn publish_context(&self) -> PublishContext {
        PublishContext {
            lease: self.prepared.lease.id().to_owned(),
            spool_directory: self.prepared.lease.temporary_directory().to_owned(),
            events: self.surroundings.events.clone(),
        }
    }

    /// Performs the placement: one layer, one config, written to every output in one pass each.
    async fn place(
        &self,
        entries: &[crate::plan::PlannedEntry],
        base: BaseImage,
    ) -> Result<StageResult, Error> {
        let layer = assemble::layer(entries, self.inputs(), self.stage.date)?;
        let planned = self.stage.image.clone();
        let base_config = base.config.clone();
        let base_digest = base.manifest_digest;
        let artifact_digest = self.prepared.artifact.sha256;
        let finish = move |written: &WrittenLayer| {
            let known = KnownValues {
                artifact_digest: written.watched.or(artifact_digest).map(|digest| digest.to_string()),
                base_digest: base_digest.map(|digest| digest.to_string()),
                builder_scripts: None,
            };
            assemble::finish(&base_config, &planned.resolve(&known), &[], &[written.diff_id])
        };
        let image = UnfinishedImage {
            base,
            layer,
            annotations: self.stage.image.annotations.clone(),
            finish: Arc::new(finish),
        };
        let mut known: Option<WrittenLayer> = None;
        let mut blob = None;
        let mut image_id = None;
        for output in &self.stage.outputs {
            let written = match output {
                Output::Docker => {
                    let context = self.publish_context();
                    self.daemon()?.publish(&image, known, &self.stage.tags, &context).await?
                }
                Output::DockerArchive { path } => self.write_archive(&image, path).await?,
                Output::OciLayout { path } | Output::OciArchive { path } => {
                    let is_archive = matches!(output, Output::OciArchive { .. });
                    let written = self.write_layout(&image, path, is_archive, blob.take()).await?;
                    blob = written.blob;
                    written.image
                }
            };
            known = written.layer.or(known);
            image_id = Some(written.image_id);
        }
        let written = known.ok_or(Error::NoDaemon)?;
        tracing::debug!(layer = %written.diff_id, size = written.size, "placed the artifact in a new layer");
        let config = (image.finish)(&written);
        Ok(StageResult {
            image_id: image_id.unwrap_or_else(|| config.digest()),
            ports: config.exposed_ports(),
            artifact_digest: written.watched,
            layer_digest: Some(written.diff_id),
        })
    }

    async fn write_archive(
        &self,
        image: &UnfinishedImage,
        path: &Path,
    ) -> Result<crate::store::WrittenImage, Error> {
        let step = self.surroundings.events.start(Step::Write, path.display().to_string(), None);
        let files = self.base_files(image).await?;
        let files_count = files.len();
        let mut out = AtomicFile::create(path, None, &self.prepared.lease).map_err(Error::Output)?;
        let (image, tags) = (image.clone(), self.stage.tags.clone());
        let spool = self.prepared.lease.temporary_directory().to_owned();
        let written = blocking(move || {
            let unpacked = unpack_for_archive(&image.base, &spool)?;
            let files = [files, unpacked].concat();
            let written = write_archive(&image, &files, &tags, &mut out);
            let written = written.map_err(|error| with_path(error, &out))?;
            out.commit().map_err(Error::Output)?;
            Ok::<_, Error>(written)
        });
        let written = written.await?;
        tracing::debug!(path = %path.display(), base_layers = files_count, image = %written.image_id, "wrote an archive");
        step.sized(written.layer.map_or(0, |layer| layer.size)).finish("");
        Ok(written)
    }

    /// The base's layers that a sink cannot get itself: those of a daemon.
    pub(super) async fn base_files(&self, image: &UnfinishedImage) -> Result<Vec<LayerFile>, Error> {
        match &image.base.layers {
            BaseLayers::Daemon { image_id } => {
                self.export(image_id, &image.base.config, &image.base.name).await
            }
            BaseLayers::Described(_) | BaseLayers::BuiltIn(_) | BaseLayers::Scratch => Ok(Vec::new()),
        }
    }

    /// Gets the layers of an image out of the daemon. A run needs those of one image: its base, or what was committed.
    async fn export(
        &self,
        image_id: &str,
        config: &ImageConfig,
        base: &str,
    ) -> Result<Vec<LayerFile>, Error> {
        let invalid = |source| Error::Config { base: base.to_owned(), source };
        let wanted = config.diff_ids().map_err(invalid)?;
        let directory = self.prepared.lease.temporary_directory().join("layers");
        crate::fs::create_private_directory(&directory)?;
        let export = async || self.daemon()?.layers(image_id, &wanted, &directory).await.map_err(Error::from);
        self.exported.get_or_try_init(export).await.cloned()
    }

    /// Runs the script on the daemon and publishes the change.
    async fn run_on_docker(&self, base: BaseImage) -> Result<StageResult, Error> {
        let Assembly::RunOnDocker { entries, sources, environment, limits, scripts, user } =
            &self.stage.assembly
        else {
            return Err(Error::NoDaemon);
        };
        let daemon = self.daemon()?;
        let image = daemon.ensure_loaded(&base, self.prepared.lease.id()).await?;
        let contract = match scripts {
            // The template's own contract; a label of the public base means another image's scripts.
            Some(scripts) => S2iContract {
                scripts: scripts.clone(),
                destination: ImagePath::new(DEFAULT_DESTINATION).expect("absolute and normal"),
                assemble_user: limits.assemble_user.clone().or_else(|| user.clone()),
                assemble_input_files: Vec::new(),
                on_build: Vec::new(),
            },
            None => {
                let asked = limits.assemble_user.as_deref();
                S2iContract::read(&base.name, &base.config, asked, limits.allow_root)?
            }
        };
        let user = contract.assemble_user.clone().unwrap_or_else(|| base.config.user().to_owned());
        let run = ScriptRun {
            image: &image,
            builder: &self.stage.builder.name,
            scripts: &contract.scripts,
            needs_run: self.stage.image.later_cmd.is_some(),
            destination: &contract.destination,
            user: &user,
            entries,
            sources,
            environment,
            limits: container_limits(limits),
            network: limits.network.as_deref(),
            date: self.stage.date,
            lease: self.prepared.lease.id(),
        };
        let engine = DockerEngine::new(daemon.clone());
        let outcome = run_script(&engine, run, self.inputs(), &self.surroundings.events).await?;
        // The container is not needed any more and takes the daemon a while to remove; both at once.
        let finish = self.finish_run(daemon, &base, &contract, outcome.result);
        let (result, removed) = tokio::join!(finish, outcome.container.remove());
        let result = result?;
        removed?;
        Ok(result)
    }

    /// Gives what the script left its config and publishes it.
    async fn finish_run(
        &self,
        daemon: &Daemon,
        base: &BaseImage,
        contract: &S2iContract,
        result: RunResult,
    ) -> Result<StageResult, Error> {
        self.check_unchanged()?;
        let Changes::Committed { image_id, diff_ids } = result.changes else {
            unreachable!("the Docker engine commits");
        };
        let artifact_digest = result.artifact_digest.or(self.prepared.artifact.sha256);
        let known = KnownValues {
            artifact_digest: artifact_digest.map(|digest| digest.to_string()),
            base_digest: base.manifest_digest.map(|digest| digest.to_string()),
            builder_scripts: Some(contract.scripts.to_string()),
        };
        let invalid = |source| Error::Config { base: base.name.clone(), source };
        let below = base.config.diff_ids().map_err(invalid)?.len();
        let edits = self.stage.image.resolve(&known);
        let config =
            assemble::finish(&base.config, &edits, &result.labels, &diff_ids[below.min(diff_ids.len())..]);
        self.publish_committed(daemon, &image_id, &config).await?;
        Ok(StageResult {
            image_id: config.digest(),
            ports: config.exposed_ports(),
            artifact_digest,
            layer_digest: None,
        })
    }

    async fn publish_committed(
        &self,
        daemon: &Daemon,
        image_id: &str,
        config: &ImageConfig,
    ) -> Result<(), Error> {
        // Archives first: publishing to the daemon removes the committed image.
        for output in &self.stage.outputs {
            if let Output::OciLayout { path } | Output::OciArchive { path } = output {
                let files = self.export(image_id, config, image_id).await?;
                let is_archive = matches!(output, Output::OciArchive { .. });
                self.write_committed_layout(config, files, path, is_archive).await?;
            }
            if let Output::DockerArchive { path } = output {
                let files = self.export(image_id, config, image_id).await?;
                let mut out = AtomicFile::create(path, None, &self.prepared.lease).map_err(Error::Output)?;
                let (config, tags) = (config.clone(), self.stage.tags.clone());
                let written = blocking(move || {
                    let names: Vec<String> = tags.iter().map(ImageReference::familiar).collect();
                    let written = write_from_files(&config, &files, &names, &mut out);
                    written.map_err(|error| with_path(error, &out))?;
                    out.commit().map_err(Error::Output)
                });
                written.await?;
            }
        }
        if self.stage.outputs.contains(&Output::Docker) {
            let context = self.publish_context();
            daemon.publish_committed(image_id, config, &self.stage.tags, &context).await?;
        } else {
            daemon.remove_image(image_id).await?;
        }
        Ok(())
    }

    /// An artifact that was written to while it was read may be in the image half old and half new.
    fn check_unchanged(&self) -> Result<(), Error> {
        let content = &self.prepared.artifact.content;
        let changed = content.changed().unwrap_or(true);
        if changed {
            return Err(crate::input::InputError::Changed { path: content.path().to_owned() }.into());
        }
        Ok(())
    }
}

/// Names the file in an error of writing it.
fn with_path(error: ArchiveError, out: &AtomicFile) -> Error {
    match error {
        ArchiveError::Io(error) => Error::Output(out.error(error)),
        other => other.into(),
    }
}

/// Runs file work beside the event loop.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The work does not panic by design and is never aborted; if it does, the panic goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
