//! Publishing to a registry that counts and misbehaves: complete and verified, or a clear error and nothing changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::image::compression::WrittenBlob;
use b2i::image::{
    BaseImage, Descriptor, Image, ImageReference, LayerSource, ManifestFormat, NewLayer, Platform,
};
use b2i::store::builtin::static_base;
use b2i::store::registry::{RegistryError, RegistrySettings, ResolveOptions};
use b2i::store::{LayerBlob, LayerBlobs, WrittenImage};

use super::fake::{Access, FakeRegistry, Fault, Kind, Seen};
use super::{
    blob, layer, manifest, noise, on, plain, reference, registries, scratch, settings, whole, with_layers,
};

/// Larger than what is made in memory first.
const LARGE: usize = 6 << 20;

pub(super) fn large() -> Image {
    on(scratch(), layer("/large", noise(3, LARGE), 0o644))
}

pub(super) fn tag(registry: &FakeRegistry, repository: &str) -> ImageReference {
    reference(&format!("{}/{repository}:1", registry.name()))
}

async fn publish(
    registry: &FakeRegistry,
    image: &Image,
    repository: &str,
    settings: RegistrySettings,
) -> Result<WrittenImage, RegistryError> {
    let tags = [tag(registry, repository)];
    super::publish(&registries(settings), image, &tags, &plain()).await
}

/// A base with one layer, as somebody else has published it.
async fn base(registry: &FakeRegistry) -> BaseImage {
    let image = on(scratch(), layer("/base", noise(4, 3 << 20), 0o644));
    publish(registry, &image, "base", settings()).await.expect("published");
    registries(settings())
        .resolve(&tag(registry, "base"), &ResolveOptions::default())
        .await
        .expect("resolved")
}

fn fail_once(kind: Kind, fault: Fault) -> impl Fn(&Seen) -> Fault + Send + Sync {
    move |seen| if seen.kind == kind && seen.nth == 0 { fault.clone() } else { Fault::None }
}

#[tokio::test]
async fn a_first_push_takes_twelve_requests_and_a_repeat_one() {
    let registry = FakeRegistry::open();
    base(&registry).await;
    registry.forget_log();
    let registries = registries(settings());
    let base =
        registries.resolve(&tag(&registry, "base"), &ResolveOptions::default()).await.expect("resolved");
    let image = on(base, layer("/new", noise(5, 1 << 20), 0o755));
    let tags = [tag(&registry, "app")];
    let blobs = plain();
    let published = super::publish(&registries, &image, &tags, &blobs).await.expect("published");
    let kinds = registry.kinds();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    assert_eq!(kinds[..2], [Kind::GetManifest, Kind::GetBlob], "{kinds:?}");
    assert_eq!(kinds[8..10], [Kind::HeadBlob; 2], "the uploads, at once: {kinds:?}");
    assert_eq!(kinds[10..], [Kind::PutManifest, Kind::HeadManifest], "{kinds:?}");
    registry.assert_sound();

    registry.forget_log();
    assert_eq!(super::publish(&registries, &image, &tags, &blobs).await.expect("published"), published);
    assert_eq!(registry.kinds(), [Kind::HeadManifest]);
}

#[tokio::test]
async fn an_image_with_two_new_layers_has_both_in_order() {
    let registry = FakeRegistry::open();
    let base = base(&registry).await;
    // Small layers are written to memory first, large ones while they are sent.
    for (repository, size) in [("small", 1000), ("large", LARGE)] {
        let layers = [layer("/one", noise(7, size), 0o644), layer("/two", noise(8, size), 0o644)];
        let ids = layers.each_ref().map(|layer| layer.write_to(std::io::sink()).expect("writes").diff_id);
        let image = with_layers(base.clone(), layers.map(NewLayer::from).to_vec());
        let (registries, tags, blobs) = (registries(settings()), [tag(&registry, repository)], plain());
        let published = super::publish(&registries, &image, &tags, &blobs).await.expect("published");
        registry.assert_sound();
        assert_eq!(published.layers.iter().map(|layer| layer.diff_id).collect::<Vec<_>>(), ids);
        let resolved = registries.resolve(&tags[0], &ResolveOptions::default()).await.expect("resolved");
        let listed = resolved.config.diff_ids().expect("valid");
        assert_eq!(listed[1..], ids, "{repository}");
        // The blobs are plain, so their digests are the diff IDs.
        assert_eq!(published.blobs.iter().map(|blob| blob.digest).collect::<Vec<_>>(), listed);
        registry.forget_log();
        assert_eq!(super::publish(&registries, &image, &tags, &blobs).await.expect("known"), published);
        assert_eq!(registry.kinds(), [Kind::HeadManifest]);
    }
}

