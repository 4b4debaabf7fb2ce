//! Owns reading out of an image how it was built from sources, for building it again.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use super::usage::resolve;
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::image::{ImageConfig, ImagePath, ImageReference};
use crate::plan::{
    ASSEMBLE_USER_LABEL, DESTINATION_LABEL, ENVIRONMENT_LABEL, EXCLUDE_LABEL, FETCHED_LABEL,
    RUNTIME_ARTIFACTS_LABEL, RUNTIME_IMAGE_LABEL, RUNTIME_USER_LABEL, SCRIPTS_LABEL,
};
use crate::request::{
    BuilderRequest, EnvironmentVariable, PullPolicy, Request, RuntimeRequest, ScriptsSource,
};
use crate::session::Session;
use crate::sources::{SourceError, SourceLocation};

/// S2I's labels of what an image was built from.
const BUILT_BY: &str = "io.openshift.s2i.build.image";
const BUILT_FROM: &str = "io.openshift.s2i.build.source-location";
const CONTEXT_DIRECTORY: &str = "io.openshift.s2i.build.source-context-dir";
const REFERENCE: &str = "io.openshift.s2i.build.commit.ref";

/// Label of images of artifacts.
const ARTIFACT_LABEL: &str = "io.b2i.artifact.name";

/// Puts into `request` what an image says of its own build: sources, builder, runtime image, scripts, users, what was
/// left out, and the variables that it was given.
///
/// # Errors
/// [`Error`] if the image is not there, was not built from sources, or these are not there.
pub async fn read_build(
    image: &ImageReference,
    mut request: Request,
    session: &Session,
) -> Result<Request, Error> {
    let daemon = session.find_daemon().await?;
    let (pull, offline) = (request.pull, request.offline);
    let config = resolve(image, PullPolicy::Missing, offline, daemon.as_ref(), session).await?.config;
    let built = BuiltImage { image, config: &config };
    let (builder, place) = (built.builder()?, built.needed(BUILT_FROM)?);
    let location = built.location(&place)?;
    let of_builder = match &builder {
        BuilderRequest::Image(builder) if built.text(ENVIRONMENT_LABEL).is_none() => {
            let base = resolve(builder, pull, offline, daemon.as_ref(), session).await?;
            base.config.list("Env").into_iter().collect()
        }
        _ => BTreeSet::new(),
    };
    let wanted = request.source_build.as_mut().expect("a front end asks for a source build");
    wanted.environment = variables(&config, &of_builder);
    wanted.scripts = built.scripts(session);
    wanted.runtime = built.runtime(pull);
    wanted.destination = wanted.destination.take().or_else(|| built.path(DESTINATION_LABEL));
    // What is a path here is one again.
    wanted.recorded_location = Some(place);
    wanted.location = location;
    wanted.builder = Some(builder);
    wanted.source.context_directory = built.text(CONTEXT_DIRECTORY);
    wanted.source.exclude = built.text(EXCLUDE_LABEL);
    wanted.source.set_by_label(&built.text(FETCHED_LABEL).unwrap_or_default());
    wanted.display_name = built.text("io.k8s.display-name");
    wanted.description = built.text("io.k8s.description");
    request.limits.assemble_user = built.text(ASSEMBLE_USER_LABEL);
    Ok(request)
}

/// An image, and what it says of itself.
struct BuiltImage<'a> {
    image: &'a ImageReference,
    config: &'a ImageConfig,
}

/// An image that cannot be built again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// It says nothing of how it was built.
    #[error("`{image}` cannot be built again: it has no label `{label}`")]
    NotBuilt {
        /// The image.
        image: String,
        /// The label that is missing.
        label: &'static str,
    },
    /// It was made of an artifact, whose sources are not known.
    #[error("`{image}` cannot be built again: it was made of the artifact `{artifact}`, not of sources")]
    NotOfSources {
        /// The image.
        image: String,
        /// The artifact's name.
        artifact: String,
    },
    /// Its sources are not here.
    #[error("`{image}` was built from sources that it calls `{place}`, and here is nothing of that name")]
    SourcesElsewhere {
        /// The image.
        image: String,
        /// What it calls them.
        place: String,
    },
}

impl Diagnostic for RebuildError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::NotBuilt { .. } | Self::NotOfSources { .. } => FailureKind::Usage,
            Self::SourcesElsewhere { .. } => FailureKind::Input,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NotBuilt { .. } => "only images that s2i or b2i built from sources have it".into(),
            Self::NotOfSources { .. } => "build it with `b2i build`, from the artifact or its sources".into(),
            Self::SourcesElsewhere { .. } => {
                "an image keeps no path of the machine that built it: rebuild in the directory \
                                              that they are in, or name them to `s2i build`"
                    .into()
            }
        }]
    }
}

