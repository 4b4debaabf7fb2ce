//! Owns getting files into a container: whose they are there, and the tar that is made while it is sent.
//!
//! Must not know what the files are.

use futures_util::StreamExt;

use super::run::RunError;
use crate::engine::{Container, TarStream};
use crate::events::{Events, RunningStep, Step};
use crate::image::layer::{Layer, Owner};
use crate::image::{Digest, ImagePath};
use crate::stream::writer_to_stream;

/// Unpacks the layer's files in the container; gives the digest of the file that the layer watches.
pub(crate) async fn upload<C: Container>(
    container: &C,
    files: Layer,
    subject: &str,
    events: &Events,
) -> Result<Option<Digest>, RunError<C::Error>> {
    let root = ImagePath::new("/")?;
    let size = files.size();
    let sending = events.start(Step::Upload, subject, Some(size)).sized(size);
    let (stream, written) = tar_stream(files);
    let stream = with_progress(stream, sending.clone(), size);
    let uploaded = container.upload(&root, stream).await;
    // A reader that failed cuts the stream, and its own error says more than the engine's.
    let digest = written.await.unwrap_or(Ok(None)).map_err(RunError::Read)?;
    uploaded.map_err(RunError::Engine)?;
    sending.finish("");
    Ok(digest)
}

/// The user's numbers: as given, or looked up in the image's own passwd file.
pub(crate) async fn resolve_owner<C: Container>(
    container: &C,
    user: &str,
    builder: &str,
) -> Result<Owner, RunError<C::Error>> {
    let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
    if name.is_empty() {
        return Ok(Owner::ROOT);
    }
    let group_number = group.and_then(|group| group.parse().ok());
    if let Ok(uid) = name.parse() {
        // A number without a passwd entry belongs to group 0, as containers have it.
        return Ok(Owner { uid, gid: group_number.unwrap_or(0) });
    }
    if name == "root" {
        return Ok(Owner { uid: 0, gid: group_number.unwrap_or(0) });
    }
    let passwd = ImagePath::new("/etc/passwd")?;
    let unknown = || RunError::UnknownUser { builder: builder.to_owned(), user: user.to_owned() };
    let bytes = match container.download(&passwd, 1 << 20).await {
        Ok(bytes) => bytes.unwrap_or_default(),
        // Podman looks the container's user up before it copies anything out of it.
        Err(error) if error.to_string().contains("unknown user") => return Err(unknown()),
        Err(error) => return Err(RunError::Engine(error)),
    };
    let text = String::from_utf8_lossy(&bytes);
    let found = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == name).then_some(Owner { uid, gid })
    });
    let owner = found.ok_or_else(unknown)?;
    Ok(Owner { gid: group_number.unwrap_or(owner.gid), ..owner })
}

/// Reports how much of `size` bytes has gone by.
fn with_progress(stream: TarStream, step: RunningStep, size: u64) -> TarStream {
    let mut sent = 0;
    let counted = stream.inspect(move |chunk| {
        sent += chunk.as_ref().map_or(0, |bytes| bytes.len() as u64);
        step.progress(sent, Some(size));
    });
    counted.boxed()
}

type Written = tokio::task::JoinHandle<std::io::Result<Option<Digest>>>;

/// Turns a layer into a stream with a bounded buffer; the handle yields the artifact's digest. A layer that cannot be
/// read to its end ends the stream with an error.
fn tar_stream(layer: Layer) -> (TarStream, Written) {
    let (mut writer, stream) = writer_to_stream();
    let written = tokio::task::spawn_blocking(move || {
        let written = layer.write_undigested(&mut writer).and_then(|watched| {
            writer.finish()?;
            Ok(watched)
        });
        match written {
            // The engine has closed the stream; it knows why and says so itself.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(None),
            written => written,
        }
    });
    (stream, written)
}
