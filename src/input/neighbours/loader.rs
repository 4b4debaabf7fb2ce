//! Owns the search of the dynamic linker: where it looks for the libraries of a program, and which of them are not among
//! the files there. A library elsewhere does not count.
//! Must not read files, nor know which libraries a base has: the caller takes those off the missing ones.
//!
//! Source: ld.so(8); musl, `ldso/dynlink.c`; Debian's directories of a multiarch system.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use super::files::{FileTree, Node};
use crate::detect::LinkedFile;
use crate::detect::facts::Libc;

/// More files than any program loads.
const MOST_FILES: usize = 4096;
/// The limits of the directories that are searched for one library, and of the missing libraries that are searched for.
const MOST_PATHS: usize = 1024;
const MOST_SEARCHED: usize = 64;

/// Debian's names of processors, in directories of libraries, and in `$PLATFORM` without the system.
const TRIPLETS: [(&str, &str); 7] = [
    ("386", "i386-linux-gnu"),
    ("amd64", "x86_64-linux-gnu"),
    ("arm", "arm-linux-gnueabihf"),
    ("arm64", "aarch64-linux-gnu"),
    ("ppc64le", "powerpc64le-linux-gnu"),
    ("riscv64", "riscv64-linux-gnu"),
    ("s390x", "s390x-linux-gnu"),
];

/// A library that is not where the dynamic linker looks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingLibrary {
    /// Its file name.
    pub name: String,
    /// The path of the program or library that needs it.
    pub needed_by: String,
    /// The directories of the run path in which it was searched, absolute; empty without a run path.
    pub directories: Vec<String>,
    /// The absolute path of a file with the same name in another directory.
    pub elsewhere: Option<String>,
    /// The path on the disk, near the input file.
    pub on_disk: Option<PathBuf>,
}

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoaderSearch {
    /// The paths of the libraries that were found, and of the links that led to them.
    pub(crate) found: BTreeSet<String>,
    pub(crate) missing: Vec<MissingLibrary>,
}

/// The dynamic linker that starts one program.
pub(crate) struct Loader<'a> {
    pub(crate) files: &'a FileTree,
    /// Reads what the dynamic linker reads of a file of the tree; `None` if it is not an ELF file.
    pub(crate) linked: &'a mut dyn FnMut(usize) -> Option<Arc<LinkedFile>>,
    /// The directories of LD_LIBRARY_PATH.
    pub(crate) library_path: Vec<String>,
    /// The directory in which relative paths start.
    pub(crate) working_directory: &'a str,
}

/// A program or library, and the RPATH of whatever loaded it.
struct Loaded {
    path: String,
    file: Arc<LinkedFile>,
    inherited: Vec<String>,
}

impl Loader<'_> {
    /// Searches the libraries of the program at `path` of the tree, the libraries of these, and so on.
    pub(crate) fn search(&mut self, path: &str, program: Arc<LinkedFile>) -> LoaderSearch {
        let (architecture, libc) = (program.platform.architecture.clone(), program.libc);
        let mut result = LoaderSearch::default();
        let mut names = BTreeSet::new();
        let mut queue =
            VecDeque::from([Loaded { path: path.to_owned(), file: program, inherited: Vec::new() }]);
        while let Some(loaded) = queue.pop_front() {
            let paths = SearchPaths::of(self, &loaded, libc);
            for name in &loaded.file.libraries {
                // A library that is loaded already serves everything that needs it.
                if names.len() >= MOST_FILES || !names.insert(name.clone()) {
                    continue;
                }
                match self.find(name, &paths, &architecture, &mut result.found) {
                    Some((path, file)) => {
                        queue.push_back(Loaded { path, file, inherited: paths.inherited.clone() });
                    }
                    None => {
                        let is_searched = result.missing.len() < MOST_SEARCHED;
                        result.missing.push(self.missing(name, &loaded.path, &paths, is_searched));
                    }
                }
            }
        }
        result
    }

    fn find(
        &mut self,
        name: &str,
        paths: &SearchPaths,
        architecture: &str,
        found: &mut BTreeSet<String>,
    ) -> Option<(String, Arc<LinkedFile>)> {
        let candidates: Vec<String> = match name.contains('/') {
            true if name.starts_with('/') => vec![name.to_owned()],
            true => vec![format!("{}/{name}", self.working_directory)],
            false => paths.all.iter().map(|directory| format!("{directory}/{name}")).collect(),
        };
        candidates.into_iter().find_map(|candidate| {
            let resolved = self.files.resolve(&candidate)?;
            let Node::File(number) = resolved.node else { return None };
            // A library for another processor is skipped.
            let file = (self.linked)(number).filter(|file| file.platform.architecture == architecture)?;
            found.extend(resolved.links);
            found.insert(resolved.path);
            // `$ORIGIN` is the directory in which it was found, not the one to which a link led.
            Some((candidate, file))
        })
    }

    fn missing(&self, name: &str, needed_by: &str, paths: &SearchPaths, is_searched: bool) -> MissingLibrary {
        let place = is_searched.then(|| self.files.named(name).next()).flatten();
        let elsewhere = place.map(|path| format!("/{path}"));
        let directories = paths.of_run_path.iter().map(|directory| normal(directory)).collect();
        MissingLibrary {
            name: name.to_owned(),
            needed_by: normal(needed_by),
            directories,
            elsewhere,
            on_disk: None,
        }
    }
}

