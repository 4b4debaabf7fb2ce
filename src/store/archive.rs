//! Owns image archives: the tar that `docker load` and `podman load` take, whole or without the base's layers.
//!
//! Writes in one pass and in bounded memory: the new layer first, then the config that depends on its digest, then
//! the manifest. Must not know where the bytes go: a file, or a request to a daemon.
//!
//! Source: Docker image spec v1.2 "Combined Image JSON + Filesystem Changeset Format"; OCI image spec v1.1
//! "image-layout.md".

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde_json::json;

use super::{BaseLayers, UnfinishedImage, WrittenImage};
use crate::failure::{Failure, FailureKind};
use crate::image::config::InvalidConfig;
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, ImageReference};

const BLOCK: u64 = 512;

/// Path of the new layer in the archive: its digest is not known when its header is written.
const NEW_LAYER: &str = "new/layer.tar";

/// The types within the OCI layout are Docker's: Podman reads health checks in images of these types only, and takes
/// both kinds in a layout with one image (ran: Podman 4.3).
const CONFIG_TYPE: &str = "application/vnd.docker.container.image.v1+json";
const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar";
const MANIFEST_TYPE: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// An uncompressed layer in a file, verified against its diff ID by whoever wrote the file.
#[derive(Clone, Debug)]
pub struct LayerFile {
    /// Digest of the file's bytes.
    pub diff_id: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
}

/// An archive that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Reading the artifact or writing the archive failed.
    #[error("writing the image archive failed")]
    Io(#[from] io::Error),
    /// A file of the new layer is not what it was when it was found.
    #[error("the files of the image could not be read")]
    Content(#[source] io::Error),
    /// A layer of the base could not be read.
    #[error("reading the base layer {diff_id} from `{}` failed", path.display())]
    BaseLayer {
        /// Its diff ID.
        diff_id: Digest,
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer of the base is not among the files.
    #[error("the base `{name}` has the layer {diff_id}, but its bytes are not at hand")]
    MissingLayer {
        /// The base.
        name: String,
        /// The layer.
        diff_id: Digest,
    },
    /// The built-in base was written with another digest than its config says.
    #[error("the built-in base layer has the digest {found}, but its config says {expected:?}")]
    BuiltInLayer {
        /// What was written.
        found: Digest,
        /// What the config says.
        expected: Vec<Digest>,
    },
    /// The config that was made for the image does not list the layers that were written.
    #[error("the image config lists the layers {found:?}, but {expected:?} were written")]
    Layers {
        /// What the config lists.
        found: Vec<Digest>,
        /// What was written.
        expected: Vec<Digest>,
    },
    /// A config is not valid.
    #[error("the config of the image `{name}` is not valid")]
    Config {
        /// The image.
        name: String,
        /// Why.
        source: InvalidConfig,
    },
}

impl Failure for ArchiveError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Content(_) => FailureKind::Input,
            Self::Io(_) | Self::BaseLayer { .. } | Self::MissingLayer { .. } => FailureKind::Image,
            Self::BuiltInLayer { .. } | Self::Layers { .. } => FailureKind::Unexpected,
            Self::Config { .. } => FailureKind::Builder,
        }
    }
}

/// Writes an image with all its layers; the bytes depend on the image and the tags alone.
///
/// `base_layers` are the files of a base that is in a daemon, in any order; other bases bring their layers along.
///
/// # Errors
/// [`ArchiveError`]; after one, what was written so far is no archive.
pub fn write_archive(
    image: &UnfinishedImage,
    base_layers: &[LayerFile],
    tags: &[ImageReference],
    out: impl Write,
) -> Result<WrittenImage, ArchiveError> {
    let names: Vec<String> = tags.iter().map(ImageReference::familiar).collect();
    let (layer, config) = write_image(image, BaseFiles::All(base_layers), Form::Docker, &names, out)?;
    Ok(WrittenImage { image_id: config.digest(), layer: Some(layer) })
}

