//! Owns resolving the date of an image: the clock, or the commit of the work tree around the input.
//!
//! Must not decide which dates an image has; the plan does.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Session;
use crate::error::Error;
use crate::input::InputSource;
use crate::request::{CreatedDate, Request, RequestError};
use crate::sources::{SourceError, SourceLocation, work_tree_head};

impl Session {
    /// Replaces `now` and `git` in a request with the date that they mean.
    pub(super) async fn date(&self, mut request: Request) -> Result<Request, Error> {
        request.created = match request.created {
            Some(CreatedDate::Now) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Some(CreatedDate::At(now.as_secs()))
            }
            Some(CreatedDate::Git) => {
                let directory = directory_of(&request).ok_or(RequestError::CreatedOfRemote)?;
                let head = work_tree_head(&directory, &self.host.git).await.map_err(SourceError::from)?;
                let state = if head.is_clean { "is clean" } else { "has uncommitted changes" };
                let directory = directory.display();
                let message =
                    format!("dating the image by the commit of `{directory}`, whose work tree {state}");
                self.events.note(message);
                Some(CreatedDate::At(head.date))
            }
            other => other,
        };
        Ok(request)
    }
}

/// The directory whose work tree has the input; none for downloads and standard input.
fn directory_of(request: &Request) -> Option<PathBuf> {
    let of_file = |source: &InputSource| match source {
        InputSource::File(path) => {
            let path = std::path::absolute(path).ok()?;
            path.parent().map(Path::to_owned)
        }
        InputSource::Url(_) | InputSource::Stdin => None,
    };
    match request.source_build.as_ref().map(|build| &build.location) {
        None => request.artifacts.iter().find_map(of_file),
        Some(SourceLocation::Directory(path)) => Some(path.clone()),
        Some(SourceLocation::Archive(source)) => of_file(source),
        Some(SourceLocation::Git(_) | SourceLocation::Nothing) => None,
    }
}
