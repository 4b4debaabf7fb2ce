//! Tests of compressed layers: equal bytes whoever compresses, read back by other readers.

use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use crate::image::digest::Digest;
use crate::image::layer::{Content, Entry, EntryKind, Owner};
use crate::image::manifest::ManifestFormat;
use crate::image::path::ImagePath;

/// Bytes that look like a program to a compressor and are the same on every machine: words of a small vocabulary,
/// with noise between them.
fn compressible(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        let number = next(&mut state);
        let word = (number % 61).wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes();
        bytes.extend_from_slice(&word[..3 + (number >> 20) as usize % 6]);
        if number.is_multiple_of(3) {
            bytes.push((number >> 40) as u8);
        }
    }
    bytes.truncate(length);
    bytes
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..length.div_ceil(8)).flat_map(|_| next(&mut state).to_le_bytes()).take(length).collect()
}

/// xorshift64*
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn layer_of(files: &[(&str, Arc<dyn Content>, usize)]) -> Layer {
    let entry = |(path, content, size): &(&str, Arc<dyn Content>, usize)| Entry {
        path: ImagePath::new(path).expect("valid"),
        kind: EntryKind::File { size: *size as u64, content: content.clone() },
        mode: 0o755,
        owner: Owner::ROOT,
    };
    Layer::new(files.iter().map(entry).collect(), 315_532_800).expect("consistent")
}

fn layer(bytes: Vec<u8>) -> Layer {
    let size = bytes.len();
    layer_of(&[("/opt/app-root/bin/binary", Arc::new(bytes), size)])
}

fn write(layer: &Layer, method: &str, threads: usize) -> (Vec<u8>, WrittenBlob) {
    let method = method.parse::<Compression>().expect("valid").method_for(layer).expect("reads");
    let threads = NonZeroUsize::new(threads).expect("not zero");
    let mut bytes = Vec::new();
    let written = write_layer(layer, method, ManifestFormat::Oci, threads, &mut bytes).expect("writes");
    assert_eq!(written.descriptor.digest, Digest::of(&bytes));
    assert_eq!(written.descriptor.size, bytes.len() as u64);
    (bytes, written)
}

fn read(compression: LayerCompression, blob: &[u8]) -> io::Result<Vec<u8>> {
    let mut tar = Vec::new();
    decompress(compression, blob, DecompressionLimit::default())?.read_to_end(&mut tar)?;
    Ok(tar)
}

#[test]
fn every_number_of_threads_writes_the_same_blob() {
    // Around the borders of pieces, and many of them.
    for length in [0, 1, MEMBER_SIZE - 2048, MEMBER_SIZE - 2047, 3 * MEMBER_SIZE, 21 * MEMBER_SIZE + 17] {
        let layer = layer(compressible(length));
        for method in ["gzip", "gzip:6", "zstd", "zstd:3", "zstd:7"] {
            let (expected, one) = write(&layer, method, 1);
            for threads in [2, 3, 8, 64] {
                let (found, written) = write(&layer, method, threads);
                assert!(found == expected, "{method}, {length} bytes, {threads} threads");
                assert_eq!(written, one);
            }
            let mut tar = Vec::new();
            assert_eq!(layer.write_to(&mut tar).expect("writes"), one.layer);
            assert_eq!(read(sniff(&expected), &expected).expect("reads"), tar, "{method}, {length} bytes");
        }
    }
}

/// These digests hold on every processor and for every build. If one changes, image digests change: raise
/// [`COMPRESSION_VERSION`] or the library's version in the memo key, and say so in the changelog.
#[test]
fn blobs_have_the_digests_that_they_have_everywhere() {
    let layer = layer(compressible(5 * MEMBER_SIZE + 4711));
    let digest = |method| write(&layer, method, 2).1.descriptor.digest.hex();
    let found = ["none", "gzip:1", "gzip:6", "gzip:9", "zstd:1", "zstd:3", "zstd:7", "zstd:19"]
        .map(|method| format!("{method} {}", &digest(method)[..16]));
    let expected = [
        "none f4f19658f9d127db",
        "gzip:1 52e72f996cc61ef4",
        "gzip:6 bfd044b154260ee9",
        "gzip:9 d7ba0acb0fe29d0b",
        "zstd:1 0335bae3124189ca",
        "zstd:3 b17b0233200690fe",
        "zstd:7 62a1a52755676293",
        "zstd:19 38e87b816e59dfee",
    ];
    assert_eq!(found, expected);
}

