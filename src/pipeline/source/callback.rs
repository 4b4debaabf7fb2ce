//! Owns the POST that reports the end of a source build, as S2I sends it: `{"success": …, "labels": {…}}`.
//!
//! Must not change how the build ends: a failure here is a warning.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::network::{ClientSetup, client, describe, shown_url, without_credentials};
use crate::session::Session;

/// Attempts.
const TRIES: u32 = 3;

/// Limit of one attempt.
const LIMIT: Duration = Duration::from_secs(30);

/// Pause after the first failed attempt. Each further pause doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Reports to `url` how the build ended, with the labels of the image.
pub(super) async fn report(
    url: &Url,
    success: bool,
    labels: &BTreeMap<String, String>,
    offline: bool,
    session: &Session,
) {
    let body = serde_json::json!({"success": success, "labels": labels}).to_string();
    let warn = |reason: String| {
        let message = format!("cannot report the end of the build to `{}`: {reason}", shown_url(url));
        session.events.warning(message, None);
    };
    if offline {
        return warn("`--offline` is set".to_owned());
    }
    let client = match client(&session.host.registry.network, ClientSetup::default()) {
        Ok(client) => client,
        Err(error) => return warn(error.to_string()),
    };
    let mut last = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(PAUSE * 2_u32.pow(attempt - 1)).await;
        }
        let request = match client.request(http::Method::POST, without_credentials(url)) {
            Ok(request) => request,
            Err(error) => return warn(error.to_string()),
        };
        let mut request =
            request.timeout(LIMIT).header(http::header::CONTENT_TYPE, "application/json").body(body.clone());
        if !url.username().is_empty() {
            request = request.basic_auth(url.username(), url.password());
        }
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => last = format!("the server answered {}", answer.status()),
            Err(error) => last = describe(&error),
        }
    }
    warn(last);
}
