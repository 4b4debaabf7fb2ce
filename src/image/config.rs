//! Owns image configs: an open JSON document that is edited, never rebuilt, so that unknown fields survive.
//!
//! Source: OCI image spec v1.1 "config.md"; Docker image spec v1.2 for Healthcheck, OnBuild, Shell.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::digest::Digest;
use super::platform::Platform;

/// An image config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageConfig(Map<String, Value>);

/// A config that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// It is not JSON, or not an object.
    #[error("the image config is not a JSON object")]
    NotAnObject(#[from] serde_json::Error),
    /// A field has a shape the specification does not allow.
    #[error("the image config's `{0}` has an unexpected shape")]
    Field(&'static str),
}

/// Fields of the runtime part that `docker commit` takes over from a container, never from a decision.
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

/// Fields of the runtime part that say what is started.
const OF_COMMANDS: [&str; 3] = ["Entrypoint", "Cmd", "ArgsEscaped"];

/// What a build changes in its base's config. Everything not named here is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigEdits {
    /// Environment variables of the base to leave out; one that is also set is set.
    pub removed_env: BTreeSet<String>,
    /// Environment variables to set; a name that the base sets keeps its place in the list.
    pub env: Vec<(String, String)>,
    /// Labels of the base to leave out; one that is also set is set.
    pub removed_labels: BTreeSet<String>,
    /// Labels to set.
    pub labels: BTreeMap<String, String>,
    /// Ports to add, such as `8080/tcp`.
    pub exposed_ports: Vec<String>,
    /// Volumes to add.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// User, `uid[:gid]` or a name.
    pub user: Option<String>,
    /// Entrypoint: `None` keeps the base's, an empty list removes it.
    pub entrypoint: Option<Vec<String>>,
    /// Command: `None` keeps the base's, an empty list removes it.
    pub cmd: Option<Vec<String>>,
    /// Command of the health check, run by a shell (`CMD-SHELL`); an empty text switches the base's off.
    pub health_cmd: Option<String>,
    /// Signal that asks the program to stop, such as `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Whether the base's ONBUILD triggers are removed.
    pub reset_on_build: bool,
    /// Value of `created`, RFC 3339.
    pub created: String,
    /// `created_by` of the history entry that is added, one for each new layer.
    pub history: String,
}

