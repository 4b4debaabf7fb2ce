//! Owns what a run may leave in a daemon, how it is recognised, and its removal.
//!
//! Everything carries the id of the run's lease, as a label or in a name: a container that becomes an image has it in
//! its name alone, as the image would inherit a label. Nothing that belongs to another lease is touched; whose lease is
//! still held is for the caller to know.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};

use bollard::query_parameters::RemoveContainerOptionsBuilder;

use serde_json::Value;

use super::connection::Daemon;
use super::error::DaemonError;
use super::request::{describe, traced};
use crate::image::Digest;

/// Label of containers and committed images: the id of the lease of the run that made them.
pub const LEASE_LABEL: &str = "io.b2i.lease";

/// What a name of a lease stands for.
#[derive(Clone, Copy)]
pub(crate) enum LeaseName {
    /// The built-in base, loaded to run something in it.
    Base,
    /// A result between loading and naming.
    Result,
    /// The layer of a committed container, in an image of its own to be exported.
    TopLayer,
    /// What stands for a committed container until its config is final.
    Committed,
}

/// A name that no registry can have (RFC 2606) and that depends on the lease alone.
pub(crate) fn lease_name(lease: &str, what: LeaseName) -> String {
    // A lease id may hold what a name must not.
    let id = Digest::of(lease.as_bytes()).hex();
    let tag = match what {
        LeaseName::Base => "base",
        LeaseName::Result => "result",
        LeaseName::TopLayer => "top-layer",
        LeaseName::Committed => "committed",
    };
    format!("b2i.invalid/lease/{}:{tag}", &id[..32])
}

/// What the name of every container of a lease begins with.
fn container_prefix(lease: &str) -> String {
    // As in `lease_name`: a lease id may hold what a name must not.
    let id = Digest::of(lease.as_bytes()).hex();
    format!("b2i-lease-{}-", &id[..32])
}

/// A new name for a container of a lease.
pub(crate) fn container_name(lease: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}{}", container_prefix(lease), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Removes the containers and unnamed images of the leases `lease_ids`.
///
/// # Errors
/// The first error; what could be removed is removed all the same.
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

fn labelled(lease: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{LEASE_LABEL}={lease}")])])
}

async fn remove_containers(daemon: &Daemon, lease: &str) -> Result<(), DaemonError> {
    let prefix = container_prefix(lease);
    let is_labelled = |container: &Value| container["Labels"][LEASE_LABEL] == lease;
    let is_named = |container: &Value| {
        let names = container["Names"].as_array().into_iter().flatten().filter_map(Value::as_str);
        names.into_iter().any(|name| name.trim_start_matches('/').starts_with(&prefix))
    };
    let named = HashMap::from([("name".to_owned(), vec![prefix.clone()])]);
    let labelled = list_containers(daemon, &labelled(lease)).await?.into_iter().filter(is_labelled);
    let named = list_containers(daemon, &named).await?.into_iter().filter(is_named);
    let ids: BTreeSet<String> =
        labelled.chain(named).filter_map(|container| Some(container["Id"].as_str()?.to_owned())).collect();
    for id in ids {
        remove_container(daemon, &id).await?;
    }
    Ok(())
}

async fn list_containers(
    daemon: &Daemon,
    filters: &HashMap<String, Vec<String>>,
) -> Result<Vec<Value>, DaemonError> {
    // Not bollard's typed list: it takes none with a container in a state that only Podman has (`stopped`).
    let filters = serde_json::json!(filters).to_string();
    let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
    let found = daemon.get_json(format!("/containers/json?all=true&filters={filters}")).await;
    let found = found.map_err(|error| daemon.request_error("list containers", &error))?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

/// Kills and removes a container with its anonymous volumes; one that is not there is no error.
pub(crate) async fn remove_container(daemon: &Daemon, id: &str) -> Result<(), DaemonError> {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    match traced("remove a container", daemon.client().remove_container(id, Some(options))).await {
        Ok(()) => Ok(()),
        // 409: somebody else is removing it at this moment.
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
        // Each pass takes those on which no other stands; one that takes none is the last.
        if found.is_empty() || found.len() >= left {
            return refused.filter(|_| !found.is_empty()).map_or(Ok(()), Err);
        }
        (left, refused) = (found.len(), None);
        for id in &found {
            refused = daemon.remove_image(id).await.err().or(refused);
        }
    }
}

/// Images of a lease that have no name, those that others stand on too.
async fn unnamed_images(daemon: &Daemon, lease: &str) -> Result<Vec<String>, DaemonError> {
    let filters = serde_json::json!(labelled(lease)).to_string();
    let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
    let found = daemon.get_json(format!("/images/json?all=true&filters={filters}")).await;
    let found = found.map_err(|error| daemon.request_error("list images", &error))?;
    let is_own = |image: &&Value| {
        let mut tags = image["RepoTags"].as_array().into_iter().flatten();
        !tags.any(|tag| tag != "<none>:<none>") && image["Labels"][LEASE_LABEL] == lease
    };
    let own = found.as_array().into_iter().flatten().filter(is_own);
    Ok(own.filter_map(|image| Some(image["Id"].as_str()?.to_owned())).collect())
}
