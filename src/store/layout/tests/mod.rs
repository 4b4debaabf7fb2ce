//! Tests of layouts: what is written is read back, equal bytes come out of equal images, and what is hostile is refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;

mod bases;
mod reading;

use super::copy::archive_layout;
use super::*;
use crate::events::Events;
use crate::fs::{AtomicFile, Lease};
use crate::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use crate::image::{
    BaseImage, BlobSource, ConfigEdits, Descriptor, Digest, Image, ImageConfig, ImagePath, ImageReference,
    LayerCompression, LayerFile, LayerSource, ManifestFormat, ManifestTree, NewLayer, Platform,
};
use crate::store::archive::ArchiveError;
use crate::store::{Content, LayerBlobs, Sink, WrittenImage};

struct Place {
    _cache: tempfile::TempDir,
    lease: Arc<Lease>,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("a directory");
        let lease = Arc::new(Lease::acquire(cache.path()).expect("acquires"));
        Self { _cache: cache, lease, directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn sink(&self, name: &str, is_archive: bool) -> LayoutSink {
        LayoutSink { path: self.path(name), is_archive, lease: self.lease.clone(), events: Events::silent() }
    }

    fn write(&self, image: &Image, name: &str, options: &Options) -> Result<WrittenLayout, LayoutError> {
        let written = self.sink(name, false).write_images(
            std::slice::from_ref(image),
            &options.tags,
            &options.blobs,
        )?;
        Ok(WrittenLayout::of(&written.images[0]))
    }

    fn archive(&self, image: &Image, name: &str, options: &Options) -> WrittenLayout {
        let images = std::slice::from_ref(image);
        let written = self.sink(name, true).write_images(images, &options.tags, &options.blobs);
        WrittenLayout::of(&written.expect("writes").images[0])
    }
}

/// Under which names, and by which memory of layers.
struct Options {
    tags: Vec<ImageReference>,
    blobs: LayerBlobs,
}

/// The image that was written, and what tests look at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WrittenLayout {
    image_id: Digest,
    manifest: Descriptor,
    blob: Descriptor,
}

impl WrittenLayout {
    fn of(image: &WrittenImage) -> Self {
        let manifest = image.manifest.clone().expect("a layout keeps manifests");
        let blob = image.blobs.last().expect("a layer").clone();
        Self { image_id: image.image_id, manifest, blob }
    }
}

fn layer(content: &[u8]) -> Layer {
    let kind = EntryKind::File { size: content.len() as u64, content: Arc::new(content.to_vec()) };
    let path = ImagePath::new("/opt/app").expect("valid");
    Layer::new(vec![Entry { path, kind, mode: 0o755, owner: Owner::ROOT }], 0).expect("consistent")
}

fn text(length: usize) -> Vec<u8> {
    (0..length / 8).flat_map(|number| format!("{:07} ", number * 7919 % 99_991).into_bytes()).collect()
}

fn image_on(base: BaseImage, content: &[u8]) -> Image {
    image_of(base, vec![layer(content).into()])
}

fn image_of(base: BaseImage, layers: Vec<NewLayer>) -> Image {
    let config = base.config.clone();
    let make = move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        let ids: Vec<Digest> = written.iter().map(|layer| layer.diff_id).collect();
        config.apply(&ConfigEdits::default(), &ids);
        config
    };
    let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    Image { annotations, ..Image::new(base, layers, make) }
}

fn base(layers: Vec<LayerSource>, ids: &[Digest]) -> BaseImage {
    let mut config = ImageConfig::empty(&Platform::linux("amd64"));
    config.apply(&ConfigEdits::default(), ids);
    BaseImage::new("base", config, layers)
}

fn image(content: &[u8]) -> Image {
    image_on(base(Vec::new(), &[]), content)
}

fn options(tags: &[&str]) -> Options {
    let tags = tags.iter().map(|tag| tag.parse().expect("valid")).collect();
    Options { tags, blobs: LayerBlobs::default() }
}

fn blob_of(written: &WrittenLayout) -> &Descriptor {
    &written.blob
}

/// All files of a layout by name.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for below in ["", BLOBS] {
        for entry in fs::read_dir(directory.join(below)).expect("lists") {
            let path = entry.expect("reads").path();
            if path.is_file() {
                let name = path.strip_prefix(directory).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("reads"));
            }
        }
    }
    found
}

fn unpacked(archive: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tar = tar::Archive::new(fs::File::open(archive).expect("opens"));
    let entries = tar.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("reads");
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).expect("reads");
        (entry.path().expect("a path").to_string_lossy().into_owned(), bytes)
    });
    entries.collect()
}

