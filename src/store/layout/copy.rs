//! Owns copying an image, or an index with all its images, into a layout. Must not change bytes in OCI's form.
//!
//! Manifests with Docker's media types are converted, since not every reader of layouts knows those. This changes their
//! digests, not the image IDs.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::directory::Directory;
use super::image::FORMAT;
use super::{BLOBS, INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError};
use crate::fs::{AtomicFile, FileError, Lease};
use crate::image::manifest::MAXIMUM_MANIFEST;
use crate::image::{
    BlockingBlobs, Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, ImageReference,
    LayerCompression, Manifest, ManifestFormat, ManifestTree, Platform,
};
use crate::store::LayerBlobs;
use crate::store::archive::{ArchiveError, TarWriter};

/// Largest depth of indexes within each other.
const MAXIMUM_DEPTH: usize = 2;

/// Most manifests below one index. Each is small, but indexes of indexes multiply.
const MAXIMUM_MANIFESTS: usize = 4096;

const MAXIMUM_CONFIG: u64 = 8 << 20;

/// Copies `tree` into the layout in `directory`, which may be missing or empty. Returns the manifest or index there.
///
/// Blocks, on a blocking thread of the runtime that reads the blobs.
///
/// # Errors
/// [`LayoutError`]; the index is then unchanged.
pub(super) fn copy_tree(
    tree: &ManifestTree,
    names: &[ImageReference],
    encoder: &LayerBlobs,
    directory: &Path,
    lease: &Lease,
) -> Result<Descriptor, LayoutError> {
    let layout = Directory::open(directory, lease)?;
    let mut copy = Copy { layout, reader: BlockingBlobs::new(), tree, encoder, copied: HashMap::new() };
    let (descriptor, platform) = copy.below(&tree.root, 0)?;
    copy.layout.edit_index(|index| index.put(&descriptor, platform.as_ref(), names))?;
    Ok(descriptor)
}

struct Copy<'a> {
    layout: Directory<'a>,
    reader: BlockingBlobs,
    tree: &'a ManifestTree,
    encoder: &'a LayerBlobs,
    /// The copied manifests, by their digests at the source. An index may name one many times.
    copied: HashMap<Digest, (Descriptor, Option<Platform>)>,
}

