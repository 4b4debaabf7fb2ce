//! Owns the search for a daemon: the addresses, their order, and which must answer. Must not connect.
//!
//! Must not read the environment either: `cli/` passes its variables.
//!
//! Source: docker's "Daemon socket option" and "Docker contexts" documentation; podman-system-service(1).

use std::path::PathBuf;

use serde::Deserialize;

use super::error::DaemonError;
use crate::image::Digest;
use crate::store::credentials::read_json;

#[derive(Clone, Debug, Default)]
pub struct DaemonSettings {
    /// A configured address. It has priority.
    pub host: Option<String>,
    /// Its origin, for messages: `flag --docker-host`, `variable DOCKER_HOST`.
    pub host_origin: Option<String>,
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`, or `~/.docker`.
    pub docker_config_directory: PathBuf,
    /// `DOCKER_TLS_VERIFY`.
    pub tls_verify: bool,
    /// `DOCKER_CERT_PATH`.
    pub cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_directory: Option<PathBuf>,
    /// For `/run/user/<uid>`, if `XDG_RUNTIME_DIR` is not set.
    pub user_id: u32,
    /// `DOCKER_API_VERSION`, such as `1.41`.
    pub api_version: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    NamedPipe(String),
    Tcp {
        authority: String,
        /// The directory of `ca.pem`, `cert.pem` and `key.pem`; `None` means plain HTTP.
        tls: Option<PathBuf>,
    },
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::NamedPipe(path) => write!(formatter, "npipe://{path}"),
            Self::Tcp { authority, .. } => write!(formatter, "tcp://{authority}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// A configured daemon, which must answer.
    Configured {
        endpoint: Endpoint,
        /// For messages.
        origin: String,
    },
    /// No daemon is configured: the first of these that answers is used.
    Defaults(Vec<Endpoint>),
}

impl DaemonSettings {
    pub fn candidates(&self) -> Result<Candidates, DaemonError> {
        let named = |host: &Option<String>| host.clone().filter(|host| !host.trim().is_empty());
        if let Some(host) = named(&self.host) {
            let origin = self.host_origin.clone().unwrap_or_else(|| "from the configuration".to_owned());
            return Ok(Candidates::Configured { endpoint: self.endpoint(&host, &origin)?, origin });
        }
        if let Some(name) = self.context_name()? {
            return self.context(&name);
        }
        Ok(Candidates::Defaults(self.default_endpoints()))
    }

    fn endpoint(&self, host: &str, origin: &str) -> Result<Endpoint, DaemonError> {
        let directory = self.cert_path.as_ref().unwrap_or(&self.docker_config_directory);
        let tls = self.tls_verify.then(|| directory.clone());
        Self::parse(host, origin, tls)
    }

    fn parse(host: &str, origin: &str, tls: Option<PathBuf>) -> Result<Endpoint, DaemonError> {
        parse_endpoint(host, tls).map_err(|reason| DaemonError::InvalidHost {
            host: without_password(host),
            origin: origin.to_owned(),
            reason,
        })
    }

    fn default_endpoints(&self) -> Vec<Endpoint> {
        if cfg!(windows) {
            return vec![Endpoint::NamedPipe("//./pipe/docker_engine".into())];
        }
        let runtime = self
            .runtime_directory
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", self.user_id)));
        [
            PathBuf::from("/var/run/docker.sock"),
            runtime.join("docker.sock"),
            runtime.join("podman/podman.sock"),
            PathBuf::from("/run/podman/podman.sock"),
        ]
        .into_iter()
        .map(Endpoint::Unix)
        .collect()
    }

    /// The selected context; `None` for the default one.
    fn context_name(&self) -> Result<Option<String>, DaemonError> {
        let chosen = match self.docker_context.clone().filter(|name| !name.is_empty()) {
            Some(name) => Some(name),
            None => {
                let path = self.docker_config_directory.join("config.json");
                let config: Option<Config> = read_json(&path).map_err(|reason| DaemonError::Context {
                    name: "currentContext".into(),
                    path,
                    reason,
                })?;
                config.and_then(|config| config.current_context).filter(|name| !name.is_empty())
            }
        };
        Ok(chosen.filter(|name| name != "default"))
    }

    fn context(&self, name: &str) -> Result<Candidates, DaemonError> {
        let directory = self.docker_config_directory.join("contexts");
        // The directory is the digest of the context's name.
        let id = Digest::of(name.as_bytes()).hex();
        let path = directory.join("meta").join(&id).join("meta.json");
        let failed = |reason: String| DaemonError::Context { name: name.into(), path: path.clone(), reason };
        let meta: ContextMeta =
            read_json(&path).map_err(&failed)?.ok_or_else(|| failed("does not exist".into()))?;
        let docker = meta.endpoints.docker.ok_or_else(|| failed("has no docker endpoint".into()))?;
        if docker.skip_tls_verify {
            return Err(failed("disables the check of TLS certificates, which b2i does not support".into()));
        }
        let tls = directory.join("tls").join(&id).join("docker");
        let tls = tls.join("ca.pem").exists().then_some(tls);
        let origin = format!("from the docker context `{name}`");
        let endpoint = Self::parse(&docker.host, &origin, tls)?;
        Ok(Candidates::Configured { endpoint, origin })
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextMeta {
    #[serde(rename = "Endpoints")]
    endpoints: ContextEndpoints,
}

#[derive(Deserialize)]
struct ContextEndpoints {
    docker: Option<ContextEndpoint>,
}

#[derive(Deserialize)]
struct ContextEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
    #[serde(rename = "SkipTLSVerify", default)]
    skip_tls_verify: bool,
}

fn parse_endpoint(host: &str, tls: Option<PathBuf>) -> Result<Endpoint, String> {
    let host = host.trim();
    let Some((scheme, rest)) = host.split_once("://") else {
        return Err("it has no scheme (`unix://`, `tcp://`)".into());
    };
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Endpoint::Unix(rest.into())),
        "unix" => Err("the path of a Unix socket must be absolute".into()),
        "npipe" => Ok(Endpoint::NamedPipe(rest.into())),
        "tcp" | "http" | "https" => tcp_endpoint(scheme, rest, tls),
        "ssh" => Err("ssh:// is not supported; forward the socket with `ssh -L /tmp/docker.sock:/var/run/docker.sock` \
                      and use unix:///tmp/docker.sock"
            .into()),
        other => Err(format!("the scheme `{other}://` is not supported")),
    }
}

