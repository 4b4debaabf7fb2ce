//! Owns the removal of an image that nobody may need any more: only if no name, container or other image does.

use bollard::query_parameters::RemoveImageOptionsBuilder;

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::{describe, traced};
use crate::image::ImageReference;

/// What became of an image that was to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, or was before.
    Removed,
    /// It has this name.
    Named(String),
    /// Something stands on it; the daemon says what.
    Used(String),
}

impl Daemon {
    /// Removes an image, and what was below it for it alone.
    ///
    /// # Errors
    /// [`DaemonError::Request`] if the daemon fails for another reason than that the image is used.
    pub async fn remove_unused(&self, id: &str) -> Result<Removal, DaemonError> {
        let Some(answer) = self.inspect_image(id).await? else { return Ok(Removal::Removed) };
        let mut names = answer["RepoTags"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
        if let Some(name) = names.find(|name| *name != "<none>:<none>") {
            let familiar = name.parse::<ImageReference>().map(|name| name.familiar());
            return Ok(Removal::Named(familiar.unwrap_or_else(|_| name.to_owned())));
        }
        // Never by force: that would take it from containers that have ended.
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        match traced("remove an image", self.client().remove_image(id, Some(options), None)).await {
            Ok(_) => Ok(Removal::Removed),
            Err(error) => match describe(&error) {
                (Some(404), _) => Ok(Removal::Removed),
                (Some(409), reason) => Ok(Removal::Used(reason.trim().to_owned())),
                _ => Err(self.request_error(format!("remove the image {id}"), &error)),
            },
        }
    }
}
