//! Owns the request that an image records: its sources, builder and options.
//!
//! Must not trust the image: a label that is not valid is an error or counts as missing.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::usage::resolve;
use crate::builder::BuilderError;
use crate::config::values::InvalidValue;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::image::{ImageConfig, ImagePath, ImageReference};
use crate::plan::{
    ASSEMBLE_USER_LABEL, DESTINATION_LABEL, ENVIRONMENT_LABEL, EXCLUDE_LABEL, FETCHED_LABEL,
    RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, RUNTIME_USER_LABEL, SCRIPTS_LABEL, TEMPLATE_LABEL,
};
use crate::request::{
    BuilderRequest, EnvironmentVariable, PullPolicy, Request, RuntimeRequest, ScriptsSource,
};
use crate::session::Session;
use crate::sources::{SourceError, SourceLocation};

/// Labels that S2I sets.
const BUILT_BY: &str = "io.openshift.s2i.build.image";
const BUILT_FROM: &str = "io.openshift.s2i.build.source-location";
const CONTEXT_DIRECTORY: &str = "io.openshift.s2i.build.source-context-dir";
const REFERENCE: &str = "io.openshift.s2i.build.commit.ref";

/// Label of an image built from an artifact.
const ARTIFACT_LABEL: &str = "io.b2i.artifact.name";

/// Adds to `request` what the image records of its build: sources, builder, runtime image, scripts, users, exclusions and
/// variables.
///
/// # Errors
/// [`Error`] if the image is missing, was not built from sources, or if its sources are missing.
pub async fn read_build(
    image: &ImageReference,
    mut request: Request,
    session: &Session,
) -> Result<Request, Error> {
    let daemon = session.find_daemon().await?;
    let (pull, offline) = (request.pull, request.offline);
    let config = resolve(image, PullPolicy::Missing, offline, daemon.as_ref(), session).await?.config;
    let built = BuildRecord { image, config: &config };
    let (builder, recorded) = (built.builder()?, built.required(BUILT_FROM)?);
    let location = built.location(&recorded)?;
    let inherited = match &builder {
        BuilderRequest::Image(builder) if built.text(ENVIRONMENT_LABEL).is_none() => {
            let base = resolve(builder, pull, offline, daemon.as_ref(), session).await?;
            base.config.list("Env").into_iter().collect()
        }
        _ => BTreeSet::new(),
    };
    let build = request.source_build.as_mut().expect("a rebuild is a source build");
    build.environment = variables(&config, &inherited);
    build.scripts = built.scripts(session);
    build.runtime = built.runtime(pull);
    build.destination = build.destination.take().or_else(|| built.path(DESTINATION_LABEL));
    // A relative path stays relative.
    build.recorded_location = Some(recorded);
    build.location = location;
    build.builder = Some(builder);
    build.source.context_directory = built.text(CONTEXT_DIRECTORY);
    build.source.exclude = built.text(EXCLUDE_LABEL);
    build.source.set_by_label(&built.text(FETCHED_LABEL).unwrap_or_default());
    build.display_name = built.text("io.k8s.display-name");
    build.description = built.text("io.k8s.description");
    request.limits.assemble_user = built.text(ASSEMBLE_USER_LABEL);
    Ok(request)
}

/// An image that may record its build.
struct BuildRecord<'a> {
    image: &'a ImageReference,
    config: &'a ImageConfig,
}

/// An image that cannot be built again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    #[error("cannot rebuild `{image}`: the label `{label}` is missing")]
    NoLabel { image: String, label: &'static str },
    #[error("cannot rebuild `{image}`: it was built from the artifact `{artifact}`, not from sources")]
    Artifact { image: String, artifact: String },
    #[error("cannot rebuild `{image}`: its sources `{location}` were not found in the working directory")]
    NoSources { image: String, location: String },
}

impl Diagnostic for RebuildError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NoLabel { .. } | Self::Artifact { .. } => FailureKind::Usage,
            Self::NoSources { .. } => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoLabel { .. } => "only images that s2i or b2i built from sources have it".into(),
            Self::Artifact { .. } => "build it with `b2i build`, from the artifact or its sources".into(),
            Self::NoSources { .. } => {
                "an image records no absolute path: run `s2i rebuild` in the directory of the \
                 sources, or pass them to `s2i build`"
                    .into()
            }
        }]
    }
}

