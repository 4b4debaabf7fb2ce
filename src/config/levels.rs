//! Owns how the levels of configuration become one: flag, variable, project, user, system, built in.
//!
//! The highest level that sets a key wins. Maps (`labels`, `env`, `bases`) are merged entry by entry, template
//! directories are collected from all levels, every other list is taken whole. Each value keeps its origin. Must
//! not read the environment: the variables are handed in.

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
    /// Whether a missing user file is an error, because it was named.
    pub user_is_required: bool,
    /// The machine's file.
    pub system: Option<PathBuf>,
    /// The cache's directory if no level sets one.
    pub cache_directory: Option<PathBuf>,
}

/// Reads every level and merges them.
///
/// # Errors
/// [`Error`] if a file or a variable is not valid.
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

/// Where the values of a level come from.
enum Source {
    Flags,
    /// By key, the variable that set it.
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

/// All levels, highest first. Each function takes the key's path and its place in a level.
pub(super) struct Levels(Vec<Level>);

/// The place of a key or section in a level, if the level has it.
type At<'a, T> = &'a dyn Fn(&ConfigFile) -> Option<&T>;

impl Levels {
    /// The value of the highest level that has one.
    pub(super) fn highest<T: Clone>(&self, key: &str, at: At<'_, Spanned<T>>) -> Option<Setting<T>> {
        self.0.iter().find_map(|level| {
            let value = at(&level.content)?;
            Some(level.setting(key, value, value.get_ref().clone()))
        })
    }

    /// Every entry, each from the highest level that has it.
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

    /// The names of the sections that some level has.
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