#[tokio::test]
async fn base_layers_go_from_registry_to_registry() {
    let (from, to) = (FakeRegistry::open(), FakeRegistry::open());
    let image = on(base(&from).await, layer("/new", noise(6, 1000), 0o755));
    let published = publish(&to, &image, "app", settings()).await.expect("published");
    to.assert_sound();
    assert!(to.manifest("app", &manifest(&published).digest.to_string()).is_some());
    assert_eq!(from.count(Kind::GetBlob), 2, "config and layer, each once");
    // Again, with another layer: the base is there already.
    from.forget_log();
    let image = on(image.base, layer("/new", noise(7, 1000), 0o755));
    publish(&to, &image, "app", settings()).await.expect("published");
    assert_eq!(from.log().len(), 0);
}

#[tokio::test]
async fn a_push_survives_what_may_pass() {
    let after = || vec![("Retry-After", "0".to_owned())];
    let faults = || {
        [
            Fault::Cut,
            Fault::CutAfter(0),
            Fault::CutAfter(2 << 20),
            Fault::CutAnswer,
            Fault::Answer(500, Vec::new(), "no"),
            Fault::Answer(503, after(), "no"),
            Fault::Answer(429, after(), "no"),
            Fault::Refuse(502),
        ]
    };
    for kind in [Kind::Begin, Kind::Patch, Kind::Put, Kind::PutManifest, Kind::HeadManifest] {
        for fault in faults() {
            let registry = FakeRegistry::start(Access::Open, fail_once(kind, fault.clone()));
            let result = publish(&registry, &large(), "app", settings()).await;
            let published = result.unwrap_or_else(|error| panic!("{kind:?} {fault:?}: {}", whole(&error)));
            registry.assert_sound();
            assert!(registry.manifest("app", "1").is_some(), "{kind:?} {fault:?}");
            assert!(registry.has_blob("app", &blob(&published).digest));
        }
    }
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_asked_again() {
    for kind in [Kind::Begin, Kind::Patch, Kind::HeadManifest] {
        let silence = Fault::Silence(Duration::from_secs(30));
        let registry = FakeRegistry::start(Access::Open, fail_once(kind, silence));
        let mut settings = settings();
        // Long enough for every answer that does come, also on a busy machine.
        settings.network.read_timeout = Duration::from_secs(3);
        publish(&registry, &large(), "app", settings).await.expect("published");
        registry.assert_sound();
    }
}

#[tokio::test]
async fn a_slow_upload_ends_when_the_layer_turns_out_to_be_there() {
    let registry = FakeRegistry::start(Access::Open, |seen| match (seen.kind, seen.nth) {
        // The second push's.
        (Kind::Patch, 1) => Fault::Silence(Duration::from_secs(600)),
        _ => Fault::None,
    });
    // More than the sockets' buffers hold.
    let image = on(scratch(), layer("/large", noise(12, 40 << 20), 0o644));
    let first = publish(&registry, &image, "app", settings()).await.expect("published");
    let second = publish(&registry, &image, "app", settings()).await.expect("published");
    assert_eq!(first, second);
    registry.assert_sound();
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_cut() {
    let hook = fail_once(Kind::Patch, Fault::CutAfter(4 << 20));
    let registry = FakeRegistry::start(Access::Open, hook);
    publish(&registry, &large(), "app", settings()).await.expect("published");
    registry.assert_sound();
    assert_eq!((registry.count(Kind::Status), registry.count(Kind::Patch)), (1, 2));
    assert_eq!(registry.count(Kind::Begin), 2, "the layer and the config");
}

#[tokio::test]
async fn a_push_that_fails_says_why_and_changes_no_tag() {
    for (kind, fault, expected) in [
        (
            Kind::Begin,
            Fault::Answer(403, Vec::new(), r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#),
            "DENIED: not yours",
        ),
        (
            Kind::Begin,
            Fault::Answer(404, Vec::new(), r#"{"errors":[{"code":"NAME_UNKNOWN"}]}"#),
            "NAME_UNKNOWN",
        ),
        (Kind::Patch, Fault::Answer(500, Vec::new(), ""), "500"),
        (Kind::Patch, Fault::Cut, "cannot reach"),
        (Kind::Put, Fault::Corrupt, "stored the blob"),
        (Kind::Put, Fault::Lose, "accepted the blob"),
        (Kind::Put, Fault::Answer(202, Vec::new(), ""), "202"),
        (Kind::Put, Fault::Answer(200, Vec::new(), ""), "200"),
        (Kind::Patch, Fault::Answer(206, Vec::new(), ""), "206"),
        (
            Kind::Put,
            Fault::Answer(400, Vec::new(), r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
            "DIGEST_INVALID",
        ),
        (Kind::PutManifest, Fault::Corrupt, "stored the manifest"),
        (Kind::PutManifest, Fault::Lose, "returns nothing"),
        (Kind::PutManifest, Fault::CutAnswer, "cannot reach"),
        (Kind::HeadManifest, Fault::Corrupt, "but returns"),
    ] {
        let shown = format!("{kind:?} {fault:?}");
        let registry =
            FakeRegistry::start(
                Access::Open,
                move |seen| {
                    if seen.kind == kind { fault.clone() } else { Fault::None }
                },
            );
        let error = publish(&registry, &large(), "app", settings()).await.expect_err(&shown);
        assert!(whole(&error).contains(expected), "{shown}: {}", whole(&error));
        assert_eq!(error.kind(), FailureKind::Publish, "{shown}");
        registry.assert_sound();
        if kind != Kind::HeadManifest && !shown.contains("CutAnswer") && kind != Kind::PutManifest {
            assert_eq!(registry.manifest("app", "1"), None, "{shown}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_lies_about_blobs_gets_no_tag() {
    // It takes every manifest, and loses one kind of what is sent.
    let lies = |lost: fn(&Seen) -> bool| {
        FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            Kind::PutManifest => Fault::Careless,
            _ if lost(seen) => Fault::Lose,
            _ => Fault::None,
        })
    };
    let is_put = |seen: &Seen| seen.kind == Kind::Put;
    let is_first_put = |seen: &Seen| seen.kind == Kind::Put && seen.nth == 0;
    for lost in [is_put, is_first_put] {
        for image in [large(), on(scratch(), layer("/small", noise(9, 1000), 0o644))] {
            let registry = lies(lost);
            let error = publish(&registry, &image, "app", settings()).await.expect_err("it lies");
            assert!(matches!(&error, RegistryError::LostBlob { .. }), "{}", whole(&error));
            assert_eq!(error.kind(), FailureKind::Publish);
            assert_eq!((registry.manifest("app", "1"), registry.count(Kind::PutManifest)), (None, 0));
        }
    }
}

#[tokio::test]
async fn a_mount_that_did_nothing_is_an_upload() {
    let registry = FakeRegistry::start(Access::Open, |seen| match seen.kind {
        Kind::PutManifest => Fault::Careless,
        Kind::Mount => Fault::Lose,
        _ => Fault::None,
    });
    let image = on(base(&registry).await, layer("/new", noise(6, 1000), 0o755));
    publish(&registry, &image, "app", settings()).await.expect("published");
    assert_eq!(registry.count(Kind::Mount), 1);
    registry.assert_sound();
}

#[tokio::test]
async fn a_blob_that_shows_late_or_only_to_get_is_there() {
    for faults in [
        // Storage that is consistent later.
        (404, 2),
        // Storage behind a signature for GET.
        (403, usize::MAX),
    ] {
        let (status, times) = faults;
        let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            Kind::HeadBlob if seen.nth < times => Fault::Answer(status, Vec::new(), ""),
            _ => Fault::None,
        });
        publish(&registry, &large(), "app", settings()).await.expect("published");
        registry.assert_sound();
    }
}

#[tokio::test]
async fn a_manifest_that_lost_a_race_is_sent_again() {
    for (status, code) in [(400, "MANIFEST_BLOB_UNKNOWN"), (404, "BLOB_UNKNOWN"), (400, "DIGEST_INVALID")] {
        let text: &'static str = format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#).leak();
        let race = fail_once(Kind::PutManifest, Fault::Answer(status, Vec::new(), text));
        let registry = FakeRegistry::start(Access::Open, race);
        publish(&registry, &large(), "app", settings()).await.expect("published");
        registry.assert_sound();
        assert_eq!(registry.count(Kind::PutManifest), 2, "{code}");
        // And it ends.
        let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            Kind::PutManifest => Fault::Answer(status, Vec::new(), text),
            _ => Fault::None,
        });
        let error = publish(&registry, &large(), "app", settings()).await.expect_err("never taken");
        assert!(whole(&error).contains(code), "{}", whole(&error));
        assert_eq!(registry.count(Kind::PutManifest), 3, "{code}");
    }
}

#[tokio::test]
async fn a_blob_that_another_push_completed_is_not_sent_again() {
    let image = large();
    let registry = FakeRegistry::start(Access::Open, |seen| match (seen.kind, seen.nth) {
        // All of the second push.
        (Kind::Put, 2..) => Fault::Answer(400, Vec::new(), r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#),
        _ => Fault::None,
    });
    publish(&registry, &image, "app", settings()).await.expect("published");
    publish(&registry, &image, "app", settings()).await.expect("it is there");
    registry.assert_sound();
}

#[tokio::test]
async fn too_large_uploads_go_in_pieces() {
    let limit = 3 << 20;
    let too_large = move |seen: &Seen| match seen.body_length() {
        Some(length) if length > limit => Fault::Refuse(413),
        _ => Fault::None,
    };
    let registry = FakeRegistry::start(Access::Open, too_large);
    let image = on(static_base(&Platform::host()), layer("/large", noise(3, LARGE), 0o644));
    publish(&registry, &image, "app", settings()).await.expect("published");
    registry.assert_sound();
    // As asked for from the beginning.
    registry.forget_log();
    let asked = RegistrySettings { chunk_size: Some(2 << 20), ..settings() };
    publish(&registry, &large(), "other", asked).await.expect("published");
    assert_eq!(registry.count(Kind::Patch), 5, "four pieces of the layer, one of the config");
    registry.assert_sound();
}

#[tokio::test]
async fn pieces_go_on_after_a_cut() {
    let hook = |seen: &Seen| match (seen.kind, seen.nth) {
        (Kind::Patch, 1) => Fault::CutAfter(1 << 19),
        (Kind::Patch, 3) => Fault::CutAnswer,
        _ => Fault::None,
    };
    let registry = FakeRegistry::start(Access::Open, hook);
    let asked = RegistrySettings { chunk_size: Some(2 << 20), ..settings() };
    publish(&registry, &large(), "app", asked).await.expect("published");
    registry.assert_sound();
    assert_eq!(registry.count(Kind::Begin), 2, "the layer and the config: {:?}", registry.kinds());
}

#[tokio::test]
async fn uploads_led_to_another_host_show_it_no_credentials() {
    let registry = FakeRegistry::start(Access::Basic("user:secret"), |_| Fault::None);
    let elsewhere = registry.uploads_elsewhere();
    let directory = tempfile::tempdir().expect("a directory");
    let with = super::with_password(&registry.name(), "user:secret", directory.path());
    publish(&registry, &large(), "app", with).await.expect("published");
    registry.assert_sound();
    let log = registry.log();
    let led: Vec<&Seen> = log.iter().filter(|seen| seen.port == elsewhere.port()).collect();
    assert!(led.iter().any(|seen| seen.kind == Kind::Patch), "{log:?}");
    assert!(led.iter().all(|seen| seen.authorization.is_none()), "{led:?}");
}

#[tokio::test]
async fn a_stream_that_is_led_elsewhere_begins_again_there() {
    for kind in [Kind::Begin, Kind::Patch, Kind::Put] {
        let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            found if found == kind && !seen.target.contains("again") => {
                let sign = if seen.target.contains('?') { '&' } else { '?' };
                Fault::Answer(307, vec![("Location", format!("{}{sign}again=1", seen.target))], "")
            }
            _ => Fault::None,
        });
        publish(&registry, &large(), "app", settings()).await.expect("published");
        registry.assert_sound();
        // Round and round.
        let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            found if found == kind => Fault::Answer(307, vec![("Location", seen.target.clone())], ""),
            _ => Fault::None,
        });
        let error = publish(&registry, &large(), "app", settings()).await.expect_err("it never ends");
        assert!(whole(&error).contains("more than"), "{}", whole(&error));
    }
}

