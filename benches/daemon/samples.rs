//! Owns the artifacts that are measured: a program and a JAR of a given size, real enough to be packaged.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;

/// Writes a real, dynamic executable followed by bytes that do not compress.
pub(crate) fn write_program(path: &Path, size: usize, seed: u64) {
    let mut program = Vec::new();
    File::open("/bin/true").and_then(|mut file| file.read_to_end(&mut program)).expect("reading /bin/true");
    let mut out = BufWriter::new(File::create(path).expect("creating the artifact"));
    out.write_all(&program).expect("writing the artifact");
    write_noise(&mut out, size.saturating_sub(program.len()), seed);
    out.flush().expect("flushing the artifact");
}

/// Writes an executable JAR of 20,000 small classes and one large file.
pub(crate) fn write_jar(path: &Path, size: usize) {
    let mut jar = zip::ZipWriter::new(BufWriter::new(File::create(path).expect("creating the JAR")));
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    jar.start_file("META-INF/MANIFEST.MF", stored).expect("starting the manifest");
    jar.write_all(b"Manifest-Version: 1.0\r\nMain-Class: example.Main\r\n").expect("writing the manifest");
    // Version 61 of the class file format is Java 17.
    let class = [&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61][..], &[0; 2000]].concat();
    for number in 0..20_000 {
        jar.start_file(format!("example/Class{number}.class"), stored).expect("starting a class");
        jar.write_all(&class).expect("writing a class");
    }
    jar.start_file("data.bin", stored).expect("starting the data");
    write_noise(&mut jar, size - 20_000 * class.len(), 1);
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
