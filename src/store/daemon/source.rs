//! Owns the daemon as an image source: finds a base image by name, or pulls it. Must not read layers.
//!
//! The config comes from the daemon's `inspect` answer, because the pulled bytes are not available. It depends only on the
//! image, so Docker and Podman return the same: keys are sorted, empty fields are left out, and the history has one plain
//! entry for each layer, because the answer does not say which entries are empty.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::connection::Daemon;
use super::error::DaemonError;
use super::info::DaemonFlavour;
use super::request::{PODMAN_API, describe};
use crate::events::{Events, Step};
use crate::image::{BaseImage, Digest, ImageConfig, ImageReference, Platform, PullPolicy};

#[derive(Clone, Debug, Default)]
pub struct ResolveOptions {
    /// `None` means the platform of the daemon's image, or the one it pulls by default.
    pub platform: Option<Platform>,
    pub pull: PullPolicy,
    pub offline: bool,
    /// The files with the credentials of registries, in the order in which they are searched.
    pub credential_files: Vec<PathBuf>,
}

impl Daemon {
    /// Finds the image `reference` (a name, or an ID) and reads its config.
    ///
    /// # Errors
    /// [`DaemonError::ImageMissing`], [`DaemonError::Pull`], [`DaemonError::WrongPlatform`] and
    /// [`DaemonError::InvalidImage`]; errors of the connection and of credentials.
    pub async fn resolve(
        &self,
        reference: &ImageReference,
        options: &ResolveOptions,
        events: &Events,
    ) -> Result<BaseImage, DaemonError> {
        let step = events.start(Step::Base, reference.familiar(), None);
        let image_id = reference.as_image_id();
        let may_pull = !options.offline && options.pull != PullPolicy::Never && image_id.is_none();
        let mut found = None;
        if options.pull != PullPolicy::Always || !may_pull {
            found = self.look_up(reference).await?;
        }
        let fits = |image: &BaseImage| {
            options.platform.as_ref().is_none_or(|platform| platform.matches(&image.config.platform()))
        };
        let pulled = found.as_ref().is_none_or(|image| !fits(image) && may_pull);
        if pulled {
            if !may_pull {
                let reason = match image_id {
                    Some(_) => "an image ID cannot be pulled",
                    None if options.offline => "`--offline` forbids pulling it",
                    None => "`--pull never` forbids pulling it",
                };
                let address = self.info().address.clone();
                return Err(DaemonError::ImageMissing { name: reference.familiar(), address, reason });
            }
            self.pull(reference, options, &step).await?;
            found = self.look_up(reference).await?;
        }
        let image = found
            .ok_or_else(|| self.invalid(reference, "the pull succeeded, but the image is missing".into()))?;
        if let Some(platform) = options.platform.clone().filter(|_| !fits(&image)) {
            let (found, platform) = (Box::new(image.config.platform()), Box::new(platform));
            return Err(DaemonError::WrongPlatform { name: reference.familiar(), found, platform });
        }
        let layers = image.config.diff_ids().map(|layers| layers.len()).unwrap_or_default();
        tracing::debug!(base = image.name, digest = ?image.manifest_digest, layers, pulled, "found the base");
        step.finish(if pulled { "pulled" } else { "already in the daemon" });
        Ok(image)
    }

    pub async fn id_of(&self, reference: &ImageReference) -> Result<Option<String>, DaemonError> {
        let found = self.look_up(reference).await?;
        Ok(found.and_then(|image| image.image_id))
    }

    /// Finds an image by its name, on Podman also by its name in `localhost/`, then by its ID.
    async fn look_up(&self, reference: &ImageReference) -> Result<Option<BaseImage>, DaemonError> {
        let mut answer = self.inspect_image(&reference.to_string()).await?;
        // `podman build -t app` makes localhost/app. A full name means only itself.
        if answer.is_none() && reference.is_short() && self.info().flavour == DaemonFlavour::Podman {
            answer = self.inspect_image(&format!("localhost/{}", reference.familiar())).await?;
        }
        if let (None, Some(id)) = (&answer, reference.as_image_id()) {
            // The daemon also looks the text up as a name, but only an image with exactly this ID counts.
            answer = self.inspect_image(&id).await?.filter(|answer| {
                let found = answer["Id"].as_str().unwrap_or_default();
                found.trim_start_matches("sha256:").starts_with(id.trim_start_matches("sha256:"))
            });
        }
        let Some(mut answer) = answer else { return Ok(None) };
        if self.info().flavour == DaemonFlavour::Podman {
            self.add_health_check(&mut answer).await?;
        }
        self.base_image(reference, &answer).map(Some)
    }

    /// Adds the health check, which Podman's Docker-compatible answer leaves out.
    async fn add_health_check(&self, answer: &mut Value) -> Result<(), DaemonError> {
        let id = answer["Id"].as_str().unwrap_or_default().to_owned();
        let own = self.get_json(format!("{PODMAN_API}/images/{id}/json")).await;
        let own = own.map_err(|error| self.request_error(format!("look up the image {id}"), &error))?;
        if let (Some(config), Some(check)) = (answer["Config"].as_object_mut(), own.get("Healthcheck")) {
            config.entry("Healthcheck").or_insert_with(|| check.clone());
        }
        Ok(())
    }

