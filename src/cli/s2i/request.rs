//! Owns turning what was typed after `s2i build` and `s2i rebuild` into a request: names, limits, outputs.

use super::arguments::{BuildArguments, CommonArguments, RebuildArguments, is_on};
use super::source_build::{self, nothing, pull_policy, reference};
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::outputs;
use crate::config::Settings;
use crate::image::ImageReference;
use crate::request::{
    AssembleRequest, DEFAULT_NETWORK, InputOptions, Limits, PullPolicy, Request, SourceBuildRequest,
};

/// Makes the request of `s2i build`.
///
/// # Errors
/// A usage error where s2i prints its help and ends with 0.
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
    without_contradiction(arguments)?;
    let tag = arguments.tag.as_deref().filter(|tag| !tag.is_empty());
    let tags: Vec<ImageReference> = tag.map(|tag| reference(tag, "tag")).transpose()?.into_iter().collect();
    let source_build = source_build::source_build(arguments, source, reference(builder, "builder image")?)?;
    say_what_has_no_effect(arguments, context);
    let outputs = outputs::transports(&arguments.output.output, arguments.output.push)?;
    let request = Request {
        limits: Limits {
            assemble_user: arguments.assemble_user.clone().filter(|user| !user.is_empty()),
            ..limits(settings, arguments.network.as_deref())
        },
        tags,
        outputs,
        ..request(settings, source_build, &arguments.common, context)?
    };
    Ok(request)
}

/// What every command's request has in common.
///
/// # Errors
/// A usage error for a date that is none.
pub(super) fn request(
    settings: &Settings,
    source_build: SourceBuildRequest,
    common: &CommonArguments,
    context: &Context,
) -> Result<Request, CliError> {
    let platforms = &settings.build.platform;
    Ok(Request {
        input: InputOptions { max_size: settings.network.max_size.value.0, ..InputOptions::default() },
        assemble: match settings.build.assemble.value {
            // A script decides what happens to sources.
            AssembleRequest::Place => AssembleRequest::Auto,
            engine => engine,
        },
        limits: limits(settings, None),
        platforms: platforms.as_ref().map_or_else(Vec::new, |all| all.value.as_slice().to_vec()),
        // Without network, s2i takes the image that is there.
        pull: match pull_policy(common.pull_policy.as_deref()) {
            PullPolicy::Always if settings.network.offline.value => PullPolicy::Missing,
            policy => policy,
        },
        offline: settings.network.offline.value,
        date: context.environment.source_date_epoch()?,
        source_build: Some(source_build),
        ..Request::default()
    })
}

/// Makes the request of `s2i rebuild`, but for what the image itself says.
///
/// # Errors
/// As [`build`].
pub(super) fn rebuild(
    arguments: &RebuildArguments,
    tag: ImageReference,
    settings: &Settings,
    context: &Context,
) -> Result<Request, CliError> {
    let source_build = nothing(&arguments.common)?;
    let tags = vec![tag];
    let outputs = outputs::transports(&arguments.output.output, arguments.output.push)?;
    let request = request(settings, source_build, &arguments.common, context)?;
    Ok(Request { tags, outputs, ..request })
}

fn limits(settings: &Settings, network: Option<&str>) -> Limits {
    // As with s2i, whose users expect that dependencies are fetched.
    let network = network.filter(|network| !network.is_empty()).unwrap_or(DEFAULT_NETWORK);
    Limits {
        assemble_user: None,
        // s2i runs as whom the builder names; `--allowed-uids` is its way to refuse root.
        allow_root: true,
        allow_root_sandbox: false,
        memory: settings.limits.memory.as_ref().map(|memory| memory.value.0),
        nano_cpus: settings.limits.cpus.as_ref().map(|cpus| cpus.value.0),
        pids: settings.limits.pids.as_ref().map(|pids| pids.value),
        network: Some(network.to_owned()).filter(|network| network != "none"),
        timeout: settings.limits.timeout.as_ref().map(|timeout| timeout.value.0),
    }
}

pub(super) fn without_contradiction(arguments: &BuildArguments) -> Result<(), CliError> {
    let as_dockerfile = arguments.as_dockerfile.is_some();
    let elsewhere = !arguments.output.output.is_empty() || arguments.output.push;
    let runs = is_on(arguments.run);
    let both = [
        (as_dockerfile && runs, "`--run` starts an image, and `--as-dockerfile` builds none"),
        (as_dockerfile && elsewhere, "`--as-dockerfile` writes no image to anywhere"),
    ];
    match both.into_iter().find(|(is_said, _)| *is_said) {
        Some((_, message)) => Err(CliError::usage(message)),
        None => Ok(()),
    }
}

/// Flags that mean nothing here, and are harmless.
fn say_what_has_no_effect(arguments: &BuildArguments, context: &Context) {
    let events = context.progress.events();
    let note = |is_said: bool, flag: &str, reason: &str| {
        if is_said {
            events.note(format!("`{flag}` has no effect: {reason}"));
        }
    };
    let common = &arguments.common;
    note(
        is_on(common.save_temp_dir),
        "--save-temp-dir",
        "b2i makes no copy of the sources that it could keep",
    );
    note(
        arguments.image_scripts_url.is_some(),
        "--image-scripts-url",
        "the builder's own label says where its scripts are",
    );
    note(
        arguments.assemble_runtime_user.is_some() && arguments.runtime_image.is_none(),
        "--assemble-runtime-user",
        "there is no runtime image",
    );
    note(
        is_on(common.rm) && !is_on(common.incremental),
        "--rm",
        "it removes the image that an incremental build started from",
    );
}
