//! Owns uploading files to a container: the tar is written while it is sent. Must not know what the files are.

use futures_util::StreamExt;

use super::error::RunError;
use crate::engine::{Container, TarStream};
use crate::events::{Events, RunningStep, Step};
use crate::image::layer::Layer;
use crate::image::{Digest, ImagePath};
use crate::stream::writer_to_stream;

/// Uploads the layer's files. Returns the digest of the file that the layer watches.
pub(super) async fn upload(
    container: &dyn Container,
    files: Layer,
    subject: &str,
    events: &Events,
) -> Result<Option<Digest>, RunError> {
    let root = ImagePath::new("/")?;
    let size = files.size();
    let sending = events.start(Step::Upload, subject, Some(size)).sized(size);
    let (stream, written) = tar_stream(files);
    let stream = with_progress(stream, sending.clone(), size);
    let uploaded = container.upload(&root, stream).await;
    // A failed reader ends the stream. Its error is more useful than the engine's.
    let digest = written.await.unwrap_or(Ok(None)).map_err(RunError::Read)?;
    uploaded?;
    sending.finish("");
    Ok(digest)
}

fn with_progress(stream: TarStream, step: RunningStep, size: u64) -> TarStream {
    let mut sent = 0;
    let counted = stream.inspect(move |chunk| {
        sent += chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
        step.progress(sent, Some(size));
    });
    counted.boxed()
}

type Written = tokio::task::JoinHandle<std::io::Result<Option<Digest>>>;

/// A layer as a stream with a bounded buffer. The handle returns the artifact's digest. A read error ends the
/// stream with an error.
fn tar_stream(layer: Layer) -> (TarStream, Written) {
    let (mut writer, stream) = writer_to_stream();
    let written = tokio::task::spawn_blocking(move || {
        let written = layer.write_undigested(&mut writer).and_then(|watched| {
            writer.finish()?;
            Ok(watched)
        });
        match written {
            // The engine has closed the stream, and reports the reason itself.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(None),
            written => written,
        }
    });
    (stream, written)
}