/// The directories in which the libraries of one file are searched.
struct SearchPaths {
    /// In the order of the search.
    all: Vec<String>,
    of_run_path: Vec<String>,
    /// The directories for the libraries of these libraries.
    inherited: Vec<String>,
}

impl SearchPaths {
    fn of(loader: &Loader<'_>, loaded: &Loaded, libc: Option<Libc>) -> Self {
        let file = &*loaded.file;
        let expand = |paths: &[String]| -> Vec<String> {
            paths.iter().map(|path| expanded(path, loaded, loader.working_directory)).collect()
        };
        let (rpath, runpath) = (expand(&file.inherited_path), expand(&file.own_path));
        let environment = expand(&loader.library_path);
        let defaults = default_directories(&file.platform.architecture, libc);
        if libc == Some(Libc::Musl) {
            // Musl makes no difference between the two, and libraries inherit both.
            let mut of_run_path = [rpath, runpath, loaded.inherited.clone()].concat();
            of_run_path.truncate(MOST_PATHS);
            let all = [environment, of_run_path.clone(), defaults].concat();
            return Self { all, inherited: of_run_path.clone(), of_run_path };
        }
        let mut inherited = match runpath.is_empty() {
            true => [rpath, loaded.inherited.clone()].concat(),
            false => loaded.inherited.clone(),
        };
        inherited.truncate(MOST_PATHS);
        let before = if runpath.is_empty() { inherited.clone() } else { Vec::new() };
        let of_run_path = [before.clone(), runpath.clone()].concat();
        Self { all: [before, environment, runpath, defaults].concat(), of_run_path, inherited }
    }
}

/// A directory of a search path with its variables replaced.
fn expanded(directory: &str, loaded: &Loaded, working_directory: &str) -> String {
    let origin = loaded.path.rsplit_once('/').map_or("", |(directory, _)| directory);
    let triplet = triplet(&loaded.file.platform.architecture).unwrap_or_default();
    let processor = triplet.split('-').next().unwrap_or_default();
    let library = format!("lib/{triplet}");
    let mut path = directory.to_owned();
    for (name, value) in [("ORIGIN", origin), ("LIB", library.as_str()), ("PLATFORM", processor)] {
        path = path.replace(&format!("${{{name}}}"), value).replace(&format!("${name}"), value);
    }
    match path.starts_with('/') || directory.starts_with('$') {
        true => path,
        false => format!("{working_directory}/{path}"),
    }
}

fn triplet(architecture: &str) -> Option<&'static str> {
    TRIPLETS.iter().find(|(name, _)| *name == architecture).map(|(_, triplet)| *triplet)
}

/// The directories that the dynamic linker knows by itself.
fn default_directories(architecture: &str, libc: Option<Libc>) -> Vec<String> {
    if libc == Some(Libc::Musl) {
        return ["/lib", "/usr/local/lib", "/usr/lib"].map(str::to_owned).to_vec();
    }
    let multiarch = triplet(architecture).into_iter();
    let multiarch = multiarch.flat_map(|triplet| [format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]);
    multiarch.chain(["/lib".to_owned(), "/usr/lib".to_owned()]).collect()
}

