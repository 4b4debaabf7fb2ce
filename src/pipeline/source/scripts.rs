//! Owns fetching the scripts of `--scripts-url`: downloads and directories of this machine. Must not run them.

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

/// Fetches the scripts of `--scripts-url`.
pub(super) async fn named(
    options: &SourceBuildRequest,
    lease: &Lease,
    session: &Session,
) -> Result<ScriptFiles, Error> {
    let Some(place) = &options.scripts else { return Ok(ScriptFiles::default()) };
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
        if let Some((size, content)) = script(&source, options, lease, session).await? {
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
    options: &SourceBuildRequest,
    lease: &Lease,
    session: &Session,
) -> Result<Option<(u64, FileContent)>, Error> {
    let input = InputOptions {
        max_size: LIMIT,
        treat_as: Some(TreatAs::Artifact),
        http: options.source.input.http.clone(),
        offline: options.source.input.offline,
        ..InputOptions::default()
    };
    let fetching = fetch(source, &input, lease, session);
    let limit = options.download_timeout.unwrap_or(TIME);
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
