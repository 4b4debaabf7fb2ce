//! Faults at random: whatever a registry does, a push is complete and verified, or fails and leaves nothing broken.
//!
//! The base comes from a registry that fails in the same ways. `tests/soak registry` runs more seeds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use b2i::image::{Digest, Image, Platform};
use b2i::store::registry::{Registries, RegistrySettings, ResolveOptions};

use super::fake::{Access, FakeRegistry, Fault, Kind, Seen};
use super::{layer, noise, on, plain, publish, reference, registries, scratch, whole, with_password};
use crate::soak::Soak;

const PASSWORD: &str = "user:secret";

/// A generator of numbers below a bound.
struct Random(u64);

impl Random {
    fn of(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.below(7);
        random
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn size(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).expect("it is small")
    }
}

/// What went wrong in all runs together.
type Tally = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// The faults of one registry; the same for the same seed, kind and number of a request.
struct Faults {
    /// 0 means none.
    seed: AtomicU64,
    /// Where requests are redirected to, if anywhere.
    elsewhere: OnceLock<String>,
    tally: Tally,
}

impl Faults {
    fn new(seed: u64, tally: &Tally) -> Arc<Self> {
        Arc::new(Self { seed: seed.into(), elsewhere: OnceLock::new(), tally: tally.clone() })
    }

    /// Fails one request in some, each in its own way. With one seed in eight, it is all requests of one kind, and all
    /// in the same way: nothing that is tried again gets better.
    fn of(&self, seen: &Seen) -> Fault {
        let seed = self.seed.load(Ordering::Relaxed);
        if seed == 0 {
            return Fault::None;
        }
        let mut random = Random::of(seed);
        if seed % 8 == 7 {
            let stubborn = random.below(Kind::Other as u64);
            if seen.kind as u64 != stubborn {
                return Fault::None;
            }
        } else {
            random = Random::of(seed ^ ((seen.kind as u64) << 32 | seen.nth as u64));
            if random.below(4 + seed % 24) != 0 {
                return Fault::None;
            }
        }
        let (name, fault) = self.choose(&mut random, seen, seed % 8 == 7);
        *self.tally.lock().expect("not poisoned").entry(name).or_default() += 1;
        fault
    }

    fn choose(&self, random: &mut Random, seen: &Seen, is_stubborn: bool) -> (&'static str, Fault) {
        // Whole seconds: few, and not where everything is tried until it is given up.
        let wait = if is_stubborn || random.below(8) != 0 { "0" } else { "1" };
        let port = seen.port;
        let challenge = || {
            vec![(
                "WWW-Authenticate",
                format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="fake""#),
            )]
        };
        match random.below(16) {
            0 => ("cut before the body", Fault::Cut),
            1 => ("cut in the body", Fault::CutAfter(random.size(7 << 20))),
            2 => ("cut before the answer", Fault::CutAnswer),
            3 => ("429", Fault::Answer(429, vec![("Retry-After", wait.to_owned())], "")),
            4 => ("500", Fault::Answer(500, Vec::new(), "<html>")),
            5 => ("503 before the body", Fault::Refuse(503)),
            6 => ("413 before the body", Fault::Refuse(413)),
            7 => ("cut in the answer", Fault::Truncate(random.size(5000))),
            8 => ("lost", Fault::Lose),
            9 | 10 => ("wrong bytes or digest", Fault::Corrupt),
            11 => ("slow", Fault::Slow(Duration::from_millis(1 + random.below(20)))),
            12 if seen.kind != Kind::Token => ("401", Fault::Answer(401, challenge(), "")),
            13 if seen.kind != Kind::Token => {
                let broken = vec![("WWW-Authenticate", "Bearer realm=\"https://[\"".into())];
                ("401 with a broken challenge", Fault::Answer(401, broken, ""))
            }
            14 if self.elsewhere.get().is_some_and(|host| !host.ends_with(&format!(":{port}"))) => {
                let host = self.elsewhere.get().expect("just looked at");
                let location = format!("http://{host}{}", seen.target);
                ("redirect to another host", Fault::Answer(307, vec![("Location", location)], ""))
            }
            _ => ("404", Fault::Answer(404, Vec::new(), "{}")),
        }
    }
}

fn quiet() -> RegistrySettings {
    let mut settings = super::settings();
    settings.network.retry_pause = Duration::from_millis(1);
    settings
}