/// An absolute path without `.` and `..`. Links are not resolved.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::Platform;

    fn linked(libraries: &[&str], inherited: &[&str], own: &[&str]) -> Arc<LinkedFile> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Arc::new(LinkedFile {
            platform: Platform::linux("amd64"),
            interpreter: None,
            libc: Some(Libc::Glibc),
            glibc: None,
            libraries: texts(libraries),
            inherited_path: texts(inherited),
            own_path: texts(own),
        })
    }

    struct Case {
        files: FileTree,
        linked: BTreeMap<usize, Arc<LinkedFile>>,
        library_path: Vec<String>,
    }

    impl Case {
        fn new(files: &[(&str, Arc<LinkedFile>)]) -> Self {
            let mut case =
                Self { files: FileTree::default(), linked: BTreeMap::new(), library_path: Vec::new() };
            case.files.insert("app/bin/tool", Node::File(98));
            for (number, (path, file)) in files.iter().enumerate() {
                case.files.insert(path, Node::File(number));
                case.linked.insert(number, file.clone());
            }
            case
        }

        fn search(&self, path: &str, program: Arc<LinkedFile>) -> LoaderSearch {
            let mut read = |number| self.linked.get(&number).cloned();
            let mut loader = Loader {
                files: &self.files,
                linked: &mut read,
                library_path: self.library_path.clone(),
                working_directory: "/app",
            };
            loader.search(path, program)
        }

        fn missing(&self, program: Arc<LinkedFile>) -> Vec<String> {
            self.search("/app/bin/tool", program).missing.into_iter().map(|library| library.name).collect()
        }
    }

    #[test]
    fn only_where_the_linker_looks() {
        let case = Case::new(&[("app/lib/liba.so.1", linked(&[], &[], &[]))]);
        for (path, is_there) in [
            ("$ORIGIN/../lib", true),
            ("${ORIGIN}/../lib", true),
            ("/app/lib", true),
            ("lib", true),
            ("$ORIGIN", false),
            ("$ORIGIN/lib", false),
            ("/opt/lib", false),
        ] {
            for (inherited, own) in [(&[path][..], &[][..]), (&[], &[path])] {
                let missing = case.missing(linked(&["liba.so.1"], inherited, own));
                assert_eq!(missing.is_empty(), is_there, "{path}");
            }
        }
        let missing = case.search("/app/bin/tool", linked(&["liba.so.1"], &[], &["$ORIGIN/lib"])).missing;
        let expected = MissingLibrary {
            name: "liba.so.1".into(),
            needed_by: "/app/bin/tool".into(),
            directories: vec!["/app/bin/lib".into()],
            elsewhere: Some("/app/lib/liba.so.1".into()),
            on_disk: None,
        };
        assert_eq!(missing, [expected]);
    }

    #[test]
    fn a_variable_and_the_system_name_directories_too() {
        let mut case = Case::new(&[("app/lib/liba.so", linked(&[], &[], &[]))]);
        case.library_path = vec!["/app/lib".into()];
        assert_eq!(case.missing(linked(&["liba.so"], &[], &[])), [""; 0]);
        for (path, is_there) in [
            ("usr/lib/x86_64-linux-gnu/libb.so", true),
            ("usr/lib/libb.so", true),
            ("usr/lib/aarch64-linux-gnu/libb.so", false),
            ("usr/local/lib/libb.so", false),
        ] {
            let case = Case::new(&[(path, linked(&[], &[], &[]))]);
            assert_eq!(case.missing(linked(&["libb.so"], &[], &[])).is_empty(), is_there, "{path}");
        }
    }

    #[test]
    fn libraries_have_needs_of_their_own() {
        let case = Case::new(&[
            ("app/lib/liba.so", linked(&["libb.so", "libc.so"], &[], &[])),
            ("app/lib/libb.so", linked(&["liba.so"], &[], &["$ORIGIN/deep"])),
            ("app/lib/deep/libc.so", linked(&[], &[], &[])),
        ]);
        // RPATH also applies to the libraries of libraries, RUNPATH does not.
        assert_eq!(case.missing(linked(&["liba.so"], &["$ORIGIN/../lib"], &[])), ["libc.so"]);
        assert_eq!(case.missing(linked(&["liba.so"], &[], &["$ORIGIN/../lib"])), ["libb.so", "libc.so"]);
        let found = case.search("/app/bin/tool", linked(&["liba.so"], &["/app/lib"], &[])).found;
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["app/lib/liba.so", "app/lib/libb.so"]);
        // Libraries need not find what the program has loaded already.
        let all = linked(&["liba.so", "libb.so", "libc.so"], &[], &["/app/lib", "/app/lib/deep"]);
        assert_eq!(case.missing(all), [""; 0]);
    }

    #[test]
    fn another_processor_and_other_files_do_not_count() {
        let mut foreign = (*linked(&[], &[], &[])).clone();
        foreign.platform = Platform::linux("arm64");
        let mut case = Case::new(&[("app/lib/liba.so", Arc::new(foreign))]);
        case.files.insert("app/lib/text.so", Node::File(99));
        let program = linked(&["liba.so", "text.so", "../lib/liba.so"], &[], &["/app/lib"]);
        assert_eq!(case.missing(program), ["liba.so", "text.so", "../lib/liba.so"]);
    }

    #[test]
    fn links_lead_to_libraries_and_come_along() {
        let mut case = Case::new(&[("app/lib64/liba.so.1.2", linked(&["libb.so"], &[], &["$ORIGIN"]))]);
        case.files.insert("app/lib64/liba.so.1", Node::Link("liba.so.1.2".into()));
        case.files.insert("app/lib", Node::Link("lib64".into()));
        let result = case.search("/app/bin/tool", linked(&["liba.so.1"], &[], &["$ORIGIN/../lib"]));
        let found: Vec<String> = result.found.into_iter().collect();
        assert_eq!(found, ["app/lib", "app/lib64/liba.so.1", "app/lib64/liba.so.1.2"]);
        assert_eq!(
            result.missing[0].directories,
            ["/app/lib"],
            "where it was found, not where the link leads"
        );
    }

    #[test]
    fn musl_inherits_every_run_path() {
        let case = Case::new(&[
            ("app/lib/liba.so", linked(&["libb.so"], &[], &[])),
            ("app/lib/libb.so", linked(&[], &[], &[])),
        ]);
        let mut program = (*linked(&["liba.so"], &[], &["$ORIGIN/../lib"])).clone();
        program.libc = Some(Libc::Musl);
        assert_eq!(case.missing(Arc::new(program)), [""; 0]);
    }
}
