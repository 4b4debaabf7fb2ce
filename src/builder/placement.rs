//! Owns placements: the declarative form of a template's `assemble`, and the context paths of web applications.
//!
//! Must not place anything; `assemble/` does.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::BuilderError;
use super::metadata::{ArtifactsSection, Takes};
use super::template::Template;
use crate::image::ImagePath;
use crate::image::layer::Owner;
use crate::image::path::InvalidImagePath;

/// The variable for the file name that follows from the context path.
const CONTEXT: &str = "${CONTEXT}";

/// Longest context path, in bytes. With `.war` it fits as a file name on every file system.
const MAXIMUM_CONTEXT_PATH: usize = 200;

/// The directory beside `binary` that holds the tree of an artifact.
pub const TREE_DIRECTORY: &str = "app";

/// The paths, owner and modes of an artifact and its added files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    pub artifact: ImagePath,
    /// The directory of added files.
    pub beside: ImagePath,
    /// Other names of the artifact, in the same layer.
    pub hard_links: Vec<ImagePath>,
    pub owner: Owner,
    pub artifact_mode: u32,
    /// Mode of added files.
    pub file_mode: u32,
    /// Mode of added programs and scripts.
    pub executable_mode: u32,
    /// Mode of added directories.
    pub directory_mode: u32,
}

/// The places of an artifact and of the files that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The artifact itself.
    pub artifact: ImagePath,
    /// The directory in which relative paths start: the top of the tree, or the directory of the artifact.
    pub top: ImagePath,
}

impl Places {
    /// The places below the directory `beside`, for an artifact that is placed as `artifact`, or at `tree_path` in its tree.
    ///
    /// # Errors
    /// [`InvalidImagePath`] if the path in the tree cannot be a path in an image.
    pub fn new(
        artifact: &ImagePath,
        beside: &ImagePath,
        tree_path: Option<&str>,
    ) -> Result<Self, InvalidImagePath> {
        let Some(path) = tree_path else {
            return Ok(Self { artifact: artifact.clone(), top: beside.clone() });
        };
        let top = beside.join(TREE_DIRECTORY)?;
        Ok(Self { artifact: top.join(path)?, top })
    }
}

impl Template {
    /// The placement of an artifact by this template. The default of `context_path` is `/`.
    ///
    /// # Errors
    /// [`BuilderError::ContextPath`] if it is not valid, [`BuilderError::NoContextPath`] if the template has none,
    /// [`BuilderError::TakesSources`] if the template takes no artifacts.
    pub fn placement(&self, context_path: Option<&str>) -> Result<Placement, BuilderError> {
        let Takes::Artifacts(ArtifactsSection { placement: section, .. }) = &self.metadata.takes else {
            let template = self.metadata.name.clone();
            return Err(BuilderError::TakesSources { template, takes: self.metadata.takes.words() });
        };
        if let Some(path) = context_path
            && !section.hard_links.iter().any(LinkPattern::has_context)
        {
            let template = self.metadata.name.clone();
            return Err(BuilderError::NoContextPath { template, path: path.to_owned() });
        }
        let context = ContextPath::parse(context_path.unwrap_or("/"))?;
        let owner = section.owner.unwrap_or(self.metadata.image.user);
        // The program may only read files of another owner. Any user of group 0 may still create files beside them, but
        // the sticky bit keeps that user from replacing existing files.
        let read_only = owner != self.metadata.image.user;
        Ok(Placement {
            artifact: section.artifact.clone(),
            beside: section.beside.clone(),
            hard_links: section.hard_links.iter().map(|link| link.path(&context)).collect(),
            owner,
            artifact_mode: 0o755,
            file_mode: if read_only { 0o644 } else { 0o664 },
            executable_mode: if read_only { 0o755 } else { 0o775 },
            directory_mode: if read_only { 0o1775 } else { 0o775 },
        })
    }
}

