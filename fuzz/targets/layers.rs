//! Members of a tar → a tree: an image's layer, or files for a container, as the sandbox unpacks them, and an archive
//! with its tree, as input. Whatever the members say, nothing outside of the tree is touched.
#![no_main]

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use arbitrary::Arbitrary;
use b2i::engine::sandbox::fuzzing::unpack_as_layer;
use b2i::fs::{TreeLimits, TreeWriter};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    target: Target,
    members: Vec<Member>,
}

#[derive(Arbitrary, Debug)]
enum Target {
    Layer,
    Container,
    Tree,
}

#[derive(Arbitrary, Debug)]
struct Member {
    kind: Kind,
    path: Vec<Part>,
    is_absolute: bool,
    mode: u32,
    owner: u16,
}

#[derive(Arbitrary, Debug)]
enum Kind {
    Directory,
    File {
        size: u8,
    },
    Symlink {
        to: Vec<Part>,
        is_absolute: bool,
    },
    HardLink {
        to: Vec<Part>,
    },
    Fifo,
    Device,
    GlobalExtension,
    /// A record of a pax header for the next member.
    Extension {
        name: Extended,
        value: String,
    },
    Other {
        kind: u8,
    },
}

#[derive(Arbitrary, Debug)]
enum Extended {
    Path,
    Link,
    Attribute,
    Overlay,
    Owner,
    Size,
}

/// Few names, so that members meet each other.
#[derive(Arbitrary, Debug)]
enum Part {
    A,
    B,
    Up,
    Here,
    Opaque,
    WhiteoutA,
    Canary,
    Nothing,
    Any(String),
}

fn path(parts: &[Part], is_absolute: bool) -> String {
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| match part {
            Part::A => "a",
            Part::B => "b",
            Part::Up => "..",
            Part::Here => ".",
            Part::Opaque => ".wh..wh..opq",
            Part::WhiteoutA => ".wh.a",
            Part::Canary => "canary",
            Part::Nothing => "",
            Part::Any(name) => name,
        })
        .collect();
    format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
}

fn tar(members: &[Member]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = tar::Header::new_gnu();
        header.set_mode(member.mode);
        header.set_uid(member.owner.into());
        header.set_gid(member.owner.into());
        set(&mut header.as_old_mut().name, &path(&member.path, member.is_absolute));
        let mut content = Vec::new();
        let kind = match &member.kind {
            Kind::Directory => tar::EntryType::Directory,
            Kind::File { size } => {
                content = vec![b'x'; usize::from(*size)];
                tar::EntryType::Regular
            }
            Kind::Symlink { to, is_absolute } => {
                set(&mut header.as_old_mut().linkname, &path(to, *is_absolute));
                tar::EntryType::Symlink
            }
            Kind::HardLink { to } => {
                set(&mut header.as_old_mut().linkname, &path(to, false));
                tar::EntryType::Link
            }
            Kind::Fifo => tar::EntryType::Fifo,
            Kind::Device => tar::EntryType::Char,
            Kind::GlobalExtension => tar::EntryType::XGlobalHeader,
            Kind::Extension { name, value } => {
                content = extension(name, value);
                tar::EntryType::XHeader
            }
            Kind::Other { kind } => tar::EntryType::new(*kind),
        };
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, &content[..]).expect("writes into memory");
    }
    tar.into_inner().expect("writes into memory")
}

fn extension(name: &Extended, value: &str) -> Vec<u8> {
    let name = match name {
        Extended::Path => "path",
        Extended::Link => "linkpath",
        Extended::Attribute => "SCHILY.xattr.user.b",
        Extended::Overlay => "SCHILY.xattr.user.overlay.redirect",
        Extended::Owner => "SCHILY.xattr.user.b2i.owner",
        Extended::Size => "size",
    };
    let rest = format!(" {name}={value}\n");
    // The length counts itself.
    let length = (rest.len() + 1..).find(|length| length.to_string().len() + rest.len() == *length);
    format!("{}{rest}", length.expect("one fits")).into_bytes()
}

fn set(field: &mut [u8], text: &str) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text.as_bytes()[..length]);
}

fuzz_target!(|input: Input| {
    let outside = tempfile::tempdir().expect("a temporary directory");
    let canary = outside.path().join("canary");
    std::fs::write(&canary, "untouched").expect("writes");
    let before = std::fs::metadata(&canary).expect("is there");
    let root = outside.path().join("root");
    std::fs::create_dir(&root).expect("makes a directory");
    match input.target {
        Target::Layer => unpacked(&root, &input.members, true),
        Target::Container => unpacked(&root, &input.members, false),
        Target::Tree => written(&root, &input.members),
    }
    let after = std::fs::metadata(&canary).expect("is still there");
    assert_eq!(std::fs::read(&canary).expect("reads"), b"untouched");
    // A new name for it, another mode or owner would be a way out as well.
    assert_eq!((before.ctime(), before.ctime_nsec()), (after.ctime(), after.ctime_nsec()));
    assert_eq!(std::fs::read_dir(outside.path()).expect("lists").count(), 2);
});

fn unpacked(root: &Path, members: &[Member], is_layer: bool) {
    if let Err(error) = unpack_as_layer(root, &mut &tar(members)[..], is_layer) {
        assert!(!error.is_empty());
        return;
    }
    if is_layer {
        assert_no_foreign_attributes(root);
    }
}

/// Attributes that mean something to overlayfs or b2i may only be b2i's own.
fn assert_no_foreign_attributes(directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("lists") {
        let entry = entry.expect("lists");
        let mut names = [0; 4096];
        let count = rustix_attributes(&entry.path(), &mut names);
        let names = String::from_utf8_lossy(&names[..count]);
        assert!(!names.contains("overlay.redirect"), "{names}");
        if entry.file_type().expect("a type").is_dir() {
            assert_no_foreign_attributes(&entry.path());
        }
    }
}

fn rustix_attributes(path: &Path, names: &mut [u8]) -> usize {
    rustix::fs::llistxattr(path, names).unwrap_or(0)
}

fn written(root: &Path, members: &[Member]) {
    let limits = TreeLimits { entries: 1000, bytes: 10_000 };
    let mut writer = TreeWriter::new(root, limits).expect("opens");
    for member in members {
        let name = path(&member.path, member.is_absolute);
        let written = match &member.kind {
            Kind::Directory => writer.directory(&name),
            Kind::Symlink { to, is_absolute } => writer.symlink(&name, &path(to, *is_absolute)),
            Kind::HardLink { to } => writer.hard_link(&name, &path(to, false)),
            Kind::File { size } => {
                let content = vec![b'x'; usize::from(*size)];
                writer.file(&name, &mut &content[..], false).map(drop)
            }
            _ => Ok(()),
        };
        if let Err(error) = written {
            drop(error.to_string());
        }
    }
    assert_links_stay_inside(root, root);
}

/// Every link that leads somewhere leads into the tree.
fn assert_links_stay_inside(root: &Path, directory: &Path) {
    for entry in std::fs::read_dir(directory).expect("lists") {
        let entry = entry.expect("lists");
        let kind = entry.file_type().expect("a type");
        if kind.is_symlink()
            && let Ok(place) = entry.path().canonicalize()
        {
            let root = root.canonicalize().expect("is there");
            assert!(place.starts_with(&root), "{} leads to {}", entry.path().display(), place.display());
        } else if kind.is_dir() {
            assert_links_stay_inside(root, &entry.path());
        }
    }
}
