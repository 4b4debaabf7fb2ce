//! Tests of reading archives: what b2i writes and what others write, and what nobody should.

use std::io::Write;

use serde_json::json;

use super::*;
use crate::image::layer::WrittenLayer;
use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::image::{BaseImage, ConfigEdits, Image, LayerSource};
use crate::store::archive::{BaseLayers, Form, write_image};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn config(ids: &[Digest]) -> Vec<u8> {
    let mut config = ImageConfig::empty(&Platform::linux("amd64"));
    config.apply(&ConfigEdits::default(), ids);
    config.to_bytes()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

fn open(bytes: &[u8]) -> Result<(DockerArchive, tempfile::TempDir), ReadArchiveError> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("image.tar");
    std::fs::write(&path, bytes).expect("written");
    Ok((DockerArchive::open(&path)?, directory))
}

fn resolve(bytes: &[u8], name: Option<&str>) -> Result<ResolvedImage, ReadArchiveError> {
    let name = name.map(|name| name.parse().expect("valid"));
    open(bytes)?.0.resolve(name.as_ref(), &Platform::linux("amd64"))
}

async fn read(image: &ResolvedImage, blob: &Descriptor) -> Result<Vec<u8>, String> {
    let mut stream = image.blobs.open(blob).await.map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| error.to_string())?);
    }
    Ok(bytes)
}

#[tokio::test]
async fn plain_and_compressed_layers_are_found_and_verified() {
    let (one, two) = (b"one".repeat(1000), b"two".repeat(1000));
    let config = config(&[Digest::of(&one), Digest::of(&two), Digest::of(&one)]);
    let manifest = json!([{"Config": "c.json", "RepoTags": ["app:1", "localhost/other:2"],
        "Layers": ["a/layer.tar", "b.tar.gz", "a/layer.tar"]}]);
    let packed = gzip(&two);
    let manifest = manifest.to_string();
    let files: [(&str, &[u8]); 4] = [
        ("a/layer.tar", &one),
        ("b.tar.gz", &packed),
        ("c.json", &config),
        ("manifest.json", manifest.as_bytes()),
    ];
    let bytes = tar(&files);
    for name in [None, Some("app:1"), Some("docker.io/library/app:1"), Some("localhost/other:2")] {
        let image = resolve(&bytes, name).expect("finds it");
        let expected = [Digest::of(&one), Digest::of(&packed), Digest::of(&one)];
        assert_eq!(image.manifest.layers.iter().map(|layer| layer.digest).collect::<Vec<_>>(), expected);
        assert_eq!(read(&image, &image.manifest.layers[0]).await, Ok(one.clone()));
        assert_eq!(read(&image, &image.manifest.layers[1]).await, Ok(packed.clone()));
        assert_eq!(read(&image, &image.manifest.config).await, Ok(config.clone()));
        assert_eq!(read(&image, &image.descriptor).await, Ok(image.manifest.to_bytes()));
        assert_eq!((image.name.as_str(), image.root), ("app:1", None));
    }
    let error = resolve(&bytes, Some("app:2")).expect_err("no such name");
    assert!(error.to_string().contains("app:2") && error.hints()[0].contains("localhost/other:2"), "{error}");
    let archive = open(&bytes).expect("opens").0;
    archive.resolve(None, &Platform::linux("arm64")).expect_err("another platform");
}

