//! Owns where each script of a source build stands in the container.

use super::PlannedScript;
use crate::builder::BuilderError;
use crate::image::ImagePath;
use crate::sources::scripts::{ScriptFiles, ScriptOrigin, scripts_directory};

/// Plans the script `name`: one from outside of the builder goes below `destination`; else it is in the directory that
/// the user names, or in the builder's own, which `own` gives. None if the builder has none either.
///
/// # Errors
/// The error of `own`, which is called only if it counts.
pub(super) fn planned_script(
    scripts: &ScriptFiles,
    name: &str,
    destination: &ImagePath,
    own: impl FnOnce() -> Result<Option<ImagePath>, BuilderError>,
) -> Result<Option<PlannedScript>, BuilderError> {
    let join = |directory: &ImagePath| directory.join(name).expect("script names are plain words");
    if let Some(script) = scripts.file(name) {
        let path = join(&scripts_directory(destination));
        return Ok(Some(PlannedScript { path, origin: script.origin.clone() }));
    }
    let directory = match &scripts.directory {
        Some(directory) => Some(directory.clone()),
        None => own()?,
    };
    Ok(directory.map(|directory| PlannedScript { path: join(&directory), origin: ScriptOrigin::Image }))
}
