//! Owns build caches in a daemon: named volumes that outlive runs, and how they are recognised.
//!
//! Each carries the name of the cache directory that it belongs to, so nobody else's are ever listed or removed. No lease
//! has to do with them.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::{describe, traced};

/// Label of the volumes of build caches: the name of the cache directory they belong to.
pub const CACHE_LABEL: &str = "b2i.cache";
/// What their names begin with; the key follows.
const PREFIX: &str = "b2i-cache-";

/// A build cache in a daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheVolume {
    pub key: String,
    /// What it takes, in bytes; nothing if the daemon does not say.
    pub bytes: Option<u64>,
}

/// Makes the volume of the cache `key` if it is not there, and gives its name.
///
/// # Errors
/// [`DaemonError`]; also if the volume belongs to another cache directory.
pub async fn ensure_cache_volume(daemon: &Daemon, owner: &str, key: &str) -> Result<String, DaemonError> {
    let name = format!("{PREFIX}{key}");
    let request = VolumeCreateRequest {
        name: Some(name.clone()),
        labels: Some(HashMap::from([(CACHE_LABEL.to_owned(), owner.to_owned())])),
        ..VolumeCreateRequest::default()
    };
    let made = traced("create a volume", daemon.client().create_volume(request)).await;
    let made = made.map_err(|error| daemon.request_error(format!("create the volume {name}"), &error))?;
    if made.labels.get(CACHE_LABEL).is_some_and(|label| label == owner) {
        return Ok(name);
    }
    Err(DaemonError::ForeignVolume { name })
}

/// The build caches of the cache directory `owner`.
///
/// # Errors
/// [`DaemonError`] if the daemon does not say.
pub async fn cache_volumes(daemon: &Daemon, owner: &str) -> Result<Vec<CacheVolume>, DaemonError> {
    let filters = serde_json::json!({"label": [format!("{CACHE_LABEL}={owner}")]}).to_string();
    let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
    let failed = |error| daemon.request_error("list volumes", &error);
    let listed = daemon.get_json(format!("/volumes?filters={filters}")).await.map_err(failed)?;
    let volumes = listed["Volumes"].as_array().into_iter().flatten();
    let own = volumes.filter(|volume| volume["Labels"][CACHE_LABEL].as_str() == Some(owner));
    let names: Vec<&str> = own.filter_map(|volume| volume["Name"].as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // What volumes take stands here alone, where Podman says nothing of their labels. Podman looks at every image for it,
    // and has no answer if one of them is removed meanwhile; what volumes there are is known all the same.
    let used = daemon.get_json("/system/df?type=volume".to_owned()).await.unwrap_or_else(|error| {
        let error = daemon.request_error("measure volumes", &error);
        tracing::warn!(%error, "what build caches in the daemon take is not known");
        serde_json::Value::Null
    });
    let bytes = |name: &str| {
        let mut volumes = used["Volumes"].as_array().into_iter().flatten();
        volumes.find(|volume| volume["Name"].as_str() == Some(name))?["UsageData"]["Size"].as_u64()
    };
    let cache = names.iter().filter_map(|name| {
        let key = name.strip_prefix(PREFIX)?.to_owned();
        Some(CacheVolume { key, bytes: bytes(name) })
    });
    Ok(cache.collect())
}

/// Removes the volume of the cache `key`; says whether it is gone. One that a container has stays.
///
/// # Errors
/// [`DaemonError`] if the daemon refuses for another reason.
pub async fn remove_cache_volume(daemon: &Daemon, key: &str) -> Result<bool, DaemonError> {
    let name = format!("{PREFIX}{key}");
    let removed = daemon.client().remove_volume(&name, None::<RemoveVolumeOptions>);
    match traced("remove a volume", removed).await {
        Ok(()) => Ok(true),
        Err(error) => match describe(&error).0 {
            Some(404) => Ok(true),
            Some(409) => Ok(false),
            _ => Err(daemon.request_error(format!("remove the volume {name}"), &error)),
        },
    }
}
