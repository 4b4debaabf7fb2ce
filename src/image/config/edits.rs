//! Owns the changes that a build makes to the config of its base.
//! Must not change a field that no edit names.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{ImageConfig, OF_CONTAINERS, array, object};
use crate::image::Digest;

/// Sets variables. A variable that exists keeps its position and gets the new value.
pub fn set_env(env: &mut Vec<(String, String)>, values: &[(String, String)]) {
    for (name, value) in values {
        match env.iter_mut().find(|(old, _)| old == name) {
            Some((_, old)) => old.clone_from(value),
            None => env.push((name.clone(), value.clone())),
        }
    }
}

/// The changes to the config of a base. `None` and empty collections keep the values of the base.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigEdits {
    /// Variables of the base to remove, unless `env` sets them.
    pub removed_env: BTreeSet<String>,
    /// Variables to set. A variable of the base keeps its position.
    pub env: Vec<(String, String)>,
    /// Labels of the base to remove, unless `labels` sets them.
    pub removed_labels: BTreeSet<String>,
    pub labels: BTreeMap<String, String>,
    /// Ports to add, such as `8080/tcp`.
    pub exposed_ports: Vec<String>,
    /// Volumes to add.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    pub working_dir: Option<String>,
    /// `uid[:gid]` or a name.
    pub user: Option<String>,
    /// An empty list removes it.
    pub entrypoint: Option<Vec<String>>,
    /// An empty list removes the command.
    pub cmd: Option<Vec<String>>,
    /// The health check, which a shell runs (`CMD-SHELL`). An empty text disables the health check of the base.
    pub health_cmd: Option<String>,
    /// Such as `SIGTERM`.
    pub stop_signal: Option<String>,
    /// Whether the ONBUILD triggers of the base are removed.
    pub reset_on_build: bool,
    /// RFC 3339.
    pub created: String,
    /// `created_by` of the history entry of each new layer.
    pub history: String,
}

impl ImageConfig {
    /// Applies `edits` and adds the new layers.
    pub fn apply(&mut self, edits: &ConfigEdits, new_layers: &[Digest]) {
        // Legacy fields of `docker commit` name a container and a host, so they would differ from run to run.
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
        for (field, names) in [("ExposedPorts", &edits.exposed_ports), ("Volumes", &edits.volumes)] {
            for name in names {
                object(runtime, field).insert(name.clone(), json!({}));
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
        // Docker sets this flag on Windows for the old command, which is replaced.
        if edits.entrypoint.is_some() || edits.cmd.is_some() {
            runtime.remove("ArgsEscaped");
        }
        // `{}` and `null` mean the same. One form gives equal digests for bases of all writers.
        for field in ["Env", "Labels"] {
            if runtime.get(field).is_some_and(|value| {
                value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
            }) {
                runtime.remove(field);
            }
        }
    }
}

fn health_check(command: &str) -> Value {
    if command.is_empty() { json!({"Test": ["NONE"]}) } else { json!({"Test": ["CMD-SHELL", command]}) }
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
}
