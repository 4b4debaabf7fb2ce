//! Owns turning what was typed after `s2i build` into a request.

use std::path::{Path, PathBuf};

use super::arguments::{BuildArguments, CommonArguments, RebuildArguments, is_on};
use super::environment_file;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::input::unasked_options;
use crate::cli::outputs;
use crate::cli::source_values;
use crate::config::Settings;
use crate::image::{ImagePath, ImageReference};
use crate::input::{InputOptions, InputSource};
use crate::request::{AssembleRequest, BuilderRequest, ImageRequest, Limits, Output, PullPolicy, Request};
use crate::source_build::source::GitOptions;
use crate::source_build::{
    EnvironmentVariable, PreviousImage, RuntimeRequest, SourceBuildRequest, SourceLocation, SourceOptions,
};

/// The network that a daemon gives a container of which nothing is said: `assemble` has one, as with s2i.
const DEFAULT_NETWORK: &str = "default";

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
    let input = unasked_options(settings, &context.environment)?;
    let source_build = source_build(
        arguments,
        source,
        reference(builder, "builder image")?,
        &input,
        context.environment.git_options(),
    )?;
    say_what_has_no_effect(arguments, context);
    let outputs = outputs::named_places(&arguments.output.output, arguments.output.push, &tags)?;
    let request = Request {
        limits: Limits {
            assemble_user: arguments.assemble_user.clone().filter(|user| !user.is_empty()),
            ..limits(settings, arguments.network.as_deref())
        },
        tags,
        outputs: or_the_daemon(outputs),
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
    Ok(Request {
        // The sources are in `source_build`; this is not looked at.
        source: InputSource::File(PathBuf::new()),
        input: source_build.source.input.clone(),
        main_class: None,
        builder: None,
        assemble: match settings.build.assemble.value.0 {
            // A script decides what happens to sources.
            AssembleRequest::Place => AssembleRequest::Auto,
            engine => engine,
        },
        limits: limits(settings, None),
        platforms: settings
            .build
            .platform
            .as_ref()
            .map_or_else(Vec::new, |all| all.value.as_slice().to_vec()),
        other_sources: Vec::new(),
        image: ImageRequest::default(),
        tags: Vec::new(),
        outputs: Vec::new(),
        run: false,
        pull: pull_policy(common.pull_policy.as_deref()),
        offline: settings.network.offline.value,
        compression: crate::image::compression::Compression::default(),
        use_memo: true,
        date: context.environment.source_date_epoch()?,
        source_build: Some(source_build),
    })
}

/// s2i's result is in the daemon; b2i's own flags send it elsewhere.
fn or_the_daemon(outputs: Vec<Output>) -> Vec<Output> {
    if outputs.is_empty() { vec![Output::Docker] } else { outputs }
}