/// Which layers of the base go into an archive.
#[derive(Clone, Copy)]
pub(crate) enum BaseFiles<'a> {
    /// None that the reader has; a built-in base always goes along.
    Absent,
    /// All of them; a daemon's are in these files.
    All(&'a [LayerFile]),
}

/// How an archive is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `docker save`'s.
    Docker,
    /// An OCI layout.
    Oci,
}

/// Writes an image, its base with it or without.
pub(crate) fn write_image(
    image: &UnfinishedImage,
    base: BaseFiles<'_>,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<(WrittenLayer, ImageConfig), ArchiveError> {
    let base_ids = diff_ids(&image.base.name, &image.base.config)?;
    let mut archive = Archive { out, form };
    write_base(&mut archive, image, &base_ids, base)?;
    let written = archive.layer(NEW_LAYER, image.layer.size(), |out| image.layer.write_to(out));
    let written = written.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => ArchiveError::Content(error),
        _ => error.into(),
    })?;
    let config = (image.finish)(&written);
    let expected: Vec<Digest> = base_ids.iter().copied().chain([written.diff_id]).collect();
    let found = diff_ids(&image.base.name, &config)?;
    if found != expected {
        return Err(ArchiveError::Layers { found, expected });
    }
    match form {
        Form::Docker => archive.docker_end(&config, &expected, names, Some(written.diff_id))?,
        Form::Oci => {
            archive.hard_link(&blob(&written.diff_id), NEW_LAYER)?;
            archive.oci_end(&config, &expected, names, Some(&written))?;
        }
    }
    Ok((written, config))
}

/// Writes an archive that holds a config and the names of its layers, for a daemon that has all of these.
pub(crate) fn write_config_only(
    config: &ImageConfig,
    form: Form,
    names: &[String],
    out: impl Write,
) -> Result<(), ArchiveError> {
    let ids = diff_ids("", config)?;
    let mut archive = Archive { out, form };
    match form {
        Form::Docker => archive.docker_end(config, &ids, names, None),
        Form::Oci => archive.oci_end(config, &ids, names, None),
    }
}

/// Writes an archive of `config` whose layers are all in `files`.
pub(crate) fn write_from_files(
    config: &ImageConfig,
    files: &[LayerFile],
    names: &[String],
    out: impl Write,
) -> Result<(), ArchiveError> {
    let ids = diff_ids("", config)?;
    let mut archive = Archive { out, form: Form::Docker };
    archive.files("", &ids, files)?;
    archive.docker_end(config, &ids, names, None)
}

fn write_base<W: Write>(
    archive: &mut Archive<W>,
    image: &UnfinishedImage,
    base_ids: &[Digest],
    base: BaseFiles<'_>,
) -> Result<(), ArchiveError> {
    match (&image.base.layers, base) {
        (BaseLayers::BuiltIn(layer), _) => {
            let expected = base_ids.to_vec();
            let [diff_id] = base_ids else {
                return Err(ArchiveError::BuiltInLayer { found: Digest::of(b""), expected });
            };
            let path = archive.layer_path(diff_id);
            let written = archive.layer(&path, layer.size(), |out| layer.write_to(out))?;
            if written.diff_id != *diff_id {
                return Err(ArchiveError::BuiltInLayer { found: written.diff_id, expected });
            }
            Ok(())
        }
        (BaseLayers::Daemon { .. } | BaseLayers::Described(_), BaseFiles::All(files)) => {
            archive.files(&image.base.name, base_ids, files)
        }
        (BaseLayers::Daemon { .. } | BaseLayers::Described(_), BaseFiles::Absent)
        | (BaseLayers::Scratch, _) => Ok(()),
    }
}