impl Copy<'_> {
    fn below(
        &mut self,
        root: &Descriptor,
        depth: usize,
    ) -> Result<(Descriptor, Option<Platform>), LayoutError> {
        if let Some(copied) = self.copied.get(&root.digest) {
            return Ok(copied.clone());
        }
        if self.copied.len() >= MAXIMUM_MANIFESTS {
            return Err(self.bad(root, format!("it has more than {MAXIMUM_MANIFESTS} manifests")));
        }
        let bytes = self.small(root, MAXIMUM_MANIFEST)?;
        let parsed = Manifest::parse(&bytes, Some(&root.media_type));
        let (bytes, media_type, platform) = match parsed.map_err(|error| self.bad(root, error))? {
            Manifest::Image(manifest) => {
                let platform = self.config(&manifest.config)?;
                let layers = manifest.layers.iter().map(|layer| self.layer(layer, manifest.format()));
                let layers: Vec<Descriptor> = layers.collect::<Result<_, _>>()?;
                let same = manifest.format() == FORMAT && layers == manifest.layers;
                let bytes = if same { bytes } else { converted(*manifest, layers) };
                (bytes, FORMAT.manifest(), platform)
            }
            Manifest::Index(_) if depth >= MAXIMUM_DEPTH => {
                return Err(self.bad(root, format!("indexes are nested more than {MAXIMUM_DEPTH} deep")));
            }
            Manifest::Index(index) => {
                let mut entries = Vec::new();
                for entry in &index.manifests {
                    let (copied, _) = self.below(entry, depth + 1)?;
                    let Descriptor { media_type, digest, size, .. } = copied;
                    entries.push(match digest == entry.digest {
                        true => entry.clone(),
                        false => Descriptor { media_type, digest, size, ..entry.clone() },
                    });
                }
                let same = index.media_type == FORMAT.index() && entries == index.manifests;
                let bytes =
                    if same { bytes } else { ImageIndex::new(FORMAT, entries, index.annotations).to_bytes() };
                (bytes, FORMAT.index(), None)
            }
        };
        let descriptor = Descriptor::of(media_type, &bytes);
        self.layout.store_bytes(&descriptor, &bytes)?;
        self.copied.insert(root.digest, (descriptor.clone(), platform.clone()));
        Ok((descriptor, platform))
    }

    /// Copies a config. Returns its platform, if it is an image's.
    fn config(&self, config: &Descriptor) -> Result<Option<Platform>, LayoutError> {
        if config.size > MAXIMUM_CONFIG {
            return self.blob(config).map(|()| None);
        }
        let bytes = self.small(config, MAXIMUM_CONFIG)?;
        self.layout.store_bytes(config, &bytes)?;
        Ok(ImageConfig::parse(&bytes).ok().map(|config| config.platform()))
    }

    /// Copies a layer, and compresses a plain one of a daemon.
    fn layer(&self, layer: &Descriptor, format: ManifestFormat) -> Result<Descriptor, LayoutError> {
        let known = LayerCompression::of_media_type(&layer.media_type);
        if !self.tree.is_raw || known != Some(LayerCompression::None) {
            self.blob(layer)?;
            return Ok(match known {
                // Docker's media type becomes OCI's.
                Some(known) if format != FORMAT => {
                    Descriptor { media_type: FORMAT.layer(known).to_owned(), ..layer.clone() }
                }
                _ => layer.clone(),
            });
        }
        let mut reader = self.open(layer)?;
        let mut out = self.layout.new_blob()?;
        let written = self.encoder.write_tar(&mut reader, layer.size, FORMAT, &mut out);
        let written = written.map_err(|error| self.failed(layer, error))?;
        // A source verifies the bytes at their end.
        io::copy(&mut reader, &mut io::sink()).map_err(|error| self.failed(layer, error))?;
        out.commit_as(&written.digest.hex())?;
        Ok(written)
    }

    fn blob(&self, blob: &Descriptor) -> Result<(), LayoutError> {
        if self.layout.has(blob) {
            return Ok(());
        }
        let mut reader = self.open(blob)?;
        let mut out = self.layout.new_blob()?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed(blob, error)),
            };
            out.write_all(&buffer[..count]).map_err(|error| out.error(error))?;
        }
        // The source has verified digest and size.
        Ok(out.commit_as(&blob.digest.hex())?)
    }

    fn small(&self, blob: &Descriptor, maximum: u64) -> Result<Vec<u8>, LayoutError> {
        if blob.size > maximum {
            return Err(self.bad(blob, format!("it has {} bytes; the limit is {maximum}", blob.size)));
        }
        let reader = self.open(blob)?;
        let mut bytes = Vec::new();
        let read = reader.take(maximum + 1).read_to_end(&mut bytes);
        read.map_err(|error| self.failed(blob, error))?;
        let found = Descriptor::of("", &bytes);
        if (found.digest, found.size) != (blob.digest, blob.size) {
            return Err(self.bad(blob, format!("its bytes have the digest {}", found.digest)));
        }
        Ok(bytes)
    }

    fn open(&self, blob: &Descriptor) -> Result<impl Read + use<>, LayoutError> {
        Ok(self.reader.open(&self.tree.blobs, blob).map_err(ArchiveError::from)?)
    }

    fn bad(&self, blob: &Descriptor, reason: impl ToString) -> LayoutError {
        self.failed(blob, io::Error::new(io::ErrorKind::InvalidData, reason.to_string()))
    }

    fn failed(&self, blob: &Descriptor, source: io::Error) -> LayoutError {
        ArchiveError::ReadBlob { name: self.tree.name.clone(), digest: blob.digest, source }.into()
    }
}

fn converted(manifest: ImageManifest, layers: Vec<Descriptor>) -> Vec<u8> {
    let config = match manifest.format() {
        ManifestFormat::Docker => Descriptor { media_type: FORMAT.config().to_owned(), ..manifest.config },
        ManifestFormat::Oci => manifest.config,
    };
    ImageManifest::new(FORMAT, config, layers, manifest.annotations).to_bytes()
}

/// Writes the layout in `directory`, which nobody else uses, as a tar. The caller commits it.
pub(super) fn archive_layout(directory: &Path, out: &mut AtomicFile) -> Result<(), LayoutError> {
    let blobs = directory.join(BLOBS);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| LayoutError::File(FileError::new("read", &path, error))
    };
    let entries = fs::read_dir(&blobs).map_err(failed(&blobs))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    let names: BTreeSet<String> = names.collect::<Result<_, _>>().map_err(failed(&blobs))?;
    let mut tar = TarWriter { out };
    let mut written = tar.file(LAYOUT_FILE, LAYOUT);
    for name in names.into_iter().map(|name| format!("{BLOBS}/{name}")).chain([INDEX_FILE.to_owned()]) {
        let path = directory.join(&name);
        let file = File::open(&path).map_err(failed(&path))?;
        let size = file.metadata().map_err(failed(&path))?.len();
        written = written.and_then(|()| tar.copy(&name, size, file));
    }
    written.and_then(|()| tar.end()).map_err(|error| LayoutError::File(tar.out.error(error)))
}