impl ImageConfig {
    /// Parses a config.
    ///
    /// # Errors
    /// [`InvalidConfig`] if it is no JSON object or `config` or `rootfs.diff_ids` have the wrong shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidConfig> {
        let config = Self(serde_json::from_slice(bytes)?);
        config.diff_ids()?;
        match config.0.get("config") {
            None | Some(Value::Null | Value::Object(_)) => Ok(config),
            Some(_) => Err(InvalidConfig::Field("config")),
        }
    }

    /// Makes the config of an image without layers.
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

    /// The platform it says it is for.
    pub fn platform(&self) -> Platform {
        let text = |key| self.0.get(key).and_then(Value::as_str).unwrap_or_default();
        let variant = Some(text("variant")).filter(|variant| !variant.is_empty());
        let mut platform = Platform::linux(text("architecture"));
        platform.os = text("os").into();
        platform.variant =
            variant.filter(|v| !(platform.architecture == "arm64" && *v == "v8")).map(Into::into);
        platform
    }

    /// The digests of its uncompressed layers, lowest first.
    ///
    /// # Errors
    /// [`InvalidConfig::Field`] if one is no SHA-256 digest.
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

    /// A label, if it is set.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.runtime("Labels")?.get(name)?.as_str()
    }

    /// All labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        let labels = self.runtime("Labels").and_then(Value::as_object);
        let pairs = labels.into_iter().flatten();
        pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// An environment variable, if it is set.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env_list()
            .find_map(|entry| entry.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
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

    /// A list of texts in the runtime part, such as `Entrypoint`, `Cmd` or `OnBuild`; empty if it is not set.
    pub fn list(&self, field: &str) -> Vec<String> {
        let values = self.runtime(field).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).map(Into::into).collect()
    }

    /// A field of the runtime part (`config`), as it stands.
    pub fn runtime(&self, field: &str) -> Option<&Value> {
        self.0.get("config")?.get(field)
    }

    /// All fields of the runtime part.
    pub fn runtime_fields(&self) -> Map<String, Value> {
        self.0.get("config").and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Whether everything that `base` sets in the runtime part is set here too, to whatever value: each field, variable
    /// and label, and the health check as it is. What is started does not count: a container has its own.
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

    /// Sets a label.
    pub fn set_label(&mut self, name: &str, value: &str) {
        object(object(&mut self.0, "config"), "Labels").insert(name.to_owned(), json!(value));
    }

    /// Sets a list of texts in the runtime part; an empty one is left out.
    pub fn set_list(&mut self, field: &str, words: &[String]) {
        if !words.is_empty() {
            object(&mut self.0, "config").insert(field.to_owned(), json!(words));
        }
    }

    /// Applies `edits` and adds the new layers on top.
    pub fn apply(&mut self, edits: &ConfigEdits, new_layers: &[Digest]) {
        // Legacy fields of `docker commit` name a container and a host; they would differ from run to run.
        for field in ["container", "container_config", "docker_version", "id", "parent", "author"] {
            self.0.remove(field);
        }
        self.0.insert("created".into(), json!(edits.created));
        self.apply_runtime(edits);
        let diff_ids = array(object(&mut self.0, "rootfs"), "diff_ids");
        diff_ids.extend(new_layers.iter().map(|digest| json!(digest.to_string())));
        object(&mut self.0, "rootfs").insert("type".into(), json!("layers"));
        let history = array(&mut self.0, "history");
        for _ in new_layers {
            history.push(json!({"created": edits.created, "created_by": edits.history}));
        }
    }

    fn apply_runtime(&mut self, edits: &ConfigEdits) {
        let runtime = object(&mut self.0, "config");
        for field in OF_CONTAINERS {
            runtime.remove(field);
        }
        let env = array(runtime, "Env");
        env.retain(|old| {
            let name = old.as_str().and_then(|old| old.split('=').next()).unwrap_or_default();
            !edits.removed_env.contains(name) || edits.env.iter().any(|(set, _)| set == name)
        });
        for (name, value) in &edits.env {
            let entry = json!(format!("{name}={value}"));
            let same = |old: &&mut Value| {
                old.as_str().and_then(|old| old.split_once('=')).is_some_and(|(key, _)| key == name)
            };
            match env.iter_mut().find(same) {
                Some(old) => *old = entry,
                None => env.push(entry),
            }
        }
        let labels = object(runtime, "Labels");
        labels.retain(|name, _| !edits.removed_labels.contains(name) || edits.labels.contains_key(name));
        for (name, value) in &edits.labels {
            labels.insert(name.clone(), json!(value));
        }
        if !edits.exposed_ports.is_empty() {
            let ports = object(runtime, "ExposedPorts");
            for port in &edits.exposed_ports {
                ports.insert(port.clone(), json!({}));
            }
        }
        if !edits.volumes.is_empty() {
            let volumes = object(runtime, "Volumes");
            for volume in &edits.volumes {
                volumes.insert(volume.clone(), json!({}));
            }
        }
        let mut set = |field: &str, value: Option<Value>| match value {
            Some(Value::Array(list)) if list.is_empty() => {
                runtime.remove(field);
            }
            Some(value) => {
                runtime.insert(field.into(), value);
            }
            None => {}
        };
        set("WorkingDir", edits.working_dir.as_ref().map(|value| json!(value)));
        set("User", edits.user.as_ref().map(|value| json!(value)));
        set("Entrypoint", edits.entrypoint.as_ref().map(|value| json!(value)));
        set("Cmd", edits.cmd.as_ref().map(|value| json!(value)));
        set("StopSignal", edits.stop_signal.as_ref().map(|value| json!(value)));
        set("Healthcheck", edits.health_cmd.as_deref().map(health_check));
        if edits.reset_on_build {
            runtime.remove("OnBuild");
        }
        // A reset entrypoint that Docker flagged as escaped for Windows is not the one it was flagged for.
        if edits.entrypoint.is_some() || edits.cmd.is_some() {
            runtime.remove("ArgsEscaped");
        }
        // `{}` and `null` mean the same; keeping one form keeps digests equal whatever wrote the base.
        for field in ["Env", "Labels"] {
            if runtime.get(field).is_some_and(|value| {
                value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
            }) {
                runtime.remove(field);
            }
        }
    }

    /// Writes it as JSON bytes; the digest of these is the image's ID.
    pub fn to_bytes(&self) -> Vec<u8> {
        // A map of JSON values with text keys always serialises.
        serde_json::to_vec(&self.0).unwrap_or_default()
    }

    /// The digest of [`Self::to_bytes`]: the image's ID in daemons.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

fn health_check(command: &str) -> Value {
    if command.is_empty() { json!({"Test": ["NONE"]}) } else { json!({"Test": ["CMD-SHELL", command]}) }
}

/// Returns the object at `key`, making it one if it is absent or has another shape.
fn object<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    value.as_object_mut().expect("made an object above")
}

