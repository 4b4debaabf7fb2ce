//! Publishing an index of images: all of them are there before its name, and what they share is sent once.

use std::collections::BTreeSet;
use std::sync::Arc;

use b2i::image::layer::{Entry, EntryKind, Layer, Owner};
use b2i::image::{ImageConfig, ImagePath, Platform};
use b2i::store::BaseImage;
use b2i::store::builtin::static_base;
use b2i::store::registry::{IndexImage, PublishOptions, PublishedIndex, ResolveOptions};

use super::fake::{FakeRegistry, Kind};
use super::push::tag;
use super::{layer, noise, on, reference, registries, scratch, settings, whole};

#[tokio::test]
async fn an_index_names_images_that_are_there() {
    let registry = FakeRegistry::open();
    let images = ["amd64", "arm64"].map(|architecture| {
        let platform = Platform::linux(architecture);
        let image = on(static_base(&platform), layer("/app", architecture.into(), 0o755));
        IndexImage { image, platform, options: PublishOptions::default() }
    });
    let tags = [tag(&registry, "app"), reference(&format!("{}/app:2", registry.name()))];
    let registries = registries(settings());
    let PublishedIndex { index, images: published } =
        registries.publish_index(&images, &tags, &Default::default()).await.expect("published");
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
    registries.copy(&root.descriptor, &root.blobs, &copied).await.expect("copied");
    other.assert_sound();
    assert_eq!(other.manifest("copy", "1"), registry.manifest("app", "1"));
    other.forget_log();
    registries.copy(&root.descriptor, &root.blobs, &copied).await.expect("copied");
    assert_eq!(other.kinds(), [Kind::HeadManifest]);
}

#[tokio::test]
async fn an_index_is_not_named_before_all_its_images_are_there() {
    let registry = FakeRegistry::open();
    let image = |architecture: &str, layer: Layer| {
        let platform = Platform::linux(architecture);
        let image = on(static_base(&platform), layer);
        IndexImage { image, platform, options: PublishOptions::default() }
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
    let error = registries.publish_index(&images, &tags, &Default::default()).await.expect_err("it is cut");
    assert!(whole(&error).contains("no longer has 9 bytes"), "{}", whole(&error));
    assert_eq!((registry.manifest("app", "1"), registry.manifest("other", "1")), (None, None));
    registry.assert_sound();
}

#[tokio::test]
async fn images_with_the_same_layer_send_it_once() {
    let registry = FakeRegistry::open();
    let shared = layer("/app.jar", noise(3, 6 << 20), 0o644);
    let images = ["amd64", "arm64", "s390x"].map(|architecture| {
        let platform = Platform::linux(architecture);
        let base = BaseImage { config: ImageConfig::empty(&platform), ..scratch() };
        IndexImage { image: on(base, shared.clone()), platform, options: PublishOptions::default() }
    });
    let tags = [tag(&registry, "app")];
    let registries = registries(settings());
    let written = registries.publish_index(&images, &tags, &Default::default()).await.expect("published");
    registry.assert_sound();
    let blobs: BTreeSet<_> = written.images.iter().map(|image| image.blob.digest).collect();
    assert_eq!(blobs.len(), 1);
    // One layer and three configs.
    let puts = registry.kinds().into_iter().filter(|kind| *kind == Kind::Put).count();
    assert_eq!(puts, 4, "{:?}", registry.kinds());
    // With everything known, the name is asked and nothing else.
    registry.forget_log();
    let known = images.clone().map(|mut image| {
        image.options.known = Some((written.images[0].layer, written.images[0].blob.clone()));
        image
    });
    let again = registries.publish_index(&known, &tags, &Default::default()).await.expect("published");
    assert_eq!(again, written);
    assert_eq!(registry.kinds(), [Kind::HeadManifest]);
    // Under one name more, the index alone is written.
    registry.forget_log();
    let more = [tags[0].clone(), reference(&format!("{}/app:2", registry.name()))];
    registries.publish_index(&known, &more, &Default::default()).await.expect("published");
    registry.assert_sound();
    let puts = registry.kinds().into_iter().filter(|kind| *kind == Kind::PutManifest).count();
    assert_eq!(puts, 1, "{:?}", registry.kinds());
}
