//! Owns recognising a source tree or a container image by the names at the top of a directory or archive.
//!
//! Must not read files.

/// A build tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuildSystem {
    /// Apache Maven.
    Maven,
    Gradle,
    /// sbt (Scala).
    Sbt,
    /// Apache Ant.
    Ant,
    /// Leiningen (Clojure).
    Leiningen,
    /// Cargo (Rust).
    Cargo,
    /// Go modules.
    Go,
    /// npm, Yarn, pnpm (Node.js).
    Npm,
    Deno,
    /// Python packages.
    Python,
    /// Bundler (Ruby).
    Bundler,
    /// Composer (PHP).
    Composer,
    DotNet,
    /// Mix (Elixir).
    Mix,
    /// Swift packages.
    Swift,
    Zig,
    Bazel,
    /// CMake.
    CMake,
    Meson,
    /// GNU Autotools.
    Autotools,
    Make,
}

impl BuildSystem {
    /// The name in messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Maven => "Maven",
            Self::Gradle => "Gradle",
            Self::Sbt => "sbt",
            Self::Ant => "Ant",
            Self::Leiningen => "Leiningen",
            Self::Cargo => "Cargo",
            Self::Go => "Go",
            Self::Npm => "npm",
            Self::Deno => "Deno",
            Self::Python => "Python",
            Self::Bundler => "Bundler",
            Self::Composer => "Composer",
            Self::DotNet => ".NET",
            Self::Mix => "Mix",
            Self::Swift => "Swift",
            Self::Zig => "Zig",
            Self::Bazel => "Bazel",
            Self::CMake => "CMake",
            Self::Meson => "Meson",
            Self::Autotools => "Autotools",
            Self::Make => "make",
        }
    }
}

/// The file that makes a tree a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFile {
    pub name: String,
    pub system: BuildSystem,
}

/// Build files, most specific first: a Go project may have a package.json for its front end, and any project may have a
/// Makefile.
const BUILD_FILES: &[(&str, BuildSystem)] = &[
    ("pom.xml", BuildSystem::Maven),
    ("build.gradle", BuildSystem::Gradle),
    ("build.gradle.kts", BuildSystem::Gradle),
    ("settings.gradle", BuildSystem::Gradle),
    ("settings.gradle.kts", BuildSystem::Gradle),
    ("build.sbt", BuildSystem::Sbt),
    ("project.clj", BuildSystem::Leiningen),
    ("go.mod", BuildSystem::Go),
    ("Cargo.toml", BuildSystem::Cargo),
    ("Gemfile", BuildSystem::Bundler),
    ("composer.json", BuildSystem::Composer),
    ("mix.exs", BuildSystem::Mix),
    ("Package.swift", BuildSystem::Swift),
    ("build.zig", BuildSystem::Zig),
    ("pyproject.toml", BuildSystem::Python),
    ("setup.py", BuildSystem::Python),
    ("requirements.txt", BuildSystem::Python),
    ("Pipfile", BuildSystem::Python),
    ("package.json", BuildSystem::Npm),
    ("deno.json", BuildSystem::Deno),
    ("deno.jsonc", BuildSystem::Deno),
    ("MODULE.bazel", BuildSystem::Bazel),
    ("WORKSPACE.bazel", BuildSystem::Bazel),
    ("CMakeLists.txt", BuildSystem::CMake),
    ("meson.build", BuildSystem::Meson),
    ("configure.ac", BuildSystem::Autotools),
    ("build.xml", BuildSystem::Ant),
];
const PROJECT_ENDINGS: &[&str] = &[".csproj", ".fsproj", ".vbproj", ".sln", ".slnx"];
const MAKEFILES: &[&str] = &["GNUmakefile", "makefile", "Makefile"];
/// A Makefile alone is not enough: archives of finished programs have one for `make install`.
const BESIDE_A_MAKEFILE: &[&str] =
    &[".c", ".cc", ".cpp", ".cxx", ".h", ".hpp", ".go", ".rs", ".hs", ".ml", ".nim", ".f90", ".s"];

/// The position of a build file in the list, most specific first.
pub fn build_file_order(name: &str) -> Option<usize> {
    BUILD_FILES.iter().position(|(file, _)| *file == name)
}

