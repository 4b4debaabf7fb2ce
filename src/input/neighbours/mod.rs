//! Owns what is known of the files that go with an artifact, those of its tree and those that the user adds: which Java and
//! which C library they need, and which libraries of the program are where the dynamic linker looks.
//! Must not decide about a base.
//!
//! [`Neighbours::missing_libraries`] is the one test of whether a library is there. A base may have what is missing.

mod files;
mod loader;
pub(super) mod needs;
mod on_disk;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::artifact::{AddedContent, AddedDestination, AddedFile, Artifact, Origin};
use crate::detect::facts::{ExecutableFacts, GlibcVersion, Libc};
use crate::detect::{LinkedFile, jar_release, linked_file};
use crate::image::{ImagePath, Platform};
pub(crate) use files::{FileTree, Node};
pub(crate) use loader::Loader;
pub use loader::MissingLibrary;
pub use on_disk::class_path_options;

/// The files that are read. A release with more of them has many of a kind.
const MOST_READ: usize = 20_000;

/// The files that go with an artifact.
#[derive(Clone, Debug, Default)]
pub struct Neighbours {
    /// The artifact, if it is a program.
    program: Option<Arc<LinkedFile>>,
    files: Vec<Neighbour>,
    /// The libraries of the program that are near the input on the disk, by their names.
    on_disk: BTreeMap<String, PathBuf>,
    /// The highest Java release that a JAR needs.
    java: Option<u32>,
}

#[derive(Clone, Debug)]
struct Neighbour {
    destination: AddedDestination,
    /// The number of a file is its index in `files`.
    node: Node,
    linked: Option<Arc<LinkedFile>>,
}

/// The C library that programs among the files need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeededLibc {
    pub libc: Libc,
    /// The highest version of the GNU C library that any of the files needs.
    pub glibc: Option<GlibcVersion>,
}

impl Neighbours {
    /// Reads the files that go with an artifact.
    ///
    /// # Errors
    /// The error of reading a file, or that it was changed since it was listed.
    pub fn of(artifact: &Artifact) -> io::Result<Self> {
        let program = linked_file(artifact.size, artifact.content.reader())?.map(Arc::new);
        let on_disk = match (&artifact.origin, &program) {
            (Origin::File { path }, Some(program)) => on_disk::libraries(path, program),
            _ => BTreeMap::new(),
        };
        Ok(Self { program, on_disk, ..Self::read(&artifact.added)? })
    }

    pub(crate) fn read(added: &[AddedFile]) -> io::Result<Self> {
        let mut neighbours = Self::default();
        let mut left = MOST_READ;
        for file in added {
            let mut linked = None;
            let node = match &file.content {
                AddedContent::Directory => Node::Directory,
                AddedContent::Symlink { target } => Node::Link(target.clone()),
                AddedContent::File { content, size, executable } => {
                    let name = file.destination.file_name();
                    if left > 0 && (*executable || name.contains(".so")) {
                        left -= 1;
                        linked = linked_file(*size, content.reader())?.map(Arc::new);
                    } else if left > 0 && name.to_ascii_lowercase().ends_with(".jar") {
                        left -= 1;
                        neighbours.java = neighbours.java.max(jar_release(*size, content.reader())?);
                    }
                    Node::File(neighbours.files.len())
                }
            };
            neighbours.files.push(Neighbour { destination: file.destination.clone(), node, linked });
        }
        Ok(neighbours)
    }

    /// The highest Java release that a JAR among the files needs.
    pub fn java(&self) -> Option<u32> {
        self.java
    }

    /// The highest version of the GNU C library that a program or library for `platform` needs.
    pub fn glibc(&self, platform: &Platform) -> Option<GlibcVersion> {
        let of_glibc = self.linked_for(platform).filter(|file| file.libc != Some(Libc::Musl));
        of_glibc.filter_map(|file| file.glibc).max()
    }

    /// The C library of the programs for `platform`, for an artifact that needs none itself. Of several, glibc.
    pub fn libc(&self, platform: &Platform) -> Option<NeededLibc> {
        let programs = self.linked_for(platform).filter(|file| file.interpreter.is_some());
        let libraries: Vec<Libc> = programs.filter_map(|file| file.libc).collect();
        let libc = [Libc::Glibc, Libc::Musl].into_iter().find(|libc| libraries.contains(libc))?;
        Some(NeededLibc { libc, glibc: self.glibc(platform).filter(|_| libc == Libc::Glibc) })
    }

    fn linked_for<'a>(&'a self, platform: &'a Platform) -> impl Iterator<Item = &'a LinkedFile> {
        let files = self.files.iter().filter_map(|file| file.linked.as_deref());
        files.filter(|file| file.platform.architecture == platform.architecture)
    }

