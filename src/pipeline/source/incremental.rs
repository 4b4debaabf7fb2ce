//! Owns incremental builds: finding the image of the build before, and what becomes of the build if there is none.
//!
//! Whatever is wrong with it, the build goes on without it, as S2I's does, and says so.

use super::run::SourceWork;
use super::saved_artifacts::KeptArtifacts;
use crate::error::Error;
use crate::image::BaseImage;
use crate::pipeline::base::{BaseQuery, BaseResolver};
use crate::pipeline::script::container_limits;
use crate::plan::engine_source;
use crate::source_build::incremental::{SaveError, SaveRun, SavedArtifacts, save_artifacts};
use crate::store::daemon::{DaemonError, PullCause};
use crate::store::registry::RegistryError;

impl SourceWork<'_> {
    /// What the build before saved, or nothing; an extended build has it in the cache.
    pub(super) async fn saved(&self, kept: Option<&KeptArtifacts>) -> SavedArtifacts {
        let events = &self.session.events;
        let without = |message: String| {
            events.warning(message, Some("The build goes on without it.".into()));
            SavedArtifacts::default()
        };
        if let Some(kept) = kept {
            let nothing = |error| without(format!("nothing is taken over from the build before: {error}"));
            return kept.read().unwrap_or_else(nothing);
        }
        let (Some(previous), Some(name)) = (&self.wanted.incremental, &self.prepared.stage.incremental)
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
        };
        let shown = format!("`{}`", name.familiar());
        let saved = match bases.resolve(engine_source(stage.engine), query).await {
            Ok(image) => self.saved_of(&image).await,
            Err(error) => Err(error),
        };
        saved.unwrap_or_else(|error| {
            if is_missing(&error) {
                return without(format!(
                    "nothing is taken over from a build before: there is no image {shown} yet"
                ));
            }
            let reason = whole(&error);
            // Most reasons name the image themselves.
            let from = if reason.contains(&shown) { "the build before" } else { &shown };
            without(format!("nothing is taken over from {from}: {reason}"))
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

/// Whether nobody has the image: the first build of all finds none.
fn is_missing(error: &Error) -> bool {
    match error {
        Error::Daemon(DaemonError::Pull { cause, .. }) => *cause == PullCause::NotFound,
        Error::Registry(error) => matches!(error, RegistryError::Missing { .. }),
        _ => false,
    }
}

/// An error with the reasons behind it.
pub(super) fn whole(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
