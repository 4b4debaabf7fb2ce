//! Images on bases of each kind.

use super::*;
use crate::image::InvalidImage;

/// An image on what another layout holds.
fn on_layout(path: &Path, format: ManifestFormat, content: &[u8]) -> Image {
    let mut base = resolve(path, "").expect("finds").into_base();
    base.format = format;
    for layer in &mut base.layers {
        if let LayerSource::Blob(blob, _) = layer {
            let compression = LayerCompression::of_media_type(&blob.media_type).expect("a layer");
            blob.media_type = format.layer(compression).into();
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
    let below = base(vec![LayerSource::Daemon; 2], &[file.diff_id, file.diff_id]);
    let image = image_on(below.clone().with_files(&[file]), b"new");
    let path = place.path("layout");
    place.write(&image, "layout", &options(&["app:1"])).expect("writes");
    let resolved = resolve(&path, ":1").expect("whole");
    assert_eq!(resolved.manifest.layers.len(), 3);
    assert!(resolved.manifest.layers[0].size < 300_000, "compressed");
    let missing = image_on(below, b"new");
    let error = place.write(&missing, "layout", &options(&["app:1"])).expect_err("no bytes");
    assert!(matches!(error, LayoutError::Image(ArchiveError::MissingLayer { .. })), "{error}");
}

#[test]
fn the_same_layer_twice_stands_in_an_archive_once() {
    let place = Place::new();
    let built_in = layer(b"same");
    let id = built_in.write_to(std::io::sink()).expect("writes").diff_id;
    let image = image_on(base(vec![LayerSource::New(built_in.into())], &[id]), b"same");
    let written = place.archive(&image, "archive.tar", &options(&["app:1"]));
    let resolved = resolve(&place.path("archive.tar"), ":1").expect("nothing is there twice");
    assert_eq!(resolved.manifest.layers, vec![blob_of(&written).clone().clone(), blob_of(&written).clone()]);
    let other = image_on(base(vec![LayerSource::New(layer(b"same").into())], &[Digest::of(b"")]), b"same");
    let error = place.write(&other, "layout", &options(&["app:1"])).expect_err("another base");
    assert!(matches!(error, LayoutError::Image(ArchiveError::Image(InvalidImage::Layers { .. }))), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_keep_every_byte_and_every_platform() {
    let place = Place::new();
    let one = place.write(&image(&text(400_000)), "from", &options(&["app:1"])).expect("writes");
    let inner = serde_json::json!({"schemaVersion": 2, "mediaType": ManifestFormat::Oci.index(), "manifests": [
        {"mediaType": one.manifest.media_type, "digest": one.manifest.digest, "size": one.manifest.size,
         "platform": {"os": "linux", "architecture": "amd64"}}]});
    let inner = inner.to_string().into_bytes();
    let index = Descriptor::of(ManifestFormat::Oci.index(), &inner);
    fs::write(place.path("from").join(BLOBS).join(index.digest.hex()), &inner).expect("writes");
    let blobs = Layout::open(&place.path("from")).expect("opens").blobs();
    let options = options(&["copy:1"]);
    let copy = async |root: &Descriptor, name: &str| {
        let (root, blobs, name_of) = (root.clone(), blobs.clone(), "app".to_owned());
        let tree = ManifestTree { root, blobs, name: name_of, is_raw: false };
        place.sink(name, false).write(Content::Tree(&tree), &options.tags, &options.blobs).await
    };
    for root in [&one.manifest, &index] {
        let name = &root.digest.hex()[..8];
        let (directory, archive) = (place.path(name), place.path(&format!("{name}.tar")));
        for _ in 0..2 {
            let copied = copy(root, name).await.expect("copies").root.expect("a manifest");
            assert_eq!(copied.digest, root.digest);
        }
        let mut out = AtomicFile::create(&archive, None, &place.lease).expect("creates");
        archive_layout(&directory, &mut out).expect("copies");
        out.commit().expect("commits");
        assert_eq!(files(&directory), unpacked(&archive));
        for path in [directory, archive] {
            let copied = resolve(&path, ":1").expect("whole");
            assert_eq!(copied.root, Some(root.digest));
            assert_eq!(copied.descriptor.digest, one.manifest.digest);
        }
    }
    // A blob is missing, or is larger than its descriptor says.
    fs::remove_file(place.path("from").join(BLOBS).join(one.image_id.hex())).expect("removes");
    copy(&index, "new").await.expect_err("not there");
    assert!(!place.path("new").join(INDEX_FILE).exists());
    let large = Descriptor { size: u64::MAX, ..index };
    copy(&large, "new").await.expect_err("too large");
}
