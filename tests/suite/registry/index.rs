//! Publishing an index of images: all of them are there before its name, and what they share is sent once.

use std::collections::BTreeSet;
use std::sync::Arc;

use b2i::image::layer::{Entry, EntryKind, Layer, Owner};
use b2i::image::{BaseImage, ImagePath, NewLayer, Platform};
use b2i::store::Written;
use b2i::store::builtin::static_base;
use b2i::store::registry::ResolveOptions;

use super::fake::{FakeRegistry, Kind};
use super::push::tag;
use super::{blob, layer, noise, on, plain, reference, registries, settings, whole};

#[tokio::test]
async fn an_index_names_images_that_are_there() {
    let registry = FakeRegistry::open();
    let images = ["amd64", "arm64"].map(|architecture| {
        let platform = Platform::linux(architecture);
        on(static_base(&platform), layer("/app", architecture.into(), 0o755))
    });
    let tags = [tag(&registry, "app"), reference(&format!("{}/app:2", registry.name()))];
    let registries = registries(settings());
    let Written { root, images: published } =
        registries.publish(&images, &tags, &plain()).await.expect("published");
    let index = root.expect("a registry keeps manifests");
    registry.assert_sound();
    for (architecture, published) in ["amd64", "arm64"].into_iter().zip(&published) {
        let platform = Some(Platform::linux(architecture));
        let options = ResolveOptions { platform, ..ResolveOptions::default() };
        let image = registries.resolve(&tags[1], &options).await.expect("resolved");
        assert_eq!(image.manifest_digest, Some(index.digest));
        assert_eq!(image.config.digest(), published.image_id);
    }
    // And as it is to another registry.
    let other = FakeRegistry::open();
    let root = registries.open(&tags[0], &ResolveOptions::default()).await.expect("opened");
    let copied = [tag(&other, "copy")];
    registries.copy(&root, &copied).await.expect("copied");
    other.assert_sound();
    assert_eq!(other.manifest("copy", "1"), registry.manifest("app", "1"));
    other.forget_log();
    registries.copy(&root, &copied).await.expect("copied");
    assert_eq!(other.kinds(), [Kind::HeadManifest]);
}

#[tokio::test]
async fn an_index_is_not_named_before_all_its_images_are_there() {
    let registry = FakeRegistry::open();
    let image = |architecture: &str, layer: Layer| {
        let platform = Platform::linux(architecture);
        on(static_base(&platform), layer)
    };
    let good = layer("/app", b"amd64".to_vec(), 0o755);
    // It says that it has more bytes than it has.
    let path = ImagePath::new("/app").expect("a valid path");
    let kind = EntryKind::File { size: 9, content: Arc::new(b"short".to_vec()) };
    let entry = Entry { path, kind, mode: 0o755, owner: Owner { uid: 0, gid: 0 } };
    let bad = Layer::new(vec![entry], 0).expect("one file");
    let tags = [tag(&registry, "app"), tag(&registry, "other")];
    let images = [image("amd64", good), image("arm64", bad)];
    let registries = registries(settings());
    let error = registries.publish(&images, &tags, &plain()).await.expect_err("it is cut");
    assert!(whole(&error).contains("no longer has 9 bytes"), "{}", whole(&error));
    assert_eq!((registry.manifest("app", "1"), registry.manifest("other", "1")), (None, None));
    registry.assert_sound();
}

#[tokio::test]
async fn images_with_the_same_layer_send_it_once() {
    let registry = FakeRegistry::open();
    let shared = NewLayer::from(layer("/app.jar", noise(3, 6 << 20), 0o644));
    let images = ["amd64", "arm64", "s390x"]
        .map(|architecture| on(BaseImage::scratch(&Platform::linux(architecture)), shared.clone()));
    let tags = [tag(&registry, "app")];
    let registries = registries(settings());
    let blobs = plain();
    let written = registries.publish(&images, &tags, &blobs).await.expect("published");
    registry.assert_sound();
    let digests: BTreeSet<_> = written.images.iter().map(|image| blob(image).digest).collect();
    assert_eq!(digests.len(), 1);
    // One layer and three configs.
    let puts = registry.kinds().into_iter().filter(|kind| *kind == Kind::Put).count();
    assert_eq!(puts, 4, "{:?}", registry.kinds());
    // With everything known, the name is asked and nothing else.
    registry.forget_log();
    let again = registries.publish(&images, &tags, &blobs).await.expect("published");
    assert_eq!(again, written);
    assert_eq!(registry.kinds(), [Kind::HeadManifest]);
    // Under one name more, the index alone is written.
    registry.forget_log();
    let more = [tags[0].clone(), reference(&format!("{}/app:2", registry.name()))];
    registries.publish(&images, &more, &blobs).await.expect("published");
    registry.assert_sound();
    let puts = registry.kinds().into_iter().filter(|kind| *kind == Kind::PutManifest).count();
    assert_eq!(puts, 1, "{:?}", registry.kinds());
}
