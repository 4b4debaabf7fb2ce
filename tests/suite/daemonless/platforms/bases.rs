//! Owns bases for several platforms: a test image, and the same again that says of itself to be for another one. Good
//! enough to be built on; what is in it runs on this machine only.

use std::path::Path;

use b2i::image::Digest;
use serde_json::{Value, json};

use super::super::{PushedBase, skopeo};
use crate::environment::TestEnvironment;
use crate::registry::unique;

/// Pushes an index of `test` for each of `platforms`, in a format that skopeo knows (`oci`, `v2s2`).
pub(super) fn base_for(test: &'static str, platforms: &[&str], format: &str) -> PushedBase {
    retargeted(&PushedBase::new(test), platforms, format)
}

/// The same of an image that is in the registry.
pub(super) fn retargeted(own: &PushedBase, platforms: &[&str], format: &str) -> PushedBase {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let layout = directory.path().join("layout");
    let place = format!("oci:{}:base", layout.display());
    skopeo(&["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{}", own.name), &place]);
    let root = read(&layout.join("index.json"))["manifests"][0].clone();
    let image = read_blob(&layout, &root);
    let entries: Vec<Value> =
        platforms.iter().map(|platform| image_for(&layout, image.clone(), platform)).collect();
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    let mut entry = write_blob(&layout, &index, "application/vnd.oci.image.index.v1+json");
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "all"});
    let document = json!({"schemaVersion": 2, "manifests": [entry]});
    std::fs::write(layout.join("index.json"), document.to_string()).expect("written");
    let (repository, _) = own.test.split_once(':').expect("a test image has a tag");
    let registry = TestEnvironment::get().registry();
    let name = format!("{registry}/b2i-test-bases/{repository}:{}", unique("base-platforms"));
    let (from, to) = (format!("oci:{}:all", layout.display()), format!("docker://{name}"));
    skopeo(&["copy", "--all", "--quiet", "--format", format, "--dest-tls-verify=false", &from, &to]);
    let owned = TestEnvironment::get().daemons().map(|daemon| daemon.adopted_image(&name));
    PushedBase { test: own.test, name, _owned: owned }
}

/// The same image for another platform, as an entry of an index.
fn image_for(layout: &Path, mut image: Value, platform: &str) -> Value {
    let words: Vec<&str> = platform.split('/').collect();
    let mut described = json!({"os": words[0], "architecture": words[1]});
    let mut config = read_blob(layout, &image["config"]);
    config["architecture"] = words[1].into();
    if let Some(variant) = words.get(2) {
        described["variant"] = (*variant).into();
        config["variant"] = (*variant).into();
    }
    image["config"] = write_blob(layout, &config, "application/vnd.oci.image.config.v1+json");
    let mut entry = write_blob(layout, &image, "application/vnd.oci.image.manifest.v1+json");
    entry["platform"] = described;
    entry
}

fn read(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("skopeo wrote it")).expect("JSON")
}

fn blobs(layout: &Path) -> std::path::PathBuf {
    layout.join("blobs/sha256")
}

fn read_blob(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().expect("a digest").trim_start_matches("sha256:");
    read(&blobs(layout).join(digest))
}

fn write_blob(layout: &Path, content: &Value, media_type: &str) -> Value {
    let bytes = content.to_string();
    let digest = Digest::of(bytes.as_bytes());
    std::fs::write(blobs(layout).join(digest.hex()), &bytes).expect("written");
    json!({"mediaType": media_type, "digest": digest.to_string(), "size": bytes.len()})
}