/// A source build of which only the common flags say something.
///
/// # Errors
/// A usage error if one of them is wrong.
pub(super) fn nothing(
    common: &CommonArguments,
    settings: &Settings,
    context: &Context,
) -> Result<SourceBuildRequest, CliError> {
    let source = SourceOptions {
        docker_ignore: false,
        follow_links: true,
        git: context.environment.git_options(),
        input: unasked_options(settings, &context.environment)?,
        ..SourceOptions::default()
    };
    Ok(SourceBuildRequest {
        location: SourceLocation::Nothing,
        source,
        builder: None,
        artifact: None,
        keep_builder: true,
        scripts: None,
        destination: destination(common)?,
        environment: Vec::new(),
        build_environment: Vec::new(),
        secrets: Vec::new(),
        injections: Vec::new(),
        volumes: Vec::new(),
        incremental: incremental(common),
        runtime: None,
        allowed_uids: Vec::new(),
        block_on_build: false,
        add_hosts: Vec::new(),
        drop_capabilities: Vec::new(),
        display_name: None,
        description: None,
        callback: callback(common)?,
        // s2i knows none: what a builder finds must not depend on who built before.
        use_caches: false,
        cache_key: None,
        download_timeout: None,
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
    let source_build = nothing(&arguments.common, settings, context)?;
    let tags = vec![tag];
    let outputs = outputs::named_places(&arguments.output.output, arguments.output.push, &tags)?;
    let request = request(settings, source_build, &arguments.common, context)?;
    Ok(Request { tags, outputs: or_the_daemon(outputs), ..request })
}

fn limits(settings: &Settings, network: Option<&str>) -> Limits {
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

fn source_build(
    arguments: &BuildArguments,
    source: &str,
    builder: ImageReference,
    input: &InputOptions,
    git: GitOptions,
) -> Result<SourceBuildRequest, CliError> {
    let typed = |flag: &str, error: String| CliError::usage(format!("`{flag}` is wrong: {error}"));
    let list = |values: &[String]| -> Vec<String> {
        let parts = values.iter().flat_map(|value| value.split(';'));
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let scripts = arguments.scripts_url.as_deref().filter(|url| !url.is_empty());
    let injections: Result<_, String> =
        list(&arguments.inject).iter().map(|text| source_values::injection(text)).collect();
    let volumes: Result<_, String> =
        list(&arguments.volume).iter().map(|text| source_values::volume(text)).collect();
    let capabilities: Result<_, String> =
        arguments.cap_drop.iter().map(|text| source_values::capability(text)).collect();
    let hosts: Result<_, String> =
        arguments.add_host.iter().map(|text| source_values::add_host(text)).collect();
    let uids = arguments.allowed_uids.as_deref().filter(|ranges| !ranges.is_empty());
    let common = &arguments.common;
    Ok(SourceBuildRequest {
        location: location(source, arguments)?,
        source: SourceOptions {
            context_directory: arguments.context_dir.clone().filter(|directory| !directory.is_empty()),
            submodules: !is_on(arguments.ignore_submodules),
            exclude: arguments.exclude.clone().filter(|exclude| !exclude.is_empty()),
            follow_links: !is_on(arguments.keep_symlinks),
            docker_ignore: false,
            git,
            input: input.clone(),
        },
        builder: Some(BuilderRequest::Image(builder)),
        artifact: None,
        keep_builder: true,
        scripts: scripts
            .map(source_values::scripts_source)
            .transpose()
            .map_err(|error| typed("--scripts-url", error))?,
        destination: destination(common)?,
        environment: environment(arguments)?,
        build_environment: Vec::new(),
        secrets: Vec::new(),
        injections: injections.map_err(|error| typed("--inject", error))?,
        volumes: volumes.map_err(|error| typed("--volume", error))?,
        incremental: incremental(common),
        runtime: runtime(arguments, &list(&arguments.runtime_artifact))?,
        allowed_uids: uids
            .map(source_values::uid_ranges)
            .transpose()
            .map_err(|error| typed("--allowed-uids", error))?
            .unwrap_or_default(),
        block_on_build: false,
        add_hosts: hosts.map_err(|error| typed("--add-host", error))?,
        drop_capabilities: capabilities.map_err(|error| typed("--cap-drop", error))?,
        display_name: arguments.application_name.clone().filter(|name| !name.is_empty()),
        description: arguments.description.clone().filter(|text| !text.is_empty()),
        callback: callback(common)?,
        // s2i knows none: what a builder finds must not depend on who built before.
        use_caches: false,
        cache_key: None,
        download_timeout: None,
    })
}

/// The last `s2i build --incremental` of the tag, if the build is to start from it.
fn incremental(common: &CommonArguments) -> Option<PreviousImage> {
    is_on(common.incremental).then(|| PreviousImage {
        image: None,
        pull: pull_policy(common.incremental_pull_policy.as_deref()),
        remove: is_on(common.rm),
    })
}

/// Where files go in the builder.
fn destination(common: &CommonArguments) -> Result<Option<ImagePath>, CliError> {
    let named = common.destination.as_deref().filter(|path| !path.is_empty());
    named
        .map(ImagePath::new)
        .transpose()
        .map_err(|error| CliError::usage(format!("`--destination` is wrong: {error}")))
}

/// Where the end of the build is reported to.
fn callback(common: &CommonArguments) -> Result<Option<url::Url>, CliError> {
    let Some(text) = common.callback_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.map(Some).ok_or_else(|| CliError::usage(format!("`{text}` is no http or https URL (--callback-url)")))
}

fn pull_policy(text: Option<&str>) -> PullPolicy {
    match text {
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        _ => PullPolicy::Missing,
    }
}

pub(super) fn reference(text: &str, what: &str) -> Result<ImageReference, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("the {what} `{text}` is wrong: {error}")))
}

/// Reads the source as s2i does. A repository on this machine is what is committed in it, unless `--copy` says that it
/// is a directory like any other.
fn location(source: &str, arguments: &BuildArguments) -> Result<SourceLocation, CliError> {
    if source.is_empty() {
        return Ok(SourceLocation::Nothing);
    }
    let wanted = arguments.r#ref.as_deref().filter(|reference| !reference.is_empty());
    // `--ref` goes before `#ref`.
    let place = match (wanted, source.rsplit_once('#')) {
        (Some(_), Some((place, _))) if !Path::new(source).exists() => place,
        _ => source,
    };
    let location = SourceLocation::parse(place)?;
    let is_copied = is_on(arguments.copy);
    let reference = match &location {
        SourceLocation::Directory(path) if !is_copied && path.join(".git").exists() => {
            wanted.or(Some("HEAD"))
        }
        SourceLocation::Directory(_) if is_copied && wanted.is_some() => {
            return Err(CliError::usage("`--copy` takes a directory as it is, and `--ref` names a commit")
                .with_hint("leave one of them out"));
        }
        _ => wanted,
    };
    Ok(match reference {
        Some(reference) => location.with_reference(reference)?,
        None => location,
    })
}

/// Variables in the order in which they count: `-e`, then the file, as s2i appends it.
fn environment(arguments: &BuildArguments) -> Result<Vec<EnvironmentVariable>, CliError> {
    let typed = arguments.env.iter();
    let mut variables: Vec<EnvironmentVariable> =
        typed.map(|(name, value)| EnvironmentVariable { name: name.clone(), value: value.clone() }).collect();
    if let Some(path) = &arguments.environment_file {
        variables.extend(environment_file::read(path)?);
    }
    Ok(variables)
}

fn runtime(arguments: &BuildArguments, artifacts: &[String]) -> Result<Option<RuntimeRequest>, CliError> {
    let Some(image) = arguments.runtime_image.as_deref().filter(|image| !image.is_empty()) else {
        return match artifacts.is_empty() {
            true => Ok(None),
            false => Err(CliError::usage("`--runtime-artifact` needs an image to put it into")
                .with_hint("name it with `--runtime-image`")),
        };
    };
    let artifacts: Result<_, String> =
        artifacts.iter().map(|text| source_values::runtime_artifact(text)).collect();
    Ok(Some(RuntimeRequest {
        image: reference(image, "runtime image")?,
        pull: pull_policy(arguments.common.runtime_pull_policy.as_deref()),
        artifacts: artifacts
            .map_err(|error| CliError::usage(format!("`--runtime-artifact` is wrong: {error}")))?,
        assemble_user: arguments.assemble_runtime_user.clone().filter(|user| !user.is_empty()),
    }))
}

fn without_contradiction(arguments: &BuildArguments) -> Result<(), CliError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::s2i::arguments::{S2iCommand, parse};

    fn typed(words: &[&str]) -> BuildArguments {
        let words = ["s2i", "build"].iter().chain(words).map(std::ffi::OsString::from);
        let (parsed, _) = parse(words, "s2i").expect("valid");
        let S2iCommand::Build(build) = parsed.command else { panic!("s2i build is a build") };
        *build
    }

    fn made(words: &[&str]) -> Result<SourceBuildRequest, CliError> {
        let arguments = typed(words);
        without_contradiction(&arguments)?;
        let builder = reference(arguments.image.as_deref().expect("an image"), "builder image")?;
        source_build(
            &arguments,
            arguments.source.as_deref().expect("a source"),
            builder,
            &InputOptions::default(),
            GitOptions::default(),
        )
    }

    #[test]
    fn sources_are_read_as_s2i_reads_them() {
        let location = |words: &[&str]| made(words).expect("valid").location;
        let git = |words: &[&str]| match location(words) {
            SourceLocation::Git(git) => (git.repository, git.reference.unwrap_or_default()),
            other => panic!("{words:?}: {other:?}"),
        };
        let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
        let url = "https://host.example/a.git";
        assert_eq!(git(&["https://host.example/a.git#v2", "b"]), pair(url, "v2"));
        assert_eq!(git(&["https://host.example/a.git#v2", "b", "-r", "main"]), pair(url, "main"));
        assert_eq!(git(&["https://host.example/a.git#v2", "b", "-r", ""]), pair(url, "v2"));
        assert_eq!(git(&["git@host.example:a/b.git", "b"]).1, "");
        assert_eq!(location(&["", "b"]), SourceLocation::Nothing);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().to_str().expect("UTF-8");
        assert_eq!(location(&[path, "b"]), SourceLocation::Directory(path.into()));
        assert!(made(&[path, "b", "-r", "v1"]).is_err(), "a directory has no commits");
        let made_repository = std::process::Command::new("git").args(["init", "--quiet", path]).status();
        assert!(made_repository.expect("git starts").success());
        assert_eq!(git(&[path, "b"]).1, "HEAD");
        assert_eq!(git(&[&format!("{path}#v1"), "b"]).1, "v1");
        assert_eq!(location(&[path, "b", "--copy"]), SourceLocation::Directory(path.into()));
        assert!(made(&[path, "b", "--copy", "-r", "v1"]).is_err(), "either as it is or a commit");
    }

    #[test]
    fn everything_typed_arrives() {
        let made = made(&[
            "/tmp",
            "builder:1",
            "tag:1",
            "-e",
            "A= 1 ",
            "--context-dir",
            "web",
            "--exclude",
            "x",
            "-s",
            "image:///s2i",
            "-n",
            "name",
            "--description",
            "text",
            "-u",
            "1-",
            "-i",
            "/a:b;/c",
            "-v",
            "/d:/e:ro",
            "--cap-drop",
            "net_raw,CHOWN",
            "--keep-symlinks",
            "--runtime-image",
            "run:1",
            "-a",
            "/x:y",
            "-a",
            "/z",
            "--assemble-runtime-user",
            "7",
            "--runtime-pull-policy",
            "never",
            "--add-host",
            "db:10.0.0.1",
            "--incremental",
            "--rm",
            "--incremental-pull-policy",
            "always",
            "--callback-url",
            "http://host.example/c",
            "-d",
            "/opt/d",
            "--ignore-submodules",
        ])
        .expect("valid");
        let text = format!("{made:?}");
        for part in [
            r#"EnvironmentVariable { name: "A", value: "1" }"#,
            r#"context_directory: Some("web"), submodules: false, exclude: Some("x"), follow_links: false"#,
            "keep_builder: true",
            r#"injections: [Injection { source: "/a", destination: Some("b") }, Injection { source: "/c", destination: None }]"#,
            r#"drop_capabilities: ["NET_RAW", "CHOWN"]"#,
            r#"pull: Never, artifacts: [(ImagePath("/x"), Some("y")), (ImagePath("/z"), None)], assemble_user: Some("7")"#,
            "incremental: Some(PreviousImage { image: None, pull: Always, remove: true })",
            r#"display_name: Some("name"), description: Some("text")"#,
            r#"allowed_uids: [UidRange { from: Some(1), to: None }]"#,
            r#"destination: Some(ImagePath("/opt/d"))"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn contradictions_are_errors() {
        for words in [
            &[".", "b", "--as-dockerfile", "x", "--run"][..],
            &[".", "b", "--as-dockerfile", "x", "--push"],
            &[".", "b", "-a", "/x"],
            &[".", "b", "-d", "relative"],
            &[".", "b", "-v", "x"],
            &[".", "b", "-u", "x"],
            &[".", "b", "--callback-url", "ftp://x"],
            &[".", "b", "-E", "/nonexistent/file"],
            &[".", "B/UPPER"],
        ] {
            let error = made(words).err().unwrap_or_else(|| panic!("{words:?} is accepted"));
            assert_eq!(crate::cli::s2i::exit_code::exit_code(&error), 1, "{words:?}");
        }
    }
}
