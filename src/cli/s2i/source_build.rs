//! Owns the conversion of the arguments of s2i into the request of a source build.
//!
//! Must not check what clap or `Request::validate` checks.

use std::fmt::Display;
use std::str::FromStr;

use super::arguments::{BuildArguments, CommonArguments, is_on, non_empty};
use super::environment_file;
use super::location::{location, recorded};
use crate::cli::failure::CliError;
use crate::image::ImageReference;
use crate::request::{
    BuilderRequest, EnvironmentVariable, PreviousImage, PullPolicy, RuntimeRequest, SourceBuildRequest,
    host_entry,
};
use crate::sources::SourceOptions;

/// The source build that the common flags describe.
pub(super) fn of_common(common: &CommonArguments) -> Result<SourceBuildRequest, CliError> {
    Ok(SourceBuildRequest {
        source: SourceOptions { docker_ignore: false, follow_links: true, ..SourceOptions::default() },
        keep_builder: true,
        unnamed: true,
        destination: parsed("--destination", &common.destination)?,
        incremental: is_on(common.incremental).then(|| PreviousImage {
            image: None,
            pull: Some(pull_policy(common.incremental_pull_policy.as_deref())),
            remove: is_on(common.rm),
        }),
        callback: callback(common)?,
        // s2i has no build caches: a build must not depend on earlier builds.
        skip_caches: true,
        ..SourceBuildRequest::default()
    })
}

/// The source build of `s2i build`.
pub(super) fn source_build(
    arguments: &BuildArguments,
    source: &str,
    builder: ImageReference,
) -> Result<SourceBuildRequest, CliError> {
    let common = of_common(&arguments.common)?;
    Ok(SourceBuildRequest {
        location: location(source, arguments)?,
        recorded_location: recorded(source),
        source: SourceOptions {
            context_directory: non_empty(&arguments.context_dir),
            submodules: !is_on(arguments.ignore_submodules),
            exclude: non_empty(&arguments.exclude),
            follow_links: !is_on(arguments.keep_symlinks),
            ..common.source
        },
        builder: Some(BuilderRequest::Image(builder)),
        scripts: parsed("--scripts-url", &arguments.scripts_url)?,
        image_scripts: parsed("--image-scripts-url", &arguments.image_scripts_url)?,
        environment: environment(arguments)?,
        injections: all("--inject", items(&arguments.inject), str::parse)?,
        volumes: all("--volume", items(&arguments.volume), str::parse)?,
        runtime: runtime(arguments)?,
        allowed_uids: parsed("--allowed-uids", &arguments.allowed_uids)?.unwrap_or_default(),
        add_hosts: all("--add-host", arguments.add_host.iter().map(String::as_str), host_entry)?,
        drop_capabilities: all("--cap-drop", arguments.cap_drop.iter().map(String::as_str), str::parse)?,
        display_name: non_empty(&arguments.application_name).or_else(|| non_empty(&arguments.tag)),
        description: non_empty(&arguments.description),
        ..common
    })
}

/// The items of a flag; one value may list several, separated by `;`.
fn items(values: &[String]) -> impl Iterator<Item = &str> {
    values.iter().flat_map(|value| value.split(';')).map(str::trim).filter(|item| !item.is_empty())
}

fn all<'a, T, E: Display>(
    flag: &str,
    items: impl Iterator<Item = &'a str>,
    parse: fn(&'a str) -> Result<T, E>,
) -> Result<Vec<T>, CliError> {
    items.map(parse).collect::<Result<_, _>>().map_err(|error| invalid(flag, error))
}

/// The value of a flag. An empty one counts as unset.
fn parsed<T: FromStr<Err: Display>>(flag: &str, value: &Option<String>) -> Result<Option<T>, CliError> {
    non_empty(value).map(|text| text.parse()).transpose().map_err(|error| invalid(flag, error))
}

fn invalid(flag: &str, error: impl Display) -> CliError {
    CliError::usage(format!("`{flag}` is not valid: {error}"))
}

/// The URL that receives the result of the build.
fn callback(common: &CommonArguments) -> Result<Option<url::Url>, CliError> {
    let url: Option<url::Url> = parsed("--callback-url", &common.callback_url)?;
    match url {
        Some(url) if !matches!(url.scheme(), "http" | "https") => {
            Err(invalid("--callback-url", format!("`{url}` is not an http or https URL")))
        }
        url => Ok(url),
    }
}

/// The variables: `-e`, then the file, which wins as in s2i.
fn environment(arguments: &BuildArguments) -> Result<Vec<EnvironmentVariable>, CliError> {
    let mut variables = plain_variables(&arguments.env);
    if let Some(path) = &arguments.environment_file {
        variables.extend(environment_file::read(path)?);
    }
    Ok(variables)
}

pub(super) fn plain_variables(pairs: &[(String, String)]) -> Vec<EnvironmentVariable> {
    let pairs = pairs.iter().cloned();
    pairs.map(|(name, value)| EnvironmentVariable { name, value }).collect()
}

fn runtime(arguments: &BuildArguments) -> Result<Option<RuntimeRequest>, CliError> {
    let artifacts = all("--runtime-artifact", items(&arguments.runtime_artifact), str::parse)?;
    match non_empty(&arguments.runtime_image) {
        Some(image) => Ok(Some(RuntimeRequest {
            image: reference(&image, "runtime image")?,
            pull: Some(pull_policy(arguments.common.runtime_pull_policy.as_deref())),
            artifacts,
            assemble_user: non_empty(&arguments.assemble_runtime_user),
        })),
        None if artifacts.is_empty() => Ok(None),
        None => Err(CliError::usage("`--runtime-artifact` requires a runtime image")
            .with_hint("pass it with `--runtime-image`")),
    }
}

pub(super) fn pull_policy(text: Option<&str>) -> PullPolicy {
    match text {
        Some("always") => PullPolicy::Always,
        Some("never") => PullPolicy::Never,
        _ => PullPolicy::Missing,
    }
}

pub(super) fn reference(text: &str, what: &str) -> Result<ImageReference, CliError> {
    text.parse().map_err(|error| CliError::usage(format!("the {what} `{text}` is not valid: {error}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::cli::s2i::arguments::{S2iCommand, parse};
    use crate::cli::s2i::request::check_conflicts;

    fn typed(words: &[&str]) -> BuildArguments {
        let words = ["s2i", "build"].iter().chain(words).map(std::ffi::OsString::from);
        let (parsed, _) = parse(words, "s2i").expect("valid");
        let S2iCommand::Build(build) = parsed.command else { panic!("s2i build is a build") };
        *build
    }

    pub(in crate::cli::s2i) fn request_of(words: &[&str]) -> Result<SourceBuildRequest, CliError> {
        let arguments = typed(words);
        check_conflicts(&arguments)?;
        let builder = reference(arguments.image.as_deref().expect("an image"), "builder image")?;
        source_build(&arguments, arguments.source.as_deref().expect("a source"), builder)
    }

    #[test]
    fn everything_typed_arrives() {
        let request = request_of(&[
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
        let text = format!("{request:?}");
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
            let error = request_of(words).err().unwrap_or_else(|| panic!("{words:?} is accepted"));
            assert_eq!(crate::cli::s2i::exit_code::exit_code(&error), 1, "{words:?}");
        }
    }
}
