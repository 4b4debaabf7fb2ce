//! Owns builder templates: metadata, scripts and files of one folder, in memory.
//!
//! Must not read the folder (`folder.rs`, `built_in.rs`) nor choose (`selection/`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::built_in;
use super::error::BuilderError;
use super::metadata::{ArtifactKind, Metadata, Version};
use crate::image::layer::{Content, Entry, EntryKind, Owner};
use crate::image::{Digest, DigestBuilder, ImagePath};

/// The file that describes a template.
pub const METADATA_FILE: &str = "builder.toml";

/// The directory of the scripts in a template's folder.
pub const SCRIPTS_FOLDER: &str = "s2i/bin";

/// Scripts that every template must have.
pub const REQUIRED_SCRIPTS: [&str; 2] = ["assemble", "run"];

/// Scripts that a template may have.
pub const OPTIONAL_SCRIPTS: [&str; 2] = ["usage", "save-artifacts"];

/// The scripts that the launcher replaces on a base without a shell.
const LAUNCHER_SCRIPTS: [&str; 3] = ["assemble", "run", "usage"];

/// The origin of a template, which decides whether it is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum TemplateOrigin {
    BuiltIn,
    /// A template from the user's or the machine's configuration.
    Configured {
        directory: PathBuf,
    },
    /// A template from the configuration of a project. It comes with a cloned repository and is not trusted.
    Project {
        directory: PathBuf,
    },
}

/// A template's files by their path in its folder.
pub type TemplateFiles = BTreeMap<String, Arc<Vec<u8>>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pub metadata: Metadata,
    pub origin: TemplateOrigin,
    files: TemplateFiles,
}

/// A file of an exported template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateFile<'a> {
    /// Relative to the folder.
    pub path: &'a str,
    pub bytes: &'a [u8],
    /// Whether it is a script.
    pub executable: bool,
}

impl Template {
    /// Makes a template of the files of its folder. `shown` is the folder's name in messages.
    ///
    /// # Errors
    /// [`BuilderError`] if a file is missing or not valid.
    pub fn from_files(
        shown: &str,
        origin: TemplateOrigin,
        files: TemplateFiles,
    ) -> Result<Self, BuilderError> {
        let missing = |path: &str, reason: &str| BuilderError::TemplateFile {
            file: format!("{shown}/{path}"),
            reason: reason.to_owned(),
        };
        let bytes = files.get(METADATA_FILE).ok_or_else(|| missing(METADATA_FILE, "does not exist"))?;
        let text = std::str::from_utf8(bytes).map_err(|_| missing(METADATA_FILE, "is not UTF-8 text"))?;
        let metadata = Metadata::parse(&format!("{shown}/{METADATA_FILE}"), text)?;
        for script in REQUIRED_SCRIPTS {
            let path = format!("{SCRIPTS_FOLDER}/{script}");
            let script = files.get(&path).ok_or_else(|| missing(&path, "does not exist"))?;
            // Otherwise the kernel reports "exec format error" much later.
            if !script.starts_with(b"#!") && !script.starts_with(b"\x7fELF") {
                return Err(missing(
                    &path,
                    "is neither a script (its first line does not begin with `#!`) nor a program",
                ));
            }
            if script.starts_with(b"#!")
                && script.split(|byte| *byte == b'\n').next().is_some_and(|l| l.ends_with(b"\r"))
            {
                return Err(missing(
                    &path,
                    "has Windows line endings, with which the kernel finds no interpreter",
                ));
            }
        }
        for file in &metadata.image.files {
            if !files.contains_key(&file.source) {
                return Err(missing(&file.source, "does not exist, but `image.files` names it"));
            }
        }
        let template = Self { metadata, origin, files };
        template.check_entries(shown)?;
        Ok(template)
    }

    /// Finds contradictions between directories, files and scripts before they become a layer.
    fn check_entries(&self, shown: &str) -> Result<(), BuilderError> {
        let placed = self.metadata.artifacts().map(|section| Entry {
            path: section.placement.artifact.clone(),
            kind: EntryKind::File { size: 0, content: Arc::new(Vec::new()) },
            mode: 0o755,
            owner: self.metadata.image.user,
        });
        let entries = self.image_entries(None).into_iter().chain(placed).collect();
        crate::image::layer::Layer::new(entries, 0).map_err(|error| BuilderError::Invalid {
            file: format!("{shown}/{METADATA_FILE}"),
            key: "image".into(),
            reason: format!("contradicts itself: {error}"),
        })?;
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.metadata.name
    }

    /// Whether b2i may use its placement instead of running its `assemble`.
    ///
    /// Only a built-in template may be placed: tests prove that placement and script give the same layer for these bytes
    /// and no others. The scripts of a template from a folder run, even if it was exported and not changed. So do those
    /// of a template that builds sources.
    pub fn may_be_placed(&self) -> bool {
        self.origin == TemplateOrigin::BuiltIn && self.metadata.artifacts().is_some()
    }

