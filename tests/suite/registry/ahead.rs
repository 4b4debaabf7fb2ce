//! What is done of a push before it has to be: a new layer is read while a registry begins its upload, and the config's
//! upload is begun while the layer is sent.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::image::ManifestFormat;
use b2i::image::compression::WrittenBlob;
use b2i::store::registry::{RegistryError, RegistrySettings};
use b2i::store::{LayerBlob, LayerBlobs};

use super::fake::{Access, FakeRegistry, Fault, Kind, Seen};
use super::push::{large, tag};
use super::{blob, layer, noise, plain, publish, registries, settings, whole};

/// How many readings of the layer were started and ended.
#[derive(Default)]
struct Readings {
    started: AtomicU32,
    ended: AtomicU32,
}

/// Waits until something was counted; a test fails for another reason if it never is.
fn wait_for(counter: &AtomicU32, least: u32) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while counter.load(Ordering::SeqCst) < least {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A layer that counts its readings.
struct Watched {
    layer: Arc<dyn LayerBlob>,
    seen: Arc<Readings>,
    /// Whether the first reading gets on only as long as somebody takes it.
    endless: bool,
}

impl LayerBlob for Watched {
    fn write(&self, out: &mut dyn Write) -> io::Result<WrittenBlob> {
        let first = self.seen.started.fetch_add(1, Ordering::SeqCst) == 0;
        if first && self.endless {
            loop {
                std::thread::sleep(Duration::from_millis(1));
                if let Err(error) = out.write_all(b"more") {
                    self.seen.ended.fetch_add(1, Ordering::SeqCst);
                    return Err(error);
                }
            }
        }
        let written = self.layer.write(out);
        self.seen.ended.fetch_add(1, Ordering::SeqCst);
        written
    }

    fn size(&self) -> Option<u64> {
        self.layer.size()
    }
}

fn watched(seen: &Arc<Readings>, endless: bool) -> LayerBlobs {
    let seen = seen.clone();
    plain().wrapped(move |_, layer| Arc::new(Watched { layer, seen: seen.clone(), endless }))
}

/// A registry that begins the first upload of a push when this is so.
fn begins_when(seen: &Arc<Readings>, ready: fn(&Readings) -> bool) -> FakeRegistry {
    let seen = seen.clone();
    FakeRegistry::start(Access::Open, move |request: &Seen| {
        if request.kind == Kind::Begin {
            ready(&seen);
        }
        Fault::None
    })
}

fn at_once() -> RegistrySettings {
    RegistrySettings { read_ahead_after: Duration::ZERO, ..settings() }
}

#[tokio::test]
async fn a_registry_that_takes_its_time_gets_the_layer_in_one_request() {
    let seen = Arc::new(Readings::default());
    let registry = begins_when(&seen, |seen| wait_for(&seen.ended, 1));
    let tags = [tag(&registry, "app")];
    let published = publish(&registries(at_once()), &large(), &tags, &watched(&seen, false)).await;
    let published = published.expect("published");
    registry.assert_sound();
    assert!(registry.has_blob("app", &blob(&published).digest));
    let counts = [Kind::Begin, Kind::Patch, Kind::Put].map(|kind| registry.count(kind));
    assert_eq!(counts, [2, 0, 2], "{:?}", registry.kinds());
    assert_eq!(seen.ended.load(Ordering::SeqCst), 2, "read to know it and read to send it");
}

#[tokio::test]
async fn what_is_not_read_when_the_registry_answers_is_read_by_the_upload_alone() {
    let seen = Arc::new(Readings::default());
    let registry = begins_when(&seen, |seen| wait_for(&seen.started, 1));
    let tags = [tag(&registry, "app")];
    publish(&registries(at_once()), &large(), &tags, &watched(&seen, true)).await.expect("published");
    registry.assert_sound();
    let counts = [Kind::Begin, Kind::Patch, Kind::Put].map(|kind| registry.count(kind));
    assert_eq!(counts, [2, 1, 2], "{:?}", registry.kinds());
    assert_eq!(seen.ended.load(Ordering::SeqCst), 2, "the first reading was ended");
}

/// A registry that takes the layer when a second upload was begun, or asked for at least.
fn takes_the_layer_late(second: Fault) -> FakeRegistry {
    let begun = AtomicU32::new(0);
    FakeRegistry::start(Access::Open, move |request: &Seen| match (request.kind, request.nth) {
        (Kind::Begin, nth) => {
            begun.fetch_add(1, Ordering::SeqCst);
            if nth == 1 { second.clone() } else { Fault::None }
        }
        (Kind::Patch, _) if !wait_for(&begun, 2) => Fault::Answer(403, Vec::new(), ""),
        _ => Fault::None,
    })
}

#[tokio::test]
async fn the_upload_of_the_config_is_begun_while_the_layer_is_sent() {
    let registry = takes_the_layer_late(Fault::None);
    let tags = [tag(&registry, "app")];
    publish(&registries(settings()), &large(), &tags, &plain()).await.expect("published");
    registry.assert_sound();
    assert_eq!(registry.count(Kind::Patch), 1, "{:?}", registry.kinds());
}

#[tokio::test]
async fn a_registry_that_begins_one_upload_at_a_time_is_asked_again() {
    let registry = takes_the_layer_late(Fault::Answer(403, Vec::new(), ""));
    let tags = [tag(&registry, "app")];
    publish(&registries(settings()), &large(), &tags, &plain()).await.expect("published");
    registry.assert_sound();
    assert_eq!(registry.count(Kind::Begin), 3, "{:?}", registry.kinds());
}

/// A layer with other bytes at each reading.
struct Changing(Vec<Arc<dyn LayerBlob>>, AtomicU32);

impl LayerBlob for Changing {
    fn write(&self, out: &mut dyn Write) -> io::Result<WrittenBlob> {
        let nth = self.1.fetch_add(1, Ordering::SeqCst) as usize;
        self.0[nth.min(self.0.len() - 1)].write(out)
    }
}

#[tokio::test]
async fn what_changes_between_reading_and_sending_is_an_error_of_the_input() {
    let seen = Arc::new(Readings::default());
    let blobs = plain().wrapped({
        let seen = seen.clone();
        move |_, _| {
            let version = |seed| {
                let layer = layer("/large", noise(seed, 6 << 20), 0o644).into();
                plain().blob(&layer, ManifestFormat::Oci)
            };
            let layer = Arc::new(Changing([3, 4].map(version).to_vec(), AtomicU32::new(0)));
            Arc::new(Watched { layer, seen: seen.clone(), endless: false })
        }
    });
    let registry = begins_when(&seen, |seen| wait_for(&seen.ended, 1));
    let tags = [tag(&registry, "app")];
    let error = publish(&registries(at_once()), &large(), &tags, &blobs).await.expect_err("it changed");
    assert!(matches!(&error, RegistryError::Content { .. }), "{}", whole(&error));
    assert_eq!(error.kind(), FailureKind::Input);
    assert_eq!(registry.manifest("app", "1"), None);
    registry.assert_sound();
}
