//! Owns the decision to execute ONBUILD instructions, and their source stage. Must not execute them.
//!
//! S2I's rule: the instructions of a builder image replace its scripts. The sources' `assemble` runs after them, and a script
//! at the top of the sources starts the image. A template has its own scripts, so its base's instructions have no effect.

use super::stage::{BuilderImage, Contract, SourceFacts};
use super::users::check_user;
use super::{PlannedScript, PlannedScripts, SourcePlanError};
use crate::builder::SourceSelection;
use crate::diagnostic::Warning;
use crate::image::{ConfigEdits, ImagePath};
use crate::request::{Request, SourceBuildRequest};
use crate::sources::scripts::{ScriptFiles, ScriptOrigin};

/// The effect of the instructions.
#[derive(Clone, Copy, Debug)]
pub struct OnBuildFacts<'a> {
    /// The final working directory.
    pub directory: &'a ImagePath,
    /// The users of the instructions, in their order.
    pub users: &'a [String],
    pub edits: &'a ConfigEdits,
    /// The script at the top of the sources that starts the image.
    pub entry_script: Option<&'a str>,
    /// Whether that script has no `#!` line.
    pub entry_needs_shell: bool,
}

/// Whether to execute the builder's instructions.
///
/// # Errors
/// [`SourcePlanError::OnBuildBlocked`] if the builder has some and the request forbids them.
pub fn follows_on_build(
    options: &SourceBuildRequest,
    selection: &SourceSelection,
    builder: &BuilderImage<'_>,
) -> Result<bool, SourcePlanError> {
    match builder.config.list("OnBuild").len() {
        0 => Ok(false),
        count if options.block_on_build => {
            Err(SourcePlanError::OnBuildBlocked { image: builder.name.to_owned(), count })
        }
        _ => Ok(matches!(selection, SourceSelection::Image(_))),
    }
}

/// The builder image's `assemble`, which runs after the instructions if the user names its directory.
pub fn on_build_assemble(scripts: &ScriptFiles) -> Option<ImagePath> {
    of_directory(scripts, "assemble")
}

fn of_directory(scripts: &ScriptFiles, name: &str) -> Option<ImagePath> {
    let directory = scripts.directory.as_ref()?;
    Some(directory.join(name).expect("script names are plain words"))
}

/// Plans directory, user and scripts of the instructions.
pub(super) fn contract_and_scripts(
    facts: &SourceFacts<'_>,
    on_build: &OnBuildFacts<'_>,
) -> Result<(Contract, PlannedScripts), SourcePlanError> {
    let SourceFacts { request, options, builder, scripts, .. } = facts;
    for user in on_build.users {
        check_user(&options.allowed_uids, user, &format!("an ONBUILD instruction of `{}`", builder.name))?;
    }
    let of_sources = |name: &str| PlannedScript {
        path: on_build.directory.join(name).expect("a name of the sources"),
        origin: match scripts.file(name) {
            Some(script) => script.origin.clone(),
            None => ScriptOrigin::Sources { path: name.to_owned() },
        },
        through_shell: match scripts.file(name) {
            Some(script) => script.needs_shell,
            None => on_build.entry_needs_shell,
        },
    };
    let of_image = |name| {
        let path = of_directory(scripts, name)?;
        Some(PlannedScript { path, origin: ScriptOrigin::Image, through_shell: false })
    };
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

/// Whether a command starts the image.
fn starts(on_build: &OnBuildFacts<'_>, builder: &BuilderImage<'_>) -> bool {
    let has = |edit: &Option<Vec<String>>, field: &str| match edit {
        Some(words) => !words.is_empty(),
        None => !builder.config.list(field).is_empty(),
    };
    has(&on_build.edits.entrypoint, "Entrypoint") || has(&on_build.edits.cmd, "Cmd")
}

/// Warns of options that ONBUILD instructions replace.
pub(super) fn warnings(request: &Request, options: &SourceBuildRequest) -> Vec<Warning> {
    let cases = [
        (options.incremental.is_some(), "the previous image has no effect"),
        (options.destination.is_some(), "the destination has no effect"),
        (request.limits.assemble_user.is_some(), "the user of `assemble` has no effect"),
    ];
    let warning = |(_, what): (bool, &str)| Warning {
        message: format!("{what}: the builder's ONBUILD instructions run instead"),
        hint: None,
    };
    cases.into_iter().filter(|(is_set, _)| *is_set).map(warning).collect()
}

/// Warns of instructions of a template's base.
pub(super) fn without_effect(builder: &BuilderImage<'_>) -> Option<Warning> {
    let count = builder.config.list("OnBuild").len();
    (count > 0).then(|| Warning {
        message: format!(
            "the {count} ONBUILD instructions of `{}` have no effect: the template's scripts run instead",
            builder.name
        ),
        hint: None,
    })
}
