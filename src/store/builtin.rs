//! Owns the built-in static base: users, `/tmp`, name service order and CA certificates. Must not use the network.
//!
//! The template adds the `assemble`, `run` and `usage` programs. Equal b2i versions make equal bytes.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::image::{BaseImage, ConfigEdits, ImageConfig, ImagePath, LayerSource, NewLayer, Platform};

pub const STATIC_BASE_NAME: &str = "b2i/static";

/// Date of its files and its config: 1980-01-01, the earliest in every archive format.
const DATE: u64 = 315_532_800;
const CREATED: &str = "1980-01-01T00:00:00Z";

const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      default:x:1001:0:default:/opt/app-root:/sbin/nologin\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\n";
const NSSWITCH: &str = "hosts: files dns\n";

/// The built-in base for `platform`. Only the config depends on the platform.
pub fn static_base(platform: &Platform) -> BaseImage {
    let layer = Layer::new(entries(), DATE).expect("the entries below do not contradict each other");
    let written = layer.write_to(io::sink()).expect("a sink accepts everything");
    let mut config = ImageConfig::empty(platform);
    let env = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("SSL_CERT_FILE", CERTIFICATES),
    ];
    let edits = ConfigEdits {
        env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
        created: CREATED.into(),
        history: "b2i static base".into(),
        ..ConfigEdits::default()
    };
    config.apply(&edits, &[written.diff_id]);
    let layer = NewLayer::new(layer, Some(written));
    BaseImage::new(STATIC_BASE_NAME, config, vec![LayerSource::New(layer)])
}

fn entries() -> Vec<Entry> {
    let entry = |path: &str, kind, mode| Entry {
        path: ImagePath::new(path).expect("a constant, absolute path"),
        kind,
        mode,
        owner: Owner::ROOT,
    };
    let directory = |path: &str, mode| entry(path, EntryKind::Directory, mode);
    let file = |path: &str, bytes: Vec<u8>| {
        let kind = EntryKind::File { size: bytes.len() as u64, content: Arc::new(bytes) };
        entry(path, kind, 0o644)
    };
    vec![
        directory("/etc", 0o755),
        directory("/etc/ssl", 0o755),
        directory("/etc/ssl/certs", 0o755),
        directory("/tmp", 0o1777),
        file("/etc/passwd", PASSWD.into()),
        file("/etc/group", GROUP.into()),
        file("/etc/nsswitch.conf", NSSWITCH.into()),
        file(CERTIFICATES, certificates()),
    ]
}

/// Mozilla's root certificates as PEM, sorted: the order of the list has no meaning.
fn certificates() -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_every_time_and_says_what_it_holds() {
        let platform = Platform::linux("arm64");
        let base = static_base(&platform);
        assert_eq!(base.config, static_base(&platform).config);
        assert_eq!(base.config.platform(), platform);
        assert_eq!(base.config.env("SSL_CERT_FILE"), Some(CERTIFICATES));
        let layer = base.built_in().expect("built in");
        let written = layer.write_to(io::sink()).expect("written");
        assert_eq!(base.config.diff_ids().expect("valid"), [written.diff_id]);
        let temporary = layer.entries().iter().find(|entry| entry.path.as_str() == "/tmp").expect("there");
        assert_eq!((temporary.mode, temporary.owner), (0o1777, Owner::ROOT));
    }

    #[test]
    fn certificates_are_wrapped_pem() {
        let text = String::from_utf8(certificates()).expect("ASCII");
        let blocks = text.matches("-----BEGIN CERTIFICATE-----\n").count();
        assert_eq!(blocks, webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(blocks > 100 && text.lines().all(|line| line.len() <= 64));
    }
}
