//! Registries as image source and sink: a real one, one behind a password, and one that misbehaves as told.

mod ahead;
pub(crate) mod auth;
mod fake;
mod index;
mod pull;
mod push;
mod random;
mod real;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use b2i::events::Events;
use b2i::image::layer::{Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{
    BaseImage, ConfigEdits, Descriptor, Digest, Image, ImagePath, ImageReference, NewLayer, Platform,
};
use b2i::network::NetworkOptions;
use b2i::store::registry::{Registries, RegistryError, RegistrySettings};
use b2i::store::{LayerBlobs, WrittenImage};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Date of every image that the tests make.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// A name that no other test and no other run uses.
pub(crate) fn unique(what: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("b2i-test-{what}-{}-{number}", std::process::id())
}

pub(crate) fn reference(text: &str) -> ImageReference {
    text.parse().expect("a valid name")
}

/// Settings with which nothing waits long.
pub(crate) fn settings() -> RegistrySettings {
    let network = NetworkOptions { retry_pause: Duration::from_millis(5), ..NetworkOptions::default() };
    // A busy machine answers late too: what a test does not ask for must not depend on that.
    RegistrySettings { network, read_ahead_after: Duration::MAX, ..RegistrySettings::default() }
}

pub(crate) fn registries(settings: RegistrySettings) -> Registries {
    Registries::new(settings, Events::silent())
}

/// Bytes that do not repeat early; equal seeds give equal ones.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// A layer with one file.
pub(crate) fn layer(path: &str, bytes: Vec<u8>, mode: u32) -> Layer {
    let path = ImagePath::new(path).expect("a valid path");
    let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) };
    Layer::new(vec![Entry { path, kind, mode, owner: Owner { uid: 1001, gid: 0 } }], 315_532_800)
        .expect("one file")
}

/// `layer` on `base`, and nothing else.
pub(crate) fn on(base: BaseImage, layer: impl Into<NewLayer>) -> Image {
    with_layers(base, vec![layer.into()])
}

/// `layers` on `base`, lowest first.
pub(crate) fn with_layers(base: BaseImage, layers: Vec<NewLayer>) -> Image {
    let below = base.config.clone();
    let make = move |written: &[WrittenLayer]| {
        let mut config = below.clone();
        let edits =
            ConfigEdits { created: CREATED.into(), history: "b2i test".into(), ..ConfigEdits::default() };
        let ids: Vec<Digest> = written.iter().map(|layer| layer.diff_id).collect();
        config.apply(&edits, &ids);
        config
    };
    let annotations = BTreeMap::from([("org.example.test".to_owned(), "yes".to_owned())]);
    Image { annotations, ..Image::new(base, layers, make) }
}

/// Nothing, to build on.
pub(crate) fn scratch() -> BaseImage {
    BaseImage::scratch(&Platform::host())
}

/// Makes plain blobs, of which nothing is known yet.
pub(crate) fn plain() -> LayerBlobs {
    LayerBlobs::new("none".parse().expect("valid"))
}

/// Publishes one image.
pub(crate) async fn publish(
    registries: &Registries,
    image: &Image,
    tags: &[ImageReference],
    blobs: &LayerBlobs,
) -> Result<WrittenImage, RegistryError> {
    let written = registries.publish(std::slice::from_ref(image), tags, blobs).await?;
    Ok(written.images.into_iter().next().expect("one image"))
}

/// The manifest of an image that was published.
pub(crate) fn manifest(written: &WrittenImage) -> &Descriptor {
    written.manifest.as_ref().expect("a registry keeps manifests")
}

/// The blob of its new layer.
pub(crate) fn blob(written: &WrittenImage) -> &Descriptor {
    written.blobs.last().expect("it has layers")
}

/// Settings with a credentials file in `directory` that has `password` (`user:password`) for `registry`.
pub(crate) fn with_password(registry: &str, password: &str, directory: &std::path::Path) -> RegistrySettings {
    let auth = STANDARD.encode(password);
    with_credentials(&format!(r#"{{"auths":{{"{registry}":{{"auth":"{auth}"}}}}}}"#), directory)
}

/// Settings with this credentials file in `directory`.
pub(crate) fn with_credentials(text: &str, directory: &std::path::Path) -> RegistrySettings {
    let path = directory.join("auth.json");
    std::fs::write(&path, text).expect("written");
    RegistrySettings { credential_files: vec![path], ..settings() }
}

/// An error with its causes.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