#[tokio::test]
async fn other_bytes_than_the_config_says_are_errors() {
    let layer = b"layer".repeat(100);
    let manifest = json!([{"Config": "c", "Layers": ["l"]}]).to_string();
    let archive = |layer: &[u8], id: Digest| {
        tar(&[("l", layer), ("c", &config(&[id])), ("manifest.json", manifest.as_bytes())])
    };
    let image = resolve(&archive(b"other", Digest::of(&layer)), None).expect("plain layers are read later");
    let error = read(&image, &image.manifest.layers[0]).await.expect_err("other bytes");
    assert!(error.contains(&Digest::of(&layer).to_string()), "{error}");
    let error = resolve(&archive(&gzip(b"other"), Digest::of(&layer)), None).expect_err("unpacked at once");
    assert!(error.to_string().contains(&Digest::of(b"other").to_string()), "{error}");
    let cut = gzip(&layer);
    resolve(&archive(&cut[..cut.len() - 3], Digest::of(&layer)), None).expect_err("cut");
    // More layers than the config has, none of a name, no list at all.
    let two = json!([{"Config": "c", "Layers": ["l", "l"]}]).to_string();
    resolve(
        &tar(&[("l", &layer), ("c", &config(&[Digest::of(&layer)])), ("manifest.json", two.as_bytes())]),
        None,
    )
    .expect_err("too many");
    resolve(&tar(&[("c", &config(&[Digest::of(&layer)])), ("manifest.json", manifest.as_bytes())]), None)
        .expect_err("not there");
    for text in ["", "{}", r#"[{"Layers": []}]"#] {
        open(&tar(&[("manifest.json", text.as_bytes())])).expect_err(text);
    }
    open(&tar(&[])).expect_err("empty");
    open(b"no tar at all").expect_err("no tar");
    DockerArchive::open(Path::new("/")).expect_err("a directory");
}

fn layer(content: &[u8]) -> Layer {
    let kind = EntryKind::File { size: content.len() as u64, content: Arc::new(content.to_vec()) };
    let path = crate::image::ImagePath::new("/opt/app").expect("valid");
    Layer::new(vec![Entry { path, kind, mode: 0o755, owner: Owner::ROOT }], 0).expect("consistent")
}

fn image_on(base: BaseImage) -> Image {
    let config = base.config.clone();
    let finish = move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        config.apply(&ConfigEdits::default(), &[written[0].diff_id]);
        config
    };
    Image::new(base, vec![layer(b"new").into()], finish)
}

/// An archive on an archive on an archive: its compressed layers go along as they are, those in zstd unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_the_base_of_the_next_one() {
    let (one, two) = (b"one".repeat(1000), b"two".repeat(1000));
    let base_config = config(&[Digest::of(&one), Digest::of(&two)]);
    let manifest = json!([{"Config": "c", "Layers": ["1", "2"]}]).to_string();
    let packed = zstd::encode_all(&two[..], 1).expect("memory");
    let files: [(&str, &[u8]); 4] =
        [("1", &gzip(&one)), ("2", &packed), ("c", &base_config), ("manifest.json", manifest.as_bytes())];
    let (archive, directory) = open(&tar(&files)).expect("opens");
    let base = archive.resolve(None, &Platform::linux("amd64")).expect("finds it").into_base();
    assert!(matches!(base.layers[..], [LayerSource::Blob(..), LayerSource::Blob(..)]));
    assert_eq!(base.format, ManifestFormat::Docker);
    tokio::task::spawn_blocking(move || {
        let names = ["next:1".to_owned()];
        let write = |base: BaseImage, out: &mut dyn Write| {
            let unpacking = BaseLayers::All(directory.path());
            write_image(&image_on(base), unpacking, Form::Docker, &names, out)
        };
        let mut bytes = Vec::new();
        let (_, written) = write(base.clone(), &mut bytes).expect("writes");
        let next = resolve(&bytes, Some("next:1")).expect("reads");
        assert_eq!(Digest::of(&next.config_bytes), written.image_id);
        let media_types: Vec<&str> =
            next.manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
        let [plain, gzip] = [LayerCompression::None, LayerCompression::Gzip].map(|found| FORMAT.layer(found));
        assert_eq!(media_types, [gzip, plain, plain]);
        // A layer that is damaged where it lies.
        let mut damaged = base;
        if let Some(LayerSource::Blob(blob, _)) = damaged.layers.first_mut() {
            blob.digest = Digest::of(b"");
        }
        write(damaged, &mut io::sink()).map(drop).expect_err("no such blob");
    })
    .await
    .expect("no panic");
}
