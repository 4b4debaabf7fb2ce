//! Owns fetching scripts from outside of the builder image: downloads and directories of this machine. Must not run them.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::builder::S2iContract;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::fs::Lease;
use crate::image::BaseImage;
use crate::input::{FileContent, HttpError, HttpOptions, InputError, InputOptions, InputSource, TreatAs};
use crate::network::shown_url;
use crate::pipeline::prepare::fetch;
use crate::request::{ScriptsSource, SourceBuildRequest};
use crate::session::Session;
use crate::sources::scripts::{NAMES, ScriptFile, ScriptFiles, ScriptOrigin};

/// Largest script, in bytes.
const LIMIT: u64 = 1 << 20;

/// Default limit for downloading one script. A silence limit is not enough: a slow server may send a byte now and then.
const TIME: Duration = Duration::from_secs(60);

/// Why the scripts cannot be fetched.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsError {
    #[error("`{place}` has none of the scripts `assemble`, `run` and `save-artifacts`")]
    NoneNamed { place: String },
    #[error("downloading the script `{place}` took longer than {seconds} s")]
    Timeout { place: String, seconds: u64 },
    #[error("the script `{place}` is larger than {limit} bytes")]
    TooLarge { place: String, limit: u64 },
}

impl Diagnostic for ScriptsError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoneNamed { .. } => vec!["set `--scripts-url` to the directory with the scripts".into()],
            Self::Timeout { .. } | Self::TooLarge { .. } => Vec::new(),
        }
    }
}

/// How scripts are fetched.
pub(crate) struct ScriptDownload<'a> {
    pub(crate) http: &'a HttpOptions,
    pub(crate) offline: bool,
    /// The longest time of one download.
    pub(crate) limit: Option<Duration>,
}

impl<'a> ScriptDownload<'a> {
    fn of(options: &'a SourceBuildRequest) -> Self {
        let input = &options.source.input;
        Self { http: &input.http, offline: input.offline, limit: options.download_timeout }
    }
}

/// Fetches the scripts of `--scripts-url`.
pub(super) async fn named(
    options: &SourceBuildRequest,
    lease: &Lease,
    session: &Session,
) -> Result<ScriptFiles, Error> {
    match &options.scripts {
        None => Ok(ScriptFiles::default()),
        Some(ScriptsSource::Image(directory)) => {
            Ok(ScriptFiles { directory: Some(directory.clone()), ..ScriptFiles::default() })
        }
        Some(place) => {
            let named = fetched(place, &ScriptDownload::of(options), lease, session).await?;
            Ok(ScriptFiles { named, ..ScriptFiles::default() })
        }
    }
}

/// Fetches the scripts that the builder image names and does not have, unless all are there. Without a label,
/// `--image-scripts-url` names them. ONBUILD instructions need none.
pub(super) async fn of_builder(
    options: &SourceBuildRequest,
    builder: &BaseImage,
    scripts: &ScriptFiles,
    lease: &Lease,
    session: &Session,
) -> Result<Vec<ScriptFile>, Error> {
    let label = S2iContract::scripts_source(&builder.name, &builder.config)?;
    let place = match label.as_ref().or(options.image_scripts.as_ref()) {
        None | Some(ScriptsSource::Image(_)) => return Ok(Vec::new()),
        Some(place) => place,
    };
    let is_complete = ["assemble", "run"].iter().all(|name| scripts.file(name).is_some());
    if is_complete || scripts.directory.is_some() {
        return Ok(Vec::new());
    }
    let is_optional = !builder.config.list("OnBuild").is_empty();
    let files = all_below(place, &ScriptDownload::of(options), lease, session).await?;
    match files.is_empty() && !is_optional {
        true => Err(none_named(place)),
        false => Ok(files),
    }
}

/// Fetches the scripts of a URL or of a directory of this machine.
pub(crate) async fn fetched(
    place: &ScriptsSource,
    download: &ScriptDownload<'_>,
    lease: &Lease,
    session: &Session,
) -> Result<Vec<ScriptFile>, Error> {
    let files = all_below(place, download, lease, session).await?;
    if files.is_empty() { Err(none_named(place)) } else { Ok(files) }
}

async fn all_below(
    place: &ScriptsSource,
    download: &ScriptDownload<'_>,
    lease: &Lease,
    session: &Session,
) -> Result<Vec<ScriptFile>, Error> {
    let mut files = Vec::new();
    for name in NAMES.into_iter().chain(["assemble-runtime"]) {
        let source = match place {
            ScriptsSource::Image(_) => return Ok(Vec::new()),
            ScriptsSource::Directory(directory) => InputSource::File(directory.join(name)),
            ScriptsSource::Url(url) => InputSource::Url(below(url, name)),
        };
        let origin = match &source {
            InputSource::Url(url) => ScriptOrigin::Url { url: shown_url(url) },
            InputSource::File(path) => ScriptOrigin::File { path: path.clone() },
            InputSource::Stdin => continue,
        };
        if let Some((size, content)) = script(&source, download, lease, session).await? {
            files.push(ScriptFile::new(name.to_owned(), origin, size, Arc::new(content)));
        }
    }
    Ok(files)
}

fn none_named(place: &ScriptsSource) -> Error {
    let place = match place {
        ScriptsSource::Url(url) => shown_url(url),
        ScriptsSource::Directory(directory) => directory.display().to_string(),
        ScriptsSource::Image(directory) => directory.to_string(),
    };
    ScriptsError::NoneNamed { place }.into()
}

/// The URL of one script. The path of the directory may end in `/`.
fn below(url: &Url, name: &str) -> Url {
    let mut url = url.clone();
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Fetches one script; none if it does not exist.
async fn script(
    source: &InputSource,
    download: &ScriptDownload<'_>,
    lease: &Lease,
    session: &Session,
) -> Result<Option<(u64, FileContent)>, Error> {
    let input = InputOptions {
        max_size: LIMIT,
        treat_as: Some(TreatAs::Artifact),
        http: download.http.clone(),
        offline: download.offline,
        ..InputOptions::default()
    };
    let fetching = fetch(source, &input, lease, session);
    let limit = download.limit.unwrap_or(TIME);
    let fetched = tokio::time::timeout(limit, fetching)
        .await
        .map_err(|_| ScriptsError::Timeout { place: source.to_string(), seconds: limit.as_secs() })?;
    match fetched {
        Ok(artifact) => Ok(Some((artifact.size, artifact.content))),
        Err(Error::Input(InputError::Http(HttpError::Status { status, .. })))
            if status == http::StatusCode::NOT_FOUND || status == http::StatusCode::GONE =>
        {
            Ok(None)
        }
        Err(Error::Input(InputError::Read { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(None)
        }
        Err(Error::Input(InputError::TooLarge { .. })) => {
            Err(ScriptsError::TooLarge { place: source.to_string(), limit: LIMIT }.into())
        }
        Err(error) => Err(error),
    }
}
