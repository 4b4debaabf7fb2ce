//! Owns the conversion of the arguments of `s2i build` and `s2i rebuild` into a request: names, limits, outputs.
//!
//! Must not know sources; `source_build` does.

use super::arguments::{BuildArguments, CommonArguments, RebuildArguments, is_on, non_empty};
use super::source_build::{self, of_common, pull_policy, reference};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::outputs;
use crate::cli::printable::printable;
use crate::cli::request::{limits, platforms};
use crate::config::Settings;
use crate::image::ImageReference;
use crate::request::{
    AssembleRequest, DEFAULT_NETWORK, InputOptions, Limits, PullPolicy, Request, SourceBuildRequest,
};

/// Makes the request of `s2i build`. A missing argument is an error; s2i prints its help and exits with 0.
pub(super) fn build(
    arguments: &BuildArguments,
    settings: &Settings,
    context: &Context,
) -> Result<Request, CliError> {
    let missing = |what: &str| {
        CliError::usage(format!("the {what} is missing")).with_hint("write `s2i build SOURCE IMAGE [TAG]`")
    };
    let source = arguments.source.as_deref().ok_or_else(|| missing("source"))?;
    let builder = arguments.image.as_deref().ok_or_else(|| missing("builder image"))?;
    check_conflicts(arguments)?;
    let tag = non_empty(&arguments.tag).map(|tag| reference(&tag, "tag")).transpose()?;
    let source_build = source_build::source_build(arguments, source, reference(builder, "builder image")?)?;
    note_ignored_flags(arguments, context);
    let outputs = outputs::transports(&arguments.output.output, arguments.output.push)?;
    let mut request = request(settings, source_build, &arguments.common, context)?;
    request.limits.assemble_user = non_empty(&arguments.assemble_user);
    if let Some(network) = non_empty(&arguments.network) {
        request.limits.network = Some(network).filter(|network| network != "none");
    }
    Ok(Request { tags: tag.into_iter().collect(), outputs, ..request })
}

/// The common part of every request.
pub(super) fn request(
    settings: &Settings,
    source_build: SourceBuildRequest,
    common: &CommonArguments,
    context: &Context,
) -> Result<Request, CliError> {
    let offline = settings.network.offline.value;
    Ok(Request {
        input: InputOptions { max_size: settings.network.max_size.value.0, ..InputOptions::default() },
        assemble: match settings.build.assemble.value {
            // Sources are never placed.
            AssembleRequest::Place => AssembleRequest::Auto,
            engine => engine,
        },
        limits: Limits {
            // s2i runs assemble as the builder's user; its users reject root with `--allowed-uids`.
            allow_root: true,
            // s2i has a network by default, and its users expect to fetch dependencies.
            network: Some(DEFAULT_NETWORK.to_owned()),
            ..limits(settings)
        },
        platforms: platforms(settings),
        // Without a network, s2i uses the local image.
        pull: match pull_policy(common.pull_policy.as_deref()) {
            PullPolicy::Always if offline => PullPolicy::Missing,
            policy => policy,
        },
        offline,
        date: context.environment.source_date_epoch()?,
        source_build: Some(source_build),
        ..Request::default()
    })
}

/// Makes the request of `s2i rebuild`, without the values that the image records.
pub(super) fn rebuild(
    arguments: &RebuildArguments,
    tag: ImageReference,
    settings: &Settings,
    context: &Context,
) -> Result<Request, CliError> {
    let outputs = outputs::transports(&arguments.output.output, arguments.output.push)?;
    let request = request(settings, of_common(&arguments.common)?, &arguments.common, context)?;
    Ok(Request { tags: vec![tag], outputs, ..request })
}

pub(super) fn check_conflicts(arguments: &BuildArguments) -> Result<(), CliError> {
    if arguments.as_dockerfile.is_none() {
        return Ok(());
    }
    if is_on(arguments.run) {
        return Err(CliError::usage("`--run` conflicts with `--as-dockerfile`, which builds no image"));
    }
    if !arguments.output.output.is_empty() || arguments.output.push {
        return Err(CliError::usage(
            "`--output` and `--push` conflict with `--as-dockerfile`, which builds no image",
        ));
    }
    Ok(())
}

/// Notes words that s2i ignores.
pub(super) fn note_ignored_words(words: &[String], context: &Context) {
    if !words.is_empty() {
        let words = printable(&words.join(" ")).into_owned();
        context.progress.events().note(format!("`{words}` has no effect: s2i ignores further words"));
    }
}

/// Notes flags without an effect. They are harmless.
fn note_ignored_flags(arguments: &BuildArguments, context: &Context) {
    let common = &arguments.common;
    let ignored = [
        (is_on(common.save_temp_dir), "--save-temp-dir", "b2i has no temporary copy of the sources"),
        (
            arguments.assemble_runtime_user.is_some() && arguments.runtime_image.is_none(),
            "--assemble-runtime-user",
            "`--runtime-image` is missing",
        ),
        (
            is_on(common.rm) && !is_on(common.incremental),
            "--rm",
            "it removes the previous image of an incremental build; `--incremental` is missing",
        ),
    ];
    note_ignored_words(&arguments.ignored, context);
    for (_, flag, reason) in ignored.iter().filter(|(is_set, ..)| *is_set) {
        context.progress.events().note(format!("`{flag}` has no effect: {reason}"));
    }
}