    /// The daemon's description of an image, with all fields; `None` if it does not have the image.
    pub(crate) async fn inspect_image(&self, name: &str) -> Result<Option<Value>, DaemonError> {
        match self.get_json(format!("/images/{name}/json")).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) => match describe(&error).0 {
                Some(404) => Ok(None),
                _ => Err(self.request_error(format!("look up the image `{name}`"), &error)),
            },
        }
    }

    fn base_image(&self, reference: &ImageReference, answer: &Value) -> Result<BaseImage, DaemonError> {
        let image_id = answer["Id"].as_str().filter(|id| !id.is_empty());
        let image_id = image_id.ok_or_else(|| self.invalid(reference, "it has no ID".into()))?;
        // Podman leaves out the algorithm in places.
        let image_id = match image_id.parse::<Digest>() {
            Ok(digest) => digest.to_string(),
            Err(error) => return Err(self.invalid(reference, error.to_string())),
        };
        let config = config_of(answer).map_err(|reason| self.invalid(reference, reason))?;
        let manifest_digest = manifest_digest(reference, answer);
        Ok(BaseImage {
            manifest_digest,
            ..BaseImage::in_daemon(reference.to_string(), Some(image_id), config)
        })
    }

    fn invalid(&self, reference: &ImageReference, reason: String) -> DaemonError {
        DaemonError::InvalidImage { name: reference.familiar(), address: self.info().address.clone(), reason }
    }
}

/// The digest in the reference, or the one that its repository had when it was pulled.
fn manifest_digest(reference: &ImageReference, answer: &Value) -> Option<Digest> {
    let named = answer["RepoDigests"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut digests: Vec<Digest> = named
        .filter_map(|text| text.parse::<ImageReference>().ok())
        .filter(|found| found.name() == reference.name())
        .filter_map(|found| found.digest())
        .collect();
    digests.sort();
    reference.digest().or_else(|| digests.first().copied())
}

fn config_of(answer: &Value) -> Result<ImageConfig, String> {
    let mut config = Map::new();
    for (field, from) in
        [("architecture", "Architecture"), ("os", "Os"), ("variant", "Variant"), ("os.version", "OsVersion")]
    {
        if let Some(text) = answer[from].as_str().filter(|text| !text.is_empty()) {
            config.insert(field.into(), json!(text));
        }
    }
    if !config.contains_key("architecture") || !config.contains_key("os") {
        return Err("it has no platform".into());
    }
    let runtime = match &answer["Config"] {
        Value::Object(runtime) => filled(runtime),
        Value::Null => Map::new(),
        _ => return Err("its `Config` is not an object".into()),
    };
    config.insert("config".into(), Value::Object(runtime));
    let layers = match &answer["RootFS"]["Layers"] {
        Value::Array(layers) => layers.clone(),
        Value::Null => Vec::new(),
        _ => return Err("its `RootFS.Layers` is not a list".into()),
    };
    let history: Vec<Value> =
        layers.iter().map(|_| json!({"created_by": "layer of the base image"})).collect();
    config.insert("rootfs".into(), json!({"type": "layers", "diff_ids": layers}));
    config.insert("history".into(), Value::Array(history));
    let bytes = Value::Object(config).to_string();
    ImageConfig::parse(bytes.as_bytes()).map_err(|error| error.to_string())
}

/// The fields that are not empty, sorted by name.
fn filled(runtime: &Map<String, Value>) -> Map<String, Value> {
    let empty = |value: &Value| match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    };
    let fields: BTreeMap<&String, &Value> = runtime.iter().filter(|(_, value)| !empty(value)).collect();
    fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect()
}

/// Sorts the keys of all objects.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(fields.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> ImageReference {
        text.parse().expect("valid")
    }

    #[test]
    fn the_config_keeps_what_it_does_not_know_and_drops_what_says_nothing() {
        let layer = Digest::of(b"layer").to_string();
        let answer = json!({
            "Architecture": "arm64", "Os": "linux", "Variant": "v8",
            "Config": {
                "User": "1001", "Tty": false, "Cmd": null, "Hostname": "", "Unknown": {"z": 1, "a": {}},
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5}, "ExposedPorts": {"80/tcp": {}}
            },
            "RootFS": {"Type": "layers", "Layers": [layer]}
        });
        let config = config_of(&answer).expect("usable");
        let expected = format!(
            r#"{{"architecture":"arm64","os":"linux","variant":"v8","config":{{"ExposedPorts":{{"80/tcp":{{}}}},"Healthcheck":{{"Interval":5,"Test":["CMD","true"]}},"Unknown":{{"a":{{}},"z":1}},"User":"1001"}},"rootfs":{{"type":"layers","diff_ids":["{layer}"]}},"history":[{{"created_by":"layer of the base image"}}]}}"#
        );
        assert_eq!(String::from_utf8(config.to_bytes()).expect("UTF-8"), expected);
    }

    #[test]
    fn answers_of_the_wrong_shape_are_refused() {
        for answer in [
            json!({}),
            json!({"Architecture": "amd64", "Os": "linux", "Config": []}),
            json!({"Architecture": "amd64", "Os": "linux", "RootFS": {"Layers": "x"}}),
            json!({"Architecture": "amd64", "Os": "linux", "RootFS": {"Layers": ["sha256:1"]}}),
        ] {
            assert!(config_of(&answer).is_err(), "{answer}");
        }
    }

    #[test]
    fn only_the_digest_of_the_same_repository_counts() {
        let (own, other) = (Digest::of(b"own"), Digest::of(b"other"));
        let answer = json!({"RepoDigests": [
            format!("registry.example/app@{other}"), format!("app@{own}"), "nonsense"
        ]});
        assert_eq!(manifest_digest(&reference("app:1"), &answer), Some(own));
        assert_eq!(manifest_digest(&reference("docker.io/library/app"), &answer), Some(own));
        assert_eq!(manifest_digest(&reference("else"), &answer), None);
    }
}
