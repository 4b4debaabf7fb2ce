//! Tests of layouts: what is written is read back, equal bytes come out of equal images, and what is hostile is refused.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;

use super::*;
use crate::fs::{AtomicFile, Lease};
use crate::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use crate::image::{ConfigEdits, Digest, ImageConfig, ImagePath, LayerCompression, ManifestFormat, Platform};
use crate::store::archive::{ArchiveError, LayerFile};
use crate::store::{BaseImage, BaseLayers, BlobSource, UnfinishedImage};

struct Place {
    _cache: tempfile::TempDir,
    lease: Lease,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let cache = tempfile::tempdir().expect("a directory");
        let lease = Lease::acquire(cache.path()).expect("acquires");
        Self { _cache: cache, lease, directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(
        &self,
        image: &UnfinishedImage,
        name: &str,
        options: &LayoutOptions,
    ) -> Result<WrittenLayout, LayoutError> {
        write_layout(image, &[], options, &self.path(name), &self.lease)
    }

    fn archive(&self, image: &UnfinishedImage, name: &str, options: &LayoutOptions) -> WrittenLayout {
        let mut out = AtomicFile::create(&self.path(name), None, &self.lease).expect("creates");
        let written = write_layout_archive(image, &[], options, &mut out).expect("writes");
        out.commit().expect("commits");
        written
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

fn image_on(base: BaseImage, content: &[u8]) -> UnfinishedImage {
    let config = base.config.clone();
    let finish = move |written: &WrittenLayer| {
        let mut config = config.clone();
        config.apply(&ConfigEdits::default(), &[written.diff_id]);
        config
    };
    let annotations = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    UnfinishedImage { base, layer: layer(content), annotations, finish: Arc::new(finish) }
}

fn base(layers: BaseLayers, ids: &[Digest]) -> BaseImage {
    let mut config = ImageConfig::empty(&Platform::linux("amd64"));
    config.apply(&ConfigEdits::default(), ids);
    BaseImage { name: "base".into(), manifest_digest: None, config, layers }
}

fn image(content: &[u8]) -> UnfinishedImage {
    image_on(base(BaseLayers::Scratch, &[]), content)
}

fn options(tags: &[&str]) -> LayoutOptions {
    let tags = tags.iter().map(|tag| tag.parse().expect("valid")).collect();
    LayoutOptions { tags, ..LayoutOptions::default() }
}

fn blob_of(written: &WrittenLayout) -> &Descriptor {
    &written.blob.as_ref().expect("a layer was made").descriptor
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
            assert_eq!(Digest::of(&resolved.config_bytes), written.image.image_id);
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
        let options = LayoutOptions { threads, ..options(&["app:1"]) };
        let (directory, archive) = (format!("layout{number}"), format!("archive{number}"));
        place.write(&image, &directory, &options).expect("writes");
        // The second time into a layout that has it.
        let again = LayoutOptions {
            known: place.write(&image, &directory, &options).expect("writes").blob,
            ..options.clone()
        };
        place.write(&image, &directory, &again).expect("writes");
        place.archive(&image, &archive, &again);
        let known = fs::read(place.path(&archive)).expect("reads");
        place.archive(&image, &archive, &options);
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
    let written = place.write(&image, "layout", &options(&["app:1"])).expect("writes");
    let before = files(&place.path("layout"));
    for digest in [blob_of(&written).clone().digest, written.manifest.digest, written.image.image_id] {
        let path = place.path("layout").join(BLOBS).join(digest.hex());
        let damaged = fs::read(&path).expect("reads").iter().map(|byte| byte ^ 1).collect::<Vec<u8>>();
        fs::write(&path, damaged).expect("writes");
    }
    resolve(&place.path("layout"), "").expect_err("damaged");
    let known = LayoutOptions { known: written.blob, ..options(&["app:1"]) };
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

/// An image on what another layout holds.
fn on_layout(path: &Path, format: ManifestFormat, content: &[u8]) -> UnfinishedImage {
    let mut base = resolve(path, "").expect("finds").into_base();
    if let BaseLayers::Described(layers) = &mut base.layers {
        layers.format = format;
        for layer in &mut layers.descriptors {
            let compression = LayerCompression::of_media_type(&layer.media_type).expect("a layer");
            layer.media_type = format.layer(compression).into();
        }
    }
    image_on(base, content)
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_of_a_described_base_go_along_as_they_are() {
    let place = Place::new();
    let below = place.write(&image(&text(500_000)), "base", &options(&["base:1"])).expect("writes");
    place.archive(&image(&text(500_000)), "base.tar", &options(&["base:1"]));
    let place = Arc::new(place);
    let mut digests = Vec::new();
    for (source, format) in [("base", ManifestFormat::Oci), ("base.tar", ManifestFormat::Docker)] {
        let (place, below) = (place.clone(), below.clone());
        let task = move || {
            let image = on_layout(&place.path(source), format, b"new");
            let name = format!("on-{source}");
            let written = place.write(&image, &name, &options(&["app:1"])).expect("writes");
            assert_eq!(place.archive(&image, &format!("archive-{name}"), &options(&["app:1"])), written);
            assert_eq!(files(&place.path(&name)), unpacked(&place.path(&format!("archive-{name}"))));
            let resolved = resolve(&place.path(&name), ":1").expect("whole");
            assert_eq!(
                resolved.manifest.layers[0],
                blob_of(&below).clone(),
                "OCI's media type, the same bytes"
            );
            written.manifest.digest
        };
        digests.push(tokio::task::spawn_blocking(task).await.expect("no panic"));
    }
    assert_eq!(digests[0], digests[1], "where the base lies does not matter");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_with_other_bytes_leaves_the_layout_as_it_was() {
    let place = Arc::new(Place::new());
    let below = place.write(&image(&text(500_000)), "base", &options(&["base:1"])).expect("writes");
    place.write(&image(b"before"), "layout", &options(&["app:1"])).expect("writes");
    let image = on_layout(&place.path("base"), ManifestFormat::Oci, b"new");
    let blob = place.path("base").join(BLOBS).join(blob_of(&below).clone().digest.hex());
    let mut bytes = fs::read(&blob).expect("reads");
    bytes[1000] ^= 1;
    fs::write(&blob, bytes).expect("writes");
    tokio::task::spawn_blocking(move || {
        let before = fs::read(place.path("layout").join(INDEX_FILE)).expect("reads");
        let error = place.write(&image, "layout", &options(&["app:1"])).expect_err("other bytes");
        assert!(matches!(error, LayoutError::Image(ArchiveError::ReadBlob { .. })), "{error}");
        assert_eq!(fs::read(place.path("layout").join(INDEX_FILE)).expect("reads"), before);
        fs::remove_file(&blob).expect("removes");
        let error = place.write(&image, "layout", &options(&["app:1"])).expect_err("no bytes");
        assert!(error.to_string().contains("could not be opened"), "{error}");
        let all = files(&place.path("layout"));
        assert!(all.keys().all(|name| !name.contains("blob-")), "{:?}", all.keys());
    })
    .await
    .expect("no panic");
}

#[test]
fn layers_from_a_daemon_are_compressed_on_the_way() {
    let place = Place::new();
    let tar = text(400_000);
    fs::write(place.path("base.tar"), &tar).expect("writes");
    let file = LayerFile { diff_id: Digest::of(&tar), path: place.path("base.tar"), size: tar.len() as u64 };
    let image =
        image_on(base(BaseLayers::Daemon { image_id: "x".into() }, &[file.diff_id, file.diff_id]), b"new");
    let path = place.path("layout");
    write_layout(&image, &[file], &options(&["app:1"]), &path, &place.lease).expect("writes");
    let resolved = resolve(&path, ":1").expect("whole");
    assert_eq!(resolved.manifest.layers.len(), 3);
    assert!(resolved.manifest.layers[0].size < 300_000, "compressed");
    let error = write_layout(&image, &[], &options(&["app:1"]), &path, &place.lease).expect_err("no bytes");
    assert!(matches!(error, LayoutError::Image(ArchiveError::MissingLayer { .. })), "{error}");
}

#[test]
fn the_same_layer_twice_stands_in_an_archive_once() {
    let place = Place::new();
    let built_in = layer(b"same");
    let id = built_in.write_to(std::io::sink()).expect("writes").diff_id;
    let image = image_on(base(BaseLayers::BuiltIn(built_in), &[id]), b"same");
    let written = place.archive(&image, "archive.tar", &options(&["app:1"]));
    let resolved = resolve(&place.path("archive.tar"), ":1").expect("nothing is there twice");
    assert_eq!(resolved.manifest.layers, vec![blob_of(&written).clone().clone(), blob_of(&written).clone()]);
    let other = image_on(base(BaseLayers::BuiltIn(layer(b"same")), &[Digest::of(b"")]), b"same");
    let error = place.write(&other, "layout", &options(&["app:1"])).expect_err("another base");
    assert!(matches!(error, LayoutError::Image(ArchiveError::BuiltInLayer { .. })), "{error}");
}

#[tokio::test]
async fn hostile_layouts_are_refused() {
    let place = Place::new();
    let path = place.path("layout");
    let written = place.write(&image(b"content"), "layout", &options(&["app:1"])).expect("writes");
    let resolved = resolve(&path, "").expect("whole");
    let blob = path.join(BLOBS).join(blob_of(&written).clone().digest.hex());
    let bytes = fs::read(&blob).expect("reads");
    let layer = &resolved.manifest.layers[0];
    // A link out of the layout, even to the right bytes; a link inside of it; a pipe.
    fs::write(place.path("outside"), &bytes).expect("writes");
    let replace = |make: &dyn Fn(&Path)| {
        fs::remove_file(&blob).expect("removes");
        make(&blob);
    };
    replace(&|blob| symlink(place.path("outside"), blob).expect("links"));
    read(&*resolved.blobs, layer).await.expect_err("outside");
    fs::write(path.join("inside"), &bytes).expect("writes");
    replace(&|blob| symlink("../../inside", blob).expect("links"));
    assert_eq!(read(&*resolved.blobs, layer).await, Ok(bytes.clone()));
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    replace(&|blob| rustix::fs::mkfifoat(rustix::fs::CWD, blob, mode).expect("a pipe"));
    read(&*resolved.blobs, layer).await.expect_err("a pipe, and nobody writes");
    // Other bytes, more bytes.
    replace(&|blob| fs::write(blob, vec![0; bytes.len()]).expect("writes"));
    let error = read(&*resolved.blobs, layer).await.expect_err("other bytes");
    assert!(error.contains("in its place"), "{error}");
    fs::write(&blob, [&bytes[..], b"x"].concat()).expect("writes");
    read(&*resolved.blobs, layer).await.expect_err("more bytes");
    // An index that holds itself cannot be made; one that is absurdly large can.
    fs::write(path.join(INDEX_FILE), vec![b' '; 5 << 20]).expect("writes");
    assert!(Layout::open(&path).expect_err("too large").to_string().contains("at most"));
    fs::remove_file(path.join(LAYOUT_FILE)).expect("removes");
    assert!(Layout::open(&path).expect_err("no layout").to_string().contains("oci-layout"));
    Layout::open(&place.path("absent")).expect_err("absent");
    Layout::open(Path::new("/dev/null")).expect_err("a device");
}

#[test]
fn the_image_for_the_platform_is_found() {
    let place = Place::new();
    let (amd64, mut arm64) = (image(b"amd64"), image(b"arm64"));
    arm64.base.config = ImageConfig::empty(&Platform::linux("arm64"));
    let config = arm64.base.config.clone();
    arm64.finish = Arc::new(move |written| {
        let mut config = config.clone();
        config.apply(&ConfigEdits::default(), &[written.diff_id]);
        config
    });
    let one = place.write(&amd64, "layout", &options(&[])).expect("writes");
    let other = place.write(&arm64, "layout", &options(&[])).expect("writes");
    let layout = Layout::open(&place.path("layout")).expect("opens");
    let reference: LayoutReference = "layout".parse().expect("valid");
    let find = |architecture| {
        let found = layout.resolve(&reference, &Platform::linux(architecture));
        found.map(|image| image.descriptor.digest)
    };
    assert_eq!(find("amd64").expect("found"), one.manifest.digest);
    assert_eq!(find("arm64").expect("found"), other.manifest.digest);
    let error = find("s390x").expect_err("not there").to_string();
    assert!(error.contains("linux/s390x") && error.contains("linux/arm64"), "{error}");
    // Behind an index of its own.
    let inner = fs::read(place.path("layout").join(INDEX_FILE)).expect("reads");
    let digest = Digest::of(&inner);
    fs::write(place.path("layout").join(BLOBS).join(digest.hex()), &inner).expect("writes");
    let outer = serde_json::json!({"schemaVersion": 2, "manifests": [
        {"mediaType": ManifestFormat::Oci.index(), "digest": digest, "size": inner.len(),
         "annotations": {REF_NAME: "1"}}]});
    fs::write(place.path("layout").join(INDEX_FILE), outer.to_string()).expect("writes");
    let layout = Layout::open(&place.path("layout")).expect("opens");
    let reference: LayoutReference = "layout:1".parse().expect("valid");
    let found = layout.resolve(&reference, &Platform::linux("arm64")).expect("found");
    assert_eq!(found.descriptor.digest, other.manifest.digest);
}

#[test]
fn references_are_read() {
    let digest = Digest::of(b"");
    for (text, path, tag, with_digest) in [
        ("a", "a", None, false),
        ("./a/b.tar:1.0", "./a/b.tar", Some("1.0"), false),
        ("/a:b/c", "/a:b/c", None, false),
        (&format!("a@{digest}"), "a", None, true),
        ("user@host/a", "user@host/a", None, false),
    ] {
        let found: LayoutReference = text.parse().expect("valid");
        let expected = LayoutReference {
            path: path.into(),
            tag: tag.map(str::to_owned),
            digest: with_digest.then_some(digest),
        };
        assert_eq!(found, expected, "{text}");
        assert_eq!(found.to_string(), text);
    }
    for text in ["", ":1", "@sha256:0", "a@sha256:xyz"] {
        text.parse::<LayoutReference>().expect_err(text);
    }
}
