//! Owns how the pipeline uses the sandbox: its settings, and the image of `--run`. Must not start it.

use super::stage::{Assembled, StageResult};
use crate::engine::sandbox::SandboxSettings;
use crate::error::Error;
use crate::fs::Lease;
use crate::image::{BaseImage, ImageReference, LayerSource};
use crate::session::Session;

impl Assembled<'_> {
    /// The image that `--run` starts in the sandbox; none without `--run`, or if a daemon gets the image.
    pub(crate) async fn runnable(&self) -> Result<Option<SandboxRun>, Error> {
        let work = self.stage.work;
        if !work.request.run || work.prepared.plan.writes_to_daemon() {
            return Ok(None);
        }
        let StageResult::Image(image) = &self.image else { return Ok(None) };
        let config = image.finish(&image.written().ok_or(Error::NoOutput)?)?;
        let image = self.stage.with_files(image).await?;
        let new = image.new.into_iter().map(LayerSource::New);
        let layers = image.base.layers.into_iter().chain(new).collect();
        let name = work.prepared.plan.tags.first();
        let name = name.map_or_else(|| config.image_id.to_string(), ImageReference::familiar);
        let limits = &work.request.limits;
        Ok(Some(SandboxRun {
            image: BaseImage::new(name, config.config, layers),
            network: limits.network.clone(),
            allow_root: limits.allow_root_sandbox,
        }))
    }
}

/// A finished image, and how the sandbox starts its program.
#[derive(Clone, Debug)]
pub struct SandboxRun {
    pub(crate) image: BaseImage,
    /// None means no network.
    pub(crate) network: Option<String>,
    /// Allow real root without a user namespace.
    pub(crate) allow_root: bool,
}

/// `date` is the date of a script's files, in seconds since 1970.
pub(crate) fn sandbox_settings(
    session: &Session,
    lease: &Lease,
    date: u64,
    allow_root: bool,
) -> SandboxSettings {
    SandboxSettings {
        program: session.host.program.clone(),
        cache: lease.cache().clone(),
        temporary: lease.temporary_directory().to_owned(),
        date,
        allow_root,
    }
}
