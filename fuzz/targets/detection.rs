//! Bytes of an artifact → facts or a refusal. The first byte chooses the name, which tells kinds apart, and whether a
//! class to start is asked for.
#![no_main]

use std::io::Cursor;

use b2i::detect::{self, DetectOptions};
use libfuzzer_sys::fuzz_target;

const NAMES: [&str; 6] = ["app", "app.jar", "app.war", "libapp.so", "app.sh", "app.zip"];

fuzz_target!(|input: &[u8]| {
    let Some((choice, content)) = input.split_first() else { return };
    let name = NAMES[usize::from(*choice) % NAMES.len()];
    let main_class = (*choice >= 128).then(|| "org.example.Main".to_owned());
    let options = DetectOptions { main_class };
    let facts = detect::detect(name, content.len() as u64, Cursor::new(content), &options);
    match facts {
        Ok(facts) => assert_eq!(facts.size, content.len() as u64),
        // What is told to people is made here, of hostile bytes.
        Err(error) => drop(error.to_string()),
    }
    let _ = detect::candidate_strength(content, name);
    let _ = detect::jar_release(content.len() as u64, Cursor::new(content));
    let _ = detect::linked_file(content.len() as u64, Cursor::new(content));
    let _ = detect::class_path_jar(content.len() as u64, Cursor::new(content), "org.example.Main");
});
