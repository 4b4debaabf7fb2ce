//! Places to assemble in, and the file trees that go in and come out.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::*;

/// An entry of a file tree: what it is, its mode and its content or target.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    File(u32, &'static str),
    Directory(u32),
    Link(&'static str),
}

use Entry::{Directory, File, Link};

pub(super) type Tree = BTreeMap<Vec<u8>, Entry>;

pub(super) fn tree(entries: &[(&[u8], Entry)]) -> Tree {
    entries.iter().map(|(name, entry)| (name.to_vec(), entry.clone())).collect()
}

/// Writes the tree; folders stand before what is in them.
fn write_tree(folder: &Path, tree: &Tree) {
    for (name, entry) in tree {
        let path = folder.join(OsStr::from_bytes(name));
        match entry {
            File(mode, content) => {
                std::fs::write(&path, content).expect("writable");
                set_mode(&path, *mode);
            }
            Directory(mode) => {
                std::fs::create_dir(&path).expect("writable");
                set_mode(&path, *mode);
            }
            Link(target) => symlink(target, &path).expect("writable"),
        }
    }
}

/// Reads a tree; contents must be those that the tests write.
pub(super) fn read_tree(folder: &Path) -> Tree {
    fn collect(folder: &Path, top: &Path, tree: &mut Tree) {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            let name = path.strip_prefix(top).expect("below").as_os_str().as_bytes().to_vec();
            let status = path.symlink_metadata().expect("there");
            let mode = status.mode() & 0o7777;
            let leak = |text: String| &*text.leak();
            let entry = if status.is_symlink() {
                let target = std::fs::read_link(&path).expect("a link");
                Link(leak(target.to_string_lossy().into_owned()))
            } else if status.is_dir() {
                collect(&path, top, tree);
                Directory(mode)
            } else {
                File(mode, leak(std::fs::read_to_string(&path).expect("readable")))
            };
            tree.insert(name, entry);
        }
    }
    let mut tree = Tree::new();
    collect(folder, folder, &mut tree);
    tree
}

/// A place to assemble in, as it is in a container: the upload and APP_ROOT, all of the image's user.
pub(super) struct Place {
    pub(super) upload: TempDir,
    pub(super) root: TempDir,
}

const USER: u32 = 1001;

impl Place {
    pub(super) fn new(input: Option<&Tree>) -> Self {
        Self::with_root(input, open_folder())
    }

    pub(super) fn with_root(input: Option<&Tree>, root: TempDir) -> Self {
        let upload = open_folder();
        std::fs::create_dir(upload.path().join("scripts")).expect("writable");
        std::fs::create_dir(root.path().join("bin")).expect("writable");
        if let Some(input) = input {
            std::fs::create_dir(upload.path().join("src")).expect("writable");
            write_tree(&upload.path().join("src"), input);
        }
        Self { upload, root }
    }

    /// Runs assemble as the image's user, with an umask that would spoil modes.
    pub(super) fn assemble(&self, runner: Runner, template: &str, environment: &[(&str, &str)]) -> Output {
        let inner = runner.command(template, "assemble");
        let mut command = Command::new("sh");
        command.args(["-c", "umask 0077; exec \"$@\"", "sh"]).arg(inner.get_program()).args(inner.get_args());
        command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("S2I_DESTINATION", self.upload.path()).env("APP_ROOT", self.root.path());
        command.envs(environment.iter().copied()).current_dir("/");
        if rustix::process::geteuid().is_root() {
            must_succeed(
                Command::new("chown")
                    .args(["-hR", &format!("{USER}:0")])
                    .args([self.upload.path(), self.root.path()]),
            );
        }
        as_user(&mut command, USER);
        run(&mut command)
    }

    pub(super) fn placed(&self) -> Tree {
        read_tree(&self.root.path().join("bin"))
    }

    pub(super) fn leftovers(&self) -> Tree {
        read_tree(self.upload.path())
    }
}
