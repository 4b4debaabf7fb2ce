//! Owns compressing one piece of a layer into one gzip member or zstd frame. Equal pieces give equal bytes.
//! Must not know threads or the order of pieces.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::{MEMBER_SIZE, Method};
use crate::image::manifest::LayerCompression;

pub(super) enum MemberCompressor {
    Gzip(Compressor),
    /// The level. Each piece gets a new context, because a context keeps the tables of the last piece.
    Zstd(i32),
    None,
}

impl MemberCompressor {
    pub(super) fn new(method: Method) -> Self {
        match method.codec {
            LayerCompression::None => Self::None,
            LayerCompression::Gzip => {
                let level = CompressionLvl::new(i32::from(method.level)).expect("parsed levels are valid");
                Self::Gzip(Compressor::new(level))
            }
            LayerCompression::Zstd => Self::Zstd(i32::from(method.level)),
        }
    }

    /// Replaces the bytes of `member` with the compressed `piece`, which has at most [`MEMBER_SIZE`] bytes.
    pub(super) fn compress(&mut self, piece: &[u8], member: &mut Vec<u8>) -> io::Result<()> {
        debug_assert!(piece.len() <= MEMBER_SIZE, "pieces are bounded");
        let length = match self {
            Self::None => {
                member.clear();
                member.extend_from_slice(piece);
                return Ok(());
            }
            Self::Gzip(compressor) => {
                member.resize(compressor.gzip_compress_bound(piece.len()), 0);
                compressor.gzip_compress(piece, member).map_err(io::Error::other)?
            }
            Self::Zstd(level) => {
                member.resize(zstd::zstd_safe::compress_bound(piece.len()), 0);
                zstd::bulk::compress_to_buffer(piece, member, *level)?
            }
        };
        member.truncate(length);
        Ok(())
    }
}
