//! Owns what a run may leave in a daemon, and its removal. Must not touch anything of another lease.
//!
//! Everything has the id of the run's lease, in a label or in a name. A container that becomes an image has it in its name
//! only, because the image would inherit a label. The caller knows which leases are in use.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use bollard::query_parameters::RemoveContainerOptionsBuilder;
use bollard::query_parameters::RemoveImageOptionsBuilder;
use serde_json::{Value, json};

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::{describe, traced};
use crate::image::{Digest, ImageReference};

/// Label of containers and committed images with the id of the run's lease.
pub const LEASE_LABEL: &str = "io.b2i.lease";

/// The image that a lease names.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LeaseName {
    /// The built-in base, in which something runs.
    Base,
    /// A result before it has its own names.
    Result,
    /// The layer of a committed container, in an image of its own for export.
    TopLayer,
    /// A committed container before its config is final.
    Committed,
}

/// A name that no registry can have (RFC 2606) and that depends only on the lease.
pub(crate) fn lease_name(lease: &str, image: LeaseName) -> String {
    let tag = match image {
        LeaseName::Base => "base",
        LeaseName::Result => "result",
        LeaseName::TopLayer => "top-layer",
        LeaseName::Committed => "committed",
    };
    format!("b2i.invalid/lease/{}:{tag}", short_digest(lease))
}

/// A lease id may contain characters that a name must not.
fn short_digest(lease: &str) -> String {
    Digest::of(lease.as_bytes()).hex()[..32].to_owned()
}

fn container_prefix(lease: &str) -> String {
    format!("b2i-lease-{}-", short_digest(lease))
}

pub(crate) fn container_name(lease: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}{}", container_prefix(lease), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the containers and unnamed images of the leases `lease_ids`.
///
/// # Errors
/// The first error; the rest is removed nevertheless.
pub async fn remove_leftovers(daemon: &Daemon, lease_ids: &[String]) -> Result<(), DaemonError> {
    let mut first_error = None;
    for lease in lease_ids {
        for result in [remove_containers(daemon, lease).await, remove_images(daemon, lease).await] {
            if let Err(error) = result {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn labelled(lease: &str) -> Value {
    json!({"label": [format!("{LEASE_LABEL}={lease}")]})
}

async fn remove_containers(daemon: &Daemon, lease: &str) -> Result<(), DaemonError> {
    let prefix = container_prefix(lease);
    let is_labelled = |container: &Value| container["Labels"][LEASE_LABEL] == lease;
    let is_named = |container: &Value| {
        let names = container["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.into_iter().any(|name| name.trim_start_matches('/').starts_with(&prefix))
    };
    let named = json!({"name": [&prefix]});
    let labelled = list_containers(daemon, labelled(lease)).await?.into_iter().filter(is_labelled);
    let named = list_containers(daemon, named).await?.into_iter().filter(is_named);
    let ids: BTreeSet<String> =
        labelled.chain(named).filter_map(|container| Some(container["Id"].as_str()?.to_owned())).collect();
    for id in ids {
        remove_container(daemon, &id).await?;
    }
    Ok(())
}

async fn list_containers(daemon: &Daemon, filters: Value) -> Result<Vec<Value>, DaemonError> {
    // bollard's typed list fails for containers in a state that only Podman has (`stopped`).
    let found = daemon.list("/containers/json?all=true&", filters, "containers").await?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

/// Kills and removes a container with its anonymous volumes. A missing container is not an error.
pub(crate) async fn remove_container(daemon: &Daemon, id: &str) -> Result<(), DaemonError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match traced("remove a container", daemon.client().remove_container(id, Some(options))).await {
        Ok(()) => Ok(()),
        // 409: another program is removing it.
        Err(error) if matches!(describe(&error).0, Some(404 | 409)) => Ok(()),
        Err(error) => Err(daemon.request_error(format!("remove the container {id}"), &error)),
    }
}

async fn remove_images(daemon: &Daemon, lease: &str) -> Result<(), DaemonError> {
    for what in [LeaseName::Base, LeaseName::Result, LeaseName::TopLayer, LeaseName::Committed] {
        daemon.remove_image(&lease_name(lease, what)).await?;
    }
    let (mut left, mut refused) = (usize::MAX, None);
    loop {
        let found = unnamed_images(daemon, lease).await?;
        // Each pass removes the images without children. A pass that removes none is the last.
        if found.is_empty() || found.len() >= left {
            return refused.filter(|_| !found.is_empty()).map_or(Ok(()), Err);
        }
        (left, refused) = (found.len(), None);
        for id in &found {
            refused = daemon.remove_image(id).await.err().or(refused);
        }
    }
}

/// The unnamed images of a lease, also those with children.
async fn unnamed_images(daemon: &Daemon, lease: &str) -> Result<Vec<String>, DaemonError> {
    let found = daemon.list("/images/json?all=true&", labelled(lease), "images").await?;
    let is_own = |image: &&Value| {
        let mut tags = image["RepoTags"].as_array().into_iter().flatten();
        !tags.any(|tag| tag != "<none>:<none>") && image["Labels"][LEASE_LABEL] == lease
    };
    let own = found.as_array().into_iter().flatten().filter(is_own);
    Ok(own.filter_map(|image| Some(image["Id"].as_str()?.to_owned())).collect())
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    Removed,
    Named(String),
    /// Something uses it; this is the daemon's message.
    Used(String),
}

impl Daemon {
    /// Removes an image, and its parents that nothing else needs, if no name, container or other image uses it.
    pub async fn remove_unused(&self, id: &str) -> Result<Removal, DaemonError> {
        let Some(answer) = self.inspect_image(id).await? else { return Ok(Removal::Removed) };
        let mut names = answer["RepoTags"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
        if let Some(name) = names.find(|name| *name != "<none>:<none>") {
            let familiar = name.parse::<ImageReference>().map(|name| name.familiar());
            return Ok(Removal::Named(familiar.unwrap_or_else(|_| name.to_owned())));
        }
        // Without force, which would also remove it from containers that have ended.
        let options = RemoveImageOptionsBuilder::default().force(false).build();
        match traced("remove an image", self.client().remove_image(id, Some(options), None)).await {
            Ok(_) => Ok(Removal::Removed),
            Err(error) => match describe(&error) {
                (Some(404), _) => Ok(Removal::Removed),
                (Some(409), reason) => Ok(Removal::Used(reason.trim().to_owned())),
                _ => Err(self.request_error(format!("remove the image {id}"), &error)),
            },
        }
    }
}
