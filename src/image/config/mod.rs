//! Owns image configs: an open JSON document that is edited (`edits`), so that unknown fields survive.
//! Must not rebuild a config.
//!
//! Source: OCI image spec v1.1 "config.md"; Docker image spec v1.2 for Healthcheck, OnBuild, Shell. `oci-spec` 0.10 was
//! weighed: it drops unknown fields, and has none of Docker's.

mod edits;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use edits::{ConfigEdits, set_env};

use super::digest::Digest;
use super::platform::Platform;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageConfig(Map<String, Value>);

#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    #[error("the image config is not a JSON object")]
    NotAnObject(#[from] serde_json::Error),
    #[error("the image config's `{0}` has an unexpected shape")]
    Field(&'static str),
}

/// Fields of the runtime part that `docker commit` copies from the container.
const OF_CONTAINERS: [&str; 9] = [
    "Hostname",
    "Domainname",
    "Image",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
];

/// Fields of the runtime part for the command.
const OF_COMMANDS: [&str; 3] = ["Entrypoint", "Cmd", "ArgsEscaped"];

impl ImageConfig {
    /// Parses a JSON object, and checks `config` and `rootfs.diff_ids` in it.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidConfig> {
        let config = Self(serde_json::from_slice(bytes)?);
        config.diff_ids()?;
        match config.0.get("config") {
            None | Some(Value::Null | Value::Object(_)) => Ok(config),
            Some(_) => Err(InvalidConfig::Field("config")),
        }
    }

    /// The config of an image without layers.
    pub fn empty(platform: &Platform) -> Self {
        let mut map = Map::new();
        map.insert("architecture".into(), json!(platform.architecture));
        map.insert("os".into(), json!(platform.os));
        if let Some(variant) = &platform.variant {
            map.insert("variant".into(), json!(variant));
        }
        map.insert("config".into(), json!({}));
        map.insert("rootfs".into(), json!({"type": "layers", "diff_ids": []}));
        map.insert("history".into(), json!([]));
        Self(map)
    }

    pub fn platform(&self) -> Platform {
        let text = |key| self.0.get(key).and_then(Value::as_str).unwrap_or_default();
        Platform::new(text("os"), text("architecture"), Some(text("variant")))
    }

    /// The digests of its uncompressed layers, lowest first.
    pub fn diff_ids(&self) -> Result<Vec<Digest>, InvalidConfig> {
        let invalid = || InvalidConfig::Field("rootfs.diff_ids");
        match self.0.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(ids)) => {
                ids.iter().map(|id| id.as_str().and_then(|id| id.parse().ok()).ok_or_else(invalid)).collect()
            }
            Some(_) => Err(invalid()),
        }
    }

    pub fn label(&self, name: &str) -> Option<&str> {
        self.runtime("Labels")?.get(name)?.as_str()
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.runtime("Labels").and_then(Value::as_object);
        let pairs = labels.into_iter().flatten();
        pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    pub fn env(&self, name: &str) -> Option<&str> {
        self.env_list()
            .filter_map(|entry| entry.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|pair| pair.1)
    }

    fn env_list(&self) -> impl Iterator<Item = &str> {
        self.runtime("Env").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The user; empty means root.
    pub fn user(&self) -> &str {
        self.runtime("User").and_then(Value::as_str).unwrap_or_default()
    }

    /// The working directory; empty means `/`.
    pub fn working_dir(&self) -> &str {
        self.runtime("WorkingDir").and_then(Value::as_str).unwrap_or_default()
    }

    /// The exposed ports, such as `8080/tcp`, sorted.
    pub fn exposed_ports(&self) -> Vec<String> {
        let ports = self.runtime("ExposedPorts").and_then(Value::as_object);
        let mut ports: Vec<String> = ports.into_iter().flat_map(Map::keys).cloned().collect();
        ports.sort();
        ports
    }

    /// The directories that an engine mounts as volumes, whose contents no commit has.
    #[cfg(feature = "sandbox")]
    pub fn volumes(&self) -> Vec<String> {
        let volumes = self.runtime("Volumes").and_then(Value::as_object);
        volumes.into_iter().flat_map(Map::keys).cloned().collect()
    }

    /// A list of the runtime part, such as `Entrypoint`, `Cmd` or `OnBuild`; empty if it is not set.
    pub fn list(&self, field: &str) -> Vec<String> {
        let values = self.runtime(field).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(Into::into).collect()
    }

    /// A field of the runtime part (`config`).
    pub fn runtime(&self, field: &str) -> Option<&Value> {
        self.0.get("config")?.get(field)
    }

    /// All fields of the runtime part.
    pub fn runtime_fields(&self) -> Map<String, Value> {
        self.0.get("config").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Whether each field, variable and label of the runtime part of `base` is set here, too, with any value. The health
    /// check must be equal. The command does not count, because a container has its own.
    pub fn keeps(&self, base: &Self) -> bool {
        let counts = |name: &str| !OF_CONTAINERS.contains(&name) && !OF_COMMANDS.contains(&name);
        let lacks = |name: &String| self.runtime(name).is_none() && counts(name);
        let names = |config: &Self| -> BTreeSet<String> {
            config.env_list().map(|entry| entry.split('=').next().unwrap_or_default().to_owned()).collect()
        };
        let labels = self.labels();
        !base.runtime_fields().keys().any(lacks)
            && names(base).is_subset(&names(self))
            && base.labels().keys().all(|name| labels.contains_key(name))
            && base.runtime("Healthcheck").is_none_or(|check| self.runtime("Healthcheck") == Some(check))
    }

    pub fn set_user(&mut self, user: &str) {
        object(&mut self.0, "config").insert("User".to_owned(), json!(user));
    }

    pub fn set_label(&mut self, name: &str, value: &str) {
        object(object(&mut self.0, "config"), "Labels").insert(name.to_owned(), json!(value));
    }

    /// Sets a list of the runtime part, unless it is empty.
    pub fn set_list(&mut self, field: &str, words: &[String]) {
        if !words.is_empty() {
            object(&mut self.0, "config").insert(field.to_owned(), json!(words));
        }
    }

    /// The JSON bytes. Their digest is the image's ID.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("a map of JSON values can be serialised")
    }

    /// The digest of [`Self::to_bytes`]: the image's ID in daemons.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

/// The object at `key`. A missing or other value is replaced.
fn object<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("it is an object now")
}

/// The array at `key`. A missing or other value is replaced.
fn array<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = map.entry(key).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("it is an array now")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_configs_of_the_wrong_shape() {
        for text in [
            "[]",
            "{",
            r#"{"config":[]}"#,
            r#"{"rootfs":{"diff_ids":["x"]}}"#,
            r#"{"rootfs":{"diff_ids":{}}}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