/// The URL path of a web application, such as `/` or `/shop/admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextPath(String);

impl ContextPath {
    /// Parses `text`, by the same rules as the `assemble` script of the template `tomcat`.
    ///
    /// # Errors
    /// [`BuilderError::ContextPath`] if Tomcat would not serve the application under it (Tomcat, "The Context
    /// Container", Naming): `#` separates levels and versions in file names, `ROOT` is the name of `/`.
    pub fn parse(text: &str) -> Result<Self, BuilderError> {
        let invalid = |reason: &str| BuilderError::ContextPath {
            path: text.chars().take(MAXIMUM_CONTEXT_PATH).collect(),
            reason: reason.to_owned(),
        };
        let levels = text.strip_prefix('/').ok_or_else(|| invalid("it does not start with `/`"))?;
        if levels.is_empty() {
            return Ok(Self(String::new()));
        }
        if levels.len() > MAXIMUM_CONTEXT_PATH {
            return Err(invalid("it is longer than 200 bytes"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        for level in levels.split('/') {
            match level {
                "" => return Err(invalid("it has an empty level")),
                "." | ".." => return Err(invalid("it contains `.` or `..`")),
                _ if !level.bytes().all(allowed) => {
                    return Err(invalid("it may contain only letters, digits, `-`, `.`, `_` and `~`"));
                }
                _ => {}
            }
        }
        if levels == "ROOT" {
            return Err(invalid("`ROOT` is Tomcat's name of `/`"));
        }
        if matches!(levels, "META-INF" | "WEB-INF") {
            return Err(invalid("Tomcat never serves an application with this name"));
        }
        Ok(Self(levels.to_owned()))
    }

    /// The name of the application's file, without `.war`: `ROOT` for `/`, `a#b` for `/a/b`.
    pub fn file_stem(&self) -> String {
        if self.0.is_empty() { "ROOT".to_owned() } else { self.0.replace('/', "#") }
    }
}

/// A path in an image that may contain `${CONTEXT}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPattern(ImagePath);

impl LinkPattern {
    fn has_context(&self) -> bool {
        self.0.as_str().contains(CONTEXT)
    }

    fn path(&self, context: &ContextPath) -> ImagePath {
        let path = self.0.as_str().replace(CONTEXT, &context.file_stem());
        ImagePath::new(&path).expect("a file stem has neither a slash nor a NUL and is never `.` or `..`")
    }
}

impl Serialize for LinkPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LinkPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let path = ImagePath::deserialize(deserializer)?;
        let rest = path.as_str().replace(CONTEXT, "");
        if let Some((_, variable)) = rest.split_once("${") {
            let name = variable.split('}').next().unwrap_or_default();
            return Err(D::Error::custom(format!(
                "`${{{name}}}` is not a known variable; only `{CONTEXT}` is"
            )));
        }
        // The text around the variable must not become `..` together with the name.
        ImagePath::new(&path.as_str().replace(CONTEXT, "a")).map_err(D::Error::custom)?;
        Ok(Self(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;

    #[test]
    fn a_context_path_names_the_file() {
        for (path, stem) in [
            ("/", "ROOT"),
            ("/shop", "shop"),
            ("/a/b", "a#b"),
            ("/ROOT/x", "ROOT#x"),
            ("/v1.2~x_y-z", "v1.2~x_y-z"),
        ] {
            assert_eq!(ContextPath::parse(path).expect(path).file_stem(), stem);
        }
    }

    #[test]
    fn refuses_what_tomcat_would_not_find() {
        let long = format!("/{}", "a".repeat(201));
        for path in [
            "", "shop", "//", "/a//b", "/..", "/a/./b", "/a#b", "/a b", "/a%20b", "/ROOT", "/WEB-INF",
            "/shop/", "/ä", "/a\\b", "/a\0", "/a?b", &long,
        ] {
            assert!(ContextPath::parse(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn tomcat_gets_a_war_by_a_second_name() {
        let placement = sample::template(sample::TOMCAT).placement(Some("/a/b")).expect("valid");
        assert_eq!(placement.artifact.as_str(), "/opt/app-root/bin/binary");
        let links: Vec<&str> = placement.hard_links.iter().map(ImagePath::as_str).collect();
        assert_eq!(links, ["/opt/app-root/tomcat/webapps/a#b.war"]);
        assert_eq!(placement.owner, Owner { uid: 1001, gid: 0 });
        assert_eq!((placement.file_mode, placement.directory_mode), (0o664, 0o775));
        let placement = sample::template(sample::TOMCAT).placement(None).expect("valid");
        assert_eq!(placement.hard_links[0].file_name(), "ROOT.war");
    }

    #[test]
    fn the_user_of_a_built_in_template_may_change_no_placed_file() {
        for template in crate::builder::built_in::templates().expect("valid") {
            let Some(artifacts) = template.metadata.artifacts() else { continue };
            let placement = template.placement(None).expect("valid");
            assert_eq!(placement.owner, Owner::ROOT, "{}", template.name());
            let modes = [placement.artifact_mode, placement.file_mode, placement.executable_mode];
            assert_eq!(modes, [0o755, 0o644, 0o755]);
            assert_eq!(placement.directory_mode, 0o1775, "the group may add files, and replaces none");
            let links = placement.hard_links.iter().chain([&artifacts.placement.artifact]);
            for folder in links.map(|link| link.parent().expect("below the root")) {
                let directories = &template.metadata.image.directories;
                let own = directories.iter().find(|one| one.path == folder).expect("a directory of its own");
                assert_eq!((own.mode.0, own.owner), (0o1775, Owner::ROOT), "{folder}");
            }
        }
    }

    #[test]
    fn a_template_without_context_refuses_one() {
        let java = sample::template(sample::JAVA);
        assert!(java.placement(None).expect("valid").hard_links.is_empty());
        assert!(matches!(java.placement(Some("/x")), Err(BuilderError::NoContextPath { .. })));
    }

    /// The name of the file that the real script links the WAR to, or nothing if it refuses the context path.
    #[cfg(unix)]
    fn linked_by_the_script(script: &std::path::Path, context_path: &str) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let source = folder.path().join("s2i/src");
        std::fs::create_dir_all(&source).expect("made");
        std::fs::write(source.join("app.war"), "PK").expect("written");
        let done = std::process::Command::new("/bin/sh")
            .arg(script)
            .env("S2I_DESTINATION", folder.path().join("s2i"))
            .env("APP_ROOT", folder.path().join("root"))
            .env("B2I_CONTEXT_PATH", context_path)
            .output()
            .expect("a shell");
        if !done.status.success() {
            return None;
        }
        let mut links = std::fs::read_dir(folder.path().join("root/tomcat/webapps")).expect("made");
        let link = links.next().expect("one").expect("readable");
        assert!(links.next().is_none());
        Some(link.file_name().to_string_lossy().into_owned())
    }

    #[cfg(unix)]
    #[test]
    fn the_script_of_the_template_says_the_same() {
        let script =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("builder-images/tomcat/s2i/bin/assemble");
        for path in [
            "/",
            "/shop",
            "/a/b",
            "/a/b/c",
            "/ROOT",
            "/ROOT/x",
            "/META-INF",
            "/WEB-INF/x",
            "/shop/",
            "//",
            "/a//b",
            "/.",
            "/a/..",
            "/...",
            "/a#b",
            "/a b",
            "/a%20b",
            "/~x_y-z.1",
            "shop",
            "/ä",
            "/a\nb",
            "/$(id)",
            "/*",
            "/-",
        ] {
            let ours = ContextPath::parse(path).ok().map(|context| format!("{}.war", context.file_stem()));
            assert_eq!(linked_by_the_script(&script, path), ours, "{path:?}");
        }
    }
}
