//! Tests of the layer writer, read back with another tar reader.

use std::sync::Arc;

use super::*;

fn path(text: &str) -> ImagePath {
    ImagePath::new(text).expect("valid")
}

fn file(at: &str, bytes: &[u8]) -> Entry {
    let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes.to_vec()) };
    Entry { path: path(at), kind, mode: 0o755, owner: Owner { uid: 1001, gid: 0 } }
}

fn directory(at: &str) -> Entry {
    Entry { path: path(at), kind: EntryKind::Directory, mode: 0o775, owner: Owner::ROOT }
}

fn write(layer: &Layer) -> (Vec<u8>, WrittenLayer) {
    let mut bytes = Vec::new();
    let written = layer.write_to(&mut bytes).expect("writing to memory");
    (bytes, written)
}

#[test]
fn what_it_writes_reads_back() {
    let long = format!("/opt/{}/{}", "d".repeat(120), "ü".repeat(60));
    let entries = vec![
        file(&long, b"long"),
        Entry { kind: EntryKind::HardLink { target: path("/opt/bin/binary") }, ..file("/opt/a.war", b"") },
        file("/opt/bin/binary", b"program"),
        directory("/opt/bin"),
        Entry { kind: EntryKind::Symlink { target: "bin/binary".into() }, ..file("/opt/link", b"") },
    ];
    let layer = Layer::new(entries, 315_532_800).expect("consistent").watching(path("/opt/bin/binary"));
    let (bytes, written) = write(&layer);
    assert_eq!(bytes.len() as u64, layer.size());
    assert_eq!(written.size, layer.size());
    assert_eq!(written.diff_id, Digest::of(&bytes));
    assert_eq!(written.watched, Some(Digest::of(b"program")));
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut seen = Vec::new();
    for entry in archive.entries().expect("tar") {
        let mut entry = entry.expect("entry");
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("content");
        let link = entry.link_name().expect("link").map(|link| link.to_string_lossy().into_owned());
        let name = entry.path().expect("path").to_string_lossy().into_owned();
        assert_eq!(entry.header().mtime().expect("date"), 315_532_800);
        seen.push((name, text, link, entry.header().mode().expect("mode")));
    }
    assert_eq!(
        seen,
        [
            ("opt/bin/".into(), String::new(), None, 0o775),
            ("opt/bin/binary".into(), "program".into(), None, 0o755),
            (long[1..].to_owned(), "long".into(), None, 0o755),
            ("opt/link".into(), String::new(), Some("bin/binary".to_owned()), 0o755),
            ("opt/a.war".into(), String::new(), Some("opt/bin/binary".to_owned()), 0o755),
        ]
    );
}

#[test]
fn order_of_entries_does_not_matter() {
    let one = Layer::new(vec![file("/b", b"2"), file("/a", b"1")], 0).expect("consistent");
    let two = Layer::new(vec![file("/a", b"1"), file("/b", b"2")], 0).expect("consistent");
    assert_eq!(write(&one), write(&two));
}

#[test]
fn contradicting_entries_are_refused() {
    let duplicate = Layer::new(vec![file("/a", b"1"), file("/a", b"2")], 0);
    assert_eq!(duplicate.err(), Some(InvalidLayer::Duplicate(path("/a"))));
    let below = Layer::new(vec![file("/a", b"1"), file("/a/b/c", b"2")], 0);
    assert_eq!(below.err(), Some(InvalidLayer::BelowFile(path("/a"), path("/a/b/c"))));
    let link = Entry { kind: EntryKind::HardLink { target: path("/x") }, ..file("/l", b"") };
    assert_eq!(Layer::new(vec![link], 0).err(), Some(InvalidLayer::DanglingLink(path("/l"), path("/x"))));
}

#[test]
fn a_file_that_changed_its_size_is_an_error() {
    for size in [2, 4] {
        let mut entry = file("/a", b"123");
        entry.kind = EntryKind::File { size, content: Arc::new(b"123".to_vec()) };
        let layer = Layer::new(vec![entry], 0).expect("consistent");
        let error = layer.write_to(io::sink()).expect_err("size differs");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn large_numbers_go_into_pax_records() {
    struct Nothing;
    impl Content for Nothing {
        fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
            Ok(Box::new(io::repeat(0).take(9 << 30)))
        }
    }
    let owner = Owner { uid: 4_000_000_000, gid: 0 };
    let kind = EntryKind::File { size: 9 << 30, content: Arc::new(Nothing) };
    let layer = Layer::new(vec![Entry { kind, owner, ..file("/big", b"") }], 0).expect("consistent");
    let late = Layer { date: 253_402_300_799, ..layer.clone() };
    let text = String::from_utf8_lossy(&headers(&late.entries[0], &[], late.date)).into_owned();
    assert!(text.contains("22 mtime=253402300799\n"), "{text:?}");
    let text = String::from_utf8_lossy(&headers(&layer.entries[0], &[], layer.date)).into_owned();
    assert!(text.contains(" size=9663676416\n") && text.contains(" uid=4000000000\n"), "{text}");
}

#[test]
fn attributes_and_pipes_read_back() {
    let attribute =
        |name: &str, value: &[u8]| ExtendedAttribute::new(name.into(), value.into()).expect("valid");
    assert_eq!(ExtendedAttribute::new("user.a=b".into(), Vec::new()), None, "a record's key ends with `=`");
    let entries =
        vec![file("/a", b"1"), file("/b", b"2"), Entry { kind: EntryKind::Fifo, ..file("/p", b"") }];
    let binary: &[u8] = &[0, 2, 0xff, b'='];
    let attributes = vec![attribute("user.z", b""), attribute("security.capability", binary)];
    let layer =
        Layer::new(entries, 0).expect("consistent").with_attributes([(path("/a"), attributes)].into());
    let (bytes, written) = write(&layer);
    assert_eq!((bytes.len() as u64, written.size), (layer.size(), layer.size()));
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut seen = Vec::new();
    for entry in archive.entries().expect("tar") {
        let mut entry = entry.expect("entry");
        let extensions = entry.pax_extensions().expect("pax").into_iter().flatten().flatten();
        let found: Vec<_> =
            extensions.map(|one| (one.key().expect("text").to_owned(), one.value_bytes().to_vec())).collect();
        seen.push((entry.header().entry_type(), found));
    }
    let expected = [("SCHILY.xattr.security.capability", binary), ("SCHILY.xattr.user.z", b"")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec();
    let (regular, fifo) = (tar::EntryType::Regular, tar::EntryType::Fifo);
    assert_eq!(seen, [(regular, expected), (regular, Vec::new()), (fifo, Vec::new())]);
}
