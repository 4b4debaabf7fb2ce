//! Owns the cache of unpacked layers. A layer is unpacked once, under a temporary name, and all processes share it.
//!
//! `<cache>/layers-v1/<diff ID>-<ids>/` contains `tree` and `layer.json`. Two files beside it are locks. Users of a
//! layer lock `.lock` as shared; the process that unpacks locks `.making.lock`. Removal locks `.lock` and removes
//! `layer.json` first; without it, the rest does not count. The name has the ids because they determine the owners on
//! the disk. Must not know where layers come from.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::SandboxSettings;
use super::error::SandboxError;
use super::mapping::Mapping;
use super::protocol::{Answer, Permissions, Purpose, Request};
use super::supervisor::{Supervisor, unexpected};
use crate::events::Events;
use crate::fs::cache_directory::CacheDirectory;
use crate::fs::error::FileError;
use crate::image::{Digest, DigestReader, LayerSource, open_tar};

const FORMAT: u32 = 1;

/// A layer with its diff ID, which is compared with the bytes.
pub(super) type ImageLayer<'a> = (Digest, &'a LayerSource);

/// An unpacked layer, which is locked while this value lives.
#[derive(Debug)]
pub(super) struct UnpackedLayer {
    pub(super) tree: PathBuf,
    /// Mode and owner of the root directory.
    pub(super) root: Option<Permissions>,
    _used: Lock,
}

#[derive(Serialize, Deserialize)]
struct Description {
    root: Option<Permissions>,
}

#[derive(Clone, Copy)]
pub(super) struct Unpacking<'a> {
    pub(super) settings: &'a SandboxSettings,
    pub(super) mapping: &'a Mapping,
    pub(super) image: &'a str,
    pub(super) events: &'a Events,
}

struct Store<'a> {
    unpacking: Unpacking<'a>,
    directory: PathBuf,
}

impl<'a> Unpacking<'a> {
    /// Unpacks the layers that the cache lacks, and returns all; both lowest first.
    pub(super) fn layers(&self, layers: &[ImageLayer<'_>]) -> Result<Vec<UnpackedLayer>, SandboxError> {
        let directory = self.settings.cache.part("layers", FORMAT)?;
        let get = |layer: &ImageLayer<'_>| {
            let name = format!("{}-{}", layer.0.hex(), self.mapping.key());
            Store { unpacking: *self, directory: directory.join(&name) }.get(layer)
        };
        layers.iter().map(get).collect()
    }

    /// Creates a directory that is removed unless it is kept, at the latest with the lease.
    pub(super) fn new_directory(&self, prefix: &str) -> Result<Partial<'a>, SandboxError> {
        let path = new_directory(&self.settings.temporary, prefix)?;
        Ok(Partial { path, settings: self.settings, mapping: self.mapping })
    }

    /// Creates `tree`, unpacks a layer to it, and returns the layer's root directory.
    pub(super) fn unpack(
        &self,
        layer: &ImageLayer<'_>,
        tree: &Path,
    ) -> Result<Option<Permissions>, SandboxError> {
        create_directory(tree)?;
        let purpose = Purpose::Unpack { directory: tree.to_owned() };
        let supervisor = Supervisor::start(&self.settings.program, purpose, self.mapping, Vec::new())?;
        supervisor.wait_until_ready()?;
        self.fill(layer, &supervisor)
    }

    fn fill(
        &self,
        layer: &ImageLayer<'_>,
        supervisor: &Supervisor,
    ) -> Result<Option<Permissions>, SandboxError> {
        let action = "unpack a layer";
        let unpack = |action: &str, reason: String| SandboxError::Unpack {
            image: self.image.to_owned(),
            layer: layer.0,
            action: action.to_owned(),
            reason,
        };
        let bytes = open_tar(layer.1).map_err(|error| unpack("open it", error.to_string()))?;
        let mut bytes = DigestReader::new(bytes);
        supervisor.send(&Request::Unpack { directory: "/".into() }, action)?;
        let read = supervisor.send_data(&mut bytes)?;
        let answer = supervisor.answer(action);
        read.map_err(|error| unpack("read it", error.to_string()))?;
        let (found, _) = bytes.finish();
        if found != layer.0 {
            let image = self.image.to_owned();
            return Err(SandboxError::WrongLayer { image, expected: layer.0, found });
        }
        match answer {
            Ok(Answer::Unpacked { root, notes }) => {
                for note in notes {
                    self.events.note(format!("layer {}: {note}", layer.0));
                }
                Ok(root)
            }
            Ok(answer) => Err(unexpected(action, &answer)),
            Err(SandboxError::Other { action, reason } | SandboxError::BadImage { action, reason }) => {
                Err(unpack(&action, reason))
            }
            Err(error) => Err(error),
        }
    }
}

