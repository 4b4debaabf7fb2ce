//! Owns the built-in templates: the bytes of `builder-images/`.
//!
//! A file that is added to a template there must be added to its list here; a test compares the two. Must not read files
//! at run time.

use std::sync::Arc;

use super::base::Bases;
use super::error::BuilderError;
use super::template::{SCRIPTS_FOLDER, Template, TemplateOrigin};

/// Embeds the files of one template.
macro_rules! template_files {
    ($name:literal: $($path:literal),+ $(,)?) => {
        ($name, &[$(($path, include_bytes!(concat!("../../builder-images/", $name, "/", $path)).as_slice())),+])
    };
}

type Embedded = (&'static str, &'static [(&'static str, &'static [u8])]);

const TEMPLATES: [Embedded; 8] = [
    template_files!("binary": "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/usage"),
    template_files!("java": "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/usage"),
    template_files!("tomcat":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/usage",
        "files/context.xml", "files/logging.properties", "files/server.xml",
    ),
    template_files!("golang":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/save-artifacts", "s2i/bin/usage",
    ),
    template_files!("maven":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/save-artifacts", "s2i/bin/usage",
    ),
    template_files!("nginx":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/usage", "files/default.conf",
    ),
    template_files!("nodejs":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/save-artifacts", "s2i/bin/usage",
        "files/stop.js",
    ),
    template_files!("python":
        "builder.toml", "Dockerfile", "s2i/bin/assemble", "s2i/bin/run", "s2i/bin/save-artifacts", "s2i/bin/usage",
        "files/stop.py",
    ),
];

const BASES: &str = include_str!("../../builder-images/bases.toml");

/// The built-in templates. In a released program it cannot fail: a test parses all of them.
pub fn templates() -> Result<Vec<Template>, BuilderError> {
    let template = |(name, files): &Embedded| {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), Arc::new(bytes.to_vec())));
        Template::from_files(&format!("builder-images/{name}"), TemplateOrigin::BuiltIn, files.collect())
    };
    TEMPLATES.iter().map(template).collect()
}

/// The script of the template `binary` that the launcher replaces.
pub(super) fn launcher_script(name: &str) -> Option<&'static [u8]> {
    let (_, files) = TEMPLATES.iter().find(|(template, _)| *template == "binary")?;
    let path = format!("{SCRIPTS_FOLDER}/{name}");
    files.iter().find(|(file, _)| *file == path).map(|(_, bytes)| *bytes)
}

/// The assumptions about the bases of the built-in templates. In a released program it cannot fail: a test parses them.
pub fn bases() -> Result<Bases, BuilderError> {
    Bases::parse("builder-images/bases.toml", BASES)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;
    use crate::builder::base::BaseName;
    use crate::builder::folder;

    fn folder_of(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("builder-images").join(name)
    }

    fn list(folder: &Path, prefix: &str, into: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let entry = entry.expect("readable");
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().expect("known").is_dir() {
                list(&entry.path(), &format!("{path}/"), into);
            } else {
                into.insert(path);
            }
        }
    }

    #[test]
    fn every_file_of_every_folder_is_built_in() {
        for (name, files) in TEMPLATES {
            let mut on_disk = BTreeSet::new();
            list(&folder_of(name), "", &mut on_disk);
            assert_eq!(on_disk, files.iter().map(|(path, _)| (*path).to_owned()).collect(), "{name}");
        }
    }

    #[test]
    fn the_folders_load_as_the_same_templates() {
        for template in templates().expect("valid") {
            let loaded = folder::load(&folder_of(template.name()), TemplateOrigin::BuiltIn).expect("valid");
            assert_eq!(loaded.digest(), template.digest());
        }
    }

    #[test]
    fn versions_and_bases_agree() {
        let bases = bases().expect("valid");
        let mut used = BTreeSet::new();
        for template in templates().expect("valid") {
            for version in &template.metadata.versions {
                let name = format!("{}:{}", template.name(), version.version);
                let base = bases.get(&version.base).expect(&name);
                used.insert(version.base.to_string());
                assert!(version.level.is_none() || version.level == base.java, "{name}: level");
                assert!(version.tomcat.is_none() || version.tomcat == base.tomcat, "{name}: tomcat");
                assert!(version.libc.is_none() || version.libc == base.libc, "{name}: libc");
                assert!(version.glibc.is_none() || version.glibc == base.glibc, "{name}: glibc");
                let release = version.release.as_ref();
                assert!(
                    release.is_none_or(|release| base.tools.values().any(|tool| tool == release)),
                    "{name}: release"
                );
                assert!(version.servlet_api.is_some() == version.tomcat.is_some(), "{name}: servlet API");
                let fixed = version.base == BaseName::BuiltInStatic;
                assert!(base.platforms.is_some() && base.shell == Some(!fixed), "{name}: base");
            }
        }
        assert_eq!(used.iter().map(String::as_str).collect::<Vec<_>>(), bases.names().collect::<Vec<_>>());
    }

    #[test]
    fn each_names_its_scripts_and_starts_run() {
        for template in templates().expect("valid") {
            let scripts = &template.metadata.scripts_directory;
            let label = template.metadata.image.labels.get("io.openshift.s2i.scripts-url").expect("a label");
            assert_eq!(*label, format!("image://{scripts}"));
            assert_eq!(template.metadata.image.entrypoint, [format!("{scripts}/run")]);
            assert!(template.script("usage").is_some());
        }
    }
}