impl BuildRecord<'_> {
    fn text(&self, label: &str) -> Option<String> {
        self.config.label(label).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn required(&self, label: &'static str) -> Result<String, Error> {
        self.text(label).ok_or_else(|| RebuildError::NoLabel { image: self.image.familiar(), label }.into())
    }

    fn path(&self, label: &str) -> Option<ImagePath> {
        self.text(label).and_then(|path| ImagePath::new(&path).ok())
    }

    /// Whether b2i built it from sources. It then records images by their full names.
    fn is_ours(&self) -> bool {
        self.config.label(ENVIRONMENT_LABEL).is_some()
    }

    fn builder(&self) -> Result<BuilderRequest, Error> {
        if let Some(artifact) = self.text(ARTIFACT_LABEL).filter(|_| !self.is_ours()) {
            return Err(RebuildError::Artifact { image: self.image.familiar(), artifact }.into());
        }
        let template = self.text(TEMPLATE_LABEL).filter(|_| self.is_ours());
        let name = match (self.text(BUILT_BY), template) {
            (None, Some(template)) => template,
            _ => self.required(BUILT_BY)?,
        };
        let builder = match self.is_ours() {
            true => name.parse().map_err(|error: InvalidValue| error.to_string()),
            false => name.parse().map(BuilderRequest::Image).map_err(|error| error.to_string()),
        };
        Ok(builder.map_err(|reason| BuilderError::BuilderName { text: name, reason })?)
    }

    fn location(&self, recorded: &str) -> Result<SourceLocation, Error> {
        let location = SourceLocation::parse(recorded).map_err(|error| match error {
            SourceError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
                RebuildError::NoSources { image: self.image.familiar(), location: recorded.to_owned() }.into()
            }
            error => Error::from(error),
        })?;
        match self.text(REFERENCE) {
            Some(reference) => Ok(location.with_reference(&reference)?),
            None => Ok(location),
        }
    }

    /// The scripts that the user set, as [`ScriptsSource::label`] records them.
    fn scripts(&self, session: &Session) -> Option<ScriptsSource> {
        let recorded = self.text(SCRIPTS_LABEL)?;
        if recorded == ScriptsSource::LOCAL {
            let image = self.image.familiar();
            let message =
                format!("`{image}` does not record the directory of its scripts; using the default scripts");
            session.events.warning(message, Some("set them with `s2i build --scripts-url`".into()));
            return None;
        }
        match recorded.strip_prefix("image://") {
            Some(path) => ImagePath::new(path).ok().map(ScriptsSource::Image),
            None => url::Url::parse(&recorded).ok().map(ScriptsSource::Url),
        }
    }

    /// The runtime image and the artifacts that the user set. Without any, a label of the image lists them.
    fn runtime(&self, pull: PullPolicy) -> Option<RuntimeRequest> {
        let image = self.text(RUNTIME_IMAGE_LABEL)?.parse().ok()?;
        let artifacts = self.text(RUNTIME_ARTIFACTS_LABEL).unwrap_or_default();
        let places = artifacts.split(';').filter_map(|place| place.parse().ok());
        let assemble_user = self.text(RUNTIME_USER_LABEL);
        Some(RuntimeRequest { image, pull: Some(pull), artifacts: places.collect(), assemble_user })
    }
}

/// The variables of the build: those that b2i recorded, else those that are not `inherited` from the builder.
fn variables(built: &ImageConfig, inherited: &BTreeSet<String>) -> Vec<EnvironmentVariable> {
    let recorded = built.label(ENVIRONMENT_LABEL).map(|names| names.split(' ').collect::<BTreeSet<_>>());
    let variable = |entry: String| {
        let (name, value) = entry.split_once('=')?;
        let is_own = match &recorded {
            Some(names) => names.contains(name),
            None => !inherited.contains(&entry),
        };
        is_own.then(|| EnvironmentVariable { name: name.to_owned(), value: value.to_owned() })
    };
    built.list("Env").into_iter().filter_map(variable).collect()
}