fn diff_ids(name: &str, config: &ImageConfig) -> Result<Vec<Digest>, ArchiveError> {
    config.diff_ids().map_err(|source| ArchiveError::Config { name: name.to_owned(), source })
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A tar that is being written.
struct Archive<W> {
    out: W,
    form: Form,
}

impl<W: Write> Archive<W> {
    fn layer_path(&self, diff_id: &Digest) -> String {
        match self.form {
            Form::Docker => format!("{}/layer.tar", diff_id.hex()),
            Form::Oci => blob(diff_id),
        }
    }

    fn header(&mut self, path: &str, size: u64, kind: tar::EntryType, link: &str) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_path(path)?;
        if !link.is_empty() {
            header.set_link_name(link)?;
        }
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn padding(&mut self, size: u64) -> io::Result<()> {
        let padding = size.div_ceil(BLOCK) * BLOCK - size;
        self.out.write_all(&[0; BLOCK as usize][..padding as usize])
    }

    fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.header(path, bytes.len() as u64, tar::EntryType::Regular, "")?;
        self.out.write_all(bytes)?;
        self.padding(bytes.len() as u64)
    }

    fn hard_link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.header(path, 0, tar::EntryType::Link, target)
    }

    fn layer(
        &mut self,
        path: &str,
        size: u64,
        write: impl FnOnce(&mut W) -> io::Result<WrittenLayer>,
    ) -> io::Result<WrittenLayer> {
        self.header(path, size, tar::EntryType::Regular, "")?;
        let written = write(&mut self.out)?;
        self.padding(written.size)?;
        Ok(written)
    }

    /// Writes the layers `ids` from their files, each once.
    fn files(&mut self, name: &str, ids: &[Digest], files: &[LayerFile]) -> Result<(), ArchiveError> {
        for diff_id in ids.iter().collect::<BTreeSet<_>>() {
            let file = files
                .iter()
                .find(|file| file.diff_id == *diff_id)
                .ok_or_else(|| ArchiveError::MissingLayer { name: name.to_owned(), diff_id: *diff_id })?;
            let failed =
                |source| ArchiveError::BaseLayer { diff_id: *diff_id, path: file.path.clone(), source };
            let opened = File::open(&file.path).map_err(failed)?;
            let path = self.layer_path(diff_id);
            self.header(&path, file.size, tar::EntryType::Regular, "")?;
            let copied = io::copy(&mut opened.take(file.size), &mut self.out)?;
            if copied != file.size {
                return Err(failed(io::ErrorKind::UnexpectedEof.into()));
            }
            self.padding(file.size)?;
        }
        Ok(())
    }

    fn docker_end(
        &mut self,
        config: &ImageConfig,
        ids: &[Digest],
        names: &[String],
        new: Option<Digest>,
    ) -> Result<(), ArchiveError> {
        let bytes = config.to_bytes();
        let config_path = format!("{}.json", Digest::of(&bytes).hex());
        self.file(&config_path, &bytes)?;
        let mut layers: Vec<String> = ids.iter().map(|id| self.layer_path(id)).collect();
        if let (Some(_), Some(last)) = (new, layers.last_mut()) {
            *last = NEW_LAYER.into();
        }
        let manifest = json!([{"Config": config_path, "RepoTags": names, "Layers": layers}]);
        self.file("manifest.json", manifest.to_string().as_bytes())?;
        self.end()
    }

    fn oci_end(
        &mut self,
        config: &ImageConfig,
        ids: &[Digest],
        names: &[String],
        new: Option<&WrittenLayer>,
    ) -> Result<(), ArchiveError> {
        let bytes = config.to_bytes();
        let config_digest = Digest::of(&bytes);
        self.file(&blob(&config_digest), &bytes)?;
        let layers: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| {
                let new = new.filter(|_| index + 1 == ids.len());
                // A daemon does not say how large its layers are; for layers that it has, the size is not read.
                json!({"mediaType": LAYER_TYPE, "digest": id, "size": new.map_or(1, |new| new.size)})
            })
            .collect();
        let config = json!({"mediaType": CONFIG_TYPE, "digest": config_digest, "size": bytes.len()});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers});
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        self.file(&blob(&digest), &bytes)?;
        let manifests: Vec<_> = names
            .iter()
            .map(|name| {
                let annotations = json!({"org.opencontainers.image.ref.name": name});
                json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": bytes.len(), "annotations": annotations})
            })
            .collect();
        self.file("index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string().as_bytes())?;
        self.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.end()
    }

    fn end(&mut self) -> Result<(), ArchiveError> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        self.out.flush()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