fn tcp_endpoint(scheme: &str, rest: &str, tls: Option<PathBuf>) -> Result<Endpoint, String> {
    let authority = rest.trim_end_matches('/');
    if authority.contains(['/', '@', '?', '#']) || authority.is_empty() {
        return Err("expected `host:port` after the scheme".into());
    }
    if scheme == "https" && tls.is_none() {
        return Err("https:// needs DOCKER_TLS_VERIFY and certificates in DOCKER_CERT_PATH".into());
    }
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if tls.is_some() { 2376 } else { 2375 };
    let authority = if has_port { authority.to_owned() } else { format!("{authority}:{port}") };
    Ok(Endpoint::Tcp { authority, tls })
}

/// Replaces the user name and the password of an address, which messages show.
fn without_password(host: &str) -> String {
    match (host.find("://"), host.rfind('@')) {
        (Some(start), Some(at)) if at > start => format!("{}://…{}", &host[..start], &host[at..]),
        _ => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn settings(directory: &Path) -> DaemonSettings {
        DaemonSettings {
            docker_config_directory: directory.into(),
            runtime_directory: Some("/run/user/7".into()),
            ..DaemonSettings::default()
        }
    }

    fn configured(settings: &DaemonSettings) -> Endpoint {
        match settings.candidates().expect("usable") {
            Candidates::Configured { endpoint, .. } => endpoint,
            Candidates::Defaults(defaults) => panic!("nothing configured: {defaults:?}"),
        }
    }

    fn write_context(directory: &Path, name: &str, meta: &str) -> PathBuf {
        let id = Digest::of(name.as_bytes()).hex();
        let meta_directory = directory.join("contexts/meta").join(&id);
        std::fs::create_dir_all(&meta_directory).expect("directory");
        std::fs::write(meta_directory.join("meta.json"), meta).expect("written");
        directory.join("contexts/tls").join(id).join("docker")
    }

    #[test]
    fn without_configuration_the_known_sockets_are_tried_in_order() {
        let directory = tempfile::tempdir().expect("directory");
        let candidates = settings(directory.path()).candidates().expect("usable");
        let paths = ["/var/run/docker.sock", "/run/user/7/docker.sock", "/run/user/7/podman/podman.sock"];
        let Candidates::Defaults(found) = candidates else { panic!("nothing is configured") };
        assert_eq!(found[..3], paths.map(|path| Endpoint::Unix(path.into())));
    }

    #[test]
    fn a_named_host_goes_before_the_context() {
        let directory = tempfile::tempdir().expect("directory");
        write_context(
            directory.path(),
            "far",
            r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far:1"}}}"#,
        );
        let mut settings = settings(directory.path());
        settings.docker_context = Some("far".into());
        assert_eq!(configured(&settings).to_string(), "tcp://far:1");
        settings.host = Some("tcp://[::1]:7".into());
        assert_eq!(configured(&settings).to_string(), "tcp://[::1]:7");
    }

    #[test]
    fn a_context_brings_its_certificates() {
        let directory = tempfile::tempdir().expect("directory");
        std::fs::write(directory.path().join("config.json"), r#"{"currentContext":"far","auths":{}}"#)
            .expect("written");
        let meta = r#"{"Name":"far","Endpoints":{"docker":{"Host":"tcp://far","SkipTLSVerify":false}}}"#;
        let tls = write_context(directory.path(), "far", meta);
        assert_eq!(configured(&settings(directory.path())).to_string(), "tcp://far:2375");
        std::fs::create_dir_all(&tls).expect("directory");
        std::fs::write(tls.join("ca.pem"), "x").expect("written");
        let expected = Endpoint::Tcp { authority: "far:2376".into(), tls: Some(tls.clone()) };
        assert_eq!(configured(&settings(directory.path())), expected);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let directory = tempfile::tempdir().expect("directory");
        for (host, word) in [
            ("ssh://me:secret@host", "not supported"),
            ("unix://relative", "absolute"),
            ("/var/run/docker.sock", "scheme"),
            ("ftp://x", "ftp://"),
            ("tcp://", "host:port"),
            ("https://far", "DOCKER_TLS_VERIFY"),
        ] {
            let settings = DaemonSettings { host: Some(host.into()), ..settings(directory.path()) };
            let message = settings.candidates().expect_err(host).to_string();
            assert!(message.contains(word) && !message.contains("secret"), "{message}");
        }
        let missing = DaemonSettings { docker_context: Some("gone".into()), ..settings(directory.path()) };
        let message = missing.candidates().expect_err("no such context").to_string();
        assert!(message.contains("gone") && message.contains("does not exist"), "{message}");
        std::fs::write(directory.path().join("config.json"), "{").expect("written");
        assert!(settings(directory.path()).candidates().is_err());
    }
}
