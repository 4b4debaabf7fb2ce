//! Owns the checks of a request. Every front end's request passes them before the build starts.
//!
//! Must not read the artifact. The disk is only read to compare the paths of outputs.

use std::collections::HashSet;

use url::Url;

use super::source::host_entry;
use super::values::without_blanks;
use super::{BuilderRequest, ImageRequest, PullPolicy, Request, RequestError, SourceBuildRequest};
use crate::fs::{canonical_path, is_device};
use crate::input::InputSource;
use crate::sources::SourceLocation;
use crate::transport::Transport;

impl Request {
    /// Checks everything that needs no artifact.
    ///
    /// # Errors
    /// [`RequestError`] for the first value that is not valid.
    pub fn validate(&self) -> Result<(), RequestError> {
        if let Some(version) = self.schema_version.filter(|version| *version != super::SCHEMA_VERSION) {
            return Err(RequestError::SchemaVersion { version });
        }
        if self.offline && self.pull == PullPolicy::Always {
            return Err(RequestError::PullOffline);
        }
        match (&self.source_build, self.artifacts.as_slice()) {
            (None, []) => return Err(RequestError::NoInput),
            (Some(_), [_, ..]) => return Err(RequestError::ArtifactsAndSources),
            (None, artifacts) => self.check_artifacts(artifacts)?,
            (Some(sources), []) => self.check_sources(sources)?,
        }
        if let Some(platform) = self.platforms.iter().find(|platform| !platform.exists()) {
            return Err(RequestError::UnknownPlatform { platform: platform.clone() });
        }
        if let (Some(_), Some(BuilderRequest::Image(builder))) = (&self.base, &self.builder) {
            return Err(RequestError::BaseOfImage { builder: builder.familiar() });
        }
        self.check_limits()?;
        self.image.check()?;
        self.check_tags()?;
        self.check_outputs()
    }

    /// Whether the build may download files. A builder image may name scripts by URL, so every source build may.
    pub(crate) fn may_download(&self) -> bool {
        self.source_build.is_some() || self.artifacts.iter().any(is_url)
    }

    fn check_artifacts(&self, artifacts: &[InputSource]) -> Result<(), RequestError> {
        for (index, artifact) in artifacts.iter().enumerate() {
            if let InputSource::Url(url) = artifact {
                check_url(url)?;
            }
            if artifacts[..index].contains(artifact) {
                return Err(RequestError::ArtifactTwice { artifact: artifact.to_string() });
            }
        }
        if self.input.sha256.is_some() && artifacts.len() > 1 {
            return Err(RequestError::DigestOfSeveral);
        }
        if self.input.sha256.is_some() && self.input.sha256_file.is_some() {
            return Err(RequestError::DigestTwice);
        }
        self.check_download(artifacts.iter().any(is_url))
    }

    fn check_sources(&self, sources: &SourceBuildRequest) -> Result<(), RequestError> {
        let input = &self.input;
        let of_artifacts = [
            ("--path", input.member_path.is_some(), "name the artifact that is built with `--artifact PATH`"),
            ("--keep-tree", input.keep_tree, "add files beside the artifact with `--add`"),
        ];
        if let Some((option, _, hint)) = of_artifacts.into_iter().find(|(_, is_set, _)| *is_set) {
            return Err(RequestError::ArtifactOption { option, hint });
        }
        if let SourceLocation::Archive(InputSource::Url(url)) = &sources.location {
            check_url(url)?;
        }
        if let Some(key) = &sources.cache_key {
            if key.trim().is_empty() || key.chars().any(char::is_control) {
                return Err(RequestError::CacheKey);
            }
            if sources.skip_caches {
                return Err(RequestError::CacheKeyWithoutCaches);
            }
        }
        for variable in &sources.build_environment {
            check_variable(&variable.name, &variable.value)?;
        }
        for entry in &sources.add_hosts {
            host_entry(entry).map_err(|message| RequestError::HostEntry { message })?;
        }
        for variable in &sources.build_secrets {
            check_variable(&variable.name, "")?;
        }
        self.check_download(matches!(&sources.location, SourceLocation::Archive(source) if is_url(source)))
    }

