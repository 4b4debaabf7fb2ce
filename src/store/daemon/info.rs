//! Owns the description of a daemon and what follows from it. Must not send requests; `connection` does.

use serde_json::Value;

use crate::image::Platform;

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DaemonFlavour {
    /// Docker, or a program that calls itself that.
    Docker,
    /// Podman's Docker-compatible service.
    Podman,
}

impl DaemonFlavour {
    pub fn command(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DaemonInfo {
    pub flavour: DaemonFlavour,
    pub version: String,
    /// The version that b2i uses, such as `1.41`.
    pub api_version: String,
    /// The default platform of its containers.
    pub platform: Platform,
    pub address: String,
    /// Whether containerd stores the images. Their IDs are then not the digests of their configs.
    pub containerd_store: bool,
}

impl DaemonInfo {
    pub(super) fn read(answer: &Value, api_version: String, address: String) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let components = answer["Components"].as_array();
        let names = components.into_iter().flatten().map(|component| text(&component["Name"]));
        let podman = names.into_iter().any(|name| name.contains("Podman"));
        let mut platform = Platform::linux(&text(&answer["Arch"]));
        if let Some(os) = answer["Os"].as_str().filter(|os| !os.is_empty()) {
            platform.os = os.into();
        }
        Self {
            flavour: if podman { DaemonFlavour::Podman } else { DaemonFlavour::Docker },
            version: text(&answer["Version"]),
            api_version,
            platform,
            address,
            containerd_store: false,
        }
    }

    pub(super) fn prefix(&self) -> String {
        format!("/v{}", self.api_version)
    }

    /// Whether to ask for the store, which came with Docker 23: the request takes up to 50 ms.
    pub(super) fn may_use_containerd_store(&self) -> bool {
        let major = self.version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        self.flavour == DaemonFlavour::Docker && major.is_none_or(|major| major >= 23)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn docker_and_podman_are_told_apart() {
        let podman = json!({"Components": [{"Name": "Podman Engine"}], "Version": "4.3.1", "Arch": "amd64",
            "Os": "linux"});
        let info = DaemonInfo::read(&podman, "1.41".into(), "x".into());
        assert_eq!((info.flavour, info.may_use_containerd_store()), (DaemonFlavour::Podman, false));
        let docker = json!({"Components": [{"Name": "Engine"}], "Version": "27.1", "Arch": "x86_64"});
        let info = DaemonInfo::read(&docker, "1.44".into(), "x".into());
        assert_eq!((info.flavour, info.may_use_containerd_store()), (DaemonFlavour::Docker, true));
        assert_eq!(info.platform, Platform::linux("amd64"));
    }
}
