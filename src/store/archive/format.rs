//! Owns the two layouts of an image archive: `docker save`'s, and an OCI layout for Podman.
//!
//! The types within the OCI layout are Docker's: Podman reads health checks in images of these types only, and takes
//! both kinds in a layout with one image (ran: Podman 4.3). Layouts for everybody are `store/layout`'s.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};

use serde_json::json;

use super::tar_writer::TarWriter;
use super::{ArchiveError, LayerFile};
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, ImageConfig, LayerCompression, ManifestFormat};

/// Path of the new layer in the archive: its digest is not known when its header is written.
pub(super) const NEW_LAYER: &str = "new/layer.tar";

const CONFIG_TYPE: &str = ManifestFormat::Docker.config();
const LAYER_TYPE: &str = ManifestFormat::Docker.layer(LayerCompression::None);
const MANIFEST_TYPE: &str = ManifestFormat::Docker.manifest();

/// How an archive is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `docker save`'s.
    Docker,
    /// An OCI layout.
    Oci,
}

/// Path of a blob in an OCI layout.
pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// An archive that is being written.
pub(super) struct Archive<W> {
    tar: TarWriter<W>,
    form: Form,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, form: Form) -> Self {
        Self { tar: TarWriter { out }, form }
    }

    /// Writes a layer of `size` bytes.
    pub(super) fn layer(
        &mut self,
        path: &str,
        size: u64,
        write: impl FnOnce(&mut W) -> io::Result<WrittenLayer>,
    ) -> io::Result<WrittenLayer> {
        self.tar.begin(path, size)?;
        let written = write(&mut self.tar.out)?;
        self.tar.padding(written.size)?;
        Ok(written)
    }

    /// Writes the layer `diff_id`, whose blob has `size` bytes.
    pub(super) fn blob(&mut self, diff_id: &Digest, size: u64, reader: impl Read) -> io::Result<()> {
        let path = self.layer_path(diff_id);
        self.tar.copy(&path, size, reader)
    }

    pub(super) fn layer_path(&self, diff_id: &Digest) -> String {
        match self.form {
            Form::Docker => format!("{}/layer.tar", diff_id.hex()),
            Form::Oci => blob(diff_id),
        }
    }

    /// Writes the layers `ids` from their files, each once.
    pub(super) fn files(
        &mut self,
        name: &str,
        ids: &[Digest],
        files: &[LayerFile],
    ) -> Result<(), ArchiveError> {
        for diff_id in ids.iter().collect::<BTreeSet<_>>() {
            let file = files
                .iter()
                .find(|file| file.diff_id == *diff_id)
                .ok_or_else(|| ArchiveError::MissingLayer { name: name.to_owned(), diff_id: *diff_id })?;
            let failed =
                |source| ArchiveError::BaseLayer { diff_id: *diff_id, path: file.path.clone(), source };
            let opened = File::open(&file.path).map_err(failed)?;
            let path = self.layer_path(diff_id);
            self.tar.copy(&path, file.size, opened).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn docker_end(
        &mut self,
        config: &ImageConfig,
        ids: &[Digest],
        names: &[String],
        new: Option<Digest>,
    ) -> Result<(), ArchiveError> {
        self.docker_end_with(&config.to_bytes(), ids, names, new)
    }

    /// As [`Archive::docker_end`], with the config's own bytes.
    pub(super) fn docker_end_with(
        &mut self,
        config: &[u8],
        ids: &[Digest],
        names: &[String],
        new: Option<Digest>,
    ) -> Result<(), ArchiveError> {
        let config_path = format!("{}.json", Digest::of(config).hex());
        self.tar.file(&config_path, config)?;
        let mut layers: Vec<String> = ids.iter().map(|id| self.layer_path(id)).collect();
        if let (Some(_), Some(last)) = (new, layers.last_mut()) {
            *last = NEW_LAYER.into();
        }
        let manifest = json!([{"Config": config_path, "RepoTags": names, "Layers": layers}]);
        self.tar.file("manifest.json", manifest.to_string().as_bytes())?;
        self.end()
    }

    pub(super) fn oci_end(
        &mut self,
        config: &ImageConfig,
        ids: &[Digest],
        names: &[String],
        new: Option<&WrittenLayer>,
    ) -> Result<(), ArchiveError> {
        if let Some(new) = new {
            self.tar.hard_link(&blob(&new.diff_id), NEW_LAYER)?;
        }
        let bytes = config.to_bytes();
        let config_digest = Digest::of(&bytes);
        self.tar.file(&blob(&config_digest), &bytes)?;
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
        self.tar.file(&blob(&digest), &bytes)?;
        let manifests: Vec<_> = names
            .iter()
            .map(|name| {
                let annotations = json!({"org.opencontainers.image.ref.name": name});
                json!({"mediaType": MANIFEST_TYPE, "digest": digest, "size": bytes.len(), "annotations": annotations})
            })
            .collect();
        self.tar
            .file("index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string().as_bytes())?;
        self.tar.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.end()
    }

    fn end(&mut self) -> Result<(), ArchiveError> {
        Ok(self.tar.end()?)
    }
}
