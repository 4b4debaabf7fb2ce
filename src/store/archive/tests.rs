//! Tests of the archive writer, read back with another tar reader.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use serde_json::{Value, json};

use super::format::{blob, new_layer};
use super::*;
use crate::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use crate::image::{
    BaseImage, Config, Digest, FinishedConfig, Image, ImageConfig, ImagePath, LayerFile, LayerSource,
    NewLayer, Platform,
};

fn layer(bytes: &[u8]) -> Layer {
    let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes.to_vec()) };
    let path = ImagePath::new("/opt/app").expect("valid");
    Layer::new(vec![Entry { path, kind, mode: 0o755, owner: Owner::ROOT }], 0).expect("consistent")
}

fn image(base_layers: Vec<LayerSource>, base_ids: &[Digest]) -> Image {
    image_of(base_layers, base_ids, vec![layer(b"program").into()])
}

fn image_of(base_layers: Vec<LayerSource>, base_ids: &[Digest], layers: Vec<NewLayer>) -> Image {
    let mut config = ImageConfig::empty(&Platform::linux("amd64"));
    config.apply(&crate::image::ConfigEdits::default(), base_ids);
    let base = BaseImage::new("base", config.clone(), base_layers);
    let make = move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        let ids: Vec<Digest> = written.iter().map(|layer| layer.diff_id).collect();
        config.apply(&crate::image::ConfigEdits::default(), &ids);
        config
    };
    Image::new(base, layers, make)
}

/// Writes the whole archive.
fn write(
    image: &Image,
    names: &[&str],
    out: impl io::Write,
) -> Result<(Vec<WrittenLayer>, FinishedConfig), ArchiveError> {
    let directory = tempfile::tempdir().expect("directory");
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    write_image(image, BaseLayers::All(directory.path()), Form::Docker, &names, out)
}

