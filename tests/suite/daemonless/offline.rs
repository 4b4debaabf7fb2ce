//! No network means no network: what was fetched once is not fetched again, and with `--offline` or `--pull never` no
//! request leaves the machine.

use super::counting::CountingRegistry;
use super::*;

/// A registry that counts, with a base, and a cache that several commands share.
struct Counted {
    registry: CountingRegistry,
    directory: tempfile::TempDir,
    base: PushedBase,
}

impl Counted {
    fn new() -> Self {
        let registry = CountingRegistry::new(TestEnvironment::get().registry());
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let base = PushedBase::new("glibc:12");
        Self { registry, directory, base }
    }

    /// The name of the base by which requests are counted.
    fn base_name(&self) -> String {
        self.base.name.replacen(TestEnvironment::get().registry(), &self.registry.address, 1)
    }

    fn b2i(&self, cache: &str, arguments: &[&str]) -> B2iOutput {
        let base = self.base_name();
        let command = replace_bases_by(B2iCommand::without_daemon(), |test| {
            (test == self.base.test).then(|| base.clone())
        });
        // A proxy would see what goes to other hosts.
        let proxy = format!("http://{}", self.registry.address);
        let mut command = command
            .env("XDG_CACHE_HOME", self.directory.path().join(cache))
            .env("https_proxy", proxy)
            .current_dir(self.directory.path())
            .args(arguments);
        command.run()
    }

    fn build(&self, cache: &str, arguments: &[&str]) -> B2iOutput {
        let program = TestEnvironment::get().fixture("program-glibc");
        let program = program.to_str().expect("a path of the tests is UTF-8");
        self.b2i(cache, &[&["build", program], arguments].concat())
    }

    /// The files of layers in a cache.
    fn blobs(&self, cache: &str) -> Vec<std::path::PathBuf> {
        let directory = self.directory.path().join(cache).join("b2i/images-v1/blobs/sha256");
        let entries = std::fs::read_dir(directory).expect("a cache with images");
        let large = |path: &std::path::PathBuf| path.metadata().is_ok_and(|found| found.len() > 100_000);
        entries.map(|entry| entry.expect("an entry").path()).filter(large).collect()
    }
}

fn is_built(output: &B2iOutput) {
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
}

