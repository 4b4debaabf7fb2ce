//! Owns what is done while a large new layer is on its way. The upload of the config is begun, which spares a way to the
//! registry and back. And on a slow line it is found out whether the registry has the layer already: a second reader makes
//! the same bytes as fast as it can, and with their digest the registry is asked.
//!
//! On a fast line the reader would only take processor time from the upload, so it begins when the rest will take long.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::content::{Content, Uploaded};
use super::error::RegistryError;
use super::push::{Early, Target};
use super::reader::Reader;
use super::session::Session;
use crate::store::LayerBlob;

/// How often it is looked how fast the upload is.
const LOOK: Duration = Duration::from_secs(1);

/// If the rest takes longer than this, a second reader begins.
const WORTH_IT: Duration = Duration::from_secs(5);

impl Target<'_> {
    /// Uploads a new layer whose digest is not known yet, or finds that it is there. What follows from the layer can
    /// only be sent afterwards, but its upload is begun meanwhile.
    pub(super) async fn upload_new(
        &self,
        blob: Arc<dyn LayerBlob>,
    ) -> Result<(Uploaded, Option<Early>), RegistryError> {
        let mut content = Content::Layer(blob.clone(), None);
        // Who is not let in is told so here, before anything else is asked for.
        let session = self.repository.begin_with(&mut content).await.map_err(|error| self.push(error))?;
        let upload = self.upload_or_find(&content, session, blob);
        let following = self.begin_early();
        tokio::pin!(upload, following);
        tokio::select! {
            biased;
            uploaded = &mut upload => Ok((uploaded?, None)),
            early = &mut following => Ok((upload.await?, early)),
        }
    }

    /// Uploads the layer, and looks meanwhile whether it is there if that takes long.
    async fn upload_or_find(
        &self,
        content: &Content,
        session: Session,
        blob: Arc<dyn LayerBlob>,
    ) -> Result<Uploaded, RegistryError> {
        let upload = self.upload(content, Some(session));
        tokio::pin!(upload);
        let (began, before) = (Instant::now(), self.progress.bytes());
        loop {
            tokio::select! {
                uploaded = &mut upload => return uploaded,
                () = tokio::time::sleep(LOOK) => {}
            }
            let moved = self.progress.bytes().saturating_sub(before);
            if is_slow(content.size(), moved, began.elapsed()) {
                break;
            }
        }
        let reading = async {
            match content.known() {
                Some(known) => Some(known),
                None => Reader::start(blob).finished().await,
            }
        };
        let known = tokio::select! {
            uploaded = &mut upload => return uploaded,
            known = reading => known,
        };
        if let Some(known) = known
            && matches!(self.repository.has_blob(&known.descriptor.digest).await, Ok(true))
        {
            return Ok(known);
        }
        upload.await
    }
}

/// Whether an upload that got so far in this time needs much longer.
fn is_slow(size: Option<u64>, moved: u64, elapsed: Duration) -> bool {
    // How much a layer shrinks is known at its end; a long time tells enough.
    let Some(size) = size else { return elapsed > WORTH_IT };
    let rest = size.saturating_sub(moved);
    if rest == 0 {
        return false;
    }
    let speed = moved as f64 / elapsed.as_secs_f64();
    rest as f64 > speed * WORTH_IT.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_worth_a_second_reader() {
        let second = Duration::from_secs(1);
        for (size, moved, elapsed, slow) in [
            (Some(100), 90, second, false),
            (Some(100), 10, second, true),
            (Some(100), 0, second, true),
            (Some(100), 100, 60 * second, false),
            (None, 100, second, false),
            (None, 100, 6 * second, true),
        ] {
            assert_eq!(is_slow(size, moved, elapsed), slow, "{size:?} {moved} {elapsed:?}");
        }
    }
}
