//! Owns the question whether a directory is a source tree, from the names in its root.

/// A file that tells how a source tree is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuildFile {
    /// Its name.
    pub name: &'static str,
    /// What builds the tree.
    pub build_system: &'static str,
}

const BUILD_FILES: &[BuildFile] = &[
    BuildFile { name: "pom.xml", build_system: "Maven" },
    BuildFile { name: "build.gradle", build_system: "Gradle" },
    BuildFile { name: "build.gradle.kts", build_system: "Gradle" },
    BuildFile { name: "go.mod", build_system: "Go" },
    BuildFile { name: "Cargo.toml", build_system: "Cargo" },
    BuildFile { name: "package.json", build_system: "npm" },
];

/// Returns the first known build file among the names in the root of a tree.
pub fn source_tree<'a>(top_level_names: impl Iterator<Item = &'a str>) -> Option<BuildFile> {
    let names: Vec<&str> = top_level_names.collect();
    BUILD_FILES.iter().find(|file| names.contains(&file.name)).copied()
}
