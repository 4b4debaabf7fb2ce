//! Bytes of a file → the one artifact in it, by the road that every build takes. The first byte is about options, and
//! whether the checksums of tar headers, which are hard to guess, are set right.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use b2i::events::Events;
use b2i::fs::Lease;
use b2i::input::{InputOptions, InputSource, TreatAs, fetch};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

#[path = "checksums.rs"]
mod checksums;

/// Most bytes that an input may unpack to.
const MAXIMUM: u64 = 1 << 20;

struct Place {
    directory: tempfile::TempDir,
    lease: Lease,
    runtime: Runtime,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let lease = Lease::acquire(&directory.path().join("cache")).expect("a lease");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Place { directory, lease, runtime }
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if choice & 8 == 0 {
        checksums::set(&mut bytes);
    }
    let path: PathBuf = PLACE.directory.path().join("input");
    std::fs::write(&path, &bytes).expect("writes");
    let options = InputOptions {
        max_size: MAXIMUM,
        member_path: (choice & 1 != 0).then(|| "app".to_owned()),
        keep_tree: choice & 2 != 0,
        treat_as: (choice & 4 != 0).then_some(TreatAs::Artifact),
        ..InputOptions::default()
    };
    let source = InputSource::File(path);
    let fetched =
        PLACE.runtime.block_on(fetch(&source, &options, &PLACE.lease, std::io::empty(), &Events::silent()));
    match fetched {
        Ok(artifact) => {
            assert!(artifact.size <= MAXIMUM.max(bytes.len() as u64));
            assert!(!artifact.name.is_empty() && !artifact.name.contains(['/', '\0']));
            for file in &artifact.added {
                drop(format!("{:?}", file.destination));
            }
        }
        Err(error) => drop(error.to_string()),
    }
    for entry in std::fs::read_dir(PLACE.lease.temporary_directory()).expect("lists") {
        // A tree stays as long as the lease.
        let path = entry.expect("lists").path();
        assert!(path.is_dir(), "a temporary file stayed behind");
        std::fs::remove_dir_all(path).expect("removes");
    }
});
