//! Files of a package or a distribution → its artifact. The same files in a directory and in an archive must give the same
//! artifact, whatever their order.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use b2i::events::Events;
use b2i::fs::Lease;
use b2i::input::{AddedContent, InputError, InputOptions, InputSource, fetch};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;

#[derive(Arbitrary, Debug)]
struct Package {
    root: Root,
    keep_tree: bool,
    files: Vec<File>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Root {
    Package,
    Release,
}

#[derive(Arbitrary, Debug)]
struct File {
    directory: Directory,
    name: Name,
    content: Content,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Directory {
    Top,
    Bin,
    Lib,
    Boot,
    Scripts,
    Docs,
    Internal,
    Quarkus,
    Nested,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Name {
    Tool,
    ToolDebug,
    Jar,
    Sources,
    Library,
    Readme,
    PackageJson,
    GoMod,
    QuarkusMark,
    Windows,
}

#[derive(Arbitrary, Debug)]
enum Content {
    Program,
    SharedObject,
    Zip,
    ShellScript,
    NodeScript,
    Any(Vec<u8>),
}

struct Place {
    directory: tempfile::TempDir,
    lease: Lease,
    runtime: Runtime,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let lease = Lease::acquire(&directory.path().join("cache")).expect("a lease");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    Place { directory, lease, runtime }
});

impl Root {
    fn name(self) -> &'static str {
        match self {
            Self::Package => "package",
            Self::Release => "tool-1.2",
        }
    }
}

impl File {
    fn path(&self) -> String {
        let directory = match self.directory {
            Directory::Top => "",
            Directory::Bin => "bin/",
            Directory::Lib => "lib/",
            Directory::Boot => "boot/",
            Directory::Scripts => "scripts/",
            Directory::Docs => "docs/",
            Directory::Internal => "_internal/",
            Directory::Quarkus => "quarkus/",
            Directory::Nested => "linux-x64/bin/",
        };
        let name = match self.name {
            Name::Tool => "tool",
            Name::ToolDebug => "toolDebug",
            Name::Jar => "tool.jar",
            Name::Sources => "tool-sources.jar",
            Name::Library => "libtool.so.1",
            Name::Readme => "README.md",
            Name::PackageJson => "package.json",
            Name::GoMod => "go.mod",
            Name::QuarkusMark => "quarkus-application.dat",
            Name::Windows => "tool.exe",
        };
        format!("{directory}{name}")
    }

    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Program => &include_bytes!("../seeds/detection/executable")[1..],
            Content::SharedObject => &include_bytes!("../seeds/detection/library")[1..],
            Content::Zip => &include_bytes!("../seeds/detection/jar")[1..],
            Content::ShellScript => b"#!/bin/sh\nexec java -jar lib/tool.jar\n",
            Content::NodeScript => b"#!/usr/bin/env node\n",
            Content::Any(bytes) => bytes,
        }
    }
}

fuzz_target!(|package: Package| {
    let mut package = package;
    package.files.truncate(24);
    package.files.sort_by_key(File::path);
    package.files.dedup_by_key(|file| file.path());
    let archive = PLACE.directory.path().join("package.tgz");
    let tree = PLACE.directory.path().join("tree");
    let root = tree.join(package.root.name());
    let _ = std::fs::remove_dir_all(&tree);
    write(&package, &root).expect("writes the directory");
    std::fs::write(&archive, tar(&package).expect("writes to memory")).expect("writes the archive");

    let options = InputOptions { keep_tree: package.keep_tree, ..InputOptions::default() };
    let by_directory = artifact(&root, &options);
    let by_archive = artifact(&archive, &options);
    if !package.files.is_empty() {
        assert_eq!(by_directory, by_archive, "a directory and an archive of {:?}", package.files);
    }
    for entry in std::fs::read_dir(PLACE.lease.temporary_directory()).expect("lists") {
        std::fs::remove_dir_all(entry.expect("lists").path()).expect("removes");
    }
});

/// The name of the artifact, and the number of files that come along; or the class of the error.
fn artifact(path: &Path, options: &InputOptions) -> Result<(String, usize), &'static str> {
    let source = InputSource::File(path.to_owned());
    let fetched =
        PLACE.runtime.block_on(fetch(&source, options, &PLACE.lease, std::io::empty(), &Events::silent()));
    match fetched {
        Ok(artifact) => {
            let is_directory = |content: &AddedContent| matches!(content, AddedContent::Directory);
            let along = artifact.added.iter().filter(|file| !is_directory(&file.content)).count();
            Ok((artifact.name, along))
        }
        Err(InputError::SourceTree { .. }) => Err("a source tree"),
        Err(error) => {
            drop(error.to_string());
            Err("no artifact")
        }
    }
}

fn write(package: &Package, root: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(root)?;
    for file in &package.files {
        let path = root.join(file.path());
        std::fs::create_dir_all(path.parent().expect("below the root"))?;
        std::fs::write(path, file.bytes())?;
    }
    Ok(())
}

fn tar(package: &Package) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in &package.files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(file.bytes().len() as u64);
        builder.append_data(&mut header, format!("{}/{}", package.root.name(), file.path()), file.bytes())?;
    }
    builder.into_inner()
}
