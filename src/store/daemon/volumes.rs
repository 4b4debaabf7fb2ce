//! Owns build caches in a daemon: named volumes that outlive runs and belong to no lease. Must not touch others'.
//!
//! Each has a label with the name of its cache directory.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::{describe, traced};

/// Label of a build cache with the name of its cache directory.
pub const CACHE_LABEL: &str = "b2i.cache";
/// The first part of its name, before the key.
const PREFIX: &str = "b2i-cache-";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheVolume {
    pub key: String,
    /// The size in bytes; `None` if the daemon does not report it.
    pub bytes: Option<u64>,
}

/// Creates the volume of the cache `key`, unless it exists, and returns its name.
///
/// # Errors
/// [`DaemonError`], also if the volume belongs to another cache directory.
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

pub async fn cache_volumes(daemon: &Daemon, owner: &str) -> Result<Vec<CacheVolume>, DaemonError> {
    let filters = serde_json::json!({"label": [format!("{CACHE_LABEL}={owner}")]});
    let listed = daemon.list("/volumes?", filters, "volumes").await?;
    let volumes = listed["Volumes"].as_array().into_iter().flatten();
    let own = volumes.filter(|volume| volume["Labels"][CACHE_LABEL].as_str() == Some(owner));
    let names: Vec<&str> = own.filter_map(|volume| volume["Name"].as_str()).collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    // Only this answer has the sizes, but on Podman no labels. Podman reads every image for it, and fails if one is removed
    // meanwhile; the volumes themselves are known nevertheless.
    let used = daemon.get_json("/system/df?type=volume".to_owned()).await.unwrap_or_else(|error| {
        let error = daemon.request_error("measure volumes", &error);
        tracing::warn!(%error, "the sizes of the build caches in the daemon are unknown");
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

/// Removes the volume of the cache `key`. Returns whether it is gone; a volume in use stays.
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
