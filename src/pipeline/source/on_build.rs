//! Owns reading the ONBUILD instructions of a builder image. Must not decide whether to execute them; the plan does.

use crate::error::Error;
use crate::fs::Lease;
use crate::image::BaseImage;
use crate::plan::on_build_assemble;
use crate::source_build::on_build::{AssembleScript, OnBuild, OnBuildContext};
use crate::sources::scripts::ScriptFiles;
use crate::sources::{SourceTree, TreeEntry, TreeEntryKind};
use crate::store::cache::Memo;
use crate::store::daemon::Daemon;

/// The scripts that S2I copies into the sources.
const SCRIPTS: [&str; 2] = ["assemble", "run"];

/// Image fields that Podman does not return.
const MISSING: [&str; 2] = ["OnBuild", "Shell"];

/// The builder image with its instructions and shell, which some daemons leave out.
pub(super) async fn with_instructions(
    mut base: BaseImage,
    daemon: Option<&Daemon>,
    memo: &Memo,
    lease: &Lease,
) -> Result<BaseImage, Error> {
    let (Some(daemon), Some(image_id)) = (daemon.filter(|daemon| daemon.leaves_fields_out()), &base.image_id)
    else {
        return Ok(base);
    };
    let key = format!("untold fields 1 {image_id}");
    let known: Option<[Vec<String>; 2]> = memo.get(&key);
    let values = match known {
        Some(values) => values,
        None => {
            let config = daemon.whole_config(image_id).await?;
            let values =
                MISSING.map(|field| config.as_ref().map(|config| config.list(field)).unwrap_or_default());
            memo.put(&key, &values, lease.temporary_directory());
            values
        }
    };
    for (field, words) in MISSING.iter().zip(&values) {
        base.config.set_list(field, words);
    }
    Ok(base)
}

/// Interprets the instructions of `base`; `tree` has the scripts in its top directory.
pub(super) fn interpret(
    base: &BaseImage,
    tree: &SourceTree,
    environment: &[(String, String)],
    scripts: &ScriptFiles,
) -> Result<OnBuild, Error> {
    let assemble = match scripts.file("assemble") {
        Some(_) => Some(AssembleScript::OfSources),
        None => on_build_assemble(scripts).map(AssembleScript::OfImage),
    };
    let context = OnBuildContext { image: &base.name, config: &base.config, tree, environment, assemble };
    Ok(OnBuild::plan(&context)?)
}

/// The sources with the scripts in their top directory. A script replaces a file with its name.
pub(super) fn with_scripts(tree: &SourceTree, scripts: &ScriptFiles) -> SourceTree {
    let mut tree = tree.clone();
    for script in SCRIPTS.iter().filter_map(|name| scripts.file(name)) {
        tree.take(&script.name);
        let kind = TreeEntryKind::File { size: script.size, content: script.content.clone() };
        tree.entries.push(TreeEntry { path: script.name.clone(), kind, mode: 0o755 });
    }
    tree.entries.sort_by(|one, other| one.path.cmp(&other.path));
    tree
}
