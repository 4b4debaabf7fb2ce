//! Owns the four functions that the compiler may call for copies and comparisons. No library has them here.

/// # Safety
/// As C's memcpy.
#[no_mangle]
unsafe extern "C" fn memcpy(target: *mut u8, source: *const u8, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: the caller guarantees that both areas have that length.
        unsafe { *target.add(index) = *source.add(index) };
    }
    target
}

/// # Safety
/// As C's memset.
#[no_mangle]
unsafe extern "C" fn memset(target: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: the caller guarantees that the area has that length.
        unsafe { *target.add(index) = byte as u8 };
    }
    target
}

/// # Safety
/// As C's memcmp.
#[no_mangle]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    for index in 0..length {
        // SAFETY: the caller guarantees that both areas have that length.
        let (left, right) = unsafe { (*left.add(index), *right.add(index)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// # Safety
/// As BSD's bcmp.
#[no_mangle]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, length: usize) -> i32 {
    // SAFETY: the same contract.
    unsafe { memcmp(left, right, length) }
}
