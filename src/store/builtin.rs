//! Owns the built-in static base: users, `/tmp`, name service order, CA certificates and time zones. Must not use the network.
//!
//! The template adds the `assemble`, `run` and `usage` programs. Equal b2i versions make equal bytes.

use std::io;
use std::sync::Arc;

use crate::base_files::{
    CERTIFICATES, CERTIFICATES_VARIABLE, TIME_ZONES, certificates_entry, time_zone_entries,
};
use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::image::{BaseImage, ConfigEdits, ImageConfig, ImagePath, LayerSource, NewLayer, Platform};

pub const STATIC_BASE_NAME: &str = "b2i/static";

/// Date of its files and its config: 1980-01-01, the earliest in every archive format.
const DATE: u64 = 315_532_800;
const CREATED: &str = "1980-01-01T00:00:00Z";

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
        (CERTIFICATES_VARIABLE, CERTIFICATES),
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
    let mut entries = vec![
        directory("/etc", 0o755),
        directory("/etc/ssl", 0o755),
        directory("/etc/ssl/certs", 0o755),
        directory("/tmp", 0o1777),
        directory("/usr", 0o755),
        directory("/usr/share", 0o755),
        file("/etc/passwd", PASSWD.into()),
        file("/etc/group", GROUP.into()),
        file("/etc/nsswitch.conf", NSSWITCH.into()),
        certificates_entry(),
    ];
    entries.extend(time_zone_entries(&ImagePath::new(TIME_ZONES).expect("a constant, absolute path")));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::base::{BUILT_IN_GROUPS, BUILT_IN_USERS};

    #[test]
    fn is_the_same_every_time_and_says_what_it_holds() {
        let platform = Platform::linux("arm64");
        let base = static_base(&platform);
        assert_eq!(base.config, static_base(&platform).config);
        assert_eq!(base.config.platform(), platform);
        assert_eq!(base.config.env("SSL_CERT_FILE"), Some(CERTIFICATES));
        for (text, known) in [(PASSWD, &BUILT_IN_USERS[..]), (GROUP, &BUILT_IN_GROUPS)] {
            let names: Vec<&str> = text.lines().filter_map(|line| line.split(':').next()).collect();
            assert_eq!(names, known);
        }
        let layer = base.built_in().expect("built in");
        let written = layer.write_to(io::sink()).expect("written");
        assert_eq!(base.config.diff_ids().expect("valid"), [written.diff_id]);
        let temporary = layer.entries().iter().find(|entry| entry.path.as_str() == "/tmp").expect("there");
        assert_eq!((temporary.mode, temporary.owner), (0o1777, Owner::ROOT));
    }
}
