//! Owns writing a tar of files without directories, dates and owners: equal files in equal order give equal bytes.
//!
//! Must not know what the files are.

use std::io::{self, Read, Write};

const BLOCK: u64 = 512;

pub(crate) struct TarWriter<W> {
    pub(crate) out: W,
}

/// The header block of a regular file.
///
/// # Errors
/// If the path is longer than a ustar header holds.
pub(crate) fn file_header(path: &str, size: u64) -> io::Result<tar::Header> {
    header(path, size, tar::EntryType::Regular, "")
}

fn header(path: &str, size: u64, kind: tar::EntryType, link: &str) -> io::Result<tar::Header> {
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
    Ok(header)
}

impl<W: Write> TarWriter<W> {
    /// Begins a file of `size` bytes. They and [`TarWriter::padding`] follow.
    pub(crate) fn begin(&mut self, path: &str, size: u64) -> io::Result<()> {
        self.out.write_all(file_header(path, size)?.as_bytes())
    }

    pub(crate) fn padding(&mut self, size: u64) -> io::Result<()> {
        let padding = size.div_ceil(BLOCK) * BLOCK - size;
        self.out.write_all(&[0; BLOCK as usize][..padding as usize])
    }

    pub(crate) fn file(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.begin(path, bytes.len() as u64)?;
        self.out.write_all(bytes)?;
        self.padding(bytes.len() as u64)
    }

    pub(crate) fn hard_link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.out.write_all(header(path, 0, tar::EntryType::Link, target)?.as_bytes())
    }

    /// Writes a file of `size` bytes from `reader`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] or [`io::ErrorKind::InvalidData`] for fewer or more bytes; errors of both sides.
    pub(crate) fn copy(&mut self, path: &str, size: u64, mut reader: impl Read) -> io::Result<()> {
        self.begin(path, size)?;
        let copied = io::copy(&mut (&mut reader).take(size), &mut self.out)?;
        if copied != size {
            let message = format!("it ended after {copied} of {size} bytes");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
        }
        // A source verifies the bytes at their end.
        if io::copy(&mut reader, &mut io::sink())? > 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {size} bytes")));
        }
        self.padding(size)
    }

    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.out.write_all(&[0; 2 * BLOCK as usize])?;
        self.out.flush()
    }
}
