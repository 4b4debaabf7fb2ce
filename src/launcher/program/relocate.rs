//! Owns reading directories and moving entries between them, also between file systems.

use crate::system::{self, Errno, Fd, Kind};
use crate::{Text, PATH_LIMIT};

const DEPTH_LIMIT: usize = 128;

/// Calls the function with each entry of an open directory, from its beginning.
pub(crate) fn each_entry(directory: Fd, act: &mut dyn FnMut(Text) -> Result<(), Errno>) -> Result<(), Errno> {
    system::rewind(directory)?;
    let mut buffer = [0_u8; 8192];
    loop {
        let length = system::read_directory(directory, &mut buffer)?;
        let mut rest = buffer.get(..length).unwrap_or(&[]);
        if rest.is_empty() {
            return Ok(());
        }
        // struct linux_dirent64: inode (8 bytes), offset (8), length of this record (2), type (1), name with
        // NUL.
        while let Some(&[low, high]) = rest.get(16..18) {
            let record = usize::from(u16::from_ne_bytes([low, high]));
            let name = rest.get(19..record).unwrap_or(&[]);
            let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
            match name.get(..=end) {
                None | Some(b"\0" | b".\0" | b"..\0") => {}
                Some(name) => act(Text(name))?,
            }
            rest = rest.get(record.max(19)..).unwrap_or(&[]);
        }
    }
}

/// Calls a function that removes an entry, until no entry is left. One pass is not enough: a directory that changes may
/// not list all entries.
pub(crate) fn drain(directory: Fd, act: &mut dyn FnMut(Text) -> Result<(), Errno>) -> Result<(), Errno> {
    loop {
        let mut any = false;
        each_entry(directory, &mut |name| {
            any = true;
            act(name)
        })?;
        if !any {
            return Ok(());
        }
    }
}

/// Moves an entry. Between file systems, and for a directory of a lower overlay layer, it copies.
pub(crate) fn relocate(from: Fd, name: Text, to: Fd, new_name: Text, depth: usize) -> Result<(), Errno> {
    match system::rename(from, name, to, new_name) {
        Err(Errno::OTHER_DEVICE) if depth < DEPTH_LIMIT => {}
        result => return result,
    }
    let status = system::status(from, name, false)?;
    match status.kind {
        Kind::File => {
            match system::remove_file(to, new_name) {
                Ok(()) | Err(Errno::NO_ENTRY) => {}
                Err(error) => return Err(error),
            }
            let source = system::open_file(from, name)?;
            let target = system::create_file(to, new_name)?;
            while system::copy_some(source, target)? > 0 {}
            system::close(source);
            system::close(target);
        }
        Kind::Directory => {
            system::make_directory(to, new_name, 0o700)?;
            let source = system::open_directory(from, name)?;
            let target = system::open_directory(to, new_name)?;
            drain(source, &mut |name| relocate(source, name, target, name, depth + 1))?;
            system::close(source);
            system::close(target);
        }
        Kind::Link => {
            let mut buffer = [0_u8; PATH_LIMIT];
            let length = system::read_link(from, name, &mut buffer)?;
            match buffer.get(..=length) {
                // The last byte was never written, so it is the NUL.
                Some(content) if length < PATH_LIMIT => system::make_link(Text(content), to, new_name)?,
                _ => return Err(Errno::NAME_TOO_LONG),
            }
            return system::remove_file(from, name);
        }
        _ => return Err(Errno::OTHER_DEVICE),
    }
    system::change_mode(to, new_name, status.mode)?;
    system::change_time(to, new_name, &status)?;
    match status.kind {
        Kind::Directory => system::remove_directory(from, name),
        _ => system::remove_file(from, name),
    }
}