fn read(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("tar").map(|entry| {
        let mut entry = entry.expect("entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("content");
        if let Some(link) = entry.link_name().expect("link") {
            content = link.to_string_lossy().into_owned().into_bytes();
        }
        (entry.path().expect("path").to_string_lossy().into_owned(), content)
    });
    entries.collect()
}

fn base_file(directory: &tempfile::TempDir, bytes: &[u8]) -> LayerFile {
    let path = directory.path().join("base.tar");
    std::fs::write(&path, bytes).expect("written");
    LayerFile { diff_id: Digest::of(bytes), path, size: bytes.len() as u64 }
}

#[test]
fn a_whole_archive_holds_every_layer_under_its_name() {
    let directory = tempfile::tempdir().expect("directory");
    let file = base_file(&directory, b"the base's bytes");
    // A layer that is listed twice is written once.
    let mut image = image(vec![LayerSource::Daemon; 2], &[file.diff_id, file.diff_id]);
    image.base = image.base.with_files(&[file]);
    let mut bytes = Vec::new();
    let names = ["app:1", "registry.example/app:2"];
    let (_, written) = write(&image, &names, &mut bytes).expect("written");
    let entries = read(&bytes);
    let manifest: Value = serde_json::from_slice(&entries["manifest.json"]).expect("JSON");
    assert_eq!(manifest[0]["RepoTags"], json!(["app:1", "registry.example/app:2"]));
    let config = &entries[manifest[0]["Config"].as_str().expect("text")];
    assert_eq!(Digest::of(config), written.image_id);
    let ids = ImageConfig::parse(config).expect("valid").diff_ids().expect("valid");
    let layers = manifest[0]["Layers"].as_array().expect("list");
    assert_eq!(layers.len(), 3);
    for (path, id) in layers.iter().zip(ids) {
        assert_eq!(Digest::of(&entries[path.as_str().expect("text")]), id);
    }
    let mut again = Vec::new();
    write(&image, &names, &mut again).expect("written");
    assert_eq!(bytes, again);
}

#[test]
fn a_base_layer_that_is_not_there_is_an_error() {
    let image = image(vec![LayerSource::Daemon], &[Digest::of(b"gone")]);
    let error = write(&image, &[], io::sink()).expect_err("missing");
    assert!(matches!(error, ArchiveError::MissingLayer { .. }), "{error}");
}

#[test]
fn a_truncated_base_layer_is_an_error() {
    let directory = tempfile::tempdir().expect("directory");
    let mut file = base_file(&directory, b"short");
    file.size = 6;
    let image = image(vec![LayerSource::File(file.clone())], &[file.diff_id]);
    let error = write(&image, &[], io::sink()).expect_err("short");
    assert!(matches!(error, ArchiveError::BaseLayer { .. }), "{error}");
}

#[test]
fn an_archive_without_its_base_names_the_base_layers_all_the_same() {
    let base = Digest::of(b"in the daemon");
    let image = image(vec![LayerSource::Daemon], &[base]);
    let names = ["b2i.invalid/x:result".to_owned()];
    for form in [Form::Docker, Form::Oci] {
        let mut bytes = Vec::new();
        let (written, config) =
            write_image(&image, BaseLayers::Absent, form, &names, &mut bytes).expect("written");
        let written = written[0];
        let entries = read(&bytes);
        assert_eq!(Digest::of(&entries[&new_layer(0)]), written.diff_id);
        let ids = match form {
            Form::Docker => {
                let manifest: Value = serde_json::from_slice(&entries["manifest.json"]).expect("JSON");
                assert_eq!(manifest[0]["Layers"], json!([format!("{}/layer.tar", base.hex()), new_layer(0)]));
                config.diff_ids.clone()
            }
            Form::Oci => {
                let index: Value = serde_json::from_slice(&entries["index.json"]).expect("JSON");
                let digest: Digest =
                    serde_json::from_value(index["manifests"][0]["digest"].clone()).expect("one");
                let manifest: Value = serde_json::from_slice(&entries[&blob(&digest)]).expect("JSON");
                assert_eq!(entries[&blob(&written.diff_id)], new_layer(0).as_bytes());
                let layers = manifest["layers"].as_array().expect("list").iter();
                layers.map(|layer| serde_json::from_value(layer["digest"].clone()).expect("one")).collect()
            }
        };
        assert_eq!(ids, [base, written.diff_id]);
    }
}

#[test]
fn a_built_in_base_always_goes_along_and_is_checked() {
    let base = layer(b"base");
    let diff_id = base.write_to(io::sink()).expect("written").diff_id;
    let mut bytes = Vec::new();
    let image_of = |ids: &[Digest]| image(vec![LayerSource::New(base.clone().into())], ids);
    write_image(&image_of(&[diff_id]), BaseLayers::Absent, Form::Docker, &[], &mut bytes).expect("written");
    assert!(read(&bytes).contains_key(&format!("{}/layer.tar", diff_id.hex())));
    let error = write(&image_of(&[Digest::of(b"other")]), &[], io::sink()).expect_err("differs");
    assert!(matches!(error, ArchiveError::Image(InvalidImage::Layers { .. })), "{error}");
}

#[test]
fn a_config_that_lists_other_layers_is_refused() {
    let mut image = image(Vec::new(), &[]);
    image.config = Config::After(Arc::new(|_| ImageConfig::empty(&Platform::linux("amd64"))));
    let error = write(&image, &[], io::sink()).expect_err("inconsistent");
    assert!(matches!(error, ArchiveError::Image(InvalidImage::Layers { .. })), "{error}");
}

#[test]
fn an_archive_with_two_new_layers_names_both_in_order() {
    let layers = [layer(b"one"), layer(b"two")];
    let ids = layers.each_ref().map(|layer| layer.write_to(io::sink()).expect("written").diff_id);
    let image = image_of(Vec::new(), &[], layers.map(NewLayer::from).to_vec());
    for form in [Form::Docker, Form::Oci] {
        let mut bytes = Vec::new();
        let names = ["app:1".to_owned()];
        let (written, config) =
            write_image(&image, BaseLayers::Absent, form, &names, &mut bytes).expect("written");
        assert_eq!(written.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(), ids);
        assert_eq!(config.diff_ids, ids);
        let entries = read(&bytes);
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(Digest::of(&entries[&new_layer(index)]), *id);
        }
        if form == Form::Docker {
            let manifest: Value = serde_json::from_slice(&entries["manifest.json"]).expect("JSON");
            assert_eq!(manifest[0]["Layers"], json!([new_layer(0), new_layer(1)]));
        } else {
            assert!(
                ids.iter().enumerate().all(|(index, id)| entries[&blob(id)] == new_layer(index).as_bytes())
            );
        }
    }
}