    /// Whether it works on a base without a shell: its scripts are programs, or the launcher replaces them.
    pub fn works_without_shell(&self) -> bool {
        !self.has_text_scripts() || self.launcher_fits()
    }

    /// Whether it takes executables or scripts, which have neither CA certificates nor time zones of their own.
    pub fn runs_programs(&self) -> bool {
        let is_program =
            |kind: &ArtifactKind| matches!(kind, ArtifactKind::Executable | ArtifactKind::Script);
        self.metadata.artifacts().is_some_and(|artifacts| artifacts.kinds.iter().any(is_program))
    }

    /// Whether `assemble` or `run` is a script that needs an interpreter.
    pub fn has_text_scripts(&self) -> bool {
        REQUIRED_SCRIPTS.iter().any(|name| self.script(name).is_some_and(|bytes| bytes.starts_with(b"#!")))
    }

    /// Whether the launcher behaves like its scripts: those of the built-in templates for artifacts, or copies of the
    /// scripts of `binary`.
    fn launcher_fits(&self) -> bool {
        let same = |name: &&str| self.script(name) == built_in::launcher_script(name);
        self.may_be_placed() || REQUIRED_SCRIPTS.iter().all(same)
    }

    /// The version with exactly this name.
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.metadata.versions.iter().find(|version| version.version == name)
    }

    /// The files that `b2i builders export` writes, sorted by path.
    pub fn files(&self) -> impl Iterator<Item = TemplateFile<'_>> {
        self.files.iter().map(|(path, bytes)| TemplateFile {
            path,
            bytes,
            executable: path.strip_prefix(SCRIPTS_FOLDER).is_some_and(|rest| rest.starts_with('/')),
        })
    }

    pub fn script(&self, name: &str) -> Option<&[u8]> {
        self.files.get(&format!("{SCRIPTS_FOLDER}/{name}")).map(|bytes| bytes.as_slice())
    }

    /// The digest of all files: names, lengths and bytes, in the order of the names.
    pub fn digest(&self) -> Digest {
        let mut digest = DigestBuilder::new();
        for (path, bytes) in &self.files {
            for part in [path.as_bytes(), bytes.as_slice()] {
                digest.update(&(part.len() as u64).to_be_bytes());
                digest.update(part);
            }
        }
        digest.finish()
    }

    /// The entries that make a base into the builder image: directories, scripts (0755 0:0) and files.
    ///
    /// `launcher` is for a base without a shell. It replaces each script and acts by its own name.
    pub fn image_entries(&self, launcher: Option<&'static [u8]>) -> Vec<Entry> {
        let image = &self.metadata.image;
        let scripts = &self.metadata.scripts_directory;
        let mut entries: Vec<Entry> = image.directories.iter().map(directory_entry).collect();
        if !image.directories.iter().any(|directory| directory.path == *scripts) {
            entries.push(Entry {
                path: scripts.clone(),
                kind: EntryKind::Directory,
                mode: 0o755,
                owner: Owner::ROOT,
            });
        }
        for file in &image.files {
            let Some(bytes) = self.files.get(&file.source) else { continue };
            let content: Arc<dyn Content> = bytes.clone();
            let kind = EntryKind::File { size: bytes.len() as u64, content };
            entries.push(Entry { path: file.path.clone(), kind, mode: file.mode.0, owner: file.owner });
        }
        entries.extend(self.script_entries(scripts, launcher));
        entries
    }

    fn script_entries(&self, directory: &ImagePath, launcher: Option<&'static [u8]>) -> Vec<Entry> {
        let script = |name: &str, size: usize, content: Arc<dyn Content>| Entry {
            path: directory.join(name).expect("script names are plain words"),
            kind: EntryKind::File { size: size as u64, content },
            mode: 0o755,
            owner: Owner::ROOT,
        };
        if let Some(program) = launcher {
            let program_as = |name| script(name, program.len(), Arc::new(program));
            return LAUNCHER_SCRIPTS.into_iter().map(program_as).collect();
        }
        let names = REQUIRED_SCRIPTS.into_iter().chain(OPTIONAL_SCRIPTS);
        let present = names.filter_map(|name| {
            let bytes = self.files.get(&format!("{SCRIPTS_FOLDER}/{name}"))?;
            Some(script(name, bytes.len(), bytes.clone()))
        });
        present.collect()
    }
}

