//! Layouts and archives among the tools that people have: what b2i writes is read by skopeo, umoci, Docker and Podman
//! and runs, and what they write is a base for b2i.

mod bases;
mod daemons;
mod reproducible;
mod tools;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use b2i::fs::{AtomicFile, Lease};
use b2i::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{ConfigEdits, ImageConfig, ImagePath, ImageReference, Platform};
use b2i::store::layout::{
    Layout, LayoutOptions, LayoutReference, WrittenLayout, write_layout, write_layout_archive,
};
use b2i::store::{BaseImage, BaseLayers, UnfinishedImage};

use crate::environment::{Daemon, TestEnvironment};

/// What the image of [`image_on`] prints.
const GREETING: &str = "hello from a layout";

/// A directory for one test, and a lease for what it writes.
struct Place {
    directory: tempfile::TempDir,
    lease: Lease,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let lease = Lease::acquire(&directory.path().join("cache")).expect("a lease");
        Self { directory, lease }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `transport:` and a name in this directory.
    fn at(&self, transport: &str, name: &str) -> String {
        format!("{transport}:{}", self.path(name).display())
    }

    /// Saves `image` of Docker as a `docker-archive`.
    fn save(&self, image: &str, name: &str) -> PathBuf {
        let path = self.path(name);
        TestEnvironment::get().docker().stdout(&["save", "--output", &path.display().to_string(), image]);
        path
    }

    fn write(&self, image: &UnfinishedImage, tags: &[&str], name: &str) -> WrittenLayout {
        let options = options(tags);
        waiting(|| write_layout(image, &[], &options, &self.path(name), &self.lease)).expect("written")
    }

    fn archive(&self, image: &UnfinishedImage, tags: &[&str], name: &str) -> WrittenLayout {
        let options = options(tags);
        let mut out = AtomicFile::create(&self.path(name), None, &self.lease).expect("created");
        let written = waiting(|| write_layout_archive(image, &[], &options, &mut out)).expect("written");
        out.commit().expect("committed");
        written
    }

    /// A base that skopeo made of `b2i-test/musl:1`: a layout with its layers compressed as asked.
    fn base(&self, compression: &str) -> BaseImage {
        let saved = self.save(&TestEnvironment::get().image("musl:1"), "musl.tar");
        let name = format!("base-{compression}");
        let from = format!("docker-archive:{}", saved.display());
        let to = format!("{}:base", self.at("oci", &name));
        run(
            "skopeo",
            &["copy", "--quiet", "--dest-compress", "--dest-compress-format", compression, &from, &to],
        );
        resolve(&self.path(&name), "base")
    }
}

/// Runs work that waits for blobs beside a runtime that reads them.
fn waiting<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let _guard = runtime.enter();
    work()
}

fn options(tags: &[&str]) -> LayoutOptions {
    LayoutOptions { tags: references(tags), ..LayoutOptions::default() }
}

fn references(tags: &[&str]) -> Vec<ImageReference> {
    tags.iter().map(|tag| tag.parse().expect("a name")).collect()
}

fn resolve(path: &Path, tag: &str) -> BaseImage {
    let reference: LayoutReference = format!("{}:{tag}", path.display()).parse().expect("a reference");
    let resolved = Layout::open(path).expect("a layout").resolve(&reference, &Platform::host());
    resolved.expect("the image is there").into_base()
}

/// An image that prints [`GREETING`] and its arguments.
fn image_on(base: BaseImage) -> UnfinishedImage {
    image_of(base, "anybody")
}

/// The same with a layer that is `owner`'s alone, for daemons, in which others remove theirs.
fn image_of(base: BaseImage, owner: &str) -> UnfinishedImage {
    let entry = |path: &str, bytes: Vec<u8>, mode| {
        let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) };
        let path = ImagePath::new(path).expect("a path");
        Entry { path, kind, mode, owner: Owner { uid: 1001, gid: 0 } }
    };
    let program = std::fs::read(TestEnvironment::get().fixture("program")).expect("the fixture is there");
    let entries = vec![
        entry("/opt/run", format!("echo {GREETING} \"$@\"\n").into_bytes(), 0o755),
        entry("/opt/program", program, 0o755),
        entry("/opt/owner", owner.into(), 0o644),
    ];
    let edits = ConfigEdits {
        entrypoint: Some(vec!["/bin/sh".into(), "/opt/run".into()]),
        cmd: Some(Vec::new()),
        created: "1980-01-01T00:00:00Z".into(),
        history: "test".into(),
        ..ConfigEdits::default()
    };
    let config = base.config.clone();
    let finish = move |written: &WrittenLayer| -> ImageConfig {
        let mut config = config.clone();
        config.apply(&edits, &[written.diff_id]);
        config
    };
    let annotations = BTreeMap::from([("org.example.note".to_owned(), "kept".to_owned())]);
    let layer = Layer::new(entries, 315_532_800).expect("consistent");
    UnfinishedImage { base, layer, annotations, finish: Arc::new(finish) }
}

/// Runs a tool and gives what it printed.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} (tests/run installs it): {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("the tool prints JSON")
}

/// Starts the image and compares what it prints.
fn greets(daemon: &Daemon, image: &str) {
    let output = daemon.run(&[image, "a", "b  c"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, format!("{GREETING} a b  c\n"), "{}", String::from_utf8_lossy(&output.stderr));
}

fn is_described(base: &BaseImage) -> bool {
    matches!(base.layers, BaseLayers::Described(_))
}
