//! Owns the header blocks of a tar entry: ustar, with pax records for what does not fit.
//! Must not read contents.
//!
//! Source: POSIX.1-2017 `pax`. The `tar` crate was weighed: its builder writes GNU long names instead of pax records, and
//! takes no extended attributes.

use super::{BLOCK, Entry, EntryKind, ExtendedAttribute, Owner, padded};

/// The largest value of a ustar header's size field, in bytes (8 GiB − 1).
const USTAR_MAXIMUM_SIZE: u64 = 0o77_777_777_777;

/// The header blocks of `entry`. A pax header holds its extended attributes, and the numbers and names that do not fit
/// into ustar. `date` is its modification time, in seconds since 1970.
pub(super) fn headers(entry: &Entry, attributes: &[ExtendedAttribute], date: u64) -> Vec<u8> {
    let mut name = entry.path.relative().as_bytes().to_vec();
    if matches!(entry.kind, EntryKind::Directory) {
        name.push(b'/');
    }
    let link: &[u8] = match &entry.kind {
        EntryKind::HardLink { target } => target.relative().as_bytes(),
        EntryKind::Symlink { target } => target.as_bytes(),
        EntryKind::Directory | EntryKind::File { .. } | EntryKind::Fifo => b"",
    };
    let mut records = Vec::new();
    let split = split_name(&name);
    if split.is_none() {
        pax_record(&mut records, "path", &name);
    }
    if link.len() > 100 || !link.is_ascii() {
        pax_record(&mut records, "linkpath", link);
    }
    if entry.size() > USTAR_MAXIMUM_SIZE {
        pax_record(&mut records, "size", entry.size().to_string().as_bytes());
    }
    if date > USTAR_MAXIMUM_SIZE {
        pax_record(&mut records, "mtime", date.to_string().as_bytes());
    }
    if entry.owner.uid > 0o7_777_777 {
        pax_record(&mut records, "uid", entry.owner.uid.to_string().as_bytes());
    }
    if entry.owner.gid > 0o7_777_777 {
        pax_record(&mut records, "gid", entry.owner.gid.to_string().as_bytes());
    }
    for attribute in attributes {
        // Every unpacker of layers knows this key, which comes from the program `star`.
        pax_record(&mut records, &format!("SCHILY.xattr.{}", attribute.name()), attribute.value());
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        // Readers ignore the pax header's own name. A fixed name keeps the bytes independent of the path.
        let header = Header { prefix: b"", name: b"PaxHeaders/entry", link: b"", kind: b'x' };
        bytes.extend_from_slice(&header.block(0o644, Owner::ROOT, records.len() as u64, date));
        let length = records.len();
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len() + (padded(length as u64) as usize - length), 0);
    }
    let (prefix, short) = split.unwrap_or((b"", &name[..name.len().min(100)]));
    let kind = match entry.kind {
        EntryKind::Directory => b'5',
        EntryKind::File { .. } => b'0',
        EntryKind::HardLink { .. } => b'1',
        EntryKind::Symlink { .. } => b'2',
        EntryKind::Fifo => b'6',
    };
    let header = Header { prefix, name: short, link: &link[..link.len().min(100)], kind };
    bytes.extend_from_slice(&header.block(entry.mode, entry.owner, entry.size(), date));
    bytes
}

struct Header<'a> {
    prefix: &'a [u8],
    name: &'a [u8],
    link: &'a [u8],
    kind: u8,
}

impl Header<'_> {
    fn block(&self, mode: u32, owner: Owner, size: u64, date: u64) -> [u8; BLOCK as usize] {
        let mut block = [0; BLOCK as usize];
        block[..self.name.len()].copy_from_slice(self.name);
        octal(&mut block[100..108], u64::from(mode & 0o7777));
        // If a number does not fit, the pax header has it, and the field is zero.
        octal(&mut block[108..116], u64::from(owner.uid));
        octal(&mut block[116..124], u64::from(owner.gid));
        octal(&mut block[124..136], size);
        octal(&mut block[136..148], date);
        block[156] = self.kind;
        block[157..157 + self.link.len()].copy_from_slice(self.link);
        block[257..263].copy_from_slice(b"ustar\0");
        block[263..265].copy_from_slice(b"00");
        octal(&mut block[329..337], 0);
        octal(&mut block[337..345], 0);
        block[345..345 + self.prefix.len()].copy_from_slice(self.prefix);
        block[148..156].fill(b' ');
        let checksum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{checksum:06o}\0").as_bytes());
        block
    }
}

/// Writes `value` as octal digits before a NUL; zero if it does not fit.
fn octal(field: &mut [u8], value: u64) {
    let width = field.len() - 1;
    let digits = format!("{value:0width$o}");
    let digits = if digits.len() > width { format!("{:0width$o}", 0) } else { digits };
    field[..width].copy_from_slice(digits.as_bytes());
}

/// Splits a name into the header's prefix and name fields; `None` if it needs a pax record.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    // The encoding of a header is defined for ASCII only. Pax records are UTF-8.
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let slash =
        |&at: &usize| name[at] == b'/' && at <= 155 && name.len() - at - 1 <= 100 && at + 1 < name.len();
    let at = (1..name.len()).find(slash)?;
    Some((&name[..at], &name[at + 1..]))
}

/// Appends `"<length> <key>=<value>\n"`. The length includes itself.
fn pax_record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}
