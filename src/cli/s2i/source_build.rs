//! Owns turning what was typed after `s2i build` into what is asked of a source build.

use super::arguments::{BuildArguments, CommonArguments, is_on};
use super::environment_file;
use super::location::{location, recorded};
use crate::cli::failure::CliError;
use crate::engine::UnknownCapability;
use crate::image::{ImagePath, ImageReference};
use crate::request::{
    BuilderRequest, EnvironmentVariable, PreviousImage, PullPolicy, RuntimeRequest, SourceBuildRequest,
    host_entry,
};
use crate::sources::SourceOptions;

/// A source build of which only the common flags say something.
///
/// # Errors
/// A usage error if one of them is wrong.
pub(super) fn nothing(common: &CommonArguments) -> Result<SourceBuildRequest, CliError> {
    let source = SourceOptions { docker_ignore: false, follow_links: true, ..SourceOptions::default() };
    Ok(SourceBuildRequest {
        source,
        keep_builder: true,
        destination: destination(common)?,
        incremental: incremental(common),
        callback: callback(common)?,
        // s2i knows none: what a builder finds must not depend on who built before.
        skip_caches: true,
        ..SourceBuildRequest::default()
    })
}

/// A source build as `s2i build` has it.
///
/// # Errors
/// A usage error if a value is none.
pub(super) fn source_build(
    arguments: &BuildArguments,
    source: &str,
    builder: ImageReference,
) -> Result<SourceBuildRequest, CliError> {
    let typed = |flag: &str, error: String| CliError::usage(format!("`{flag}` is wrong: {error}"));
    let list = |values: &[String]| -> Vec<String> {
        let parts = values.iter().flat_map(|value| value.split(';'));
        parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let scripts = arguments.scripts_url.as_deref().filter(|url| !url.is_empty());
    let injections: Result<_, String> = list(&arguments.inject).iter().map(|text| text.parse()).collect();
    let volumes: Result<_, String> = list(&arguments.volume).iter().map(|text| text.parse()).collect();
    let capabilities: Result<_, UnknownCapability> =
        arguments.cap_drop.iter().map(|text| text.parse()).collect();
    let hosts: Result<_, String> = arguments.add_host.iter().map(|text| host_entry(text)).collect();
    let uids = arguments.allowed_uids.as_deref().filter(|ranges| !ranges.is_empty());
    let common = &arguments.common;
    Ok(SourceBuildRequest {
        location: location(source, arguments)?,
        recorded_location: recorded(source),
        source: SourceOptions {
            context_directory: arguments.context_dir.clone().filter(|directory| !directory.is_empty()),
            submodules: !is_on(arguments.ignore_submodules),
            exclude: arguments.exclude.clone().filter(|exclude| !exclude.is_empty()),
            follow_links: !is_on(arguments.keep_symlinks),
            docker_ignore: false,
            ..SourceOptions::default()
        },
        builder: Some(BuilderRequest::Image(builder)),
        keep_builder: true,
        scripts: scripts.map(str::parse).transpose().map_err(|error| typed("--scripts-url", error))?,
        destination: destination(common)?,
        environment: environment(arguments)?,
        injections: injections.map_err(|error| typed("--inject", error))?,
        volumes: volumes.map_err(|error| typed("--volume", error))?,
        incremental: incremental(common),
        runtime: runtime(arguments, &list(&arguments.runtime_artifact))?,
        allowed_uids: uids
            .map(str::parse)
            .transpose()
            .map_err(|error| typed("--allowed-uids", error))?
            .unwrap_or_default(),
        add_hosts: hosts.map_err(|error| typed("--add-host", error))?,
        drop_capabilities: capabilities.map_err(|error| typed("--cap-drop", error.to_string()))?,
        display_name: arguments.application_name.clone().filter(|name| !name.is_empty()),
        description: arguments.description.clone().filter(|text| !text.is_empty()),
        callback: callback(common)?,
        // s2i knows none: what a builder finds must not depend on who built before.
        skip_caches: true,
        ..SourceBuildRequest::default()
    })
}

/// The last `s2i build --incremental` of the tag, if the build is to start from it.
fn incremental(common: &CommonArguments) -> Option<PreviousImage> {
    is_on(common.incremental).then(|| PreviousImage {
        image: None,
        pull: Some(pull_policy(common.incremental_pull_policy.as_deref())),
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
    let artifacts: Result<_, String> = artifacts.iter().map(|text| text.parse()).collect();
    Ok(Some(RuntimeRequest {
        image: reference(image, "runtime image")?,
        pull: Some(pull_policy(arguments.common.runtime_pull_policy.as_deref())),
        artifacts: artifacts
            .map_err(|error| CliError::usage(format!("`--runtime-artifact` is wrong: {error}")))?,
        assemble_user: arguments.assemble_runtime_user.clone().filter(|user| !user.is_empty()),
    }))
}

pub(super) fn pull_policy(text: Option<&str>) -> PullPolicy {
    match text {
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        _ => PullPolicy::Missing,
    }
}

pub(super) fn reference(text: &str, what: &str) -> Result<ImageReference, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("the {what} `{text}` is wrong: {error}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::s2i::arguments::{S2iCommand, parse};
    use crate::cli::s2i::request::without_contradiction;

    fn typed(words: &[&str]) -> BuildArguments {
        let words = ["s2i", "build"].iter().chain(words).map(std::ffi::OsString::from);
        let (parsed, _) = parse(words, "s2i").expect("valid");
        let S2iCommand::Build(build) = parsed.command else { panic!("s2i build is a build") };
        *build
    }

    pub(in crate::cli::s2i) fn made(words: &[&str]) -> Result<SourceBuildRequest, CliError> {
        let arguments = typed(words);
        without_contradiction(&arguments)?;
        let builder = reference(arguments.image.as_deref().expect("an image"), "builder image")?;
        source_build(&arguments, arguments.source.as_deref().expect("a source"), builder)
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
            r#"drop_capabilities: [NET_RAW, CHOWN]"#,
            r#"RuntimeArtifactPlace { source: ImagePath("/x"), directory: Some("y") }"#,
            r#"RuntimeArtifactPlace { source: ImagePath("/z"), directory: None }], assemble_user: Some("7")"#,
            "incremental: Some(PreviousImage { image: None, pull: Some(Always), remove: true })",
            r#"display_name: Some("name"), description: Some("text")"#,
            r#"allowed_uids: UidRanges([UidRange { from: Some(1), to: None }])"#,
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