/// The most specific build file among the names at the top of a directory or archive. Names of directories may end with
/// `/`. The order of the names does not matter.
pub fn source_tree<'a>(top_level_names: impl Iterator<Item = &'a str>) -> Option<BuildFile> {
    let (mut best, mut makefile, mut sources): (Option<(usize, &str)>, Option<&str>, bool) =
        (None, None, false);
    for name in top_level_names {
        let rank = build_file_order(name).or_else(|| {
            PROJECT_ENDINGS.iter().any(|ending| name.ends_with(ending)).then_some(BUILD_FILES.len())
        });
        best = match (rank.map(|rank| (rank, name)), best) {
            (Some(found), Some(known)) => Some(found.min(known)),
            (found, known) => found.or(known),
        };
        if MAKEFILES.contains(&name) {
            makefile = makefile.min(Some(name)).or(Some(name));
        }
        sources |= matches!(name.trim_end_matches('/'), "src" | "configure" | "Kconfig")
            || BESIDE_A_MAKEFILE.iter().any(|ending| name.ends_with(ending));
    }
    let system = |rank: usize| BUILD_FILES.get(rank).map_or(BuildSystem::DotNet, |(_, system)| *system);
    best.map(|(rank, name)| BuildFile { name: name.to_owned(), system: system(rank) }).or_else(|| {
        let name = makefile.filter(|_| sources)?;
        Some(BuildFile { name: name.to_owned(), system: BuildSystem::Make })
    })
}

/// The format of a container image, by the names at the top of a directory or archive: an OCI image layout or an archive
/// of `docker save`.
pub fn container_image<'a>(top_level_names: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    let (mut layout, mut index, mut manifest, mut layers) = (false, false, false, false);
    for name in top_level_names {
        match name.trim_start_matches("./").trim_end_matches('/') {
            "oci-layout" => layout = true,
            "index.json" => index = true,
            "manifest.json" => manifest = true,
            "repositories" => layers = true,
            name => {
                let stem = name.split(['.', '/']).next().unwrap_or_default();
                layers |=
                    name == "blobs" || stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
            }
        }
    }
    match (layout && index, manifest && layers) {
        (_, true) => Some("docker save"),
        (true, false) => Some("OCI image layout"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(names: &[&str]) -> Option<BuildSystem> {
        source_tree(names.iter().copied()).map(|file| file.system)
    }

    #[test]
    fn build_files_are_known() {
        assert_eq!(system(&["README.md", "pom.xml", "src/"]), Some(BuildSystem::Maven));
        assert_eq!(system(&["build.gradle.kts"]), Some(BuildSystem::Gradle));
        assert_eq!(system(&["Shop.sln", "Shop"]), Some(BuildSystem::DotNet));
        assert_eq!(system(&["requirements.txt", "app.py"]), Some(BuildSystem::Python));
        assert_eq!(system(&["tool", "README.md", "LICENSE"]), None);
    }

    #[test]
    fn the_most_telling_file_wins_in_any_order() {
        let names = ["Makefile", "package.json", "go.mod", "main.go"];
        let forward = source_tree(names.into_iter()).expect("a source tree");
        let backward = source_tree(names.into_iter().rev()).expect("a source tree");
        assert_eq!(forward, BuildFile { name: "go.mod".into(), system: BuildSystem::Go });
        assert_eq!(forward, backward);
    }

    #[test]
    fn a_makefile_needs_sources_beside_it() {
        assert_eq!(system(&["Makefile", "tool", "tool.1"]), None);
        assert_eq!(system(&["tool.c", "Makefile"]), Some(BuildSystem::Make));
        assert_eq!(system(&["Makefile", "src/"]), Some(BuildSystem::Make));
    }

    #[test]
    fn images_are_known() {
        let format = |names: &[&str]| container_image(names.iter().copied());
        assert_eq!(format(&["blobs/", "index.json", "oci-layout"]), Some("OCI image layout"));
        assert_eq!(format(&["manifest.json", "repositories"]), Some("docker save"));
        assert_eq!(format(&["blobs", "index.json", "manifest.json", "oci-layout"]), Some("docker save"));
        assert_eq!(format(&["manifest.json", "icon.png"]), None);
    }
}