#[tokio::test]
async fn content_that_changes_is_an_error_of_the_input() {
    let image = large();
    let registry = FakeRegistry::open();
    let tags = [tag(&registry, "app")];
    let registries = registries(settings());
    let blobs = plain();
    let published = super::publish(&registries, &image, &tags, &blobs).await.expect("published");
    let other = on(scratch(), layer("/large", noise(8, LARGE), 0o644));
    other.new[0].remember(published.layers[0]);
    let elsewhere = FakeRegistry::open();
    let tags = [tag(&elsewhere, "app")];
    let error = super::publish(&registries, &other, &tags, &blobs).await.expect_err("it changed");
    assert_eq!(elsewhere.manifest("app", "1"), None);
    assert!(matches!(&error, RegistryError::Content { .. }), "{}", whole(&error));
    assert_eq!(error.kind(), FailureKind::Input);
}

/// Counts how often the layers of the built-in base are written.
struct Counted(Arc<dyn LayerBlob>, Arc<AtomicU32>);

impl LayerBlob for Counted {
    fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<WrittenBlob> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.write(out)
    }
}

#[tokio::test]
async fn the_built_in_base_is_compressed_once_and_then_never_again() {
    let registry = FakeRegistry::open();
    let count = Arc::new(AtomicU32::new(0));
    let blobs = LayerBlobs::default().wrapped({
        let count = count.clone();
        move |layer, blob| match layer.entries().iter().any(|entry| entry.path.as_str() == "/etc/passwd") {
            true => Arc::new(Counted(blob, count.clone())),
            false => blob,
        }
    });
    let image = |number| on(static_base(&Platform::host()), layer("/new", noise(number, 9000), 0o755));
    let push = async |number, blobs: &LayerBlobs| {
        let tags = [tag(&registry, "app")];
        super::publish(&registries(settings()), &image(number), &tags, blobs).await.expect("published")
    };
    let first = push(1, &blobs).await;
    assert_eq!(count.swap(0, Ordering::Relaxed), 1, "also where it has to be uploaded");
    let second = push(2, &blobs).await;
    assert_eq!(second.blobs[0], first.blobs[0]);
    assert_eq!(count.load(Ordering::Relaxed), 0, "it is known, and there");
    registry.assert_sound();
    // Known, and not there: it is sent. Known wrongly: nothing is published.
    let other = FakeRegistry::open();
    let tags = [tag(&other, "app")];
    super::publish(&registries(settings()), &image(3), &tags, &blobs).await.expect("published");
    other.assert_sound();
    let base = static_base(&Platform::host());
    let [LayerSource::New(built_in)] = &base.layers[..] else { panic!("built in") };
    let descriptor = Descriptor::of("application/vnd.oci.image.layer.v1.tar+gzip", b"another");
    let wrong = WrittenBlob { layer: built_in.written().expect("known"), descriptor };
    blobs.remember(built_in, ManifestFormat::Oci, &wrong);
    let tags = [tag(&other, "wrong")];
    let result = super::publish(&registries(settings()), &image(4), &tags, &blobs).await;
    result.expect_err("the digest is another");
    other.assert_sound();
}

