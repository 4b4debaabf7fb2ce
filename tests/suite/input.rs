//! Input, from what the user names to the artifact: files, standard input, downloads from servers that misbehave.

mod archive;
mod cache;
mod download;
mod local;

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b2i::events::{Event, Events};
use b2i::fs::Lease;
use b2i::input::{self, Artifact, HttpOptions, InputError, InputOptions, InputSource};
use b2i::network::NetworkOptions;

/// A cache of its own, and what a run with it needs.
struct Fetcher {
    cache: tempfile::TempDir,
    options: InputOptions,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Fetcher {
    fn new() -> Self {
        let network = NetworkOptions {
            retry_pause: Duration::from_millis(5),
            read_timeout: Duration::from_secs(5),
            ..NetworkOptions::default()
        };
        let http = HttpOptions { network, ..HttpOptions::default() };
        let options = InputOptions { http, ..InputOptions::default() };
        Self { cache: tempfile::tempdir().expect("temporary directory"), options, events: Arc::default() }
    }

    fn with(change: impl FnOnce(&mut InputOptions)) -> Self {
        let mut fetcher = Self::new();
        change(&mut fetcher.options);
        fetcher
    }

    /// Fetches in a run of its own.
    fn fetch(&self, source: &str) -> Result<Fetched, InputError> {
        self.fetch_from(source, std::io::empty())
    }

    fn fetch_from(&self, source: &str, stdin: impl Read + Send + 'static) -> Result<Fetched, InputError> {
        let lease = Lease::acquire(self.cache.path()).expect("acquires");
        let events = Arc::clone(&self.events);
        let events = Events::new(move |event| events.lock().expect("not poisoned").push(event));
        let source = InputSource::parse(source)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        let artifact = runtime.block_on(input::fetch(&source, &self.options, &lease, stdin, &events))?;
        Ok(Fetched { artifact, _lease: lease })
    }

    fn notes(&self) -> Vec<String> {
        let events = self.events.lock().expect("not poisoned");
        let notes = events.iter().filter_map(|event| match event {
            Event::Note { message } | Event::Warning { message, .. } => Some(message.clone()),
            _ => None,
        });
        notes.collect()
    }

    /// Files that a run left in the temporary part of the cache, or as leases.
    fn left(&self) -> Vec<String> {
        let list = |name: &str| files(&self.cache.path().join(name));
        [list("tmp"), list("leases")].concat()
    }

    fn kept(&self) -> Vec<String> {
        files(&self.cache.path().join("downloads-v1/blobs/sha256"))
    }
}

fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned()).collect()
}

/// An artifact, with the lease its temporary files belong to.
struct Fetched {
    artifact: Artifact,
    _lease: Lease,
}

impl Fetched {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.artifact.content.reader().read_to_end(&mut bytes).expect("reads");
        assert_eq!(bytes.len() as u64, self.artifact.size);
        bytes
    }
}

/// Bytes that differ everywhere, so that a part in the wrong place is noticed.
fn body(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index.wrapping_mul(2_654_435_761) >> 7) as u8).collect()
}
