//! Owns reading single values about source builds, as `b2i build` and `s2i` both take them.
//!
//! Must not look at the disk: whether a directory is there is asked when it is needed.

use std::path::PathBuf;

use url::Url;

use crate::engine::{Capability, UnknownCapability};
use crate::image::ImagePath;
use crate::request::{Injection, ScriptsSource, SecretFile, UidRange, VolumeRequest};

/// Ranges of user numbers: `5`, `1-`, `-1000`, `1-5,30-`.
pub(super) fn uid_ranges(text: &str) -> Result<Vec<UidRange>, String> {
    text.split(',').map(uid_range).collect()
}

fn uid_range(text: &str) -> Result<UidRange, String> {
    let text = text.trim();
    let wrong = || format!("`{text}` is no range of user numbers: write 5, 1-, -1000 or 1-5");
    let number = |text: &str| match text {
        "" => Ok(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().map(Some).map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    let range = match text.split_once('-') {
        Some((from, to)) => UidRange { from: number(from)?, to: number(to)? },
        None => UidRange { from: number(text)?, to: number(text)? },
    };
    match (range.from, range.to) {
        (None, None) => Err(wrong()),
        (Some(from), Some(to)) if from > to => Err(format!("`{text}` is empty: {from} is above {to}")),
        _ => Ok(range),
    }
}

/// The name under which builds share their caches.
pub(super) fn cache_key(text: &str) -> Result<String, String> {
    match text.trim().is_empty() || text.chars().any(char::is_control) {
        true => Err("a key has at least one character, and no line ends or the like".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// `SRC[:DST]`, a directory whose files are there while `assemble` runs.
pub(super) fn injection(text: &str) -> Result<Injection, String> {
    let (source, destination) = match text.rsplit_once(':') {
        Some((source, destination)) => (source, Some(destination.to_owned()).filter(|text| !text.is_empty())),
        None => (text, None),
    };
    if source.is_empty() {
        return Err(format!("`{text}` names no directory"));
    }
    Ok(Injection { source: source.into(), destination })
}

/// `SRC:DST[:ro]`, a mount.
pub(super) fn volume(text: &str) -> Result<VolumeRequest, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [source, target] => (*source, *target, "rw"),
        [source, target, mode] => (*source, *target, *mode),
        _ => return Err(format!("`{text}` is no mount: write SRC:DST or SRC:DST:ro")),
    };
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        other => return Err(format!("`{other}` is no way to mount that b2i knows: write ro or rw")),
    };
    let target = ImagePath::new(target).map_err(|error| error.to_string())?;
    let is_name = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.chars().all(|one| one.is_ascii_alphanumeric() || "_.-".contains(one))
    };
    if source.starts_with('/') || is_name(source) {
        return Ok(VolumeRequest { source: source.to_owned(), target, read_only });
    }
    Err(format!("`{source}` is neither an absolute path nor the name of a volume"))
}

/// `id=NAME[,src=FILE]`, as `docker build --secret` writes it; the file is named like the secret if nothing is said.
pub(super) fn secret(text: &str) -> Result<SecretFile, String> {
    let (mut id, mut file) = (None, None);
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("id", value)) => id = Some(value.to_owned()),
            Some(("src" | "source", value)) => file = Some(PathBuf::from(value)),
            Some(("type", "file")) => {}
            Some(("env" | "type", _)) => return Err("b2i takes secrets from files: write src=FILE".into()),
            _ => return Err(format!("`{part}` means nothing here: write id=NAME,src=FILE")),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or("the secret has no name: write id=NAME,src=FILE")?;
    if id.contains('/') || id.contains(char::is_control) || matches!(id.as_str(), "." | "..") {
        return Err(format!("`{id}` cannot be the name of a secret: it becomes a file's"));
    }
    let file = file.unwrap_or_else(|| PathBuf::from(&id));
    Ok(SecretFile { id, file })
}

/// `HOST:ADDRESS`, a line of the hosts file.
pub(super) fn add_host(text: &str) -> Result<String, String> {
    let is_host =
        |host: &str| !host.is_empty() && !host.contains(|one: char| one.is_whitespace() || one == '/');
    let is_address = |address: &str| {
        let bare = address.trim_start_matches('[').trim_end_matches(']');
        address == "host-gateway" || bare.parse::<std::net::IpAddr>().is_ok()
    };
    match text.split_once(':') {
        Some((host, address)) if is_host(host) && is_address(address) => Ok(text.to_owned()),
        _ => Err(format!("`{text}` is no HOST:ADDRESS")),
    }
}