#[tokio::test]
async fn a_registry_that_is_silent_after_the_upload_has_the_long_time_once() {
    let registry = FakeRegistry::start(Access::Open, |seen| match seen.kind {
        // The bytes are read, and the answer never comes.
        Kind::Put => Fault::Slow(Duration::from_secs(3600)),
        _ => Fault::None,
    });
    let mut settings = settings();
    (settings.network.read_timeout, settings.network.retries) = (Duration::from_millis(100), 3);
    settings.network.connect_timeout = Duration::from_millis(100);
    let from = std::time::Instant::now();
    let image = on(scratch(), layer("/small", noise(9, 1000), 0o644));
    publish(&registry, &image, "app", settings).await.expect_err("silent");
    // Once 10 × 100 ms, then 100 ms, for each blob at once; without the rule it would be 4 s.
    assert!(from.elapsed() < Duration::from_secs(3), "{:?}", from.elapsed());
}

#[tokio::test]
async fn an_upload_that_is_refused_as_a_whole_gets_the_hint_at_pieces() {
    for (kind, status) in
        [(Kind::Patch, 400), (Kind::Put, 404), (Kind::Put, 416), (Kind::Put, 202), (Kind::Patch, 501)]
    {
        let registry = FakeRegistry::start(Access::Open, move |seen| match seen.kind {
            found if found == kind => Fault::Answer(status, Vec::new(), ""),
            _ => Fault::None,
        });
        let error = publish(&registry, &large(), "app", settings()).await.expect_err("refused");
        assert!(
            error.hints().iter().any(|hint| hint.contains("--chunk-size")),
            "{status}: {:?}",
            error.hints()
        );
    }
}
