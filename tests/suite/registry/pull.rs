//! Reading from a registry that misbehaves: what comes is what was named, or nothing comes.

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::events::Events;
use b2i::fs::CacheDirectory;
use b2i::image::{
    Descriptor, Digest, ImageReference, LayerCompression, LayerSource, ManifestFormat, Platform,
};
use b2i::request::PullPolicy;
use b2i::store::cache::ImageCache;
use b2i::store::registry::{HostSettings, Registries, RegistryError, ResolveOptions};
use futures_util::TryStreamExt;

use super::fake::{Access, FakeRegistry, Fault, Kind, Seen};
use super::{layer, noise, on, plain, reference, registries, scratch, settings, whole};

const SIZE: usize = 5 << 20;

fn tag(registry: &FakeRegistry) -> ImageReference {
    reference(&format!("{}/base:1", registry.name()))
}

/// A registry with an image, which fails as told when that is read.
async fn filled(hook: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> FakeRegistry {
    let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
        Kind::GetManifest | Kind::GetBlob => hook(seen),
        _ => Fault::None,
    });
    let image = on(scratch(), layer("/base", noise(11, SIZE), 0o644));
    let registries = registries(settings());
    super::publish(&registries, &image, &[tag(&registry)], &plain()).await.expect("published");
    registry.forget_log();
    registry
}

/// The one layer of the base.
async fn layer_of_base(registries: &Registries, name: &ImageReference) -> Result<LayerSource, RegistryError> {
    let base = registries.resolve(name, &ResolveOptions::default()).await?;
    Ok(base.layers.into_iter().next().expect("it has a layer"))
}

async fn layers(registry: &FakeRegistry) -> Result<LayerSource, RegistryError> {
    layer_of_base(&registries(settings()), &tag(registry)).await
}

