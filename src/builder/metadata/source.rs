//! Owns `[source]` of `builder.toml`: the build files, the product and the caches of a template for sources.
//!
//! Must not choose a template (`selection/source`) nor build.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::image::relative_path;
use super::version::name;
use crate::detect::facts::Kind;
use crate::image::ImagePath;

/// The build files, product and caches of a template for sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSection {
    /// The files that select the template, relative to the source root, most specific first.
    pub build_files: Vec<String>,
    pub product: Product,
    /// Directories whose content makes the next build faster.
    pub caches: Vec<SourceCache>,
}

/// The result of a source build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Product {
    /// An artifact, which is copied from the builder container and packaged by its own facts.
    Artifact {
        kind: ProductKind,
        /// Paths of files, or of directories with exactly one artifact. Never empty.
        places: Vec<ImagePath>,
    },
    /// The builder container becomes the image.
    Image,
}

/// The kind of artifact that a source build makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProductKind {
    /// A native executable, or a script.
    Executable,
    Jar,
    War,
    /// A JAR or a WAR.
    Java,
}

impl ProductKind {
    /// Whether an artifact of `kind` matches this declaration.
    pub fn accepts(self, kind: &Kind) -> bool {
        match (self, kind) {
            (Self::Executable, Kind::Executable(_) | Kind::Script(_))
            | (Self::Jar | Self::Java, Kind::Jar(_))
            | (Self::War | Self::Java, Kind::War(_)) => true,
            (Self::Executable | Self::Jar | Self::War | Self::Java, _) => false,
        }
    }
}

impl fmt::Display for ProductKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Executable => "an executable",
            Self::Jar => "a JAR",
            Self::War => "a WAR",
            Self::Java => "a JAR or a WAR",
        })
    }
}

/// A directory that stays from build to build.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceCache {
    /// Unique in the template.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// Its path in the builder container.
    pub path: ImagePath,
}

/// The values of `produces`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Produces {
    Executable,
    Jar,
    War,
    Java,
    Image,
}

/// The text of `[source]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SourceDocument {
    build_files: Vec<BuildFileName>,
    produces: Produces,
    #[serde(default)]
    artifacts: Vec<ImagePath>,
    #[serde(default)]
    caches: Vec<SourceCache>,
}

/// A path below the source root.
#[derive(Debug, Deserialize)]
struct BuildFileName(#[serde(deserialize_with = "build_file")] String);

fn build_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    relative_path(deserializer)
}

impl SourceDocument {
    /// Checks the text and makes a section without contradictions.
    ///
    /// # Errors
    ///
    /// The key and the reason.
    pub(super) fn section(self) -> Result<SourceSection, (String, String)> {
        let wrong = |key: &str, reason: String| (format!("source.{key}"), reason);
        if self.build_files.is_empty() {
            return Err(wrong("build-files", "must contain a file that chooses the template".into()));
        }
        let artifact = |kind| match self.artifacts.is_empty() {
            false => Ok(Product::Artifact { kind, places: self.artifacts.clone() }),
            true => Err(wrong("artifacts", format!("must contain a path of {kind}"))),
        };
        let product = match self.produces {
            Produces::Executable => artifact(ProductKind::Executable)?,
            Produces::Jar => artifact(ProductKind::Jar)?,
            Produces::War => artifact(ProductKind::War)?,
            Produces::Java => artifact(ProductKind::Java)?,
            Produces::Image if self.artifacts.is_empty() => Product::Image,
            Produces::Image => {
                return Err(wrong(
                    "artifacts",
                    "is not allowed, because the builder container becomes the image".into(),
                ));
            }
        };
        for (index, cache) in self.caches.iter().enumerate() {
            let earlier = &self.caches[..index];
            if earlier.iter().any(|one| one.name == cache.name || one.path == cache.path) {
                return Err(wrong("caches", format!("contains `{}` or `{}` twice", cache.name, cache.path)));
            }
        }
        let build_files = self.build_files.into_iter().map(|file| file.0).collect();
        Ok(SourceSection { build_files, product, caches: self.caches })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Metadata, Takes};
    use super::*;
    use crate::builder::tests::sample;

    fn parse(metadata: &str) -> Result<SourceSection, String> {
        let metadata = Metadata::parse("b", metadata).map_err(|error| error.to_string())?;
        match metadata.takes {
            Takes::Sources(section) => Ok(section),
            Takes::Artifacts(_) => panic!("it takes sources"),
        }
    }

    #[test]
    fn reads_what_a_template_makes_of_sources() {
        let section = parse(&sample::whole(sample::GOLANG)).expect("valid");
        assert_eq!(section.build_files, ["go.mod"]);
        let place = ImagePath::new("/opt/app-root/out").expect("valid");
        assert_eq!(section.product, Product::Artifact { kind: ProductKind::Executable, places: vec![place] });
        assert_eq!(section.caches[0].name, "modules");
        assert_eq!(parse(&sample::whole(sample::NGINX)).expect("valid").product, Product::Image);
    }

    #[test]
    fn refuses_what_cannot_be() {
        let golang = sample::whole(sample::GOLANG);
        for (from, to, needle) in [
            ("build-files = [\"go.mod\"]", "build-files = []", "`source.build-files`"),
            ("build-files = [\"go.mod\"]", "build-files = [\"../go.mod\"]", "`../go.mod` is not a relative"),
            (
                "artifacts = [\"/opt/app-root/out\"]",
                "artifacts = []",
                "`source.artifacts` must contain a path",
            ),
            ("produces = \"executable\"", "produces = \"image\"", "`source.artifacts` is not allowed"),
            ("produces = \"executable\"", "produces = \"ear\"", "produces = \"ear\""),
            (
                "name = \"golang\"",
                "name = \"golang\"\nkinds = [\"jar\"]",
                "`source` is not allowed with `kinds`",
            ),
            (
                "[source]",
                "[placement]\nartifact = \"/a\"\nbeside = \"/b\"\n[source]",
                "`source` is not allowed with `placement`",
            ),
            ("name = \"modules\"", "name = \"Modules\"", "`Modules` is not a name"),
            ("name = \"build\"", "name = \"modules\"", "`source.caches` contains `modules`"),
        ] {
            assert!(golang.contains(from), "{from}");
            let error = parse(&golang.replacen(from, to, 1)).expect_err(to);
            assert!(error.contains(needle), "{error}");
        }
    }
}
