//! Owns recognising a source tree or a container image by the names at the top of a directory or archive.
//! Must not read files.

/// The file that makes a tree a source tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildFile {
    pub name: String,
    /// The name of the build tool.
    pub system: &'static str,
}

/// Build files, most specific first: a Go project may have a package.json for its front end, and any project may have a
/// Makefile.
const BUILD_FILES: &[(&str, &str)] = &[
    ("pom.xml", "Maven"),
    ("build.gradle", "Gradle"),
    ("build.gradle.kts", "Gradle"),
    ("settings.gradle", "Gradle"),
    ("settings.gradle.kts", "Gradle"),
    ("build.sbt", "sbt"),
    ("project.clj", "Leiningen"),
    ("go.mod", "Go"),
    ("Cargo.toml", "Cargo"),
    ("Gemfile", "Bundler"),
    ("composer.json", "Composer"),
    ("mix.exs", "Mix"),
    ("Package.swift", "Swift"),
    ("build.zig", "Zig"),
    ("pyproject.toml", "Python"),
    ("setup.py", "Python"),
    ("requirements.txt", "Python"),
    ("Pipfile", "Python"),
    ("package.json", "npm"),
    ("deno.json", "Deno"),
    ("deno.jsonc", "Deno"),
    ("MODULE.bazel", "Bazel"),
    ("WORKSPACE.bazel", "Bazel"),
    ("CMakeLists.txt", "CMake"),
    ("meson.build", "Meson"),
    ("configure.ac", "Autotools"),
    ("build.xml", "Ant"),
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
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        if MAKEFILES.contains(&name) {
            makefile = makefile.min(Some(name)).or(Some(name));
        }
        sources |= matches!(name.trim_end_matches('/'), "src" | "configure" | "Kconfig")
            || BESIDE_A_MAKEFILE.iter().any(|ending| name.ends_with(ending));
    }
    let system = |rank: usize| BUILD_FILES.get(rank).map_or(".NET", |(_, system)| *system);
    best.map(|(rank, name)| BuildFile { name: name.to_owned(), system: system(rank) }).or_else(|| {
        let name = makefile.filter(|_| sources)?;
        Some(BuildFile { name: name.to_owned(), system: "make" })
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

    fn system(names: &[&str]) -> Option<&'static str> {
        source_tree(names.iter().copied()).map(|file| file.system)
    }

    #[test]
    fn build_files_are_known() {
        assert_eq!(system(&["README.md", "pom.xml", "src/"]), Some("Maven"));
        assert_eq!(system(&["build.gradle.kts"]), Some("Gradle"));
        assert_eq!(system(&["Shop.sln", "Shop"]), Some(".NET"));
        assert_eq!(system(&["requirements.txt", "app.py"]), Some("Python"));
        assert_eq!(system(&["tool", "README.md", "LICENSE"]), None);
    }

    #[test]
    fn the_most_telling_file_wins_in_any_order() {
        let names = ["Makefile", "package.json", "go.mod", "main.go"];
        let forward = source_tree(names.into_iter()).expect("a source tree");
        let backward = source_tree(names.into_iter().rev()).expect("a source tree");
        assert_eq!(forward, BuildFile { name: "go.mod".into(), system: "Go" });
        assert_eq!(forward, backward);
    }

    #[test]
    fn a_makefile_needs_sources_beside_it() {
        assert_eq!(system(&["Makefile", "tool", "tool.1"]), None);
        assert_eq!(system(&["tool.c", "Makefile"]), Some("make"));
        assert_eq!(system(&["Makefile", "src/"]), Some("make"));
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
