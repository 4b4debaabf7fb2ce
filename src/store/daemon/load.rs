//! Owns sending an archive to the daemon while it is written. Must not choose the archive; the sink does.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use http::Method;
use tokio::sync::oneshot;

use super::connection::Daemon;
use super::error::DaemonError;
use super::info::DaemonFlavour;
use super::pull::{error_in, json_lines};
use super::request::{ATTEMPTS, RawRequest, describe};
use crate::events::RunningStep;
use crate::image::layer::WrittenLayer;
use crate::image::{BaseImage, FinishedConfig, Image};
use crate::store::archive::{ArchiveError, BaseLayers, Form, write_image};
use crate::stream::{StreamWriter, TarStream, until_gone, writer_to_stream};

pub(super) enum LoadError {
    /// The daemon rejected it.
    Refused(String),
    Failed(DaemonError),
}

impl Daemon {
    /// The archive's format that may leave out layers which the daemon has.
    pub(super) fn partial_form(&self) -> Form {
        match self.info().flavour {
            DaemonFlavour::Docker => Form::Docker,
            DaemonFlavour::Podman => Form::Oci,
        }
    }

    /// Sends an image. With the directory `unpacking`, sends all layers; those in zstd are unpacked in it. Without it,
    /// leaves out the layers of the base, which the daemon has.
    pub(super) async fn send_image(
        &self,
        image: &Image,
        form: Form,
        unpacking: Option<&Path>,
        name: &str,
        step: Option<&RunningStep>,
    ) -> Result<(Vec<WrittenLayer>, FinishedConfig), LoadError> {
        let send = || {
            let (image, names, unpacking) =
                (image.clone(), vec![name.to_owned()], unpacking.map(Path::to_owned));
            self.send(step, move |out| {
                let base = unpacking.as_deref().map_or(BaseLayers::Absent, BaseLayers::All);
                write_image(&image, base, form, &names, out)
            })
        };
        for _ in 1..ATTEMPTS {
            match send().await {
                // Another program removed a layer after Podman had found it.
                Err(LoadError::Refused(reason)) if reason.contains("layer not known") => {
                    tracing::debug!(%reason, "a layer was removed meanwhile; retrying");
                }
                sent => return sent,
            }
        }
        send().await
    }

    /// Sends a config and the names of its layers, if the daemon has them all.
    pub(super) async fn load_config(&self, config: &FinishedConfig, name: &str) -> Result<(), LoadError> {
        let base = BaseImage::in_daemon(name, None, config.config.clone());
        let image = Image::unchanged(base, config.bytes.clone());
        let (form, names) = (self.partial_form(), vec![name.to_owned()]);
        let write = move |out: &mut StreamWriter| write_image(&image, BaseLayers::Absent, form, &names, out);
        self.send(None, write).await.map(drop)
    }

    pub(super) async fn send<T: Send + 'static>(
        &self,
        step: Option<&RunningStep>,
        write: impl FnOnce(&mut StreamWriter) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, LoadError> {
        let (mut writer, body) = writer_to_stream();
        let (counter, started) = (writer.counter(), Instant::now());
        let writing = tokio::task::spawn_blocking(move || {
            let value = write(&mut writer)?;
            writer.finish()?;
            Ok(value)
        });
        // If this future is dropped, the archive is cut. If it is complete by then, the daemon finishes.
        let (_waiting, gone) = oneshot::channel();
        let (daemon, body) = (self.clone(), until_gone(body, gone));
        let loading = self.finish(async move { daemon.load(body).await });
        tokio::pin!(loading);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let answer = loop {
            tokio::select! {
                answer = &mut loading => break answer,
                _ = tick.tick(), if step.is_some() => {
                    if let Some(step) = step {
                        step.progress(counter.load(Ordering::Relaxed), None);
                    }
                }
            }
        };
        let (bytes, milliseconds) = (counter.load(Ordering::Relaxed), started.elapsed().as_millis());
        tracing::debug!(bytes, milliseconds, taken = answer.is_ok(), "sent an archive to the daemon");
        let written = writing.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()));
        match (written, answer) {
            (Ok(value), Ok(())) => Ok(value),
            // A writer fails if the daemon stops reading. The daemon's error explains more.
            (Err(ArchiveError::Io(error)), Err(refused))
                if error.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                Err(refused)
            }
            (Err(error), _) => Err(LoadError::Failed(error.into())),
            (Ok(_), Err(refused)) => Err(refused),
        }
    }

    async fn load(&self, body: TarStream) -> Result<(), LoadError> {
        let path = "/images/load?quiet=1".to_owned();
        let request = RawRequest { method: Method::POST, path, registry_auth: None, body: Some(body) };
        let mut lines = Box::pin(json_lines(self.raw(request)).into_stream());
        while let Some(line) = lines.next().await {
            let line = line.map_err(|error| match describe(&error) {
                (Some(_), reason) => LoadError::Refused(reason),
                (None, reason) => LoadError::Failed(DaemonError::Publish {
                    address: self.info().address.clone(),
                    action: "load the image".into(),
                    reason,
                }),
            })?;
            if let Some(reason) = error_in(&line) {
                return Err(LoadError::Refused(reason));
            }
        }
        Ok(())
    }
}
