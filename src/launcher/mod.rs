//! Owns the launcher: one static program that replaces `assemble`, `run` and `usage` on base images without a shell. It
//! acts by its name, like the scripts of the template `binary`.
//!
//! Its source, `program/`, is not part of this crate. `build.sh` makes the two ELF files from it, and a test
//! (`tests/suite/scripts/launcher.rs`) rebuilds them byte for byte. Must not change the bytes.

use crate::image::Platform;

const AMD64: &[u8] = include_bytes!("launcher-amd64");
const ARM64: &[u8] = include_bytes!("launcher-arm64");

/// The launcher's ELF file for a platform: Linux on amd64 or arm64. It runs on every variant of these processors.
pub fn for_platform(platform: &Platform) -> Option<&'static [u8]> {
    match (platform.os.as_str(), platform.architecture.as_str()) {
        ("linux", "amd64") => Some(AMD64),
        ("linux", "arm64") => Some(ARM64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The machine an ELF file is for (System V ABI: `e_machine` at byte 18, little-endian).
    fn machine(file: &[u8]) -> u16 {
        assert_eq!(&file[..5], b"\x7fELF\x02", "a 64-bit ELF file");
        u16::from_le_bytes([file[18], file[19]])
    }

    #[test]
    fn each_platform_gets_its_own_machine() {
        let launcher = |text: &str| for_platform(&text.parse().expect("a platform"));
        assert_eq!(launcher("linux/amd64").map(machine), Some(62), "EM_X86_64");
        assert_eq!(launcher("linux/amd64/v3").map(machine), Some(62));
        assert_eq!(launcher("linux/arm64").map(machine), Some(183), "EM_AARCH64");
        assert_eq!(launcher("linux/arm/v7"), None);
        assert_eq!(launcher("windows/amd64"), None);
    }
}
