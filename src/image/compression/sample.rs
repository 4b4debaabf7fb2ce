//! Owns the estimate whether compression makes a layer smaller, from a sample of its files. The result depends only on
//! the bytes and the order of the files. Must not read more than the sample.

use std::io::{self, Read};

use super::Method;
use super::member::MemberCompressor;
use crate::image::layer::{Entry, EntryKind, Layer};

/// The number and the size of windows, evenly spread over all files as if they were one.
const WINDOWS: u64 = 8;
const WINDOW: u64 = 64 * 1024;

/// A layer is compressed if its sample shrinks to less than this, in percent. JARs shrink to 92–98 %. At 60 MB/s or more,
/// compressing one takes longer than sending the bytes that it saves.
const LIMIT_PERCENT: u64 = 90;

/// Whether `method` makes `layer` clearly smaller.
pub(super) fn shrinks(layer: &Layer, method: Method) -> io::Result<bool> {
    let total: u64 = layer.entries().iter().map(Entry::size).sum();
    let mut compressor = MemberCompressor::new(method);
    let (mut before, mut after) = (0, 0);
    let mut member = Vec::new();
    for start in windows(total) {
        let piece = read_window(layer, start)?;
        compressor.compress(&piece, &mut member)?;
        before += piece.len() as u64;
        after += member.len() as u64;
    }
    // A layer without files has only headers, which shrink.
    Ok(before == 0 || after * 100 < before * LIMIT_PERCENT)
}

/// The starts of the windows: in the middles of equal parts. The end of a JAR is a table of names, which shrinks more
/// than the rest. If a layer is not larger than the windows, they cover all of it.
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
            let offset = from - file_start;
            let count = (WINDOW - piece.len() as u64).min(size - offset);
            content.open_at(offset)?.take(count).read_to_end(&mut piece)?;
            if piece.len() as u64 >= WINDOW {
                break;
            }
        }
        file_start = file_end;
    }
    Ok(piece)
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
