//! Faults at random: whatever a registry does, a push is complete and verified, or fails and leaves nothing broken.
//!
//! `B2I_SOAK_REGISTRY_RUNS` says how many runs, `B2I_SOAK_SEED` where the seeds begin.

use std::collections::BTreeMap;
use std::io::Write;

use b2i::image::Platform;
use b2i::store::UnfinishedImage;
use b2i::store::registry::{IndexImage, PublishOptions, RegistrySettings, ResolveOptions};

use super::fake::{Access, FakeRegistry, Fault, Kind, Seen};
use super::{layer, noise, on, reference, registries, scratch, whole, with_password};

const PASSWORD: &str = "user:secret";

/// A generator of numbers below a bound.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Fails one request in `rarity`, each in its own way; the same for the same seed, kind and number.
fn faults(seed: u64, rarity: u64) -> impl Fn(&Seen) -> Fault + Send + Sync {
    move |seen| {
        let place = (seen.kind as u64) << 32 | seen.nth as u64;
        let mut random = Random((seed ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(7);
        if random.below(rarity) != 0 {
            return Fault::None;
        }
        let soon = || vec![("Retry-After", "0".to_owned())];
        match random.below(12) {
            0 => Fault::Cut,
            1 => Fault::CutAfter(usize::try_from(random.below(7 << 20)).expect("it is small")),
            2 => Fault::CutAnswer,
            3 => Fault::Answer(429, soon(), ""),
            4 => Fault::Answer(500, Vec::new(), "<html>"),
            5 => Fault::Refuse(503),
            6 => Fault::Refuse(413),
            7 => Fault::Truncate(usize::try_from(random.below(5000)).expect("it is small")),
            8 => Fault::Lose,
            9 => Fault::Corrupt,
            10 if seen.kind != Kind::Token => {
                Fault::Answer(401, vec![("WWW-Authenticate", "Bearer realm=\"https://[\"".into())], "")
            }
            _ => Fault::Answer(404, Vec::new(), "{}"),
        }
    }
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test]
async fn a_push_is_complete_or_fails_and_nothing_is_broken() {
    let (runs, first) = (number("B2I_SOAK_REGISTRY_RUNS", 40), number("B2I_SOAK_SEED", 1));
    let (mut good, mut bad) = (0, 0);
    let base = FakeRegistry::open();
    let below = on(scratch(), layer("/base", noise(20, 2 << 20), 0o644));
    let base_name = reference(&format!("{}/base:1", base.name()));
    let quiet = || {
        let mut settings = super::settings();
        settings.network.retry_pause = std::time::Duration::from_millis(1);
        settings
    };
    let tags = std::slice::from_ref(&base_name);
    registries(quiet()).publish(&below, tags, &PublishOptions::default()).await.expect("published");
    for seed in first..first + runs {
        let access = Access::Token { password: Some(PASSWORD), identity: None, uses: 4, closed: None };
        let registry = FakeRegistry::start(access, faults(seed, 4 + seed % 24));
        let elsewhere = (seed % 3 == 0).then(|| registry.uploads_elsewhere());
        let directory = tempfile::tempdir().expect("a directory");
        let chunk_size = (seed % 5 == 0).then_some(2 << 20);
        let credential_files = with_password(&registry.name(), PASSWORD, directory.path()).credential_files;
        let registries = registries(RegistrySettings { credential_files, chunk_size, ..quiet() });
        let resolved = registries.resolve(&base_name, &ResolveOptions::default()).await.expect("resolved");
        let size = if seed % 2 == 0 { 5 << 20 } else { 1 << 10 };
        let image = on(resolved, layer("/new", noise(seed, size), 0o755));
        let tags = [reference(&format!("{}/app:1", registry.name()))];
        let options = PublishOptions::default();
        let result = if seed % 4 == 1 {
            // Two images of an index, which share the base and, every other time, the new layer.
            let other =
                if seed % 8 == 1 { image.layer.clone() } else { layer("/new", noise(!seed, size), 0o755) };
            let images = [("amd64", image.layer.clone()), ("arm64", other)].map(|(architecture, layer)| {
                let image = UnfinishedImage { layer, ..image.clone() };
                IndexImage { image, platform: Platform::linux(architecture), options: options.clone() }
            });
            let written = registries.publish_index(&images, &tags, &BTreeMap::new()).await;
            written.map(|written| written.index.digest)
        } else {
            registries.publish(&image, &tags, &options).await.map(|published| published.manifest.digest)
        };
        registry.assert_sound();
        match result {
            Ok(digest) => {
                let manifest = registry.manifest("app", "1").expect("the tag is there");
                assert_eq!(b2i::image::Digest::of(&manifest), digest, "seed {seed}");
                good += 1;
            }
            Err(error) => {
                let text = whole(&error);
                assert!(text.contains(&registry.name()) && !text.contains("secret"), "seed {seed}: {text}");
                bad += 1;
            }
        }
        let port = elsewhere.as_ref().map(FakeRegistry::port);
        for seen in registry.log() {
            let shown = seen.authorization.as_deref().unwrap_or_default();
            assert!(seen.kind == Kind::Token || !shown.starts_with("Basic"), "seed {seed}: {seen:?}");
            assert!(Some(seen.port) != port || shown.is_empty(), "seed {seed}: {seen:?}");
        }
    }
    let said = writeln!(std::io::stderr(), "{good} of {runs} pushes were complete, {bad} failed clearly");
    said.expect("written");
    assert!(good > 0 && bad > 0, "{good} were complete, {bad} failed");
}
