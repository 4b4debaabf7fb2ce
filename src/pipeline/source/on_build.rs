//! Owns when the ONBUILD instructions of a builder image are carried out, and what of the plan follows from them.
//!
//! By S2I's rule: of a builder image that has some, always, and in the place of its own scripts; the sources' `assemble`
//! runs behind them, and a script at their top starts the result. A template stands on its base with scripts of its own, so
//! that base's instructions are left out, and the plan says so.

use super::stage::Contract;
use crate::builder::SourceSelection;
use crate::diagnostic::Warning;
use crate::error::Error;
use crate::fs::Lease;
use crate::image::{BaseImage, ImagePath};
use crate::plan::{PlannedScript, PlannedScripts, ScriptOrigin};
use crate::request::{EnvironmentVariable, Request, SourceBuildRequest};
use crate::source_build::on_build::{Assemble, Given, OnBuild, OnBuildError, entry_script};
use crate::source_build::scripts::GivenScripts;
use crate::source_build::uids::check_user;
use crate::sources::{SourceTree, TreeEntry, TreeEntryKind, environment};
use crate::store::cache::Memo;
use crate::store::daemon::Daemon;

/// The scripts that S2I puts among the sources.
const SCRIPTS: [&str; 2] = ["assemble", "run"];

/// What Podman does not tell of an image.
const UNTOLD: [&str; 2] = ["OnBuild", "Shell"];

/// What the instructions come to, and what of the plan follows.
pub(super) struct DecidedOnBuild {
    pub(super) on_build: OnBuild,
    pub(super) scripts: PlannedScripts,
    pub(super) contract: Contract,
    pub(super) instructions: Vec<String>,
}

/// The builder image with the instructions and the shell that it was made with, which not every daemon tells.
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
                UNTOLD.map(|field| config.as_ref().map(|config| config.list(field)).unwrap_or_default());
            memo.put(&key, &values, lease.temporary_directory());
            values
        }
    };
    for (field, words) in UNTOLD.iter().zip(&values) {
        base.config.set_list(field, words);
    }
    Ok(base)
}

/// Decides the instructions, if there are any to be carried out.
pub(super) fn decide(
    request: &Request,
    wanted: &SourceBuildRequest,
    selection: &SourceSelection,
    base: &BaseImage,
    tree: &SourceTree,
    scripts: &GivenScripts,
) -> Result<Option<DecidedOnBuild>, Error> {
    let instructions = base.config.list("OnBuild");
    if instructions.is_empty() {
        return Ok(None);
    }
    if wanted.block_on_build {
        return Err(Error::OnBuildBlocked { image: base.name.clone(), count: instructions.len() });
    }
    if let SourceSelection::Template(_) = selection {
        return Ok(None);
    }
    let environment = variables(tree, &wanted.environment)?;
    let tree = with_scripts(tree, scripts);
    let own = scripts.directory.as_ref();
    let place = |name: &str| own.map(|directory| directory.join(name).expect("script names are plain words"));
    let given = scripts.given("assemble");
    let assemble = match given {
        Some(_) => Some(Assemble::OfSources),
        None => place("assemble").map(Assemble::OfImage),
    };
    let on_build = OnBuild::plan(&Given {
        image: &base.name,
        config: &base.config,
        tree: &tree,
        environment: &environment,
        assemble,
    })?;
    for user in &on_build.users {
        check_user(&wanted.allowed_uids, user, &format!("an ONBUILD instruction of `{}`", base.name))?;
    }
    let below = |name: &str| on_build.directory.join(name).expect("a name of the sources");
    let of_sources = |name: &str| PlannedScript {
        path: below(name),
        origin: match scripts.given(name) {
            Some(script) => script.origin.clone(),
            None => ScriptOrigin::Sources { path: name.to_owned() },
        },
    };
    let of_image = |path: ImagePath| PlannedScript { path, origin: ScriptOrigin::Image };
    let run = match entry_script(&tree) {
        Some(name) => Some(of_sources(name)),
        None => place("run").map(of_image),
    };
    if run.is_none() && request.image.entrypoint.is_none() && !on_build.starts(&base.config) {
        return Err(OnBuildError::NothingStarts { image: base.name.clone() }.into());
    }
    let user = on_build.user().unwrap_or_else(|| base.config.user()).to_owned();
    Ok(Some(DecidedOnBuild {
        contract: Contract { destination: on_build.directory.clone(), user },
        scripts: PlannedScripts {
            assemble: match given {
                Some(_) => Some(of_sources("assemble")),
                None => place("assemble").map(of_image),
            },
            run,
            save_artifacts: None,
        },
        instructions,
        on_build,
    }))
}

fn variables(tree: &SourceTree, wanted: &[EnvironmentVariable]) -> Result<Vec<(String, String)>, Error> {
    let mut variables = environment::of_sources(tree)?;
    for variable in wanted {
        environment::set(&mut variables, variable.clone());
    }
    Ok(variables.into_iter().map(|variable| (variable.name, variable.value)).collect())
}

/// The sources with the scripts from outside at their top, in the place of what had their names.
fn with_scripts(tree: &SourceTree, scripts: &GivenScripts) -> SourceTree {
    let mut tree = tree.clone();
    for script in SCRIPTS.iter().filter_map(|name| scripts.given(name)) {
        tree.take(&script.name);
        let kind = TreeEntryKind::File { size: script.size, content: script.content.clone() };
        tree.entries.push(TreeEntry { path: script.name.clone(), kind, mode: 0o755 });
    }
    tree.entries.sort_by(|one, other| one.path.cmp(&other.path));
    tree
}

/// What is asked for and means nothing where instructions are carried out.
pub(super) fn warnings(request: &Request, wanted: &SourceBuildRequest) -> Vec<Warning> {
    let cases = [
        (wanted.incremental.is_some(), "nothing is taken over from the image before"),
        (wanted.destination.is_some(), "the destination has no effect"),
        (request.limits.assemble_user.is_some(), "the user of `assemble` has no effect"),
    ];
    let warning = |(_, what): (bool, &str)| Warning {
        message: format!("{what}: the builder's ONBUILD instructions say what is done"),
        hint: None,
    };
    cases.into_iter().filter(|(is_asked, _)| *is_asked).map(warning).collect()
}

/// The warning for instructions of a template's base.
pub(super) fn left_out(base: &BaseImage) -> Option<Warning> {
    let count = base.config.list("OnBuild").len();
    (count > 0).then(|| Warning {
        message: format!(
            "the {count} ONBUILD instructions of `{}` are not carried out: the template's scripts are run",
            base.name
        ),
        hint: None,
    })
}