fn resolve(path: &Path, name: &str) -> Result<crate::store::resolved::ResolvedImage, LayoutError> {
    let reference = format!("{}{name}", path.display()).parse::<LayoutReference>().expect("valid");
    assert_eq!(reference.path, path);
    Layout::open(path)?.resolve(&reference, &Platform::linux("amd64"))
}

async fn read(blobs: &dyn BlobSource, blob: &Descriptor) -> Result<Vec<u8>, String> {
    let mut stream = blobs.open(blob).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
    }
    Ok(bytes)
}

#[tokio::test]
async fn directory_and_archive_hold_the_same_image_and_give_it_back() {
    let place = Place::new();
    let image = image(&text(600_000));
    let tags = options(&["app:1", "registry.example/team/app:2"]);
    let written = place.write(&image, "layout", &tags).expect("writes");
    assert_eq!(place.archive(&image, "layout.tar", &tags), written);
    assert_eq!(files(&place.path("layout")), unpacked(&place.path("layout.tar")));
    for name in ["layout", "layout.tar"] {
        let path = place.path(name);
        assert_eq!(
            Layout::open(&path).expect("opens").names(),
            ["docker.io/library/app:1", "registry.example/team/app:2"]
        );
        for by in ["", ":1", ":2", &format!("@{}", written.manifest.digest)] {
            let resolved = resolve(&path, by).expect("finds");
            assert_eq!(resolved.descriptor.digest, written.manifest.digest, "{name}{by}");
            assert_eq!(resolved.manifest.annotations["a"], "b");
            assert_eq!(Digest::of(&resolved.config_bytes), written.image_id);
            let blob = &resolved.manifest.layers[0];
            assert_eq!(blob.media_type, ManifestFormat::Oci.layer(LayerCompression::Gzip));
            let bytes = read(&*resolved.blobs, blob).await.expect("reads");
            assert_eq!(Digest::of(&bytes), blob_of(&written).clone().digest);
        }
        let error = resolve(&path, ":3").expect_err("no such name");
        assert!(matches!(error, LayoutError::NotFound { .. }), "{error}");
    }
}

#[test]
fn equal_images_give_equal_layouts_whatever_the_number_of_threads() {
    let place = Place::new();
    let image = image(&text(3_000_000));
    let mut seen = Vec::new();
    for (number, threads) in [1, 2, 3, 8].into_iter().enumerate() {
        let threads = std::num::NonZeroUsize::new(threads).expect("not zero");
        let fresh = || {
            let blobs = LayerBlobs::default().on_threads(threads);
            Options { blobs, ..options(&["app:1"]) }
        };
        let (directory, archive) = (format!("layout{number}"), format!("archive{number}"));
        let again = fresh();
        place.write(&image, &directory, &again).expect("writes");
        // The second time into a layout that has it.
        place.write(&image, &directory, &fresh()).expect("writes");
        place.write(&image, &directory, &again).expect("writes");
        place.archive(&image, &archive, &again);
        let known = fs::read(place.path(&archive)).expect("reads");
        place.archive(&image, &archive, &fresh());
        assert!(fs::read(place.path(&archive)).expect("reads") == known);
        seen.push((files(&place.path(&directory)), known));
    }
    assert!(seen.iter().all(|found| *found == seen[0]));
}

#[test]
fn a_pipe_gets_what_a_file_gets() {
    let place = Place::new();
    let image = image(&text(600_000));
    place.archive(&image, "file", &options(&["app:1"]));
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        place.path("pipe"),
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .expect("a pipe");
    let pipe = place.path("pipe");
    let reader = std::thread::spawn(move || fs::read(pipe).expect("reads"));
    place.archive(&image, "pipe", &options(&["app:1"]));
    assert!(reader.join().expect("no panic") == fs::read(place.path("file")).expect("reads"));
}