impl Store<'_> {
    fn get(&self, layer: &ImageLayer<'_>) -> Result<UnpackedLayer, SandboxError> {
        let used = Lock::open(&self.directory, "lock")?;
        loop {
            used.check("lock", used.file.lock_shared())?;
            if let Some(root) = self.read()? {
                // Pruning starts with the oldest date. A date that cannot be set only means an earlier removal.
                let _ = File::open(&self.directory).and_then(|file| file.set_modified(SystemTime::now()));
                return Ok(UnpackedLayer { tree: self.directory.join("tree"), root, _used: used });
            }
            used.check("unlock", used.file.unlock())?;
            // Users of a layer hold the other lock as long as their container lives.
            let making = Lock::open(&self.directory, "making.lock")?;
            making.check("lock", making.file.lock())?;
            // Another process may have unpacked it.
            if self.read()?.is_none() {
                self.make(layer)?;
            }
        }
    }

    /// The layer's root directory, if the layer is complete.
    fn read(&self) -> Result<Option<Option<Permissions>>, SandboxError> {
        let path = self.directory.join("layer.json");
        match fs::read(&path) {
            Ok(text) => {
                let description: Description = serde_json::from_slice(&text)
                    .map_err(|error| FileError::new("read", &path, io::Error::other(error)))?;
                Ok(Some(description.root))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::new("read", &path, error).into()),
        }
    }

    fn make(&self, layer: &ImageLayer<'_>) -> Result<(), SandboxError> {
        let Unpacking { settings, mapping, .. } = self.unpacking;
        let partial = self.unpacking.new_directory("layer")?;
        let root = self.unpacking.unpack(layer, &partial.path.join("tree"))?;
        let description = partial.path.join("layer.json");
        let text = serde_json::to_vec(&Description { root }).expect("numbers can be written as JSON");
        fs::write(&description, text).map_err(|error| FileError::new("write", &description, error))?;
        // The rest of a layer whose removal was not completed.
        remove_tree(&settings.program, &self.directory, mapping)?;
        fs::rename(&partial.path, &self.directory)
            .map_err(|error| FileError::new("create", &self.directory, error))?;
        Ok(())
    }
}

#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Opens the lock beside `directory`. Locks are never removed, because a process may wait for one.
    fn open(directory: &Path, extension: &str) -> Result<Self, SandboxError> {
        let path = directory.with_added_extension(extension);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| FileError::new("open", &path, error))?;
        Ok(Self { file, path })
    }

    fn check(&self, action: &'static str, result: io::Result<()>) -> Result<(), SandboxError> {
        Ok(result.map_err(|error| FileError::new(action, &self.path, error))?)
    }
}

pub(super) struct Partial<'a> {
    pub(super) path: PathBuf,
    settings: &'a SandboxSettings,
    mapping: &'a Mapping,
}

impl Partial<'_> {
    pub(super) fn keep(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for Partial<'_> {
    /// The path does not exist any more if it was renamed.
    fn drop(&mut self) {
        if self.path.exists() {
            let _ = remove_tree(&self.settings.program, &self.path, self.mapping);
        }
    }
}

/// Completes interrupted removals of layers. Their files may belong to other ids.
pub(super) fn remove_halves(
    program: &Path,
    cache: &CacheDirectory,
    mapping: &Mapping,
) -> Result<(), SandboxError> {
    let directory = cache.part("layers", FORMAT)?;
    let entries = fs::read_dir(&directory).map_err(|error| FileError::new("read", &directory, error))?;
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if !path.is_dir() || path.join("layer.json").exists() {
            continue;
        }
        let making = Lock::open(&path, "making.lock")?;
        if making.file.try_lock().is_ok() && !path.join("layer.json").exists() {
            remove_tree(program, &path, mapping)?;
        }
    }
    Ok(())
}

/// Creates a directory with an unused name and mode 0700.
pub(super) fn new_directory(parent: &Path, prefix: &str) -> Result<PathBuf, SandboxError> {
    let directory = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir_in(parent);
    let directory = directory.map_err(|error| FileError::new("create a directory in", parent, error))?;
    Ok(directory.keep())
}

fn create_directory(path: &Path) -> Result<(), SandboxError> {
    use std::os::unix::fs::DirBuilderExt;
    let created = fs::DirBuilder::new().mode(0o755).create(path);
    Ok(created.map_err(|error| FileError::new("create the directory", path, error))?)
}

/// Removes a directory, in a user namespace if its files belong to other ids.
pub(super) fn remove_tree(program: &Path, path: &Path, mapping: &Mapping) -> Result<(), SandboxError> {
    let mut tries = 0;
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // A child that ends may be emptying it too.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries < 200 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            Err(error) if Mapping::is_real_root() => {
                return Err(FileError::new("remove", path, error).into());
            }
            Err(_) => break,
        }
    }
    let purpose = Purpose::Remove { directory: path.to_owned() };
    let supervisor = Supervisor::start(program, purpose, mapping, Vec::new())?;
    match supervisor.answer("remove files")? {
        Answer::Complete { .. } => {}
        answer => return Err(unexpected("remove files", &answer)),
    }
    Ok(fs::remove_dir(path).map_err(|error| FileError::new("remove", path, error))?)
}
