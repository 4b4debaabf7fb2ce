//! Source trees from where people have them: git repositories over real transports, archives of every kind.

mod archive;
mod build_cache;
mod directory;
mod git;
mod git_hostile;
pub(crate) mod git_server;
mod network;
pub(crate) mod repository;

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use b2i::events::{Event, Events};
use b2i::fs::Lease;
use b2i::sources::{
    GitOptions, SourceError, SourceLocation, SourceOptions, SourceTree, TreeEntryKind, fetch_source,
};

/// A machine with a home directory and a cache of its own.
struct Fetcher {
    root: tempfile::TempDir,
    options: SourceOptions,
    events: Arc<Mutex<Vec<Event>>>,
}

/// A tree that can be read: its lease is held.
struct Fetched {
    tree: SourceTree,
    lease: Lease,
}

impl Fetcher {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("temporary directory");
        std::fs::create_dir(root.path().join("home")).expect("creates");
        let path = std::env::var_os("PATH").expect("tests run with a PATH");
        let variables = [
            ("PATH".into(), path),
            ("HOME".into(), root.path().join("home").into_os_string()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ];
        let options =
            SourceOptions { git: GitOptions::from_variables(variables), ..SourceOptions::default() };
        Self { root, options, events: Arc::default() }
    }

    fn with(change: impl FnOnce(&mut SourceOptions)) -> Self {
        let mut fetcher = Self::new();
        change(&mut fetcher.options);
        fetcher
    }

    /// Writes a file of the home directory.
    fn write_home(&self, name: &str, text: &str) {
        std::fs::write(self.root.path().join("home").join(name), text).expect("writes");
    }

    fn cache(&self) -> PathBuf {
        self.root.path().join("cache")
    }

    fn fetch(&self, text: &str) -> Result<Fetched, SourceError> {
        self.fetch_from(text, std::io::empty())
    }

    fn fetch_from(&self, text: &str, stdin: impl Read + Send + 'static) -> Result<Fetched, SourceError> {
        let location = SourceLocation::parse(text)?;
        let lease = Lease::acquire(&self.cache()).expect("acquires");
        let seen = Arc::clone(&self.events);
        let events = Events::new(move |event| seen.lock().expect("not poisoned").push(event));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let tree = runtime.block_on(fetch_source(&location, &self.options, &lease, stdin, &events))?;
        Ok(Fetched { tree, lease })
    }

    /// The message and hints of a fetch that has to fail.
    fn failure(&self, text: &str) -> String {
        match self.fetch(text) {
            Ok(fetched) => panic!("`{text}` was fetched: {:?}", fetched.paths()),
            Err(error) => format!("{error}\n{}", b2i::diagnostic::Diagnostic::hints(&error).join("\n")),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        let warnings = events.iter().filter_map(|event| match event {
            Event::Warning { message, .. } => Some(message.clone()),
            _ => None,
        });
        warnings.collect()
    }

    /// What a run left in the temporary part of the cache.
    fn left(&self) -> usize {
        std::fs::read_dir(self.cache().join("tmp")).map_or(0, Iterator::count)
    }
}

impl Fetched {
    fn paths(&self) -> Vec<&str> {
        self.tree.entries.iter().map(|entry| entry.path.as_str()).collect()
    }

    fn text(&self, path: &str) -> String {
        let bytes = self.tree.read(path, 1 << 20).expect("reads").unwrap_or_else(|| panic!("no `{path}`"));
        String::from_utf8(bytes).expect("UTF-8")
    }

    fn mode(&self, path: &str) -> u32 {
        self.tree.entry(path).unwrap_or_else(|| panic!("no `{path}`")).mode
    }

    fn link(&self, path: &str) -> &str {
        match &self.tree.entry(path).unwrap_or_else(|| panic!("no `{path}`")).kind {
            TreeEntryKind::Symlink { target } => target,
            _ => panic!("`{path}` is no link"),
        }
    }

    /// The working tree that git made.
    fn checked_out(&self) -> PathBuf {
        let entries = std::fs::read_dir(self.lease.temporary_directory()).expect("lists");
        let mut paths = entries.map(|entry| entry.expect("reads").path());
        paths.find(|path| path.join(".git").exists()).expect("git was used")
    }
}
