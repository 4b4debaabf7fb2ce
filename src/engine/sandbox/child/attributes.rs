//! Owns reading the extended attributes that an image has. Must not set any.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::member::is_allowed;

/// File capabilities (capabilities(7)).
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// Names, and values in hexadecimal digits.
pub(super) type Attributes = Vec<(String, String)>;

/// Most bytes of the names and values of one file, which are sent in one message.
const MAXIMUM_SIZE: usize = 64 * 1024;

/// Most bytes of one value, or of all names (xattr(7)).
const KERNELS_MAXIMUM: usize = 64 * 1024;

/// Length of capabilities of version 2, and the byte with the version (linux/capability.h).
const VERSION_2_LENGTH: usize = 20;
const VERSION_BYTE: usize = 3;

/// Reads the attributes that an image has, sorted by name. The error is the reason why one cannot be stored.
pub(super) fn read_attributes(file: &OwnedFd) -> Result<Attributes, String> {
    let mut attributes = Vec::new();
    let mut size = 0;
    let list = match all(|buffer| rustix::fs::flistxattr(file, buffer)) {
        Ok(list) => list,
        // The filesystem does not support them.
        Err(Errno::NOTSUP) => Vec::new(),
        Err(error) => return Err(error.to_string()),
    };
    let names = list.split(|byte| *byte == 0).filter(|name| *name == CAPABILITY || is_allowed(name));
    for name in names.filter(|name| !name.is_empty()) {
        let shown = || String::from_utf8_lossy(name).escape_debug().to_string();
        let value = all(|buffer| rustix::fs::fgetxattr(file, name, buffer));
        let value = value.map_err(|error| format!("`{}`: {error}", shown()))?;
        let text = std::str::from_utf8(name).ok().filter(|name| !name.contains('='));
        let text = text.ok_or_else(|| format!("the name `{}` is not valid in an archive", shown()))?;
        size += name.len() + value.len();
        if size > MAXIMUM_SIZE {
            return Err(format!("they have more than {MAXIMUM_SIZE} bytes"));
        }
        let value = if name == CAPABILITY { without_root_id(value) } else { value };
        attributes.push((text.to_owned(), hex::encode(value)));
    }
    attributes.sort();
    Ok(attributes)
}

/// Capabilities without their root: those of version 3 are valid in one user namespace only. In an image,
/// they belong to whoever unpacks it, as with Docker.
fn without_root_id(mut value: Vec<u8>) -> Vec<u8> {
    if value.get(VERSION_BYTE) == Some(&3) && value.len() > VERSION_2_LENGTH {
        value.truncate(VERSION_2_LENGTH);
        value[VERSION_BYTE] = 2;
    }
    value
}

/// Reads a value of unknown length. Most are short.
fn all(read: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = vec![0; 256];
    let length = match read(&mut buffer) {
        Err(Errno::RANGE) => {
            buffer.resize(KERNELS_MAXIMUM, 0);
            read(&mut buffer)?
        }
        length => length?,
    };
    buffer.truncate(length);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_belong_to_nobodys_namespace() {
        let version_2: Vec<u8> = [&[1, 0, 0, 2][..], &[0, 4, 0, 0], &[0; 12]].concat();
        let version_3 = [&[1, 0, 0, 3][..], &version_2[4..], &1000_u32.to_le_bytes()].concat();
        assert_eq!(without_root_id(version_3), version_2);
        assert_eq!(without_root_id(version_2.clone()), version_2);
        assert_eq!(without_root_id(vec![1, 0, 0, 3]), [1, 0, 0, 3]);
    }
}
