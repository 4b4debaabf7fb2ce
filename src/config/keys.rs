//! Owns the table of configuration keys: which there are, which flag and variable say the same, and which of them a
//! project's file may set.
//!
//! Must not know their values.

/// One key of `b2i.toml`.
#[derive(Debug)]
pub struct Key {
    /// Section and name, such as `build.builder`.
    pub path: &'static str,
    /// The variable that sets it.
    pub variable: Option<&'static str>,
    /// The flag that sets it.
    pub flag: Option<&'static str>,
    /// Whether a project's file may set it.
    pub project: ProjectRule,
}

/// Whether a project's `b2i.toml` may set a key.
///
/// That file comes with a cloned repository: whoever can get somebody to run `b2i build` in a directory has written
/// it. It may say how this project is packaged, and nothing about the machine, its network or its daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProjectRule {
    /// It may.
    Allowed,
    /// It may not; one clause says why.
    Refused(&'static str),
}

const NETWORK: ProjectRule = ProjectRule::Refused("it decides which hosts are contacted and trusted");
const LIMITS: ProjectRule = ProjectRule::Refused("it decides what of this machine `assemble` may use");

/// Every key. A map's key stands for all of its entries.
pub const KEYS: &[Key] = &[
    Key {
        path: "build.builder",
        variable: Some("B2I_BUILDER"),
        flag: Some("--builder"),
        project: ProjectRule::Allowed,
    },
    Key {
        path: "build.source-builder",
        variable: Some("B2I_SOURCE_BUILDER"),
        flag: Some("--source-builder"),
        project: ProjectRule::Allowed,
    },
    Key { path: "build.args", variable: Some("B2I_ARGS"), flag: Some("--"), project: ProjectRule::Allowed },
    Key { path: "build.labels", variable: None, flag: Some("--label"), project: ProjectRule::Allowed },
    Key { path: "build.ports", variable: None, flag: Some("--port"), project: ProjectRule::Allowed },
    Key {
        path: "build.env",
        variable: None,
        flag: Some("--env"),
        project: ProjectRule::Refused("it changes how every program in the image runs"),
    },
    Key {
        path: "build.assemble",
        variable: Some("B2I_ASSEMBLE"),
        flag: Some("--assemble"),
        project: ProjectRule::Refused("it decides whether scripts run on this machine"),
    },
    Key { path: "build.pull", variable: Some("B2I_PULL"), flag: Some("--pull"), project: NETWORK },
    Key {
        path: "build.platform",
        variable: Some("B2I_PLATFORM"),
        flag: Some("--platform"),
        project: ProjectRule::Refused("it follows from the artifact or from who builds"),
    },
    Key {
        path: "bases",
        variable: None,
        flag: None,
        project: ProjectRule::Refused(
            "it replaces base images, and so decides which registries are believed",
        ),
    },
    Key { path: "templates.directories", variable: None, flag: None, project: ProjectRule::Allowed },
    Key {
        path: "docker.host",
        variable: Some("B2I_DOCKER_HOST"),
        flag: Some("--docker-host"),
        project: ProjectRule::Refused("it decides which daemon gets the artifact"),
    },
    Key {
        path: "cache.directory",
        variable: Some("B2I_CACHE_DIR"),
        flag: Some("--cache-dir"),
        project: ProjectRule::Refused("it decides where files are written and what is believed to be known"),
    },
    Key { path: "network.offline", variable: Some("B2I_OFFLINE"), flag: Some("--offline"), project: NETWORK },
    Key { path: "network.proxies.http", variable: Some("http_proxy"), flag: None, project: NETWORK },
    Key { path: "network.proxies.https", variable: Some("https_proxy"), flag: None, project: NETWORK },
    Key { path: "network.proxies.all", variable: Some("all_proxy"), flag: None, project: NETWORK },
    Key { path: "network.proxies.none", variable: Some("no_proxy"), flag: None, project: NETWORK },
    Key { path: "network.ca-files", variable: None, flag: Some("--ca-file"), project: NETWORK },
    Key {
        path: "network.connect-timeout",
        variable: Some("B2I_CONNECT_TIMEOUT"),
        flag: None,
        project: NETWORK,
    },
    Key { path: "network.read-timeout", variable: Some("B2I_READ_TIMEOUT"), flag: None, project: NETWORK },
    Key { path: "network.retries", variable: Some("B2I_RETRIES"), flag: None, project: NETWORK },
    Key {
        path: "network.chunk-size",
        variable: Some("B2I_CHUNK_SIZE"),
        flag: Some("--chunk-size"),
        project: NETWORK,
    },
    Key {
        path: "network.max-size",
        variable: Some("B2I_MAX_SIZE"),
        flag: Some("--max-size"),
        project: NETWORK,
    },
    Key { path: "registries", variable: None, flag: None, project: NETWORK },
    Key { path: "limits.memory", variable: Some("B2I_MEMORY"), flag: Some("--memory"), project: LIMITS },
    Key { path: "limits.cpus", variable: Some("B2I_CPUS"), flag: Some("--cpus"), project: LIMITS },
    Key {
        path: "limits.pids",
        variable: Some("B2I_PIDS_LIMIT"),
        flag: Some("--pids-limit"),
        project: LIMITS,
    },
    Key { path: "limits.timeout", variable: Some("B2I_TIMEOUT"), flag: Some("--timeout"), project: LIMITS },
];

/// Variables that say something of their own, without a key: the file to read, and how output looks.
pub const OTHER_VARIABLES: [&str; 3] = ["B2I_CONFIG", "B2I_COLOR", "B2I_PROGRESS"];

/// Finds the key with this path.
pub fn key(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// The names that may follow `prefix` (a section, or empty for the top), each once.
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

/// The candidate that was most probably meant by `name`, if one is near.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    let measured = candidates.into_iter().map(|candidate| (distance(name, candidate), candidate));
    measured
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Edits that turn `left` into `right`: insert, remove, replace, or swap two neighbours (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(64).collect();
    let right: Vec<char> = right.chars().take(64).collect();
    let mut rows: Vec<Vec<usize>> = vec![(0..=right.len()).collect()];
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(l != r);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "build.source-builder",
                "build.args",
                "build.labels",
                "build.ports",
                "templates.directories"
            ]
        );
    }
}
