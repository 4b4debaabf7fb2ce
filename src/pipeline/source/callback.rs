//! Owns telling somebody how a source build ended, by the POST that S2I sends: `{"success": …, "labels": {…}}`.
//!
//! Must not change how the build ends: what goes wrong here is a warning.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use crate::network::{ClientSetup, client, describe, shown_url, without_credentials};
use crate::session::Session;

/// How often it is tried.
const TRIES: u32 = 3;

/// How long one try may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The pause after the first try that failed; after each further one it doubles.
const PAUSE: Duration = Duration::from_millis(500);

/// Tells `url` how the build ended; `labels` are those of the image.
pub(super) async fn tell(
    url: &Url,
    success: bool,
    labels: &BTreeMap<String, String>,
    offline: bool,
    session: &Session,
) {
    let body = serde_json::json!({"success": success, "labels": labels}).to_string();
    let warn = |reason: String| {
        let message = format!("`{}` was not told how the build ended: {reason}", shown_url(url));
        session.events.warning(message, None);
    };
    if offline {
        return warn("the network is not used (`--offline`)".to_owned());
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
        let mut request = client
            .post(without_credentials(url))
            .timeout(LIMIT)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body.clone());
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
