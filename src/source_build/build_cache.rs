//! Owns the key of a build cache: which builds may use the same directory of the builder.
//!
//! A build could use the cache of another to put false bytes into its result. So a cache belongs to one project of one
//! user, who may share it with `--cache-key`. Must not know where caches are stored.

use crate::image::{Digest, Platform};
use crate::sources::SourceLocation;

/// The builds that share caches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheScope {
    Project(ProjectIdentity),
    /// All builds with this `--cache-key`.
    Shared(String),
}

impl std::fmt::Display for CacheScope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Project(_) => formatter.write_str("this project"),
            Self::Shared(key) => write!(formatter, "the key `{key}`"),
        }
    }
}

/// The identity of a project from build to build: the location of its sources without their version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectIdentity {
    location: String,
    context_directory: String,
}

impl ProjectIdentity {
    /// The identity of the project at `location`; `None` for a stream.
    pub fn of(location: &SourceLocation, context_directory: Option<&str>) -> Option<Self> {
        let parts = context_directory.unwrap_or_default().split('/');
        let parts: Vec<&str> = parts.filter(|part| !matches!(*part, "" | ".")).collect();
        Some(Self { location: location.identity()?, context_directory: parts.join("/") })
    }
}

/// Everything that a cache depends on.
#[derive(Clone, Debug)]
pub struct BuildCacheOwner<'a> {
    pub scope: &'a CacheScope,
    pub template: &'a str,
    /// The user in the builder, who owns the files.
    pub user: &'a str,
    /// The platform of the builder.
    pub platform: &'a Platform,
    /// The engine, with the owners of its files. Engines with other owners cannot use the cache.
    pub engine: &'a str,
}

/// The name of a stored cache: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildCacheKey(String);

impl BuildCacheKey {
    /// The key of the template's cache `name`.
    pub fn new(owner: &BuildCacheOwner<'_>, name: &str) -> Self {
        let (kind, location, context_directory) = match owner.scope {
            CacheScope::Project(project) => ("project", &*project.location, &*project.context_directory),
            CacheScope::Shared(key) => ("shared", &**key, ""),
        };
        let platform = owner.platform.to_string();
        let fields =
            [kind, location, context_directory, owner.template, owner.user, &platform, owner.engine, name];
        // Lengths make the text unique for each list of fields.
        let text: String = fields.iter().map(|field| format!("{}:{field}\n", field.len())).collect();
        Self(Digest::of(text.as_bytes()).hex()[..32].to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(location: &str, context: Option<&str>) -> CacheScope {
        let location = SourceLocation::parse(location).expect("valid");
        CacheScope::Project(ProjectIdentity::of(&location, context).expect("has one"))
    }

    fn key(scope: &CacheScope, change: impl FnOnce(&mut BuildCacheOwner<'_>)) -> BuildCacheKey {
        let platform = Platform::linux("amd64");
        let mut owner = BuildCacheOwner {
            scope,
            template: "golang",
            user: "1001",
            platform: &platform,
            engine: "docker",
        };
        change(&mut owner);
        BuildCacheKey::new(&owner, "modules")
    }

    #[test]
    fn a_project_is_the_same_whatever_its_version() {
        let first = key(&project("https://h.example/shop.git#v1", None), |_| ());
        assert_eq!(first.as_str().len(), 32);
        for same in ["https://h.example/shop.git#v2", "https://h.example/shop", "https://H.example/shop/"] {
            assert_eq!(key(&project(same, None), |_| ()), first, "{same}");
        }
        let web = key(&project("https://h.example/shop", Some("web")), |_| ());
        assert_eq!(key(&project("https://h.example/shop", Some("./web/")), |_| ()), web);
        assert_ne!(web, first);
        assert_eq!(key(&project(".", None), |_| ()), key(&project("./src/..", None), |_| ()));
    }

    #[test]
    fn nothing_is_shared_that_was_not_meant_to_be() {
        let scope = project("https://h.example/shop", None);
        let platform = Platform::linux("arm64");
        let keys = [
            key(&scope, |_| ()),
            key(&scope, |owner| owner.template = "maven"),
            key(&scope, |owner| owner.user = "0"),
            key(&scope, |owner| owner.engine = "sandbox-single"),
            key(&project("https://h.example/other", None), |_| ()),
            key(&project("https://other.example/shop", None), |_| ()),
            key(&project("https://h.example/shop?repository=2", None), |_| ()),
            key(&project("alice@h.example:shop", None), |_| ()),
            key(&project("bob@h.example:shop", None), |_| ()),
            key(&project("ssh://git@h.example/shop", None), |_| ()),
            key(&project(".", None), |_| ()),
            key(&CacheScope::Shared("https://h.example/shop".to_owned()), |_| ()),
            key(&CacheScope::Shared("team".to_owned()), |_| ()),
            BuildCacheKey::new(
                &BuildCacheOwner {
                    scope: &scope,
                    template: "golang",
                    user: "1001",
                    platform: &platform,
                    engine: "docker",
                },
                "modules",
            ),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(ProjectIdentity::of(&SourceLocation::parse("-").expect("valid"), None), None);
    }
}