fn directory_entry(directory: &super::metadata::DirectoryEntry) -> Entry {
    Entry {
        path: directory.path.clone(),
        kind: EntryKind::Directory,
        mode: directory.mode.0,
        owner: directory.owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;

    #[test]
    fn entries_make_a_layer() {
        let entries = sample::template(sample::TOMCAT).image_entries(None);
        let shown: Vec<String> =
            entries.iter().map(|entry| format!("{} {:o} {}", entry.path, entry.mode, entry.owner)).collect();
        assert_eq!(
            shown,
            [
                "/opt/app-root 775 1001:0",
                "/opt/app-root/bin 775 1001:0",
                "/usr/libexec/s2i 755 0:0",
                "/opt/app-root/tomcat/conf/server.xml 644 0:0",
                "/usr/libexec/s2i/assemble 755 0:0",
                "/usr/libexec/s2i/run 755 0:0",
                "/usr/libexec/s2i/usage 755 0:0",
            ]
        );
    }

    #[test]
    fn the_launcher_stands_for_every_script() {
        let entries = sample::template(sample::JAVA).image_entries(Some(b"\x7fELF launcher"));
        let names = ["assemble", "run", "usage"];
        for name in names {
            let path = format!("/usr/libexec/s2i/{name}");
            let entry = entries.iter().find(|entry| entry.path.as_str() == path).expect(name);
            assert!(matches!(entry.kind, EntryKind::File { size: 13, .. }));
        }
    }

    #[test]
    fn the_digest_tells_names_and_bytes_apart() {
        let template = sample::template(sample::JAVA);
        assert_eq!(template.digest(), sample::template(sample::JAVA).digest());
        let mut renamed = template.clone();
        let bytes = renamed.files.remove("s2i/bin/usage").expect("there");
        renamed.files.insert("s2i/bin/usagf".into(), bytes);
        let mut moved = template.clone();
        moved.files.insert("s2i/bin/usage".into(), Arc::new(b"#!/bin/sh\nother\n".to_vec()));
        assert_ne!(template.digest(), renamed.digest());
        assert_ne!(template.digest(), moved.digest());
    }

    #[test]
    fn exports_every_file_and_only_scripts_are_executable() {
        let template = sample::template(sample::TOMCAT);
        let files: Vec<(&str, bool)> = template.files().map(|file| (file.path, file.executable)).collect();
        assert_eq!(
            files,
            [
                ("Dockerfile", false),
                ("builder.toml", false),
                ("files/server.xml", false),
                ("s2i/bin/assemble", true),
                ("s2i/bin/run", true),
                ("s2i/bin/usage", true),
            ]
        );
    }

    #[test]
    fn only_what_is_built_in_is_placed() {
        let directory = PathBuf::from("templates/java");
        for (origin, placed) in [
            (TemplateOrigin::BuiltIn, true),
            (TemplateOrigin::Configured { directory: directory.clone() }, false),
            (TemplateOrigin::Project { directory }, false),
        ] {
            let template = Template { origin, ..sample::template(sample::JAVA) };
            assert_eq!(template.may_be_placed(), placed);
        }
    }

    #[test]
    fn the_launcher_stands_for_built_in_scripts_only() {
        let configured = |template: Template| Template {
            origin: TemplateOrigin::Configured { directory: PathBuf::from("templates/x") },
            ..template
        };
        assert!(sample::template(sample::BINARY).works_without_shell());
        assert!(!configured(sample::template(sample::BINARY)).works_without_shell());
        let binary = built_in::templates().expect("valid").remove(0);
        assert_eq!(binary.name(), "binary");
        assert!(
            configured(binary).works_without_shell(),
            "an exported folder whose scripts were not changed"
        );
        let mut programs = configured(sample::template(sample::BINARY));
        for script in REQUIRED_SCRIPTS {
            programs.files.insert(format!("{SCRIPTS_FOLDER}/{script}"), Arc::new(b"\x7fELF".to_vec()));
        }
        assert!(programs.works_without_shell() && !programs.has_text_scripts());
    }

    #[test]
    fn refuses_templates_that_lack_or_contradict() {
        let refused = |change: &dyn Fn(&mut TemplateFiles)| {
            let mut files = sample::files(sample::TOMCAT);
            change(&mut files);
            Template::from_files("t", TemplateOrigin::BuiltIn, files).expect_err("refused").to_string()
        };
        let remove = |name: &'static str| refused(&|files| drop(files.remove(name)));
        assert!(remove("builder.toml").contains("`t/builder.toml` does not exist"));
        assert!(remove("s2i/bin/run").contains("`t/s2i/bin/run` does not exist"));
        assert!(remove("files/server.xml").contains("`image.files` names it"));
        let replace = |name: &'static str, bytes: &'static [u8]| {
            refused(&|files| drop(files.insert(name.into(), Arc::new(bytes.to_vec()))))
        };
        assert!(replace("s2i/bin/run", b"exec x").contains("neither a script"));
        assert!(replace("s2i/bin/run", b"#!/bin/sh\r\nexec x").contains("Windows line endings"));
        let clash = sample::TOMCAT.replace("/opt/app-root/tomcat/conf/server.xml", "/usr/libexec/s2i/run");
        let error =
            refused(&|files| drop(files.insert("builder.toml".into(), Arc::new(clash.clone().into()))));
        assert!(error.contains("two files would be placed at `/usr/libexec/s2i/run`"), "{error}");
    }
}
