//! Class files in a JAR → the release that they need, the main class, and the classes with a `main` method. The classes are
//! separated by the magic of class files; the first byte chooses the manifest.
#![no_main]

use std::io::{Cursor, Write};

use b2i::detect::facts::Kind;
use b2i::detect::{self, DetectOptions};
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;

const MAGIC: &[u8] = b"\xca\xfe\xba\xbe";
const MANIFESTS: [&str; 4] = [
    "Manifest-Version: 1.0\r\n",
    "Manifest-Version: 1.0\nMain-Class: example.Main0\n",
    "Manifest-Version: 1.0\nMain-Class: example.Main1\nMulti-Release: true\nClass-Path: lib/a.jar ./\n",
    "Manifest-Version: 1.0\nMain-Class: org.springframework.boot.loader.launch.JarLauncher\nStart-Class: example.Main0\n",
];
/// Directories of a class file: plain, of other kinds of archives, and of later releases.
const DIRECTORIES: [&str; 4] =
    ["example/", "BOOT-INF/classes/example/", "WEB-INF/classes/example/", "META-INF/versions/21/example/"];

fuzz_target!(|input: &[u8]| {
    let Some((choice, classes)) = input.split_first() else { return };
    let choice = usize::from(*choice);
    let jar = jar(MANIFESTS[choice % 4], DIRECTORIES[choice / 4 % 4], classes).expect("writing to memory");
    let name = if choice & 16 == 0 { "app.jar" } else { "app.war" };
    let main_class = (choice & 32 != 0).then(|| "example.Main0".to_owned());
    let size = jar.len() as u64;
    match detect::detect(name, size, Cursor::new(&jar), &DetectOptions { main_class }) {
        Ok(facts) => {
            let release = match facts.kind {
                Kind::Jar(jar) => jar.java,
                Kind::War(war) => war.java,
                _ => None,
            };
            assert!(release.is_none_or(|release| (1..=200).contains(&release)));
        }
        Err(error) => drop(error.to_string()),
    }
    let _ = detect::jar_release(size, Cursor::new(&jar));
    let _ = detect::class_path_jar(size, Cursor::new(&jar), "example.Main0");
});

fn jar(manifest: &str, directory: &str, classes: &[u8]) -> zip::result::ZipResult<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("META-INF/MANIFEST.MF", stored)?;
    archive.write_all(manifest.as_bytes())?;
    let mut starts: Vec<usize> = classes
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == MAGIC)
        .map(|(at, _)| at)
        .collect();
    starts.truncate(16);
    for (number, start) in starts.iter().enumerate() {
        let end = starts.get(number + 1).copied().unwrap_or(classes.len());
        archive.start_file(format!("{directory}Main{number}.class"), stored)?;
        archive.write_all(&classes[*start..end])?;
    }
    Ok(archive.finish()?.into_inner())
}
