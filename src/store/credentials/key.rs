//! Owns the keys of a credentials file: which entries are for a registry, and their order. Must not read the entries.
//!
//! Source: containers-auth.json(5), "FORMAT"; docker's `credentials.ConvertToHostname`.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::DOCKER_HUB_KEY;

/// A key without scheme and API path, in one spelling.
struct Key {
    /// Host and port in lower case. The names of Docker Hub become one.
    host: String,
    /// `namespace/name` or the first part of it; empty for the whole registry.
    namespace: String,
}

impl Key {
    fn of(text: &str) -> Self {
        let name = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let (host, path) = name.split_once('/').unwrap_or((name, ""));
        let namespace = match path.strip_suffix('/').unwrap_or(path) {
            // Old clients write the API's path.
            "v1" | "v2" => "",
            namespace => namespace,
        };
        let host = match host.to_ascii_lowercase().as_str() {
            "index.docker.io" | "registry-1.docker.io" => "docker.io".to_owned(),
            host => host.to_owned(),
        };
        Self { host, namespace: namespace.to_owned() }
    }

    fn is_for(&self, registry: &Self, repository: Option<&str>) -> bool {
        self.host == registry.host
            && (self.namespace.is_empty()
                || repository.and_then(|name| name.strip_prefix(&self.namespace)).is_some_and(|rest| {
                    // `team` is for `team/app`, not for `teamwork/app`.
                    rest.is_empty() || rest.starts_with('/')
                }))
    }
}

pub(super) fn is_docker_hub(registry: &str) -> bool {
    Key::of(registry).host == Key::of(DOCKER_HUB_KEY).host
}

/// Whether the entry `name` is for the whole of `registry`, in any spelling.
pub(super) fn is_whole(name: &str, registry: &str) -> bool {
    let (key, registry) = (Key::of(name), Key::of(registry));
    key.host == registry.host && key.namespace.is_empty()
}

/// The entries for `repository` of `registry`, the most specific first. Of several spellings of one key the exact one comes
/// first, then Docker's own for Docker Hub, then the others in their order.
pub(super) fn best_first<'a, Value>(
    entries: &'a BTreeMap<String, Value>,
    registry: &str,
    repository: Option<&str>,
) -> Vec<(&'a str, &'a Value)> {
    let host = Key::of(registry);
    let mut found: Vec<_> = entries
        .iter()
        .filter_map(|(text, value)| {
            let key = Key::of(text);
            let exact = match key.namespace.as_str() {
                "" => text == registry,
                namespace => *text == format!("{registry}/{namespace}"),
            };
            let rank = (Reverse(key.namespace.len()), !exact, text != DOCKER_HUB_KEY);
            key.is_for(&host, repository).then_some((rank, text.as_str(), value))
        })
        .collect();
    found.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
    found.into_iter().map(|(_, text, value)| (text, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(keys: &[&str], registry: &str, repository: Option<&str>) -> Vec<String> {
        let entries = keys.iter().map(|key| ((*key).to_owned(), ())).collect();
        best_first(&entries, registry, repository).into_iter().map(|(key, ())| key.to_owned()).collect()
    }

    #[test]
    fn the_most_specific_namespace_comes_first() {
        let keys = ["r.example", "r.example/team", "r.example/team/app", "r.example/tea", "r.example/other"];
        let expected = ["r.example/team/app", "r.example/team", "r.example"];
        assert_eq!(order(&keys, "r.example", Some("team/app")), expected);
        assert_eq!(order(&keys, "r.example", Some("teamwork/app")), ["r.example"]);
        assert_eq!(order(&keys, "r.example", None), ["r.example"]);
        assert!(order(&keys, "r.example:5000", Some("team/app")).is_empty());
    }

    #[test]
    fn the_exact_key_comes_before_its_other_spellings() {
        let keys = ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "https://docker.io"];
        let expected = ["docker.io", "https://index.docker.io/v1/", "https://docker.io", "index.docker.io"];
        assert_eq!(order(&keys, "docker.io", Some("library/nginx")), expected);
        assert_eq!(order(&keys[2..], "index.docker.io", None), ["index.docker.io", "https://docker.io"]);
    }

    #[test]
    fn a_namespace_of_docker_hub_has_the_short_name_of_the_registry_too() {
        let keys = ["https://index.docker.io/v1/", "docker.io/team", "docker.io/library/nginx"];
        assert_eq!(order(&keys, "docker.io", Some("library/nginx")), [keys[2], keys[0]]);
        assert!(is_docker_hub("registry-1.docker.io") && !is_docker_hub("docker.io.evil.example"));
    }
}
