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

use b2i::events::Events;
use b2i::fs::Lease;
use b2i::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{
    BaseImage, ConfigEdits, Descriptor, Image, ImageConfig, ImagePath, ImageReference, LayerSource, Platform,
};
use b2i::store::layout::{Layout, LayoutReference, LayoutSink};
use b2i::store::{Content, LayerBlobs, Sink, WrittenImage};

use crate::environment::{Daemon, TestEnvironment};

/// What the image of [`image_on`] prints.
const GREETING: &str = "hello from a layout";

/// A directory for one test, and a lease for what it writes.
struct Place {
    directory: tempfile::TempDir,
    lease: Arc<Lease>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let lease = Arc::new(Lease::acquire(&directory.path().join("cache")).expect("a lease"));
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

    fn write(&self, image: &Image, tags: &[&str], name: &str) -> WrittenImage {
        self.write_to(image, tags, name, false)
    }

    fn archive(&self, image: &Image, tags: &[&str], name: &str) -> WrittenImage {
        self.write_to(image, tags, name, true)
    }

    fn write_to(&self, image: &Image, tags: &[&str], name: &str, is_archive: bool) -> WrittenImage {
        let (path, lease, events) = (self.path(name), self.lease.clone(), Events::silent());
        let sink = LayoutSink { path, is_archive, lease, events };
        written(&sink, image, tags)
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

/// Writes one image to a sink.
fn written<S: Sink>(sink: &S, image: &Image, tags: &[&str]) -> WrittenImage
where
    S::Error: std::fmt::Debug,
{
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let content = Content::Images(std::slice::from_ref(image));
    let (names, blobs) = (references(tags), LayerBlobs::default());
    let written = runtime.block_on(sink.write(content, &names, &blobs)).expect("written");
    written.images.into_iter().next().expect("one image")
}

/// The manifest in a layout.
fn manifest(written: &WrittenImage) -> &Descriptor {
    written.manifest.as_ref().expect("a layout keeps manifests")
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
fn image_on(base: BaseImage) -> Image {
    image_of(base, "anybody")
}

/// The same with a layer that is `owner`'s alone, for daemons, in which others remove theirs.
fn image_of(base: BaseImage, owner: &str) -> Image {
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
    let make = move |written: &[WrittenLayer]| -> ImageConfig {
        let mut config = config.clone();
        config.apply(&edits, &[written[0].diff_id]);
        config
    };
    let annotations = BTreeMap::from([("org.example.note".to_owned(), "kept".to_owned())]);
    let layer = Layer::new(entries, 315_532_800).expect("consistent");
    Image { annotations, ..Image::new(base, vec![layer.into()], make) }
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
    base.layers.iter().all(|layer| matches!(layer, LayerSource::Blob(..)))
}