/// Reads the one layer.
async fn read(layer: &LayerSource) -> Result<Vec<u8>, String> {
    let LayerSource::Blob(blob, source) = layer else { panic!("described, not {layer:?}") };
    let stream = source.open(blob).await.map_err(|error| whole(&error))?;
    let pieces: Vec<_> = stream.try_collect().await.map_err(|error| error.to_string())?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn a_layer_is_read_on_where_it_was_cut() {
    // The config is the first blob.
    let registry = filled(|seen| match (seen.kind, seen.nth) {
        (Kind::GetBlob, 1) => Fault::Truncate(1 << 20),
        (Kind::GetBlob, 2) => Fault::Cut,
        (Kind::GetBlob, 3) => Fault::Answer(503, vec![("Retry-After", "0".into())], ""),
        (Kind::GetBlob, 4) => Fault::Truncate(2 << 20),
        _ => Fault::None,
    })
    .await;
    let layers = layers(&registry).await.expect("resolved");
    let bytes = read(&layers).await.expect("read");
    let LayerSource::Blob(blob, _) = &layers else { unreachable!() };
    assert_eq!(Digest::of(&bytes), blob.digest);
    assert_eq!(registry.count(Kind::GetBlob), 6);
}

#[tokio::test]
async fn wrong_bytes_are_never_believed() {
    let registry =
        filled(|seen| if seen.kind == Kind::GetBlob && seen.nth > 0 { Fault::Corrupt } else { Fault::None })
            .await;
    let error = read(&layers(&registry).await.expect("resolved")).await.expect_err("wrong");
    assert!(error.contains("has the digest"), "{error}");

    let registry = filled(|seen| if seen.kind == Kind::GetBlob { Fault::Corrupt } else { Fault::None }).await;
    let error = layers(&registry).await.expect_err("a wrong config");
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
    assert_eq!(error.kind(), FailureKind::Builder);

    let registry =
        filled(|seen| if seen.kind == Kind::GetManifest { Fault::Corrupt } else { Fault::None }).await;
    let error = layers(&registry).await.expect_err("a wrong manifest");
    assert!(whole(&error).contains("sent the digest"), "{}", whole(&error));
}

#[tokio::test]
async fn a_name_with_a_digest_means_these_bytes() {
    let registry = filled(|_| Fault::None).await;
    let manifest = registry.manifest("base", "1").expect("there");
    let other = Digest::of(b"other");
    registry.put_manifest("base", &other.to_string(), ManifestFormat::Oci.manifest(), &manifest);
    let named = reference(&format!("{}/base@{other}", registry.name()));
    let error = registries(settings()).resolve(&named, &ResolveOptions::default()).await.expect_err("wrong");
    assert!(matches!(error, RegistryError::Digest { .. }), "{error}");
}

#[tokio::test]
async fn what_contradicts_itself_is_refused() {
    let registry = FakeRegistry::open();
    registry.put_blob("base", b"{}");
    let config = Descriptor::of(ManifestFormat::Oci.config(), b"{}");
    let media_type = ManifestFormat::Oci.manifest();
    let gzip = ManifestFormat::Oci.layer(LayerCompression::Gzip);
    let foreign = serde_json::json!({"mediaType": gzip, "digest": Digest::of(b"x"), "size": 1, "urls": ["http://127.0.0.1:9/x"]});
    for (text, expected) in [
        ("<html>", "not an image manifest"),
        (r#"{"schemaVersion":1}"#, "schema version"),
        (&serde_json::json!({"schemaVersion": 2, "config": config, "layers": [foreign]}).to_string(), "1 layers"),
        (r#"{"schemaVersion":2,"config":{"digest":"sha256:00","size":1},"layers":[]}"#, "digest"),
        (
            &serde_json::json!({"schemaVersion": 2, "config": {"digest": Digest::of(b"{}"), "size": 1u64 << 50}, "layers": []}).to_string(),
            "the limit is",
        ),
    ] {
        registry.put_manifest("base", "1", media_type, text.as_bytes());
        let platform = Some(Platform { os: String::new(), architecture: String::new(), variant: None });
        let options = ResolveOptions { platform, ..ResolveOptions::default() };
        let error = registries(settings()).resolve(&tag(&registry), &options).await.expect_err(text);
        assert!(whole(&error).contains(expected), "{text}: {}", whole(&error));
        assert_eq!(error.kind(), FailureKind::Builder);
    }
}

#[tokio::test]
async fn endless_answers_end() {
    let registry = FakeRegistry::start(Access::Open, |seen| match seen.kind {
        Kind::GetManifest => Fault::Endless,
        _ => Fault::None,
    });
    let error = layers(&registry).await.expect_err("endless");
    assert!(whole(&error).contains("more than"), "{}", whole(&error));
}

#[tokio::test]
async fn the_cache_saves_questions_and_works_offline() {
    let registry = filled(|_| Fault::None).await;
    let root = tempfile::tempdir().expect("a directory");
    let directory = CacheDirectory::open(&root.path().join("cache")).expect("opens");
    let cached = || {
        let cache = ImageCache::open(&directory).expect("opens");
        Registries::new(settings(), Events::silent()).with_cache(cache, root.path().to_owned())
    };
    let offline = ResolveOptions { offline: true, ..ResolveOptions::default() };
    let name = tag(&registry);
    let error = cached().resolve(&name, &offline).await.expect_err("nothing there");
    assert!(matches!(error, RegistryError::Offline { .. }), "{error}");
    let first = cached().resolve(&name, &ResolveOptions::default()).await.expect("resolved");
    assert_eq!(registry.kinds(), [Kind::GetManifest, Kind::GetBlob]);
    registry.forget_log();
    let second = cached().resolve(&name, &ResolveOptions::default()).await.expect("resolved");
    assert_eq!(registry.kinds(), [Kind::HeadManifest]);
    registry.forget_log();
    let never = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
    for options in [offline, never] {
        let third = cached().resolve(&name, &options).await.expect("resolved");
        assert_eq!((&third.config, third.manifest_digest), (&first.config, second.manifest_digest));
    }
    let pinned = reference(&format!("{}/base@{}", registry.name(), first.manifest_digest.expect("known")));
    cached().resolve(&pinned, &ResolveOptions::default()).await.expect("resolved");
    assert_eq!(registry.log().len(), 0);
}

#[tokio::test]
async fn mirrors_are_asked_first_and_the_registry_when_they_have_nothing() {
    let (registry, mirror) = (filled(|_| Fault::None).await, FakeRegistry::open());
    let mut settings = settings();
    let mirrors = vec![format!("{}/cache", mirror.name()).parse().expect("a prefix")];
    let own = HostSettings { mirrors, ..HostSettings::default() };
    settings.hosts.insert(registry.name(), own);
    let registries = registries(settings);
    let name = tag(&registry);
    registries.resolve(&name, &ResolveOptions::default()).await.expect("resolved");
    assert_eq!((mirror.log().len(), registry.log().len()), (1, 2));
    assert!(mirror.log()[0].target.contains("/cache/base/"), "{:?}", mirror.log());
    // Filled, it is enough.
    let root = registries.open(&name, &ResolveOptions::default()).await.expect("opened");
    let there = reference(&format!("{}/cache/base:1", mirror.name()));
    registries.copy(&root, &[there]).await.expect("copied");
    registry.forget_log();
    let layers = layer_of_base(&registries, &name).await.expect("resolved");
    assert!(read(&layers).await.is_ok());
    assert_eq!(registry.log().len(), 0);
    let LayerSource::Blob(_, source) = &layers else { unreachable!() };
    assert_eq!(source.origin().expect("known").registry, registry.name());
}

#[tokio::test]
async fn a_registry_that_trickles_is_given_up() {
    // Pieces of a fourth of the rest, with pauses: the last ones are small.
    let registry = filled(|seen| match seen.kind {
        Kind::GetBlob if seen.nth > 0 => Fault::Slow(std::time::Duration::from_millis(60)),
        _ => Fault::None,
    })
    .await;
    let mut settings = settings();
    let network = &mut settings.network;
    network.read_timeout = std::time::Duration::from_millis(200);
    (network.retries, network.minimum_rate) = (1, 1 << 40);
    let layer = layer_of_base(&registries(settings), &tag(&registry)).await.expect("resolved");
    let LayerSource::Blob(descriptor, source) = layer else { panic!("a blob") };
    let read = async { source.open(&descriptor).await.expect("opens").try_collect::<Vec<_>>().await };
    let error = read.await.expect_err("too slow");
    assert!(whole(&error).contains("slower than"), "{}", whole(&error));
}

#[tokio::test]
async fn with_public_addresses_only_a_registry_here_is_not_reached() {
    let registry = FakeRegistry::open();
    let mut settings = settings();
    settings.network.public_addresses_only = true;
    let port = registry.name().rsplit(':').next().expect("a port").to_owned();
    for host in ["127.0.0.1", "localhost"] {
        let name = reference(&format!("{host}:{port}/unreached:1"));
        let error = registries(settings.clone()).resolve(&name, &ResolveOptions::default()).await;
        let error = error.expect_err("not public");
        assert!(whole(&error).contains("is not public"), "{}", whole(&error));
    }
    assert!(!registry.log().iter().any(|seen| seen.target.contains("unreached")), "{:?}", registry.log());
}
