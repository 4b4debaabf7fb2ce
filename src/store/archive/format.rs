//! Owns the two formats of an image archive: `docker save`'s, and an OCI layout for Podman. Must not read images.
//!
//! The media types in the OCI layout are Docker's: Podman reads health checks only with those (tested with Podman 4.3).
//! `store/layout` writes layouts for other tools.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};

use serde_json::json;

use super::ArchiveError;
use super::tar_writer::TarWriter;
use crate::image::layer::WrittenLayer;
use crate::image::{Digest, LayerCompression, LayerFile, ManifestFormat};

/// Path of a new layer in the archive. Its digest is not known when its header is written.
pub(super) fn new_layer(index: usize) -> String {
    match index {
        0 => "new/layer.tar".into(),
        _ => format!("new-{}/layer.tar", index + 1),
    }
}

const TYPES: ManifestFormat = ManifestFormat::Docker;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `docker save`'s.
    Docker,
    /// An OCI layout.
    Oci,
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

pub(super) struct Archive<W> {
    tar: TarWriter<W>,
    form: Form,
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W, form: Form) -> Self {
        Self { tar: TarWriter { out }, form }
    }

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

    pub(super) fn file(&mut self, file: &LayerFile) -> Result<(), ArchiveError> {
        let LayerFile { diff_id, path, size } = file;
        let failed = |source| ArchiveError::BaseLayer { diff_id: *diff_id, path: path.clone(), source };
        let opened = File::open(path).map_err(failed)?;
        self.blob(diff_id, *size, opened).map_err(failed)
    }

    /// Ends the archive of an image with this config and the layers `ids`, the last of which are `new`.
    pub(super) fn end(
        mut self,
        config: &[u8],
        ids: &[Digest],
        new: &[WrittenLayer],
        names: &[String],
    ) -> Result<(), ArchiveError> {
        match self.form {
            Form::Docker => self.docker_end(config, ids, new, names)?,
            Form::Oci => self.oci_end(config, ids, new, names)?,
        }
        Ok(self.tar.end()?)
    }

    fn docker_end(
        &mut self,
        config: &[u8],
        ids: &[Digest],
        new: &[WrittenLayer],
        names: &[String],
    ) -> Result<(), ArchiveError> {
        let config_path = format!("{}.json", Digest::of(config).hex());
        self.tar.file(&config_path, config)?;
        let below = ids[..ids.len() - new.len()].iter().map(|id| self.layer_path(id));
        let layers: Vec<String> = below.chain((0..new.len()).map(new_layer)).collect();
        let manifest = json!([{"Config": config_path, "RepoTags": names, "Layers": layers}]);
        Ok(self.tar.file("manifest.json", manifest.to_string().as_bytes())?)
    }

    fn oci_end(
        &mut self,
        config: &[u8],
        ids: &[Digest],
        new: &[WrittenLayer],
        names: &[String],
    ) -> Result<(), ArchiveError> {
        let mut linked = BTreeSet::new();
        for (index, layer) in new.iter().enumerate() {
            if linked.insert(layer.diff_id) {
                self.tar.hard_link(&blob(&layer.diff_id), &new_layer(index))?;
            }
        }
        let config_digest = Digest::of(config);
        self.tar.file(&blob(&config_digest), config)?;
        let below = ids.len() - new.len();
        // A daemon does not return the sizes of its layers, and does not read them here.
        let size = |index: usize| index.checked_sub(below).map_or(1, |index| new[index].size);
        let layers = ids.iter().enumerate();
        let layers: Vec<_> = layers
            .map(|(index, id)| json!({"mediaType": TYPES.layer(LayerCompression::None), "digest": id, "size": size(index)}))
            .collect();
        let config = json!({"mediaType": TYPES.config(), "digest": config_digest, "size": config.len()});
        let manifest =
            json!({"schemaVersion": 2, "mediaType": TYPES.manifest(), "config": config, "layers": layers});
        let bytes = manifest.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        self.tar.file(&blob(&digest), &bytes)?;
        let entry = |name: &String| {
            let annotations = json!({"org.opencontainers.image.ref.name": name});
            json!({"mediaType": TYPES.manifest(), "digest": digest, "size": bytes.len(), "annotations": annotations})
        };
        let manifests: Vec<_> = names.iter().map(entry).collect();
        self.tar
            .file("index.json", json!({"schemaVersion": 2, "manifests": manifests}).to_string().as_bytes())?;
        Ok(self.tar.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?)
    }
}
