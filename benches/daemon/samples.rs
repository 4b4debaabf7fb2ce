//! Owns the artifacts that are measured: a program and a JAR of a given size, real enough to be packaged.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// Bytes of a class behind its header.
const CLASS_SIZE: usize = 2000;

/// Writes a real, dynamic executable followed by bytes that do not compress.
pub(crate) fn write_program(path: &Path, size: usize, seed: u64) {
    let mut program = Vec::new();
    File::open("/bin/true").and_then(|mut file| file.read_to_end(&mut program)).expect("reading /bin/true");
    let mut out = BufWriter::new(File::create(path).expect("creating the artifact"));
    out.write_all(&program).expect("writing the artifact");
    write_noise(&mut out, size.saturating_sub(program.len()), seed);
    out.flush().expect("flushing the artifact");
}

/// Writes an executable JAR: a small class for every 25 kB (20,000 in 500 MB) and one large file.
pub(crate) fn write_jar(path: &Path, size: usize, seed: u64) {
    let mut jar = zip::ZipWriter::new(BufWriter::new(File::create(path).expect("creating the JAR")));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    jar.start_file("META-INF/MANIFEST.MF", stored).expect("starting the manifest");
    jar.write_all(b"Manifest-Version: 1.0\r\nMain-Class: example.Main\r\n").expect("writing the manifest");
    // Version 61 of the class file format is Java 17. Behind the header there is noise: entries of real JARs are
    // compressed, and do not shrink any more.
    let header = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61];
    let classes = size / 25_000;
    for number in 0..=classes {
        let name = if number == 0 { "Main".to_owned() } else { format!("Class{number}") };
        jar.start_file(format!("example/{name}.class"), stored).expect("starting a class");
        jar.write_all(&header).expect("writing a class");
        write_noise(&mut jar, CLASS_SIZE, number as u64);
    }
    jar.start_file("data.bin", stored).expect("starting the data");
    write_noise(&mut jar, size - classes * CLASS_SIZE, seed);
    jar.finish().expect("finishing the JAR").flush().expect("flushing the JAR");
}

/// Writes bytes that no compressor shrinks (xorshift64*).
fn write_noise(out: &mut impl Write, mut size: usize, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut block = vec![0_u8; 1 << 16];
    while size > 0 {
        for word in block.chunks_exact_mut(8) {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            word.copy_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
        }
        let count = size.min(block.len());
        out.write_all(&block[..count]).expect("writing noise");
        size -= count;
    }
}