    fn check_download(&self, is_url: bool) -> Result<(), RequestError> {
        let download = &self.input.download;
        let options = [
            ("--header-env", !download.headers.is_empty()),
            ("--header-file", download.header_file.is_some()),
            ("--bearer-env", download.bearer.is_some()),
            ("--netrc-file", download.netrc.is_some()),
        ];
        match options.into_iter().find(|(_, is_set)| *is_set && !is_url) {
            Some((option, _)) => Err(RequestError::DownloadOption { option }),
            None => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), RequestError> {
        if self.limits.pids == Some(0) {
            return Err(RequestError::NoProcesses);
        }
        let texts = [("--assemble-user", &self.limits.assemble_user), ("--network", &self.limits.network)];
        for (option, text) in texts {
            if text.as_deref().is_some_and(|text| without_blanks(text).is_err()) {
                return Err(RequestError::Blanks { option });
            }
        }
        Ok(())
    }

    fn check_tags(&self) -> Result<(), RequestError> {
        match self.tags.iter().find(|tag| tag.digest().is_some()) {
            Some(tag) => Err(RequestError::TagWithDigest { tag: tag.to_string() }),
            None => Ok(()),
        }
    }

    fn check_outputs(&self) -> Result<(), RequestError> {
        let mut paths = HashSet::new();
        for path in self.outputs.iter().filter_map(Transport::path) {
            // Two outputs may share a device.
            if !is_device(path) && !paths.insert(canonical_path(path)) {
                return Err(RequestError::OutputTwice { path: path.display().to_string() });
            }
        }
        if !self.outputs.iter().any(Transport::is_registry) {
            return Ok(());
        }
        let first = self.tags.first().ok_or(RequestError::NoPushName)?;
        match self.tags.iter().find(|tag| tag.is_official()) {
            Some(tag) => Err(RequestError::OfficialName { name: tag.familiar() }),
            None if self.offline => Err(RequestError::OfflinePush { name: first.familiar() }),
            None => Ok(()),
        }
    }
}

impl ImageRequest {
    fn check(&self) -> Result<(), RequestError> {
        for (name, value) in &self.env {
            check_variable(name, value)?;
        }
        let args = self.args.as_deref().unwrap_or_default();
        if !args.is_empty() && self.env.iter().any(|(name, _)| name == "ARGS") {
            return Err(RequestError::ArgsTwice);
        }
        let words = args.iter().chain(self.entrypoint.iter().flatten());
        if let Some(word) = words.into_iter().find(|word| word.contains('\0')) {
            return Err(RequestError::NulInArgument { word: word.clone() });
        }
        if self.entrypoint.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
            return Err(RequestError::NoEntrypoint);
        }
        for (kind, names) in [("label", &self.labels), ("annotation", &self.annotations)] {
            if names.contains_key("") {
                return Err(RequestError::NoName { kind });
            }
        }
        Ok(())
    }
}

fn is_url(source: &InputSource) -> bool {
    matches!(source, InputSource::Url(_))
}

/// Other users can read a process's arguments, and logs contain requests.
fn check_url(url: &Url) -> Result<(), RequestError> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(());
    }
    Err(RequestError::Credentials { host: url.host_str().unwrap_or_default().to_owned() })
}

pub(crate) fn check_variable(name: &str, value: &str) -> Result<(), RequestError> {
    let is_bad = |character: char| character.is_whitespace() || character.is_control() || character == '=';
    if name.is_empty() || name.contains(is_bad) {
        return Err(RequestError::VariableName { name: name.to_owned() });
    }
    // The message leaves the value out: it may be a password.
    if value.contains('\0') {
        return Err(RequestError::VariableValue { name: name.to_owned() });
    }
    Ok(())
}
