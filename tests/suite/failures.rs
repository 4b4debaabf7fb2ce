//! What goes wrong on the user's side: bad input, bad configuration, full disks, signals, kills. Each has its exit
//! code, an error that says what to do, and leaves nothing behind.

mod daemons;
mod disk;
mod downloads;
mod inputs;
mod kills;
mod limits;
mod outputs;
mod project;
mod signals;

use std::path::Path;

use crate::environment::{B2iCommand, B2iOutput, Daemon};

/// Runs b2i, which has to end with `code`, say all of `words` and leave neither temporary files nor an output.
pub(crate) fn assert_fails(command: &mut B2iCommand, code: i32, words: &[&str]) -> B2iOutput {
    let before = files(&command.directory().join("work"));
    let output = command.run();
    let stderr = &output.stderr;
    assert_eq!(output.code, Some(code), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    assert_eq!(output.stdout, "", "{stderr}");
    assert_eq!(files(&command.directory().join("work")), before, "{stderr}");
    assert_clean(&command.cache());
    output
}

/// Checks that no run has left anything in the cache but what it is for.
pub(crate) fn assert_clean(cache: &Path) {
    for directory in ["tmp", "leases"] {
        assert_eq!(files(&cache.join(directory)), [""; 0], "{directory} of the cache");
    }
}

/// The names in a directory, in order; none if there is no directory.
pub(crate) fn files(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("reads").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The leases of the runs that use a cache at this moment.
pub(crate) fn leases(cache: &Path) -> Vec<String> {
    files(&cache.join("leases"))
}

/// What a daemon holds for a lease: containers with its label or its name, images that its label marks or its names.
pub(crate) fn held_by(daemon: &Daemon, lease: &str) -> Vec<String> {
    let label = format!("label=io.b2i.lease={lease}");
    let hash = b2i::image::Digest::of(lease.as_bytes()).hex();
    let names = ["base", "result"].map(|tag| format!("b2i.invalid/lease/{}:{tag}", &hash[..32]));
    let mut held = daemon.containers(&label);
    held.extend(daemon.containers(&format!("name=b2i-lease-{}-", &hash[..32])));
    held.extend(daemon.image_ids(&["--all", "--filter", &label]));
    held.extend(names.into_iter().filter(|name| daemon.inspect_image(name).is_some()));
    held
}