#[tokio::test]
async fn a_push_is_complete_or_fails_and_nothing_is_broken() {
    let soak = Soak::of("registry", 1, 40);
    let (mut good, mut bad, tally) = (0, 0, Tally::default());
    let faults = Faults::new(0, &tally);
    let hook = faults.clone();
    let base = FakeRegistry::start(Access::Open, move |seen| hook.of(seen));
    let below = on(scratch(), layer("/base", noise(20, 2 << 20), 0o644));
    let base_name = reference(&format!("{}/base:1", base.name()));
    let tags = std::slice::from_ref(&base_name);
    publish(&registries(quiet()), &below, tags, &plain()).await.expect("published");
    for seed in soak.seeds() {
        base.forget_log();
        // Half of the bases come as they should.
        faults.seed.store(if seed.number % 2 == 0 { seed.number } else { 0 }, Ordering::Relaxed);
        let run = Run::new(seed.number, &tally);
        let is_good = run.push(&base_name).await;
        *(if is_good { &mut good } else { &mut bad }) += 1;
        run.assert_credentials_stayed(&base);
    }
    let faults: Vec<String> =
        tally.lock().expect("not poisoned").iter().map(|(name, count)| format!("{count} x {name}")).collect();
    soak.conclude(&format!(
        "{good} pushes were complete, {bad} failed clearly, none was corrupt; {}",
        faults.join(", ")
    ));
    // A single seed is either.
    assert!(good > 0 && bad > 0 || soak.count < 40, "{good} were complete, {bad} failed");
}

/// One push to a registry of its own.
struct Run {
    seed: u64,
    registry: FakeRegistry,
    elsewhere: Option<FakeRegistry>,
    registries: Registries,
    _directory: tempfile::TempDir,
}

impl Run {
    fn new(seed: u64, tally: &Tally) -> Self {
        let access = Access::Token { password: Some(PASSWORD), identity: None, uses: 4, closed: None };
        let faults = Faults::new(seed, tally);
        let hook = faults.clone();
        let registry = FakeRegistry::start(access, move |seen| hook.of(seen));
        let elsewhere = seed.is_multiple_of(3).then(|| registry.uploads_elsewhere());
        if let Some(elsewhere) = &elsewhere {
            faults.elsewhere.set(elsewhere.name()).expect("set once");
        }
        let directory = tempfile::tempdir().expect("a directory");
        let chunk_size = seed.is_multiple_of(5).then_some(2 << 20);
        let credential_files = with_password(&registry.name(), PASSWORD, directory.path()).credential_files;
        let read_ahead_after = if seed % 7 < 3 { Duration::ZERO } else { Duration::MAX };
        let settings = RegistrySettings { credential_files, chunk_size, read_ahead_after, ..quiet() };
        let registries = registries(settings);
        Self { seed, registry, elsewhere, registries, _directory: directory }
    }

    /// Pushes an image on the base; says whether it is there.
    async fn push(&self, base: &b2i::image::ImageReference) -> bool {
        let resolved = match self.registries.resolve(base, &ResolveOptions::default()).await {
            Ok(resolved) => resolved,
            Err(error) => {
                self.assert_clear(&error, base.registry());
                return false;
            }
        };
        let size = if self.seed % 4 < 2 { 5 << 20 } else { 1 << 10 };
        let image = on(resolved, layer("/new", noise(self.seed, size), 0o755));
        let tags = [reference(&format!("{}/app:1", self.registry.name()))];
        let images = if self.seed % 8 >= 6 { self.images(&image).to_vec() } else { vec![image] };
        let written = self.registries.publish(&images, &tags, &plain()).await;
        let result = written.map(|written| written.root.expect("a registry keeps manifests").digest);
        self.registry.assert_sound();
        match result {
            Ok(digest) => {
                let manifest = self.registry.manifest("app", "1").expect("the tag is there");
                assert_eq!(Digest::of(&manifest), digest);
                true
            }
            Err(error) => {
                self.assert_clear(&error, "127.0.0.1:");
                false
            }
        }
    }

    /// Two images of an index, which share the base and, every other time, the new layer.
    fn images(&self, image: &Image) -> [Image; 2] {
        let shares = self.seed % 8 == 6;
        let other = match shares {
            true => image.new[0].clone(),
            false => layer("/new", noise(!self.seed, 1 << 10), 0o755).into(),
        };
        [("amd64", image.new[0].clone()), ("arm64", other)].map(|(architecture, layer)| {
            let (new, platform) = (vec![layer], Platform::linux(architecture));
            Image { new, platform, ..image.clone() }
        })
    }

    fn assert_clear(&self, error: &dyn std::error::Error, registry: &str) {
        let text = whole(error);
        assert!(text.contains(registry) && !text.contains("secret"), "{text}");
    }

    /// The password goes to the token service alone, and a token to the registry alone.
    fn assert_credentials_stayed(&self, base: &FakeRegistry) {
        let elsewhere = self.elsewhere.as_ref().map(FakeRegistry::port);
        for seen in self.registry.log() {
            let shown = seen.authorization.as_deref().unwrap_or_default();
            assert!(seen.kind == Kind::Token || !shown.starts_with("Basic"), "{seen:?}");
            assert!(Some(seen.port) != elsewhere || shown.is_empty(), "{seen:?}");
        }
        for seen in base.log() {
            let shown = seen.authorization.as_deref().unwrap_or_default();
            // A token that this registry gave itself, to whoever asked.
            assert!(shown.is_empty() || shown == "Bearer worthless", "{seen:?}");
        }
    }
}