    /// The libraries of the program at `artifact` that are not among the files where the dynamic linker looks, and those that
    /// such libraries need in turn. Files beside the artifact start at `top`. `environment` may set LD_LIBRARY_PATH.
    ///
    /// Libraries of the base are missing here, and so is the C library: the caller knows the base.
    pub fn missing_libraries(
        &self,
        program: &ExecutableFacts,
        (artifact, top): (&ImagePath, &ImagePath),
        environment: &[(String, String)],
    ) -> Vec<MissingLibrary> {
        let library_path = environment.iter().rev().find(|(name, _)| name == "LD_LIBRARY_PATH");
        let library_path = library_path.map(|(_, value)| value.as_str()).unwrap_or_default();
        let library_path = library_path.split([':', ';']).filter(|path| !path.is_empty());
        let mut linked = |number: usize| self.files.get(number).and_then(|file| file.linked.clone());
        let mut files = self.tree(top);
        files.insert(artifact.as_str().trim_start_matches('/'), Node::File(self.files.len()));
        let mut loader = Loader {
            files: &files,
            linked: &mut linked,
            library_path: library_path.map(str::to_owned).collect(),
            working_directory: top.as_str(),
        };
        let program = self.program.clone().unwrap_or_else(|| Arc::new(program.into()));
        let mut missing = loader.search(artifact.as_str(), program).missing;
        for library in &mut missing {
            library.on_disk = self.on_disk.get(&library.name).cloned();
        }
        missing
    }

    /// The files at their places in the image.
    fn tree(&self, top: &ImagePath) -> FileTree {
        let mut tree = FileTree::default();
        for file in &self.files {
            tree.insert_at(&file.destination, top, file.node.clone());
        }
        tree
    }

    /// Programs and libraries at these paths beside the artifact, without a file behind them.
    #[cfg(test)]
    pub(crate) fn sample(files: &[(&str, LinkedFile)], java: Option<u32>) -> Self {
        let files = files.iter().enumerate().map(|(number, (path, linked))| Neighbour {
            destination: AddedDestination::Beside((*path).to_owned()),
            node: Node::File(number),
            linked: Some(Arc::new(linked.clone())),
        });
        Self { files: files.collect(), java, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;
    use crate::detect::ElfSample;
    use crate::input::FileContent;

    fn added(path: &str, bytes: &[u8]) -> AddedFile {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(bytes).expect("writes");
        let content = FileContent::temporary(file);
        let executable = bytes.starts_with(b"\x7fELF");
        let content = AddedContent::File { content, size: bytes.len() as u64, executable };
        AddedFile { destination: AddedDestination::Beside(path.into()), content }
    }

    /// A JAR with a class file for `java`.
    fn jar(java: u8) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("a/B.class", zip::write::SimpleFileOptions::default()).expect("starts");
        zip.write_all(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, java + 44, 0, 1]).expect("writes");
        zip.finish().expect("finishes").into_inner()
    }

    #[test]
    fn the_highest_need_of_all_files_counts() {
        let library = |glibc| ElfSample {
            interpreter: None,
            needed: vec!["libc.so.6"],
            versions: vec![(glibc, false)],
            ..ElfSample::default()
        };
        let program = ElfSample { needed: vec!["libc.so.6"], ..ElfSample::default() };
        let foreign = ElfSample { machine: 183, ..library("GLIBC_2.39") };
        let neighbours = Neighbours::read(&[
            added("lib/old.jar", &jar(8)),
            added("lib/new.jar", &jar(17)),
            added("lib/no.jar", b"text"),
            added("lib/liba.so", &library("GLIBC_2.17").bytes()),
            added("lib/data", &library("GLIBC_2.35").bytes()),
            added("lib/arm/liba.so", &foreign.bytes()),
        ]);
        let neighbours = neighbours.expect("reads");
        let amd64 = Platform::linux("amd64");
        assert_eq!(neighbours.java(), Some(17));
        assert_eq!(neighbours.glibc(&amd64).map(|version| version.to_string()).as_deref(), Some("2.35"));
        assert_eq!(neighbours.libc(&amd64), None, "libraries start nothing");
        let with_program = Neighbours::read(&[
            added("libexec/x", &program.bytes()),
            added("lib/liba.so", &library("GLIBC_2.35").bytes()),
        ]);
        let needed = with_program.expect("reads").libc(&amd64).expect("a program");
        assert_eq!((needed.libc, needed.glibc.map(|glibc| glibc.minor)), (Libc::Glibc, Some(35)));
    }
}
