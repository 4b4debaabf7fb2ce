//! Owns the path of each script of a source build in the container. Must not read the scripts.

use super::PlannedScript;
use crate::builder::BuilderError;
use crate::image::ImagePath;
use crate::sources::scripts::{ScriptFiles, ScriptOrigin, scripts_directory};

/// Plans the script `name`: a script that is not the builder's is uploaded below `destination`. Others are in the user's
/// directory, or in the builder's, which `own` returns. None if the builder has no scripts.
///
/// # Errors
/// The error of `own`.
pub(super) fn planned_script(
    scripts: &ScriptFiles,
    name: &str,
    destination: &ImagePath,
    own: impl FnOnce() -> Result<Option<ImagePath>, BuilderError>,
) -> Result<Option<PlannedScript>, BuilderError> {
    let join = |directory: &ImagePath| directory.join(name).expect("script names are plain words");
    if let Some(script) = scripts.file(name) {
        let path = join(&scripts_directory(destination));
        let (origin, through_shell) = (script.origin.clone(), script.needs_shell);
        return Ok(Some(PlannedScript { path, origin, through_shell }));
    }
    let directory = match &scripts.directory {
        Some(directory) => Some(directory.clone()),
        None => own()?,
    };
    let planned = |directory| PlannedScript {
        path: join(&directory),
        origin: ScriptOrigin::Image,
        through_shell: false,
    };
    Ok(directory.map(planned))
}