/// A capability, with or without `CAP_`; or all of them.
pub(super) fn capability(text: &str) -> Result<Capability, String> {
    text.parse().map_err(|error: UnknownCapability| error.to_string())
}

/// `http(s)://…`, `file://…` (relative paths too), `image:///…` or a directory.
pub(super) fn scripts_source(text: &str) -> Result<ScriptsSource, String> {
    match text.split_once("://") {
        Some(("image", path)) => {
            ImagePath::new(path).map(ScriptsSource::Image).map_err(|error| error.to_string())
        }
        Some(("file", "")) => Err("it names no directory".into()),
        Some(("file", path)) => Ok(ScriptsSource::Directory(path.into())),
        Some(("http" | "https", _)) => {
            Url::parse(text).map(ScriptsSource::Url).map_err(|error| error.to_string())
        }
        Some((scheme, _)) => Err(format!("`{scheme}` is none of http, https, file and image")),
        None if text.is_empty() => Err("it names no directory".into()),
        None => Ok(ScriptsSource::Directory(text.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::RuntimeArtifactPlace;

    #[test]
    fn ranges_have_open_ends() {
        let range = |from, to| UidRange { from, to };
        assert_eq!(uid_ranges("5"), Ok(vec![range(Some(5), Some(5))]));
        assert_eq!(uid_ranges("1-5,30-"), Ok(vec![range(Some(1), Some(5)), range(Some(30), None)]));
        assert_eq!(uid_ranges("-1000"), Ok(vec![range(None, Some(1000))]));
        for text in ["", "-", "a", "5-1", "1,,2", "+5", "1-2-3", "99999999999"] {
            assert!(uid_ranges(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_told_apart() {
        let injected = injection("/secrets:etc").expect("valid");
        assert_eq!((injected.source, injected.destination.as_deref()), ("/secrets".into(), Some("etc")));
        assert_eq!(injection("/secrets:").expect("valid").destination, None);
        assert!(injection(":x").is_err());
        assert!(volume("/a:/b:ro").expect("valid").read_only);
        assert_eq!(volume("cache:/b").expect("valid").source, "cache");
        for text in ["/a", "a/b:/c", "./a:/c", "/a:b", "/a:/b:Z", "/a:/b:ro:x", ":/b"] {
            assert!(volume(text).is_err(), "{text}");
        }
        let place: RuntimeArtifactPlace = "/opt/app.war:deploy".parse().expect("valid");
        assert_eq!((place.source.as_str(), place.directory.as_deref()), ("/opt/app.war", Some("deploy")));
        for text in ["app.war", "/a:/b", "/a:../b", "", "/"] {
            assert!(text.parse::<RuntimeArtifactPlace>().is_err(), "{text}");
        }
    }

    #[test]
    fn secrets_are_files_and_named() {
        let one = secret("id=npm,src=/run/npmrc").expect("valid");
        assert_eq!((one.id.as_str(), one.file), ("npm", "/run/npmrc".into()));
        assert_eq!(secret("id=npm").expect("valid").file, PathBuf::from("npm"));
        for text in ["", "npm", "src=a", "id=", "id=../a,src=b", "id=a,env=B", "id=a,x=b"] {
            assert!(secret(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_capabilities_and_scripts_are_what_they_say() {
        for text in ["db:10.0.0.1", "db:::1", "db:[::1]", "db:host-gateway"] {
            assert!(add_host(text).is_ok(), "{text}");
        }
        for text in ["db", "db:", ":1.2.3.4", "db:name", "a b:1.2.3.4"] {
            assert!(add_host(text).is_err(), "{text}");
        }
        assert!(capability("cap_net_raw").is_ok_and(|found| found.to_string() == "NET_RAW"));
        assert_eq!(
            capability("net_row"),
            Err("`net_row` is no capability: write one such as NET_RAW, or ALL".into())
        );
        assert!(matches!(scripts_source("image:///usr/s2i"), Ok(ScriptsSource::Image(_))));
        assert_eq!(scripts_source("file://s2i/bin"), Ok(ScriptsSource::Directory("s2i/bin".into())));
        assert!(matches!(scripts_source("https://host.example/s2i"), Ok(ScriptsSource::Url(_))));
        for text in ["ftp://x", "image://relative", "file://", ""] {
            assert!(scripts_source(text).is_err(), "{text}");
        }
    }
}
