//! Owns the question whether compressing a layer is worth the while, asked of a sample of its files.
//!
//! The answer depends on the files' bytes and their order alone. Must not read more than the sample.

use std::io::{self, Read};

use super::Method;
use super::member::MemberCompressor;
use crate::image::layer::{EntryKind, Layer};

/// The sample: this many windows of this many bytes, evenly spread over all files as if
/// they were one.
const WINDOWS: u64 = 8;
const WINDOW: u64 = 64 * 1024;

/// A layer is compressed if its sample shrinks to less than this, in percent. JARs shrink to 92–98 %: compressing one
/// costs more time than sending the rest takes on a line of 60 MB/s or more.
const WORTH_IT: u64 = 90;

/// Whether `method` makes `layer` clearly smaller.
pub(super) fn shrinks(layer: &Layer, method: Method) -> io::Result<bool> {
    let total: u64 = layer.entries().iter().map(|entry| file_size(&entry.kind)).sum();
    let mut compressor = MemberCompressor::new(method);
    let (mut before, mut after) = (0, 0);
    let mut member = Vec::new();
    for start in windows(total) {
        let piece = read_window(layer, start)?;
        compressor.compress(&piece, &mut member)?;
        before += piece.len() as u64;
        after += member.len() as u64;
    }
    // A layer without files is all headers, and these shrink.
    Ok(before == 0 || after * 100 < before * WORTH_IT)
}

/// Where the windows start: in the middles of equal parts, because the end of a JAR is a table of names, which shrinks
/// as nothing else in it does. Together they cover a layer that is no larger than they are.
fn windows(total: u64) -> Vec<u64> {
    if total <= WINDOWS * WINDOW {
        return (0..total.div_ceil(WINDOW)).map(|index| index * WINDOW).collect();
    }
    let part = total / WINDOWS;
    (0..WINDOWS).map(|index| index * part + (part - WINDOW) / 2).collect()
}

/// Reads the window that starts at byte `start` of all files in a row.
fn read_window(layer: &Layer, start: u64) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(WINDOW as usize);
    let mut file_start = 0_u64;
    for entry in layer.entries() {
        let EntryKind::File { size, content } = &entry.kind else { continue };
        let file_end = file_start.saturating_add(*size);
        let from = start + piece.len() as u64;
        if from < file_end {
            let inside = from - file_start;
            let want = (WINDOW - piece.len() as u64).min(size - inside);
            content.open_at(inside)?.take(want).read_to_end(&mut piece)?;
            if piece.len() as u64 >= WINDOW {
                break;
            }
        }
        file_start = file_end;
    }
    Ok(piece)
}

fn file_size(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::File { size, .. } => *size,
        EntryKind::Directory | EntryKind::HardLink { .. } | EntryKind::Symlink { .. } | EntryKind::Fifo => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside_and_cover_small_layers() {
        assert!(windows(0).is_empty());
        assert_eq!(windows(1), [0]);
        assert_eq!(windows(WINDOW + 1), [0, WINDOW]);
        assert_eq!(windows(WINDOWS * WINDOW).len() as u64, WINDOWS);
        for total in [WINDOWS * WINDOW + 1, 75_000_000, u64::MAX] {
            let windows = windows(total);
            assert_eq!(windows.len() as u64, WINDOWS);
            assert!(windows.is_sorted_by(|one, next| one + WINDOW <= *next), "{windows:?}");
            assert!(windows[7] <= total - WINDOW);
        }
    }
}
