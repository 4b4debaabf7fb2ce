//! Owns reading a template's folder from the disk.
//!
//! The folder may come with a cloned repository. Links cannot lead out of it, and sizes and counts are limited. Must not
//! judge the content of the files.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::error::BuilderError;
use super::metadata::Metadata;
use super::template::{
    METADATA_FILE, OPTIONAL_SCRIPTS, REQUIRED_SCRIPTS, SCRIPTS_FOLDER, Template, TemplateFiles,
    TemplateOrigin,
};

/// Largest file of a template, in bytes.
const MAXIMUM_FILE: u64 = 1 << 20;

/// Largest total of a template's files, in bytes.
const MAXIMUM_TOTAL: u64 = 8 << 20;

/// Largest number of files that a template's metadata may name.
const MAXIMUM_FILES: usize = 200;

/// Largest number of folders in a directory of templates.
const MAXIMUM_FOLDERS: usize = 200;

/// Reads the templates in the folders of `directory`, in the order of their names, or `directory` as one template.
///
/// # Errors
/// [`BuilderError`] if it contains no template, or for the first that is not valid.
pub fn load_all(directory: &Path, origin: &TemplateOrigin) -> Result<Vec<Template>, BuilderError> {
    if directory.join(METADATA_FILE).exists() {
        return Ok(vec![load(directory, origin.clone())?]);
    }
    let refused =
        |reason: String| BuilderError::TemplateFile { file: directory.display().to_string(), reason };
    let entries =
        std::fs::read_dir(directory).map_err(|error| refused(format!("cannot be read: {error}")))?;
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| refused(format!("cannot be read: {error}")))?;
        // A link may lead out of the project.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && entry.path().join(METADATA_FILE).exists() {
            folders.push(entry.path());
        }
        if folders.len() > MAXIMUM_FOLDERS {
            return Err(refused(format!("contains more than the {MAXIMUM_FOLDERS} templates allowed")));
        }
    }
    if folders.is_empty() {
        return Err(refused(format!(
            "is not a template and contains none: no `{METADATA_FILE}` in it or its folders"
        )));
    }
    folders.sort();
    folders.iter().map(|folder| load(folder, origin.clone())).collect()
}

/// Reads the template in `directory`.
///
/// # Errors
/// [`BuilderError`] naming the file, and the line and key of its metadata.
pub fn load(directory: &Path, origin: TemplateOrigin) -> Result<Template, BuilderError> {
    let shown = directory.display().to_string();
    let folder = Dir::open_ambient_dir(directory, ambient_authority()).map_err(|error| {
        BuilderError::TemplateFile { file: shown.clone(), reason: format!("cannot be opened: {error}") }
    })?;
    let mut reader = FolderReader { shown: &shown, folder, files: BTreeMap::new(), total: 0 };
    for name in [METADATA_FILE, "Dockerfile"] {
        reader.read(name)?;
    }
    for script in REQUIRED_SCRIPTS.into_iter().chain(OPTIONAL_SCRIPTS) {
        reader.read(&format!("{SCRIPTS_FOLDER}/{script}"))?;
    }
    for source in reader.named_files()? {
        reader.read(&source)?;
    }
    Template::from_files(&shown, origin, reader.files)
}

struct FolderReader<'a> {
    shown: &'a str,
    folder: Dir,
    files: TemplateFiles,
    total: u64,
}

