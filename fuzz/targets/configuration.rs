//! Text → `b2i.toml` of each level, `builder.toml`, `bases.toml`. The first character says which.
#![no_main]

use std::path::Path;

use b2i::builder::{Metadata, base::Bases};
use b2i::config::{FileLevel, file};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut characters = text.chars();
    let Some(choice) = characters.next() else { return };
    let text = characters.as_str();
    let level = match choice {
        'b' => {
            if let Err(error) = Metadata::parse("builder.toml", text) {
                drop(error.to_string());
            }
            return;
        }
        'a' => {
            if let Err(error) = Bases::parse("bases.toml", text) {
                drop(error.to_string());
            }
            return;
        }
        's' => FileLevel::System,
        'u' => FileLevel::User,
        _ => FileLevel::Project,
    };
    match file::parse(level, Path::new("b2i.toml"), text) {
        Err(error) => drop(error.to_string()),
        // A project's file is not trusted, however it is written.
        Ok(file) if level == FileLevel::Project => {
            assert!(file.registries.is_empty(), "registries of a project");
            let network = &file.network;
            assert!(network.proxies.http.is_none() && network.proxies.https.is_none());
            assert!(network.proxies.all.is_none() && network.ca_files.is_none());
            assert!(file.docker.host.is_none() && file.cache.directory.is_none() && file.bases.is_empty());
            assert!(file.limits.memory.is_none() && file.limits.timeout.is_none());
        }
        Ok(_) => {}
    }
});
