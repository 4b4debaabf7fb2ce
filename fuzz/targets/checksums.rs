//! Owns making a tar of any bytes: the checksum of each block that could be a header is set right.

/// Sets the checksum of every 512-byte block that says it is a header of ustar or GNU tar.
pub fn set(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