#[test]
fn images_are_added_to_a_layout_by_many_at_once() {
    let place = Place::new();
    place.write(&image(b"other"), "layout", &options(&["kept:x"])).expect("writes");
    fs::write(place.path("layout/unknown"), "stays").expect("writes");
    std::thread::scope(|scope| {
        for number in 0..8 {
            let place = &place;
            scope.spawn(move || {
                // Half of the images are the same: their blobs are written at once.
                let image = image(format!("content {}", number / 2).as_bytes());
                place.write(&image, "layout", &options(&[&format!("app:{number}")])).expect("writes");
            });
        }
    });
    let mut names = Layout::open(&place.path("layout")).expect("opens").names();
    names.sort();
    let mut expected: Vec<String> = (0..8).map(|number| format!("docker.io/library/app:{number}")).collect();
    expected.push("docker.io/library/kept:x".into());
    assert_eq!(names, expected);
    assert_eq!(fs::read(place.path("layout/unknown")).expect("reads"), b"stays");
    for number in 0..8 {
        resolve(&place.path("layout"), &format!(":{number}")).expect("whole");
    }
    let all = files(&place.path("layout"));
    assert!(all.keys().all(|name| !name.contains(".b2i") && !name.contains("blob-")), "{:?}", all.keys());
    for (name, bytes) in all.iter().filter(|(name, _)| name.starts_with(BLOBS)) {
        assert!(name.ends_with(&Digest::of(bytes).hex()), "{name}");
    }
}

#[test]
fn what_lies_there_damaged_is_written_again() {
    let place = Place::new();
    let image = image(b"content");
    let known = options(&["app:1"]);
    let written = place.write(&image, "layout", &known).expect("writes");
    let before = files(&place.path("layout"));
    for digest in [blob_of(&written).clone().digest, written.manifest.digest, written.image_id] {
        let path = place.path("layout").join(BLOBS).join(digest.hex());
        let damaged = fs::read(&path).expect("reads").iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
        fs::write(&path, damaged).expect("writes");
    }
    resolve(&place.path("layout"), "").expect_err("damaged");
    place.write(&image, "layout", &known).expect("writes");
    assert_eq!(files(&place.path("layout")), before);
    // Left by a writer that was stopped at once.
    fs::create_dir(place.path("empty")).expect("creates");
    fs::write(place.path("empty").join(LAYOUT_FILE), "").expect("writes");
    place.write(&image, "empty", &options(&["app:1"])).expect("writes");
    assert_eq!(files(&place.path("empty")), before);
}

#[test]
fn a_directory_with_something_else_in_it_is_left_alone() {
    let place = Place::new();
    for (name, content) in [("thesis.txt", "x"), (LAYOUT_FILE, r#"{"imageLayoutVersion":"2.0"}"#)] {
        let directory = place.path(name);
        fs::create_dir(&directory).expect("creates");
        fs::write(directory.join(name), content).expect("writes");
        let error = place.write(&image(b"x"), name, &options(&[])).expect_err("no layout");
        assert!(matches!(error, LayoutError::NotALayout { .. }), "{error}");
        assert_eq!(fs::read_dir(&directory).expect("lists").count(), 1, "{name}");
    }
    place.write(&image(b"x"), "layout", &options(&["app:1"])).expect("writes");
    fs::write(place.path("layout").join(INDEX_FILE), "{}").expect("writes");
    let error = place.write(&image(b"x"), "layout", &options(&["app:1"])).expect_err("no index");
    assert!(error.to_string().contains("index.json"), "{error}");
    assert_eq!(fs::read(place.path("layout").join(INDEX_FILE)).expect("reads"), b"{}");
}

#[test]
fn an_image_with_two_new_layers_has_both_in_order() {
    let place = Place::new();
    let below = layer(b"below");
    let id = below.write_to(std::io::sink()).expect("writes").diff_id;
    let base = || base(vec![LayerSource::New(below.clone().into())], &[id]);
    let layers = [layer(&text(300_000)), layer(b"second")];
    let ids = layers.each_ref().map(|layer| layer.write_to(std::io::sink()).expect("writes").diff_id);
    let image = image_of(base(), layers.clone().map(NewLayer::from).to_vec());
    let known = options(&["app:1"]);
    let written = place.write(&image, "layout", &known).expect("writes");
    assert_eq!(place.archive(&image, "known.tar", &known), written);
    let again = image_of(base(), layers.map(NewLayer::from).to_vec());
    assert_eq!(place.archive(&again, "layout.tar", &options(&["app:1"])), written);
    assert!(
        fs::read(place.path("layout.tar")).expect("reads")
            == fs::read(place.path("known.tar")).expect("reads")
    );
    let resolved = resolve(&place.path("layout"), ":1").expect("whole");
    assert_eq!(resolved.config.diff_ids().expect("valid"), [id, ids[0], ids[1]]);
    assert_eq!(resolved.manifest.layers.len(), 3);
    let computed: Vec<Digest> =
        image.written().expect("computed").iter().map(|layer| layer.diff_id).collect();
    assert_eq!(computed, ids);
}