impl BuiltImage<'_> {
    fn text(&self, label: &str) -> Option<String> {
        self.config.label(label).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn needed(&self, label: &'static str) -> Result<String, Error> {
        self.text(label).ok_or_else(|| RebuildError::NotBuilt { image: self.image.familiar(), label }.into())
    }

    fn path(&self, label: &str) -> Option<ImagePath> {
        self.text(label).and_then(|path| ImagePath::new(&path).ok())
    }

    /// Whether b2i built it from sources: then it names images in full.
    fn is_ours(&self) -> bool {
        self.config.label(ENVIRONMENT_LABEL).is_some()
    }

    fn builder(&self) -> Result<BuilderRequest, Error> {
        let name = self.needed(BUILT_BY)?;
        if let Some(artifact) = self.text(ARTIFACT_LABEL).filter(|_| !self.is_ours()) {
            return Err(RebuildError::NotOfSources { image: self.image.familiar(), artifact }.into());
        }
        let wrong = |reason: String| BuilderError::BuilderName { text: name.clone(), reason };
        let reference: ImageReference = name
            .parse()
            .map_err(|error: crate::image::reference::InvalidReference| wrong(error.to_string()))?;
        if self.is_ours() && !name.contains('/') && reference.as_image_id().is_none() {
            let (template, version) = match name.split_once(':') {
                Some((template, version)) => (template.to_owned(), Some(version.to_owned())),
                None => (name.clone(), None),
            };
            return Ok(BuilderRequest::Template { name: template, version });
        }
        Ok(BuilderRequest::Image(reference))
    }

    fn location(&self, place: &str) -> Result<SourceLocation, Error> {
        let location = SourceLocation::parse(place).map_err(|error| match error {
            SourceError::Read { source, .. } if source.kind() == ErrorKind::NotFound => {
                RebuildError::SourcesElsewhere { image: self.image.familiar(), place: place.to_owned() }
                    .into()
            }
            error => Error::from(error),
        })?;
        Ok(match self.text(REFERENCE) {
            Some(reference) => location.with_reference(&reference)?,
            None => location,
        })
    }

    /// The scripts that the user named, as [`ScriptsSource::label`] writes it.
    fn scripts(&self, session: &Session) -> Option<ScriptsSource> {
        let place = self.text(SCRIPTS_LABEL)?;
        if place == ScriptsSource::LOCAL {
            session.events.warning(
                format!(
                    "`{}` was built with scripts of a directory that it does not name; the sources' and the builder's are \
                     used",
                    self.image.familiar()
                ),
                Some("Name them again with `s2i build --scripts-url`.".into()),
            );
            return None;
        }
        match place.strip_prefix("image://") {
            Some(path) => ImagePath::new(path).ok().map(ScriptsSource::Image),
            None => url::Url::parse(&place).ok().map(ScriptsSource::Url),
        }
    }

    /// The runtime image, and what the user said that it gets; if nothing, its own label says it again.
    fn runtime(&self, pull: PullPolicy) -> Option<RuntimeRequest> {
        let image = self.text(RUNTIME_IMAGE_LABEL)?.parse().ok()?;
        let artifacts = self.text(RUNTIME_ARTIFACTS_LABEL).unwrap_or_default();
        let places = artifacts.split(';').filter_map(|place| place.parse().ok());
        let assemble_user = self.text(RUNTIME_USER_LABEL);
        Some(RuntimeRequest { image, pull: Some(pull), artifacts: places.collect(), assemble_user })
    }
}

/// The variables that the build was given: those that b2i named, else whatever the builder does not have.
fn variables(built: &ImageConfig, of_builder: &BTreeSet<String>) -> Vec<EnvironmentVariable> {
    let named = built.label(ENVIRONMENT_LABEL).map(|names| names.split(' ').collect::<BTreeSet<_>>());
    let variable = |entry: String| {
        let (name, value) = entry.split_once('=')?;
        let is_own = match &named {
            Some(names) => names.contains(name),
            None => !of_builder.contains(&entry),
        };
        is_own.then(|| EnvironmentVariable { name: name.to_owned(), value: value.to_owned() })
    };
    built.list("Env").into_iter().filter_map(variable).collect()
}
