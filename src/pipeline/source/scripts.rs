//! Owns getting the scripts that the user names a place for: downloads and directories of this machine.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::diagnostic::{Diagnostic, FailureKind};
use crate::error::Error;
use crate::fs::Lease;
use crate::input::{FileContent, HttpError, InputError, InputOptions, InputSource, TreatAs};
use crate::network::shown_url;
use crate::pipeline::prepare::fetch;
use crate::request::{ScriptsSource, SourceBuildRequest};
use crate::session::Session;
use crate::sources::scripts::{NAMES, ScriptFile, ScriptFiles, ScriptOrigin};

/// Largest script, in bytes.
const LIMIT: u64 = 1 << 20;

/// How long one script may take to come, unless another time is asked for: a server that sends a byte now and then is
/// never silent for long.
const TIME: Duration = Duration::from_secs(60);

/// Scripts that did not come.
#[derive(Debug, thiserror::Error)]
pub enum ScriptsError {
    #[error("`{place}` has none of the scripts `assemble`, `run` and `save-artifacts`")]
    NoneNamed { place: String },
    #[error("the script `{place}` did not come within {seconds} s")]
    Timeout { place: String, seconds: u64 },
    #[error("`{place}` is larger than a script may be, which is {limit} bytes")]
    TooLarge { place: String, limit: u64 },
}

impl Diagnostic for ScriptsError {
    fn kind(&self) -> FailureKind {
        FailureKind::Input
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoneNamed { .. } => vec!["`--scripts-url` names the directory that they are in".into()],
            Self::Timeout { .. } | Self::TooLarge { .. } => Vec::new(),
        }
    }
}

/// Gets the scripts that `--scripts-url` names.
pub(super) async fn named(
    wanted: &SourceBuildRequest,
    lease: &Lease,
    session: &Session,
) -> Result<ScriptFiles, Error> {
    let Some(place) = &wanted.scripts else { return Ok(ScriptFiles::default()) };
    let mut named = Vec::new();
    for name in NAMES.into_iter().chain(["assemble-runtime"]) {
        let source = match place {
            ScriptsSource::Image(directory) => {
                return Ok(ScriptFiles { directory: Some(directory.clone()), ..ScriptFiles::default() });
            }
            ScriptsSource::Directory(directory) => InputSource::File(directory.join(name)),
            ScriptsSource::Url(url) => InputSource::Url(below(url, name)),
        };
        let origin = match &source {
            InputSource::Url(url) => ScriptOrigin::Url { url: shown_url(url) },
            InputSource::File(path) => ScriptOrigin::File { path: path.clone() },
            InputSource::Stdin => continue,
        };
        if let Some((size, content)) = script(&source, wanted, lease, session).await? {
            named.push(ScriptFile { name: name.to_owned(), origin, size, content: Arc::new(content) });
        }
    }
    if named.is_empty() {
        let place = match place {
            ScriptsSource::Url(url) => shown_url(url),
            ScriptsSource::Directory(directory) => directory.display().to_string(),
            ScriptsSource::Image(directory) => directory.to_string(),
        };
        return Err(ScriptsError::NoneNamed { place }.into());
    }
    Ok(ScriptFiles { named, ..ScriptFiles::default() })
}

/// The URL of one script: the path of the directory may end in `/` or not.
fn below(url: &Url, name: &str) -> Url {
    let mut url = url.clone();
    let path = format!("{}/{name}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// One script; nothing if there is none.
async fn script(
    source: &InputSource,
    wanted: &SourceBuildRequest,
    lease: &Lease,
    session: &Session,
) -> Result<Option<(u64, FileContent)>, Error> {
    let options = InputOptions {
        max_size: LIMIT,
        treat_as: Some(TreatAs::Artifact),
        http: wanted.source.input.http.clone(),
        offline: wanted.source.input.offline,
        ..InputOptions::default()
    };
    let fetching = fetch(source, &options, lease, session);
    let limit = wanted.download_timeout.unwrap_or(TIME);
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
