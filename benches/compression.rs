//! Compresses layers by every method, on one core and on all, beside what was weighed and not taken.
//!
//! `cargo bench --bench compression` makes three artifacts: 75 MB of the programs and libraries that are installed
//! here, 52 MB of noise, and a 52 MB zip of deflated files as a JAR is one; file names as arguments replace them.
//! Each number is the best of three runs: other work on the machine only ever adds to a time.

#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Write};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use b2i::image::compression::{Compression, all_cores, write_layer};
use b2i::image::layer::{Entry, EntryKind, Layer, Owner};
use b2i::image::{Digest, ImagePath, ManifestFormat};

const RUNS: usize = 3;
const METHODS: [&str; 8] = ["auto", "none", "gzip:1", "gzip:2", "gzip:6", "zstd:1", "zstd:3", "zstd:6"];

fn main() {
    println!("{} cores; seconds for a layer, with its digests, to nowhere", all_cores());
    let named: Vec<PathBuf> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).map(PathBuf::from).collect();
    if named.is_empty() {
        let programs = installed_programs(75_000_000);
        measure("jar of 52 MB", jar(&programs, 52_000_000));
        measure("executable of 75 MB", programs);
        measure("noise of 52 MB", noise(52_000_000));
    }
    for path in named {
        measure(&path.display().to_string(), fs::read(&path).expect("reading the named file"));
    }
}

fn measure(name: &str, bytes: Vec<u8>) {
    println!("\n{name}\n{:<14} {:>9} {:>9} {:>9}", "method", "1 core", "all", "size");
    let length = bytes.len() as f64;
    let shared: Arc<Vec<u8>> = Arc::new(bytes);
    let hashed = best(|| (Digest::of(&shared), 0).1);
    println!("{:<14} {:>7.3} s {:>9} {:>9}", "digest alone", hashed.0, "", "");
    let content = shared.clone();
    for peer in [1, 6] {
        let (seconds, size) = best(|| zlib(&content, peer));
        println!(
            "{:<14} {seconds:>7.3} s {:>9} {:>7.2} %",
            format!("zlib-rs {peer}"),
            "",
            100.0 * size as f64 / length
        );
    }
    let kind = EntryKind::File { size: shared.len() as u64, content: Arc::new(Shared(shared)) };
    let path = ImagePath::new("/opt/app-root/bin/binary").expect("a constant, absolute path");
    let entry = Entry { path, kind, mode: 0o755, owner: Owner { uid: 1001, gid: 0 } };
    let layer = Layer::new(vec![entry], 0).expect("one entry");
    for method in METHODS {
        let compression: Compression = method.parse().expect("valid");
        let run = |threads| {
            best(|| {
                let method = compression.method_for(&layer).expect("reading memory");
                let written = write_layer(&layer, method, ManifestFormat::Oci, threads, io::sink());
                written.expect("writing to nowhere").descriptor.size
            })
        };
        let (one, (all, size)) = (run(NonZeroUsize::MIN).0, run(all_cores()));
        println!("{method:<14} {one:>7.3} s {all:>7.3} s {:>7.2} %", 100.0 * size as f64 / length);
    }
}

fn best<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let mut result = None;
    for _ in 0..RUNS {
        let start = Instant::now();
        let value = run();
        let seconds = start.elapsed().as_secs_f64();
        if result.as_ref().is_none_or(|(best, _)| seconds < *best) {
            result = Some((seconds, value));
        }
    }
    result.expect("at least one run")
}

struct Shared(Arc<Vec<u8>>);

impl b2i::image::layer::Content for Shared {
    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        self.open_at(0)
    }

    fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
        let mut reader = Cursor::new(self.0.as_slice());
        reader.set_position(offset);
        Ok(Box::new(reader))
    }
}

fn zlib(bytes: &[u8], level: u32) -> u64 {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).expect("writing to memory");
    encoder.finish().expect("writing to memory").len() as u64
}

/// The start of all programs and libraries, largest first, with no more than 20 MB of each: no one compiler decides.
fn installed_programs(size: usize) -> Vec<u8> {
    let directories = ["/usr/bin", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];
    let entries = directories.iter().filter_map(|directory| fs::read_dir(directory).ok()).flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some((entry.as_ref().ok()?.metadata().ok()?, entry.ok()?.path())))
        .filter(|(metadata, _)| metadata.is_file())
        .map(|(metadata, path)| (metadata.len(), path))
        .collect();
    files.sort_by(|one, other| other.cmp(one));
    let mut bytes = Vec::new();
    for (_, path) in files {
        let mut start = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(20_000_000).read_to_end(&mut start));
        if read.is_ok() && start.starts_with(b"\x7fELF") {
            bytes.extend_from_slice(&start);
        }
        if bytes.len() >= size {
            break;
        }
    }
    bytes.truncate(size);
    bytes
}

/// A zip of deflated files of 5 kB, as most classes are.
fn jar(content: &[u8], size: usize) -> Vec<u8> {
    let mut jar = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    let mut written = 0;
    for (number, piece) in content.chunks(5_000).cycle().enumerate() {
        if written >= size {
            break;
        }
        let name = format!("org/example/application/part{}/Class{number}.class", number % 97);
        jar.start_file(name, options).expect("starting a file");
        jar.write_all(piece).expect("writing a file");
        written += zlib(piece, 6) as usize + 200;
    }
    jar.finish().expect("finishing the zip").into_inner()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let number = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(number).collect()
}
