//! Owns restoring the artifacts of the previous build.
//!
//! Must not fail the build: as with S2I, an error is a warning.

use super::run::SourceWork;
use super::saved_artifacts::ArtifactCache;
use crate::error::Error;
use crate::image::BaseImage;
use crate::pipeline::base::{BaseQuery, BaseResolver};
use crate::pipeline::script::container_limits;
use crate::plan::engine_source;
use crate::source_build::incremental::{SaveError, SaveRun, SavedArtifacts, save_artifacts};
use crate::store::daemon::{DaemonError, PullCause};
use crate::store::registry::RegistryError;

impl SourceWork<'_> {
    /// The artifacts of the previous build. An extended build has them in the cache.
    pub(super) async fn saved(&self, cache: Option<&ArtifactCache>) -> SavedArtifacts {
        let events = &self.session.events;
        let without = |message: String| {
            events.warning(message, Some("The build continues without them.".into()));
            SavedArtifacts::default()
        };
        if let Some(cache) = cache {
            let unread = |error| without(format!("cannot restore artifacts of the previous build: {error}"));
            return cache.read().unwrap_or_else(unread);
        }
        let (Some(previous), Some(name)) = (&self.options.incremental, &self.prepared.stage.incremental)
        else {
            return SavedArtifacts::default();
        };
        let prepared = self.prepared;
        let stage = &prepared.stage;
        let bases = BaseResolver::new(self.session, prepared.daemon.as_ref(), self.request.offline);
        let platform = Some(stage.platform.clone());
        let query = BaseQuery {
            reference: name,
            platform,
            pull: previous.pull.unwrap_or(self.request.pull),
            pinned: None,
            may_be_local: true,
        };
        let shown = format!("`{}`", name.familiar());
        let saved = match bases.resolve(engine_source(stage.engine), query).await {
            Ok(image) => self.saved_of(&image).await,
            Err(error) => Err(error),
        };
        saved.unwrap_or_else(|error| {
            if is_missing(&error) {
                return without(format!(
                    "cannot restore artifacts of a previous build: the image {shown} does not exist yet"
                ));
            }
            let reason = whole(&error);
            // Most reasons name the image themselves.
            let image = if reason.contains(&shown) { "the previous build" } else { &shown };
            without(format!("cannot restore artifacts of {image}: {reason}"))
        })
    }

    pub(super) fn save_run(&self) -> SaveRun<'_> {
        let prepared = self.prepared;
        SaveRun {
            stage: &prepared.stage,
            scripts: &prepared.scripts,
            limits: container_limits(&prepared.stage.limits),
            directory: prepared.lease.temporary_directory(),
            date: self.date(),
            lease: prepared.lease.id(),
        }
    }

    async fn saved_of(&self, image: &BaseImage) -> Result<SavedArtifacts, Error> {
        let prepared = self.prepared;
        let missing = || SaveError::NoScript { image: image.name.clone() };
        let script = prepared.stage.scripts.save_artifacts.as_ref().ok_or_else(missing)?;
        let ready = self.engines().ready(prepared.stage.engine, image).await?;
        let (engine, run) = (&*ready.engine, self.save_run());
        Ok(save_artifacts(engine, &ready.image, script, &run, &self.session.events).await?)
    }
}

/// Whether the image does not exist, as for a first build.
fn is_missing(error: &Error) -> bool {
    match error {
        Error::Daemon(DaemonError::Pull { cause, .. }) => *cause == PullCause::NotFound,
        Error::Registry(error) => matches!(error, RegistryError::Missing { .. }),
        _ => false,
    }
}

/// An error with its causes.
pub(super) fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
