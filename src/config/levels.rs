//! Owns the merge of the levels of configuration: flag, variable, project, user, system, built in.
//!
//! Must not read the environment: the caller passes the variables. The highest level that sets a key wins. Maps (`labels`,
//! `env`, `bases`) are merged entry by entry. Template directories are collected from all levels. Each value has its origin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use toml::Spanned;

use super::error::{Error, line_of};
use super::file::{self, FileLevel};
use super::settings::{Origin, Setting, TemplateDirectory};
use super::table::{ConfigFile, Settings};
use super::{keys, variables};

/// The input of a merge.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The command line, as if it were a file.
    pub flags: ConfigFile,
    /// The environment, including other programs' variables.
    pub variables: BTreeMap<String, String>,
    /// The project's file.
    pub project: Option<PathBuf>,
    /// The user's file.
    pub user: Option<PathBuf>,
    /// Whether a missing user file is an error: `--config` or `B2I_CONFIG` names it.
    pub user_is_required: bool,
    /// The machine's file.
    pub system: Option<PathBuf>,
    /// The default cache directory.
    pub cache_directory: Option<PathBuf>,
}

/// Reads every level and merges them.
///
/// # Errors
/// [`Error`] if a file or variable is invalid.
pub fn load(sources: Sources) -> Result<Settings, Error> {
    let (from_variables, names) = variables::read(&sources.variables)?;
    let mut levels = vec![
        Level { source: Source::Flags, content: sources.flags },
        Level { source: Source::Variables(names), content: from_variables },
    ];
    let files = [
        (FileLevel::Project, sources.project, false),
        (FileLevel::User, sources.user, sources.user_is_required),
        (FileLevel::System, sources.system, false),
    ];
    for (level, path, is_required) in files {
        let Some(path) = path else { continue };
        match file::read(level, &path)? {
            Some(text) => {
                let mut content = file::parse(level, &path, &text)?;
                content.resolve_paths(&path);
                levels.push(Level { source: Source::File { level, path, text }, content });
            }
            None if is_required => return Err(Error::Missing { path }),
            None => {}
        }
    }
    let mut settings = Settings::merge(&Levels(levels), &|file| Some(file));
    let directory = settings.cache.directory.take();
    settings.cache.directory = directory.or(sources.cache_directory.map(Setting::built_in));
    Ok(settings)
}

enum Source {
    Flags,
    /// The variable that set each key.
    Variables(BTreeMap<&'static str, String>),
    File {
        level: FileLevel,
        path: PathBuf,
        text: String,
    },
}

struct Level {
    source: Source,
    content: ConfigFile,
}

impl Level {
    fn setting<T, U>(&self, key: &str, spanned: &Spanned<T>, value: U) -> Setting<U> {
        let origin = match &self.source {
            Source::Flags => {
                let flag = keys::key(key).and_then(|key| key.flag).unwrap_or("--");
                Origin::Flag { flag: flag.to_owned() }
            }
            Source::Variables(names) => {
                Origin::Variable { variable: names.get(key).cloned().unwrap_or_default() }
            }
            Source::File { level, path, text } => {
                Origin::File { level: *level, path: path.clone(), line: line_of(text, spanned.span().start) }
            }
        };
        Setting { value, origin }
    }
}

/// All levels, highest first. Each function takes the path of the key and an accessor.
pub(super) struct Levels(Vec<Level>);

/// Finds a key or section in a level.
type At<'a, T> = &'a dyn Fn(&ConfigFile) -> Option<&T>;

impl Levels {
    /// The value of the highest level that has one.
    pub(super) fn highest<T: Clone>(&self, key: &str, at: At<'_, Spanned<T>>) -> Option<Setting<T>> {
        self.0.iter().find_map(|level| {
            let value = at(&level.content)?;
            Some(level.setting(key, value, value.get_ref().clone()))
        })
    }

    /// The merged entries of a map.
    pub(super) fn entries<T: Clone>(
        &self,
        key: &str,
        at: At<'_, BTreeMap<String, Spanned<T>>>,
    ) -> BTreeMap<String, Setting<T>> {
        let mut entries = BTreeMap::new();
        for level in self.0.iter().rev() {
            for (name, value) in at(&level.content).into_iter().flatten() {
                entries.insert(name.clone(), level.setting(key, value, value.get_ref().clone()));
            }
        }
        entries
    }

    /// The names of the sections in any level.
    pub(super) fn names<'a, T: 'a>(&'a self, at: At<'_, BTreeMap<String, T>>) -> BTreeSet<&'a String> {
        self.0.iter().filter_map(|level| at(&level.content)).flat_map(BTreeMap::keys).collect()
    }

    /// The directories of every level.
    pub(super) fn directories(
        &self,
        key: &str,
        at: At<'_, Spanned<Vec<PathBuf>>>,
    ) -> Vec<Setting<TemplateDirectory>> {
        let mut directories = Vec::new();
        for level in &self.0 {
            let Some(values) = at(&level.content) else { continue };
            let trusted = !matches!(level.source, Source::File { level: FileLevel::Project, .. });
            let directory = |path: &PathBuf| TemplateDirectory { path: path.clone(), trusted };
            directories
                .extend(values.get_ref().iter().map(|path| level.setting(key, values, directory(path))));
        }
        directories
    }
}
