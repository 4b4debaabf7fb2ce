//! Owns writing an image as the tar of a layout, in one pass.
//!
//! The size and the digest of a layer stand before its bytes, and are known only behind them. In a file the header is
//! filled in afterwards; for a pipe the layer is made twice, which costs time and no disk.

use std::collections::BTreeSet;
use std::io;

use super::image::{LayoutImage, Piece, Pieces};
use super::index::IndexDocument;
use super::{BLOBS, INDEX_FILE, LAYOUT, LAYOUT_FILE, LayoutError, LayoutOptions, WrittenLayout};
use crate::fs::AtomicFile;
use crate::image::layer::WrittenLayer;
use crate::image::{Descriptor, Digest};
use crate::store::archive::{ArchiveError, LayerFile, TarWriter, file_header};

const BLOCK: u64 = 512;

/// Writes an image as an archive to `out`; the caller commits it. `base_files` are the layers of a base that is in a
/// daemon.
///
/// Blocks; on a described base, call it on a blocking thread of the runtime that reads its blobs.
///
/// # Errors
/// [`LayoutError`]; after one, what was written so far is no archive.
pub fn write_layout_archive<'a>(
    image: impl Into<LayoutImage<'a>>,
    base_files: &'a [LayerFile],
    options: &'a LayoutOptions,
    out: &mut AtomicFile,
) -> Result<WrittenLayout, LayoutError> {
    let written = write(image.into(), base_files, options, out);
    written.map_err(|error| match error {
        ArchiveError::Io(error) => LayoutError::File(out.error(error)),
        other => other.into(),
    })
}

fn write(
    image: LayoutImage<'_>,
    base_files: &[LayerFile],
    options: &LayoutOptions,
    out: &mut AtomicFile,
) -> Result<WrittenLayout, ArchiveError> {
    let pieces = Pieces::new(image, options)?;
    let mut archive = LayoutArchive::begin(out)?;
    let written = archive.image(&pieces, base_files, options)?;
    let mut index = IndexDocument::empty();
    index.put(&written.manifest, Some(&pieces.platform()), &options.tags);
    archive.end(&index)?;
    Ok(written)
}

pub(super) fn blob(digest: &Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

/// An archive that is being written.
pub(super) struct LayoutArchive<'a> {
    tar: TarWriter<&'a mut AtomicFile>,
    /// What is there: a name may not stand in the archive twice.
    blobs: BTreeSet<Digest>,
}

impl<'a> LayoutArchive<'a> {
    pub(super) fn begin(out: &'a mut AtomicFile) -> Result<Self, ArchiveError> {
        let mut archive = Self { tar: TarWriter { out }, blobs: BTreeSet::new() };
        archive.tar.file(LAYOUT_FILE, LAYOUT)?;
        Ok(archive)
    }

    /// Writes all blobs of an image, its manifest among them.
    pub(super) fn image<'b>(
        &mut self,
        pieces: &Pieces<'b>,
        base_files: &'b [LayerFile],
        options: &LayoutOptions,
    ) -> Result<WrittenLayout, ArchiveError> {
        let mut base = Vec::new();
        for piece in pieces.base(base_files)? {
            base.push(self.layer(pieces, piece)?.0);
        }
        let mut new = None;
        if let Some(piece) = pieces.new_layer() {
            let (descriptor, layer) = self.layer(pieces, piece)?;
            let layer = layer.or(options.known.as_ref().map(|known| known.layer));
            new = Some((descriptor, layer.expect("a layer that is not written is known")));
        }
        let finished = pieces.finish(base, new)?;
        self.bytes(&finished.config, &finished.config_bytes)?;
        self.bytes(&finished.written.manifest, &finished.manifest_bytes)?;
        Ok(finished.written)
    }

    pub(super) fn bytes(&mut self, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), ArchiveError> {
        if self.blobs.insert(descriptor.digest) {
            self.tar.file(&blob(&descriptor.digest), bytes)?;
        }
        Ok(())
    }

    pub(super) fn end(mut self, index: &IndexDocument) -> Result<(), ArchiveError> {
        self.tar.file(INDEX_FILE, &index.to_bytes())?;
        Ok(self.tar.end()?)
    }

    fn layer(
        &mut self,
        pieces: &Pieces<'_>,
        piece: Piece<'_>,
    ) -> Result<(Descriptor, Option<WrittenLayer>), ArchiveError> {
        match pieces.known(piece) {
            Some(known) => self.known_layer(pieces, piece, known, None),
            None if self.tar.out.is_seekable() => self.unknown_layer(pieces, piece),
            None => {
                let (descriptor, layer) = pieces.write(piece, io::sink())?;
                self.known_layer(pieces, piece, descriptor, layer)
            }
        }
    }

    fn known_layer(
        &mut self,
        pieces: &Pieces<'_>,
        piece: Piece<'_>,
        known: Descriptor,
        layer: Option<WrittenLayer>,
    ) -> Result<(Descriptor, Option<WrittenLayer>), ArchiveError> {
        if !self.blobs.insert(known.digest) {
            return Ok((known, layer));
        }
        self.tar.begin(&blob(&known.digest), known.size)?;
        let (found, written) = pieces.write(piece, &mut *self.tar.out)?;
        if found.digest != known.digest {
            let text = format!("the layer was {} before and is {} now", known.digest, found.digest);
            return Err(ArchiveError::Content(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        self.tar.padding(found.size)?;
        Ok((found, written))
    }

    fn unknown_layer(
        &mut self,
        pieces: &Pieces<'_>,
        piece: Piece<'_>,
    ) -> Result<(Descriptor, Option<WrittenLayer>), ArchiveError> {
        let start = self.tar.out.written();
        io::Write::write_all(&mut self.tar.out, &[0; BLOCK as usize])?;
        let (descriptor, layer) = pieces.write(piece, &mut *self.tar.out)?;
        if self.blobs.insert(descriptor.digest) {
            self.tar.padding(descriptor.size)?;
            let header = file_header(&blob(&descriptor.digest), descriptor.size)?;
            self.tar.out.rewrite(start, header.as_bytes())?;
        } else {
            self.tar.out.truncate(start)?;
        }
        Ok((descriptor, layer))
    }
}
