//! Bytes of a file → `docker-archive`, or tar of an OCI layout. The first byte says which; half of the inputs get the
//! checksums of their tar headers set right, which are hard to guess.
#![no_main]

use std::io::Write;

use b2i::image::Platform;
use b2i::store::archive::DockerArchive;
use b2i::store::layout::{Layout, LayoutReference};
use libfuzzer_sys::fuzz_target;

#[path = "checksums.rs"]
mod checksums;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if choice & 2 == 0 {
        checksums::set(&mut bytes);
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("writes");
    let platform = Platform::linux("amd64");
    if choice & 1 == 0 {
        let opened = DockerArchive::open(file.path());
        if let Ok(archive) = opened {
            let _ = archive.names();
            if let Err(error) = archive.resolve(None, &platform) {
                drop(error.to_string());
            }
        }
    } else if let Ok(layout) = Layout::open(file.path()) {
        let reference = LayoutReference { path: file.path().to_owned(), tag: None, digest: None };
        let _ = (layout.names(), layout.tree(&reference).is_ok());
        if let Err(error) = layout.resolve(&reference, &platform) {
            drop(error.to_string());
        }
    }
});
