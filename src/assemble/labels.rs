//! Owns reading the labels that a script asks for. Their format is `builder/image_metadata`; what they may not replace is
//! for `finish` to know.

use super::run::RunError;
use crate::builder::image_metadata::{IMAGE_METADATA_LIMIT, IMAGE_METADATA_PATH, parse_image_metadata};
use crate::engine::Container;
use crate::image::ImagePath;

/// The labels that a script left in its container, in their order; none if it left no file.
///
/// # Errors
/// [`RunError::Engine`] if the file cannot be read, [`RunError::Metadata`] if it cannot be used.
pub(crate) async fn left_labels<C: Container>(
    container: &C,
) -> Result<Vec<(String, String)>, RunError<C::Error>> {
    let path = ImagePath::new(IMAGE_METADATA_PATH)?;
    match container.download(&path, IMAGE_METADATA_LIMIT).await.map_err(RunError::Engine)? {
        Some(bytes) => Ok(parse_image_metadata(&bytes)?),
        None => Ok(Vec::new()),
    }
}