#[test]
fn automatic_compression_leaves_alone_what_does_not_shrink() {
    let method = |layer: &Layer| Compression::Auto.method_for(layer).expect("reads");
    assert_eq!(method(&layer(compressible(3_000_000))), Method::GZIP);
    assert_eq!(method(&layer(compressible(1000))), Method::GZIP);
    assert_eq!(method(&layer(Vec::new())), Method::GZIP);
    assert_eq!(method(&layer(noise(3_000_000))), Method::NONE);
    assert_eq!(method(&layer(noise(1000))), Method::NONE);
    assert_eq!(method(&layer_of(&[])), Method::GZIP);
    // The sample goes over all files, in the order in which they are written: half of each is worth compressing.
    let files: [(&str, Arc<dyn Content>, usize); 2] =
        [("/a", Arc::new(noise(900_000)), 900_000), ("/b", Arc::new(compressible(900_000)), 900_000)];
    assert_eq!(method(&layer_of(&files)), Method::GZIP);
    let (bytes, written) = write(&layer(noise(3_000_000)), "auto", 2);
    assert_eq!(written.descriptor.digest, written.layer.diff_id);
    assert_eq!(written.descriptor.media_type, "application/vnd.oci.image.layer.v1.tar");
    assert_eq!(sniff(&bytes), LayerCompression::None);
}

#[test]
fn a_sample_does_not_read_the_whole_of_a_large_file() {
    struct Large;
    impl Content for Large {
        fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
            Ok(Box::new(io::repeat(0)))
        }
        fn open_at(&self, offset: u64) -> io::Result<Box<dyn Read + Send + '_>> {
            assert!(offset < 1 << 50);
            self.open()
        }
    }
    let layer = layer_of(&[("/large", Arc::new(Large), 1 << 50)]);
    assert_eq!(Compression::Auto.method_for(&layer).expect("reads"), Method::GZIP);
}

#[test]
fn names_of_compressions_are_read_and_written() {
    for text in ["auto", "none", "gzip:1", "gzip:9", "zstd:1", "zstd:19"] {
        assert_eq!(text.parse::<Compression>().expect("valid").to_string(), text);
    }
    assert_eq!("gzip".parse(), Ok(Compression::Fixed(Method::GZIP)));
    assert_eq!("zstd".parse(), Ok(Compression::Fixed(Method::ZSTD)));
    for text in ["", "gz", "GZIP", "gzip:", "gzip:0", "gzip:10", "gzip:+1", "gzip:1:2", "zstd:20", "zstd:-1"]
    {
        assert!(text.parse::<Compression>().is_err(), "{text}");
    }
    for text in ["auto:1", "none:0"] {
        assert!(matches!(text.parse::<Compression>(), Err(InvalidCompression::NoLevel(_))), "{text}");
    }
    let key = |text: &str| text.parse::<Compression>().expect("valid").memo_key();
    let keys = ["auto", "none", "gzip:1", "gzip:2", "zstd:1"].map(key);
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{keys:?}");
    assert!(
        key("zstd").contains("zstd 1.5.7"),
        "the C library is another than the pinned one: {}",
        key("zstd")
    );
}

#[test]
fn a_writer_that_fails_ends_the_pass() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let layer = layer(noise(4_000_000));
    for threads in [1, 3] {
        let threads = NonZeroUsize::new(threads).expect("not zero");
        let error = write_layer(&layer, Method::GZIP, ManifestFormat::Oci, threads, Full(1_000_000));
        assert_eq!(error.expect_err("is full").kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn damaged_and_cut_blobs_are_errors() {
    let layer = layer(compressible(700_000));
    for method in ["gzip", "zstd"] {
        let (blob, _) = write(&layer, method, 2);
        let codec = sniff(&blob);
        for length in [1, 10, blob.len() / 2, blob.len() - 1] {
            read(codec, &blob[..length]).expect_err("cut");
        }
        let mut garbage = blob.clone();
        garbage.extend_from_slice(b"garbage");
        read(codec, &garbage).expect_err("something follows");
    }
    // The checksum is at the end of a gzip member.
    let (mut blob, _) = write(&layer, "gzip", 2);
    let at = blob.len() - 5;
    blob[at] ^= 1;
    read(LayerCompression::Gzip, &blob).expect_err("the checksum differs");
}

#[test]
fn what_is_made_to_fill_disks_stops() {
    let blob = zstd::encode_all(io::repeat(0).take(3 << 20), 1).expect("compresses");
    let limit = DecompressionLimit { bytes: 1 << 20 };
    let mut reader = decompress(LayerCompression::Zstd, &blob[..], limit).expect("opens");
    let error = io::copy(&mut reader, &mut io::sink()).expect_err("more than the limit");
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    // Half a kilobyte for each gigabyte, in a member of its own.
    let blob = zstd::encode_all(io::repeat(0).take((1 << 30) + (200 << 20)), 1).expect("compresses");
    let mut reader =
        decompress(LayerCompression::Zstd, &blob[..], DecompressionLimit::default()).expect("opens");
    let error = io::copy(&mut reader, &mut io::sink()).expect_err("beyond every real ratio");
    assert!(error.to_string().contains("decompression bomb"), "{error}");
}
