//! Owns the comparison of images: the file trees that containers get, and the configs.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io::Read;

use serde_json::{Value, json};

use super::Image;

/// What an image has at one path. Times differ: a script makes files at the time at which it runs.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    kind: char,
    mode: u32,
    owner: (u64, u64),
    target: String,
    content: u64,
}

/// Everything that a container of the image finds.
fn tree(image: &Image) -> BTreeMap<String, Entry> {
    let bytes = image.daemon.export_image(image.reference());
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut tree: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in archive.entries().expect("an export is a tar") {
        let mut entry = entry.expect("a readable entry");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('/').to_owned();
        let path = text(&entry.path_bytes());
        let target = entry.link_name_bytes().map(|bytes| text(&bytes)).unwrap_or_default();
        let header = entry.header().clone();
        let kind = header.entry_type();
        // Which of several names of a file comes first in the tar is chance.
        if kind.is_hard_link() {
            let first = tree.get(&target).unwrap_or_else(|| panic!("{path} is a link to nothing: {target}"));
            let first = first.clone();
            tree.insert(path, first);
            continue;
        }
        let mut hasher = DefaultHasher::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = entry.read(&mut buffer).expect("a readable entry");
            if count == 0 {
                break;
            }
            hasher.write(&buffer[..count]);
        }
        let number = |number: std::io::Result<u64>| number.expect("a number");
        tree.insert(
            path,
            Entry {
                kind: char::from(kind.as_byte()),
                mode: header.mode().expect("a mode"),
                owner: (number(header.uid()), number(header.gid())),
                target,
                content: hasher.finish(),
            },
        );
    }
    tree
}

/// Fails with the differing paths if two images of one daemon have different trees.
pub(crate) fn assert_same_tree(left: &Image, right: &Image) {
    assert_same_tree_but(left, right, &[]);
}

/// As `assert_same_tree`, but for the paths `but`.
pub(crate) fn assert_same_tree_but(left: &Image, right: &Image, but: &[&str]) {
    let trees = [tree(left), tree(right)];
    assert!(trees[0].keys().any(|path| path.contains("opt/app-root/")));
    let paths: std::collections::BTreeSet<_> = trees.iter().flat_map(BTreeMap::keys).collect();
    let different: Vec<String> = paths
        .into_iter()
        .filter(|path| trees[0].get(*path) != trees[1].get(*path))
        .filter(|path| !but.contains(&path.as_str()))
        .map(|path| format!("{path}: {:?} and {:?}", trees[0].get(path), trees[1].get(path)))
        .collect();
    assert!(different.is_empty(), "{}: {}", left.daemon.name, different.join("\n"));
}

/// Fails if two images have different configs, but for their layers and history.
pub(crate) fn assert_same_config(left: &Image, right: &Image) {
    let config = |image: &Image| {
        let inspected = image.inspect();
        let fields = ["Config", "Created", "Author", "Architecture", "Variant", "Os", "OsVersion"];
        Value::from_iter(
            fields.map(|field| (field.to_owned(), inspected.get(field).unwrap_or(&json!(null)).clone())),
        )
    };
    assert_eq!(config(left), config(right), "{}", left.daemon.name);
}

/// Fails if containers of two images would be started differently. What only records how an image was made may differ.
pub(crate) fn assert_same_settings(left: &Image, right: &Image) {
    let settings = |image: &Image| {
        let mut config = image.inspect()["Config"].clone();
        let fields = config.as_object_mut().expect("a config is an object");
        // Docker fills in what a container would get.
        for field in ["Hostname", "Image", "AttachStdin", "AttachStdout", "AttachStderr", "ArgsEscaped"] {
            fields.remove(field);
        }
        fields
            .retain(|_, value| ![json!(null), json!([]), json!({}), json!(""), json!(false)].contains(value));
        if let Some(labels) = fields.get_mut("Labels").and_then(Value::as_object_mut) {
            labels.remove("io.buildah.version");
        }
        // Podman keeps no health check in the manifests that buildah writes.
        if image.daemon.name == "podman" {
            fields.remove("Healthcheck");
        }
        config
    };
    assert_eq!(settings(left), settings(right), "{}", left.daemon.name);
}
