//! Owns the tar of a layout, written in one pass. Must not keep layers.
//!
//! A layer's size and digest come before its bytes, and are known only after them. In a file the header is rewritten. For
//! a pipe the layer is made twice, which costs time and no disk.

use std::collections::BTreeSet;
use std::io;

use super::image::Pieces;
use super::index::IndexDocument;
use super::{INDEX_FILE, LAYOUT, LAYOUT_FILE, blob_name};
use crate::fs::AtomicFile;
use crate::image::{Descriptor, Digest, LayerSource};
use crate::store::archive::{ArchiveError, TarWriter, file_header};
use crate::store::{StoredBlob, WrittenImage};

const BLOCK: u64 = 512;

pub(super) struct LayoutArchive<'a> {
    tar: TarWriter<&'a mut AtomicFile>,
    /// The blobs in the archive: a name may not appear twice.
    blobs: BTreeSet<Digest>,
}

impl<'a> LayoutArchive<'a> {
    pub(super) fn begin(out: &'a mut AtomicFile) -> Result<Self, ArchiveError> {
        let mut archive = Self { tar: TarWriter { out }, blobs: BTreeSet::new() };
        archive.tar.file(LAYOUT_FILE, LAYOUT)?;
        Ok(archive)
    }

    pub(super) fn image(&mut self, pieces: &Pieces<'_>) -> Result<WrittenImage, ArchiveError> {
        let mut base = Vec::new();
        for layer in pieces.base()? {
            base.push(self.layer(pieces, layer)?);
        }
        let mut new = Vec::new();
        for layer in pieces.new_layers() {
            new.push(self.layer(pieces, &layer)?);
        }
        let finished = pieces.finish(base, new)?;
        self.bytes(&finished.config, &finished.config_bytes)?;
        self.bytes(&finished.manifest, &finished.manifest_bytes)?;
        Ok(finished.written)
    }

    pub(super) fn bytes(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ArchiveError> {
        if self.blobs.insert(descriptor.digest) {
            self.tar.file(&blob_name(&descriptor.digest), bytes)?;
        }
        Ok(())
    }

    pub(super) fn end(mut self, index: &IndexDocument) -> Result<(), ArchiveError> {
        self.tar.file(INDEX_FILE, &index.to_bytes())?;
        Ok(self.tar.end()?)
    }

    fn layer(&mut self, pieces: &Pieces<'_>, layer: &LayerSource) -> Result<StoredBlob, ArchiveError> {
        match pieces.known(layer) {
            Some(known) => self.known_layer(pieces, layer, known),
            None if self.tar.out.is_seekable() => self.unknown_layer(pieces, layer),
            None => {
                let known = pieces.write(layer, io::sink())?;
                self.known_layer(pieces, layer, known)
            }
        }
    }

    fn known_layer(
        &mut self,
        pieces: &Pieces<'_>,
        layer: &LayerSource,
        known: StoredBlob,
    ) -> Result<StoredBlob, ArchiveError> {
        let Descriptor { digest, size, .. } = known.descriptor;
        if !self.blobs.insert(digest) {
            return Ok(known);
        }
        self.tar.begin(&blob_name(&digest), size)?;
        let found = pieces.write(layer, &mut *self.tar.out)?;
        if found.descriptor.digest != digest {
            let text =
                format!("the digest of the layer changed from {digest} to {}", found.descriptor.digest);
            return Err(ArchiveError::Content(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        self.tar.padding(size)?;
        Ok(found)
    }

    fn unknown_layer(
        &mut self,
        pieces: &Pieces<'_>,
        layer: &LayerSource,
    ) -> Result<StoredBlob, ArchiveError> {
        let start = self.tar.out.written();
        io::Write::write_all(&mut self.tar.out, &[0; BLOCK as usize])?;
        let piece = pieces.write(layer, &mut *self.tar.out)?;
        let Descriptor { digest, size, .. } = piece.descriptor;
        if self.blobs.insert(digest) {
            self.tar.padding(size)?;
            let header = file_header(&blob_name(&digest), size)?;
            self.tar.out.rewrite(start, header.as_bytes())?;
        } else {
            self.tar.out.truncate(start)?;
        }
        Ok(piece)
    }
}