#[test]
fn a_base_is_fetched_once_and_then_needs_no_network() {
    let counted = Counted::new();
    is_built(&counted.build("cache", &["-o", "oci:first"]));
    let first = counted.registry.take();
    assert!(first.iter().any(|request| request.contains("/blobs/")), "{first:?}");
    is_built(&counted.build("cache", &["-o", "docker-archive:second.tar"]));
    let second = counted.registry.take();
    assert!(second.iter().all(|request| request.starts_with("HEAD ")), "{second:?}");
    for (number, options) in [&["--offline"][..], &["--pull", "never"]].into_iter().enumerate() {
        for scheme in ["oci", "oci-archive", "docker-archive"] {
            let output = format!("{scheme}:{number}-{scheme}");
            let built = counted.build("cache", &[&["-o", &output], options].concat());
            is_built(&built);
            assert!(built.stderr.contains("from the cache"), "{}", built.stderr);
        }
        // Another registry gets the layers from the cache, and the base's registry gets no request.
        if options[0] == "--pull" {
            let name = result_name("offline");
            is_built(&counted.build("cache", &[&["--push", "-t", &name], options].concat()));
        }
        assert_eq!(counted.registry.take(), Vec::<String>::new(), "{options:?}");
    }
    let digest =
        |place: &str| manifest_digest(&format!("oci:{}", counted.directory.path().join(place).display()));
    assert_eq!(digest("first"), digest("0-oci"));
    // The cache command knows the layers, and can remove them.
    let info = counted.b2i("cache", &["cache", "info", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("JSON");
    let parts = info["parts"].as_array().expect("a list");
    let images = parts.iter().find(|part| part["name"] == "images").expect("the part");
    assert!(images["bytes"].as_u64().expect("a number") > 1_000_000, "{images}");
    is_built(&counted.b2i("cache", &["cache", "prune", "--keep", "0"]));
    assert!(counted.blobs("cache").is_empty());
}

#[test]
fn without_the_network_no_command_makes_a_request() {
    let counted = Counted::new();
    let name = counted.base_name();
    let layout = "oci:copy";
    for arguments in [
        &["--offline", "copy", &name, layout][..],
        &["--offline", "copy", &name, "docker-archive:copy.tar"],
        &["--offline", "builders", "check", "binary:debian12"],
        &["--offline", "rebuild", &name],
        &["--offline", "s2i", "usage", &name],
        &["--offline", "s2i", "build", ".", &name, "app:1"],
        &["s2i", "build", ".", &name, "app:1", "--pull-policy", "never"],
        &["--offline", "doctor"],
        &["--offline", "login", &counted.registry.address, "-u", "a", "--password-stdin"],
    ] {
        let output = counted.b2i("cache", arguments);
        assert!(output.code != Some(101), "{arguments:?}: {}", output.stderr);
        assert_eq!(counted.registry.take(), Vec::<String>::new(), "{arguments:?}: {}", output.stderr);
    }
    for output in ["oci:layout", "oci-archive:a.tar", "docker-archive:d.tar"] {
        for (options, word) in [(&["--offline"][..], "`--offline`"), (&["--pull", "never"], "`--pull never`")]
        {
            let built = counted.build("cache", &[&["-o", output], options].concat());
            assert_eq!(built.code, Some(5), "{}", built.stderr);
            let expected = format!("is not in the cache, and {word} forbids pulling it");
            assert!(built.stderr.contains(&expected), "{}", built.stderr);
            assert!(built.stderr.contains("--base oci:DIR"), "{}", built.stderr);
            assert_eq!(counted.registry.take(), Vec::<String>::new(), "{output} {options:?}");
        }
    }
    assert_eq!(files(counted.directory.path()), ["cache"]);
}

#[test]
fn a_damaged_layer_in_the_cache_is_fetched_again() {
    let counted = Counted::new();
    is_built(&counted.build("cache", &["-o", "oci:first"]));
    counted.registry.take();
    let blobs = counted.blobs("cache");
    assert!(!blobs.is_empty());
    let damages = [|bytes: &mut Vec<u8>| bytes.truncate(1000), |bytes: &mut Vec<u8>| bytes[500] ^= 1];
    for (number, damage) in damages.into_iter().enumerate() {
        for blob in &blobs {
            let mut bytes = std::fs::read(blob).expect("reads");
            damage(&mut bytes);
            std::fs::write(blob, bytes).expect("writes");
        }
        let offline = counted.build("cache", &["-o", "oci:offline", "--offline"]);
        assert_eq!(offline.code, Some(5), "{}", offline.stderr);
        assert!(offline.stderr.contains("the layer sha256:"), "{}", offline.stderr);
        assert_eq!(counted.registry.take(), Vec::<String>::new());
        is_built(&counted.build("cache", &["-o", &format!("oci:again-{number}")]));
        let requests = counted.registry.take();
        let fetched = requests.iter().filter(|request| request.contains("/blobs/")).count();
        assert_eq!(fetched, blobs.len(), "{requests:?}");
    }
}

#[test]
fn builds_at_once_share_a_cache() {
    let counted = Counted::new();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let counted = &counted;
            scope.spawn(move || is_built(&counted.build("cache", &["-o", &format!("oci:layout-{number}")])));
        }
    });
    let digest =
        |place: String| manifest_digest(&format!("oci:{}", counted.directory.path().join(place).display()));
    for number in 1..4 {
        assert_eq!(digest(format!("layout-{number}")), digest("layout-0".to_owned()));
    }
    assert_clean(&counted.directory.path().join("cache/b2i"));
    is_built(&counted.build("cache", &["-o", "oci:offline", "--offline"]));
    assert_eq!(digest("offline".to_owned()), digest("layout-0".to_owned()));
}
