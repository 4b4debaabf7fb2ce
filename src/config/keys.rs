//! Owns a configuration key as a value, and the search among keys.
//!
//! Must not know the type of a value; `table` does.

use std::sync::LazyLock;

use super::table::{ConfigFile, RegistrySection, Section};

/// One key of `b2i.toml`. A map is one key with any entries.
#[derive(Debug)]
pub struct Key {
    /// Section and name, such as `build.builder`.
    pub path: &'static str,
    /// The variables that set it. The first one that is not empty wins.
    pub variables: &'static [&'static str],
    pub flag: Option<&'static str>,
    pub project: ProjectRule,
    /// Its description in the reference.
    #[cfg(test)]
    pub(super) text: &'static str,
    /// A value in TOML, for the reference.
    #[cfg(test)]
    pub(super) example: &'static str,
}

/// Whether a project's `b2i.toml` may set a key.
///
/// That file comes with a cloned repository, so anyone can have written it. It may set how its project is packaged, but
/// nothing about the machine, its network or its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectRule {
    Allowed,
    /// Not allowed, with the reason as a clause.
    Refused(&'static str),
}

/// Every key, in the order of the table.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| list(ConfigFile::keys));

/// The keys of one registry's section.
pub(super) static REGISTRY_KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| list(RegistrySection::keys));

/// Variables without a key: the configuration file and the output style.
pub const OTHER_VARIABLES: [&str; 3] = ["B2I_CONFIG", "B2I_COLOR", "B2I_PROGRESS"];

fn list(add: impl Fn(&mut Vec<Key>)) -> Vec<Key> {
    let mut keys = Vec::new();
    add(&mut keys);
    keys
}

impl Key {
    /// The last part of the path.
    pub(super) fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }
}

/// Finds the key with this path.
pub fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The distinct names that may follow `prefix` (a section, or empty for the top).
pub fn names_below(prefix: &str) -> Vec<&'static str> {
    let rest_of = |key: &'static Key| match prefix {
        "" => Some(key.path),
        prefix => key.path.strip_prefix(prefix)?.strip_prefix('.'),
    };
    let first = |rest: &'static str| rest.split('.').next().unwrap_or(rest);
    let mut names: Vec<&str> = KEYS.iter().filter_map(rest_of).map(first).collect();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suggestion::nearest;

    #[test]
    fn suggests_only_what_is_near() {
        let names = names_below("build");
        assert_eq!(nearest("buildr", names.clone()), Some("builder"));
        assert_eq!(nearest("lables", names.clone()), Some("labels"));
        assert_eq!(nearest("arg", names.clone()), Some("args"));
        assert_eq!(nearest("registry", names), None);
    }

    #[test]
    fn lists_sections_once() {
        assert_eq!(
            names_below(""),
            ["build", "bases", "templates", "docker", "cache", "network", "registries", "limits"]
        );
        assert_eq!(names_below("network.proxies"), ["http", "https", "all", "none"]);
        assert!(names_below("bases").is_empty());
    }

    #[test]
    fn a_project_may_choose_what_the_design_lists_and_no_more() {
        let allowed = KEYS.iter().filter(|key| key.project == ProjectRule::Allowed).map(|key| key.path);
        assert_eq!(
            allowed.collect::<Vec<_>>(),
            [
                "build.builder",
                "build.base",
                "build.source-builder",
                "build.args",
                "build.labels",
                "build.ports",
                "templates.directories"
            ]
        );
    }
}