impl FolderReader<'_> {
    fn refused(&self, path: &str, reason: String) -> BuilderError {
        BuilderError::TemplateFile { file: format!("{}/{path}", self.shown), reason }
    }

    /// The files that the metadata names. `Template::from_files` reports missing or unreadable metadata.
    fn named_files(&self) -> Result<Vec<String>, BuilderError> {
        let file = format!("{}/{METADATA_FILE}", self.shown);
        let text = self.files.get(METADATA_FILE).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let Some(text) = text else { return Ok(Vec::new()) };
        let named = Metadata::parse(&file, text)?.image.files;
        if named.len() > MAXIMUM_FILES {
            let reason = format!("names {} files, more than the {MAXIMUM_FILES} allowed", named.len());
            return Err(BuilderError::Invalid { file, key: "image.files".into(), reason });
        }
        Ok(named.into_iter().map(|file| file.source).collect())
    }

    /// Reads a file if it exists.
    fn read(&mut self, path: &str) -> Result<(), BuilderError> {
        if self.files.contains_key(path) {
            return Ok(());
        }
        // Checked before it is opened: opening a pipe would block until something writes to it.
        match self.folder.metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.refused(path, format!("cannot be read: {error}"))),
            Ok(metadata) if !metadata.is_file() => return Err(self.refused(path, "is not a file".into())),
            Ok(_) => {}
        }
        let unreadable = |error: std::io::Error| self.refused(path, format!("cannot be read: {error}"));
        let file = self.folder.open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(MAXIMUM_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        let size = bytes.len() as u64;
        if size > MAXIMUM_FILE {
            return Err(self.refused(path, format!("is larger than the {MAXIMUM_FILE} bytes allowed")));
        }
        self.total += size;
        if self.total > MAXIMUM_TOTAL {
            return Err(self
                .refused(path, format!("makes the template larger than the {MAXIMUM_TOTAL} bytes allowed")));
        }
        self.files.insert(path.to_owned(), Arc::new(bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::builder::tests::sample;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary directory");
        for (path, bytes) in sample::files(sample::TOMCAT) {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("has one")).expect("created");
            fs::write(path, bytes.as_slice()).expect("written");
        }
        folder
    }

    fn load_project(folder: &tempfile::TempDir) -> Result<Template, BuilderError> {
        load(folder.path(), TemplateOrigin::Project { directory: folder.path().to_owned() })
    }

    #[test]
    fn reads_what_was_exported() {
        let folder = folder();
        let template = load_project(&folder).expect("valid");
        assert_eq!(template.digest(), sample::template(sample::TOMCAT).digest());
        assert!(!template.may_be_placed());
    }

    #[test]
    fn a_directory_may_hold_several() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let origin = TemplateOrigin::Configured { directory: directory.path().to_owned() };
        let error = load_all(directory.path(), &origin).expect_err("none").to_string();
        assert!(error.contains("is not a template and contains none"), "{error}");
        fs::create_dir(directory.path().join("notes")).expect("made");
        fs::rename(folder().keep(), directory.path().join("b")).expect("moved");
        fs::rename(folder().keep(), directory.path().join("a")).expect("moved");
        #[cfg(unix)]
        std::os::unix::fs::symlink(folder().keep(), directory.path().join("link")).expect("linked");
        assert_eq!(load_all(directory.path(), &origin).expect("valid").len(), 2);
        assert_eq!(load_all(&directory.path().join("a"), &origin).expect("valid").len(), 1);
        fs::remove_file(directory.path().join("b/s2i/bin/run")).expect("removed");
        assert!(load_all(directory.path(), &origin).is_err(), "one that is broken is not left out");
    }

    #[test]
    fn optional_files_may_be_missing() {
        let folder = folder();
        fs::remove_file(folder.path().join("Dockerfile")).expect("removed");
        fs::remove_file(folder.path().join("s2i/bin/usage")).expect("removed");
        assert_eq!(load_project(&folder).expect("valid").script("usage"), None);
    }

    #[test]
    fn names_what_is_missing_or_wrong() {
        let error = |change: &dyn Fn(&Path)| {
            let folder = folder();
            change(folder.path());
            load_project(&folder).expect_err("refused").to_string()
        };
        let assemble = "s2i/bin/assemble";
        let missing = error(&|path| fs::remove_file(path.join(assemble)).expect("removed"));
        assert!(missing.contains(assemble) && missing.contains("does not exist"), "{missing}");
        let large = error(&|path| fs::write(path.join(assemble), vec![b'#'; 1 << 21]).expect("written"));
        assert!(large.contains("larger than"), "{large}");
        let bad = error(&|path| fs::write(path.join("builder.toml"), "name = 3\n").expect("written"));
        assert!(bad.contains("builder.toml` line 1"), "{bad}");
        let binary = error(&|path| fs::write(path.join("builder.toml"), b"\xff").expect("written"));
        assert!(binary.contains("not UTF-8"), "{binary}");
        assert!(load(Path::new("/nonexistent/template"), TemplateOrigin::BuiltIn).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn reads_nothing_outside_the_folder() {
        let outside = tempfile::NamedTempFile::new().expect("a temporary file");
        fs::write(outside.path(), "#!/bin/sh\nsecret").expect("written");
        for target in [outside.path().to_owned(), "../../../../../../etc/passwd".into()] {
            let folder = folder();
            let script = folder.path().join("s2i/bin/run");
            fs::remove_file(&script).expect("removed");
            std::os::unix::fs::symlink(&target, &script).expect("linked");
            let error = load_project(&folder).expect_err("refused").to_string();
            assert!(error.contains("s2i/bin/run` cannot be read"), "{error}");
        }
        let folder = folder();
        fs::remove_file(folder.path().join("s2i/bin/usage")).expect("removed");
        std::os::unix::fs::symlink("run", folder.path().join("s2i/bin/usage")).expect("linked");
        assert!(load_project(&folder).is_ok(), "a link that stays inside is fine");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = folder();
        let script = folder.path().join("s2i/bin/run");
        fs::remove_file(&script).expect("removed");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &script,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("made");
        let error = load_project(&folder).expect_err("refused").to_string();
        assert!(error.contains("is not a file"), "{error}");
    }
}