/// Returns the array at `key`, making it one if it is absent or has another shape.
fn array<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let value = map.entry(key).or_insert_with(|| json!([]));
    if !value.is_array() {
        *value = json!([]);
    }
    value.as_array_mut().expect("made an array above")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> ImageConfig {
        let text = json!({
            "architecture": "amd64", "os": "linux", "x-vendor": {"kept": true}, "container": "abc",
            "config": {
                "Env": ["PATH=/bin", "LANG=C"], "Entrypoint": ["/old"], "Cmd": ["x"], "OnBuild": ["RUN x"],
                "Healthcheck": {"Test": ["CMD", "true"]}, "Labels": {"a": "1"}, "StopSignal": "SIGINT",
                "Unknown": 7, "Volumes": {"/data": {}}
            },
            "rootfs": {"type": "layers", "diff_ids": [Digest::of(b"base").to_string()]},
            "history": [{"created_by": "base"}]
        });
        ImageConfig::parse(text.to_string().as_bytes()).expect("valid")
    }

    fn edits() -> ConfigEdits {
        ConfigEdits {
            env: vec![("LANG".into(), "C.UTF-8".into()), ("ARGS".into(), "a".into())],
            entrypoint: Some(vec!["/run".into()]),
            cmd: Some(Vec::new()),
            reset_on_build: true,
            created: "1980-01-01T00:00:00Z".into(),
            history: "b2i".into(),
            ..ConfigEdits::default()
        }
    }

    #[test]
    fn keeps_what_it_does_not_know_and_inherits_the_rest() {
        let mut config = base();
        config.apply(&edits(), &[Digest::of(b"new")]);
        let value: Value = serde_json::from_slice(&config.to_bytes()).expect("JSON");
        assert_eq!(value["x-vendor"]["kept"], json!(true));
        assert_eq!(value["config"]["Unknown"], json!(7));
        assert_eq!(value["config"]["Healthcheck"]["Test"], json!(["CMD", "true"]));
        assert_eq!(value["config"]["Volumes"], json!({"/data": {}}));
        assert_eq!(value["config"]["StopSignal"], json!("SIGINT"));
        assert_eq!(value["config"]["Env"], json!(["PATH=/bin", "LANG=C.UTF-8", "ARGS=a"]));
        assert_eq!(value.get("container"), None);
    }

    #[test]
    fn leaves_out_what_is_removed_and_not_set() {
        let edits = ConfigEdits {
            removed_env: ["PATH", "LANG", "ABSENT"].map(str::to_owned).into(),
            removed_labels: ["a", "absent"].map(str::to_owned).into(),
            ..edits()
        };
        let mut config = base();
        config.apply(&edits, &[]);
        let env: Vec<&str> = config.env_list().collect();
        assert_eq!(env, ["LANG=C.UTF-8", "ARGS=a"]);
        assert!(config.labels().is_empty());
        let mut config = base();
        config.apply(&ConfigEdits { labels: [("a".into(), "2".into())].into(), ..edits }, &[]);
        assert_eq!(config.label("a"), Some("2"));
    }

    #[test]
    fn what_is_kept_of_a_base_is_told_from_what_is_lost() {
        let made = |edits: ConfigEdits| {
            let mut config = base();
            config.apply(&edits, &[]);
            config.keeps(&base())
        };
        let plain = ConfigEdits { cmd: Some(vec!["/run".into()]), ..ConfigEdits::default() };
        assert!(made(plain.clone()));
        assert!(made(ConfigEdits { entrypoint: Some(Vec::new()), ..plain.clone() }));
        for edits in [
            ConfigEdits { reset_on_build: true, ..plain.clone() },
            ConfigEdits { removed_env: ["LANG".to_owned()].into(), ..plain.clone() },
            ConfigEdits { removed_labels: ["a".to_owned()].into(), ..plain.clone() },
            ConfigEdits { health_cmd: Some("true".into()), ..plain },
        ] {
            assert!(!made(edits.clone()), "{edits:?}");
        }
    }

    #[test]
    fn resets_entrypoint_command_and_triggers() {
        let mut config = base();
        config.apply(&edits(), &[Digest::of(b"new")]);
        assert_eq!(config.list("Entrypoint"), ["/run"]);
        assert_eq!(config.runtime("Cmd"), None);
        assert_eq!(config.runtime("OnBuild"), None);
    }

    #[test]
    fn adds_layers_with_their_history() {
        let mut config = base();
        config.apply(&edits(), &[Digest::of(b"new")]);
        assert_eq!(config.diff_ids().expect("valid"), [Digest::of(b"base"), Digest::of(b"new")]);
        assert_eq!(config.0["history"].as_array().map(Vec::len), Some(2));
    }

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
