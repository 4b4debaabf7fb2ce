//! Owns when the ONBUILD instructions of a builder image are carried out, and what of the stage follows from them.
//!
//! By S2I's rule: of a builder image that has some, always, and in the place of its own scripts; the sources' `assemble`
//! runs behind them, and a script at their top starts the result. A template stands on its base with scripts of its own, so
//! that base's instructions are left out, and the plan says so.

use super::stage::{BuilderImage, Contract, SourceFacts};
use super::users::check_user;
use super::{PlannedScript, PlannedScripts, SourcePlanError};
use crate::builder::SourceSelection;
use crate::diagnostic::Warning;
use crate::image::{ConfigEdits, ImagePath};
use crate::request::{Request, SourceBuildRequest};
use crate::sources::scripts::{ScriptFiles, ScriptOrigin};

/// What the instructions come to.
#[derive(Clone, Copy, Debug)]
pub struct OnBuildFacts<'a> {
    /// The working directory in the end.
    pub directory: &'a ImagePath,
    /// The users that they name, in order.
    pub users: &'a [String],
    pub edits: &'a ConfigEdits,
    /// The script at the top of the sources that starts the result.
    pub entry_script: Option<&'a str>,
}

/// Whether the builder's instructions are carried out.
///
/// # Errors
/// [`SourcePlanError::OnBuildBlocked`] if there are some and the request refuses them.
pub fn follows_on_build(
    wanted: &SourceBuildRequest,
    selection: &SourceSelection,
    builder: &BuilderImage<'_>,
) -> Result<bool, SourcePlanError> {
    match builder.config.list("OnBuild").len() {
        0 => Ok(false),
        count if wanted.block_on_build => {
            Err(SourcePlanError::OnBuildBlocked { image: builder.name.to_owned(), count })
        }
        _ => Ok(matches!(selection, SourceSelection::Image(_))),
    }
}

/// The `assemble` script of the builder image that runs behind the instructions; none if the sources have one, or the
/// user names no directory.
pub fn on_build_assemble(scripts: &ScriptFiles) -> Option<ImagePath> {
    of_directory(scripts, "assemble")
}

fn of_directory(scripts: &ScriptFiles, name: &str) -> Option<ImagePath> {
    let directory = scripts.directory.as_ref()?;
    Some(directory.join(name).expect("script names are plain words"))
}

/// Plans the scripts of instructions, and where and as whom they work.
pub(super) fn contract_and_scripts(
    facts: &SourceFacts<'_>,
    on_build: &OnBuildFacts<'_>,
) -> Result<(Contract, PlannedScripts), SourcePlanError> {
    let SourceFacts { request, wanted, builder, scripts, .. } = facts;
    for user in on_build.users {
        check_user(&wanted.allowed_uids, user, &format!("an ONBUILD instruction of `{}`", builder.name))?;
    }
    let of_sources = |name: &str| PlannedScript {
        path: on_build.directory.join(name).expect("a name of the sources"),
        origin: match scripts.file(name) {
            Some(script) => script.origin.clone(),
            None => ScriptOrigin::Sources { path: name.to_owned() },
        },
    };
    let of_image =
        |name| of_directory(scripts, name).map(|path| PlannedScript { path, origin: ScriptOrigin::Image });
    let run = match on_build.entry_script {
        Some(name) => Some(of_sources(name)),
        None => of_image("run"),
    };
    if run.is_none() && request.image.entrypoint.is_none() && !starts(on_build, builder) {
        return Err(SourcePlanError::OnBuildStartsNothing { image: builder.name.to_owned() });
    }
    let assemble = match scripts.file("assemble") {
        Some(_) => Some(of_sources("assemble")),
        None => of_image("assemble"),
    };
    let user = on_build.users.last().map_or_else(|| builder.config.user(), String::as_str).to_owned();
    let contract = Contract { destination: on_build.directory.clone(), user };
    Ok((contract, PlannedScripts { assemble, run, save_artifacts: None }))
}

/// Whether a command starts the result.
fn starts(on_build: &OnBuildFacts<'_>, builder: &BuilderImage<'_>) -> bool {
    let has = |edit: &Option<Vec<String>>, field: &str| match edit {
        Some(words) => !words.is_empty(),
        None => !builder.config.list(field).is_empty(),
    };
    has(&on_build.edits.entrypoint, "Entrypoint") || has(&on_build.edits.cmd, "Cmd")
}

/// Options that have no effect where instructions are carried out.
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
    cases.into_iter().filter(|(is_set, _)| *is_set).map(warning).collect()
}

/// The warning for instructions of a template's base, which are left out.
pub(super) fn left_out(builder: &BuilderImage<'_>) -> Option<Warning> {
    let count = builder.config.list("OnBuild").len();
    (count > 0).then(|| Warning {
        message: format!(
            "the {count} ONBUILD instructions of `{}` are not carried out: the template's scripts are run",
            builder.name
        ),
        hint: None,
    })
}
