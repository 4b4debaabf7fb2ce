//! Owns safe forms of the system calls of the launcher: buffers are slices, texts have their NUL, errors are values.

use crate::run::Vector;
use crate::{Path, Text};

/// A file descriptor.
pub(crate) type Fd = i32;

/// AT_FDCWD: relative to the working directory; all such paths here are absolute.
pub(crate) const HERE: Fd = -100;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(crate) const WRITE: usize = 1;
    pub(crate) const CLOSE: usize = 3;
    pub(crate) const LSEEK: usize = 8;
    pub(crate) const MMAP: usize = 9;
    pub(crate) const SENDFILE: usize = 40;
    pub(crate) const EXECVE: usize = 59;
    pub(crate) const GETEUID: usize = 107;
    pub(crate) const GETDENTS64: usize = 217;
    pub(crate) const EXIT_GROUP: usize = 231;
    pub(crate) const OPENAT: usize = 257;
    pub(crate) const MKDIRAT: usize = 258;
    pub(crate) const UNLINKAT: usize = 263;
    pub(crate) const RENAMEAT: usize = 264;
    pub(crate) const SYMLINKAT: usize = 266;
    pub(crate) const READLINKAT: usize = 267;
    pub(crate) const FCHMODAT: usize = 268;
    pub(crate) const FACCESSAT: usize = 269;
    pub(crate) const UTIMENSAT: usize = 280;
    pub(crate) const STATX: usize = 332;
    pub(crate) const O_DIRECTORY: usize = 0o200_000;
    pub(crate) const O_NOFOLLOW: usize = 0o400_000;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub(crate) const WRITE: usize = 64;
    pub(crate) const CLOSE: usize = 57;
    pub(crate) const LSEEK: usize = 62;
    pub(crate) const MMAP: usize = 222;
    pub(crate) const SENDFILE: usize = 71;
    pub(crate) const EXECVE: usize = 221;
    pub(crate) const GETEUID: usize = 175;
    pub(crate) const GETDENTS64: usize = 61;
    pub(crate) const EXIT_GROUP: usize = 94;
    pub(crate) const OPENAT: usize = 56;
    pub(crate) const MKDIRAT: usize = 34;
    pub(crate) const UNLINKAT: usize = 35;
    pub(crate) const RENAMEAT: usize = 38;
    pub(crate) const SYMLINKAT: usize = 36;
    pub(crate) const READLINKAT: usize = 78;
    pub(crate) const FCHMODAT: usize = 53;
    pub(crate) const FACCESSAT: usize = 48;
    pub(crate) const UTIMENSAT: usize = 88;
    pub(crate) const STATX: usize = 291;
    pub(crate) const O_DIRECTORY: usize = 0o40_000;
    pub(crate) const O_NOFOLLOW: usize = 0o100_000;
}
const O_WRONLY: usize = 1;
const O_CREAT: usize = 0o100;
const O_EXCL: usize = 0o200;
const O_CLOEXEC: usize = 0o2_000_000;
const AT_SYMLINK_NOFOLLOW: usize = 0x100;
const AT_REMOVEDIR: usize = 0x200;
const AT_EACCESS_X_OK: usize = 1;

/// An error of a system call (errno).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(isize);

impl Errno {
    pub(crate) const NO_ENTRY: Self = Self(2);
    pub(crate) const OTHER_DEVICE: Self = Self(18);
    pub(crate) const NOT_DIRECTORY: Self = Self(20);
    pub(crate) const NAME_TOO_LONG: Self = Self(36);

    /// The C library's message for errors that occur in practice.
    pub(crate) fn meaning(self) -> &'static [u8] {
        match self.0 {
            1 => b"Operation not permitted",
            2 => b"No such file or directory",
            7 => b"Argument list too long",
            8 => b"Exec format error",
            12 => b"Cannot allocate memory",
            13 => b"Permission denied",
            17 => b"File exists",
            18 => b"Invalid cross-device link",
            20 => b"Not a directory",
            21 => b"Is a directory",
            28 => b"No space left on device",
            30 => b"Read-only file system",
            36 => b"File name too long",
            39 => b"Directory not empty",
            122 => b"Disk quota exceeded",
            _ => b"the system call failed",
        }
    }
}

type Result<T> = core::result::Result<T, Errno>;

/// # Safety
///
/// The arguments must be valid for the call with that number, above all its pointers.
unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's calling convention; it changes rcx and r11, and memory only as the caller allowed.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b,
            in("rdx") c, in("r10") d, in("r8") e, in("r9") f, out("rcx") _, out("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel's calling convention; it changes memory only as the caller allowed.
    unsafe {
        core::arch::asm!("svc #0", in("x8") number, inlateout("x0") a as isize => result, in("x1") b,
            in("x2") c, in("x3") d, in("x4") e, in("x5") f, options(nostack));
    }
    if (-4095..0).contains(&result) {
        Err(Errno(-result))
    } else {
        Ok(result as usize)
    }
}

/// Makes a call that has no pointers except pointers to texts.
fn simple(number: usize, a: usize, b: usize, c: usize, d: usize) -> Result<usize> {
    // SAFETY: every caller below passes numbers and the addresses of `Text`s that it borrows over the call;
    // the kernel only reads those, up to the NUL.
    unsafe { call(number, [a, b, c, d, 0, 0]) }
}

fn address(text: Text) -> usize {
    text.0.as_ptr() as usize
}

pub(crate) fn exit(code: i32) -> ! {
    loop {
        let _ = simple(number::EXIT_GROUP, code as usize, 0, 0, 0);
    }
}

/// Writes all bytes. Ignores errors, which could not be reported either.
pub(crate) fn write(fd: Fd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the kernel reads the slice's bytes.
        match unsafe { call(number::WRITE, [fd as usize, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]) } {
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(_) => return,
        }
    }
}

fn open(directory: Fd, name: Text, flags: usize, mode: usize) -> Result<Fd> {
    simple(number::OPENAT, directory as usize, address(name), flags | O_CLOEXEC, mode).map(|fd| fd as Fd)
}

pub(crate) fn open_directory(directory: Fd, name: Text) -> Result<Fd> {
    open(directory, name, number::O_DIRECTORY, 0)
}

pub(crate) fn open_file(directory: Fd, name: Text) -> Result<Fd> {
    open(directory, name, number::O_NOFOLLOW, 0)
}

pub(crate) fn create_file(directory: Fd, name: Text) -> Result<Fd> {
    open(directory, name, O_WRONLY | O_CREAT | O_EXCL, 0o600)
}

pub(crate) fn close(fd: Fd) {
    let _ = simple(number::CLOSE, fd as usize, 0, 0, 0);
}

pub(crate) fn rewind(fd: Fd) -> Result<()> {
    simple(number::LSEEK, fd as usize, 0, 0, 0).map(drop)
}

pub(crate) fn read_directory(fd: Fd, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the kernel writes no more than the buffer's length into it.
    unsafe { call(number::GETDENTS64, [fd as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0, 0, 0]) }
}

pub(crate) fn read_link(directory: Fd, name: Text, buffer: &mut [u8]) -> Result<usize> {
    let (pointer, length) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: the kernel writes no more than the buffer's length into it and reads the name.
    unsafe { call(number::READLINKAT, [directory as usize, address(name), pointer, length, 0, 0]) }
}

/// Copies bytes from the position of one file to that of the other. Returns their number; 0 at the end.
pub(crate) fn copy_some(from: Fd, to: Fd) -> Result<usize> {
    simple(number::SENDFILE, to as usize, from as usize, 0, 0x7fff_f000)
}

pub(crate) fn rename(from: Fd, name: Text, to: Fd, new_name: Text) -> Result<()> {
    simple(number::RENAMEAT, from as usize, address(name), to as usize, address(new_name)).map(drop)
}

pub(crate) fn remove_file(directory: Fd, name: Text) -> Result<()> {
    simple(number::UNLINKAT, directory as usize, address(name), 0, 0).map(drop)
}

pub(crate) fn remove_directory(directory: Fd, name: Text) -> Result<()> {
    simple(number::UNLINKAT, directory as usize, address(name), AT_REMOVEDIR, 0).map(drop)
}

pub(crate) fn make_directory(directory: Fd, name: Text, mode: usize) -> Result<()> {
    simple(number::MKDIRAT, directory as usize, address(name), mode, 0).map(drop)
}

pub(crate) fn make_link(content: Text, directory: Fd, name: Text) -> Result<()> {
    simple(number::SYMLINKAT, address(content), directory as usize, address(name), 0).map(drop)
}

pub(crate) fn change_mode(directory: Fd, name: Text, mode: u16) -> Result<()> {
    simple(number::FCHMODAT, directory as usize, address(name), usize::from(mode), 0).map(drop)
}

pub(crate) fn may_execute(path: Text) -> bool {
    simple(number::FACCESSAT, HERE as usize, address(path), AT_EACCESS_X_OK, 0).is_ok()
}

pub(crate) fn user() -> usize {
    simple(number::GETEUID, 0, 0, 0, 0).unwrap_or(0)
}

/// Makes the missing directories of an absolute path and opens the last.
pub(crate) fn make_directories(path: &Path) -> Result<Fd> {
    for (index, byte) in path.bytes().iter().enumerate().skip(1) {
        if *byte == b'/' {
            let parent = crate::assemble::path(&[path.bytes().get(..index).unwrap_or(b"")]);
            let _ = make_directory(HERE, parent.text(), 0o777);
        }
    }
    // A failure shows when the directory is opened.
    let made = make_directory(HERE, path.text(), 0o777);
    open_directory(HERE, path.text()).map_err(|error| made.err().filter(|e| e.0 != 17).unwrap_or(error))
}

/// The type of a directory entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Absent,
    File,
    Directory,
    Link,
    Other,
}

/// The properties of a file that the launcher queries.
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) mode: u16,
    /// Seconds and nanoseconds of the last change.
    modified: [u64; 2],
}

pub(crate) fn status(directory: Fd, name: Text, follow: bool) -> Result<Status> {
    // struct statx, 256 bytes, as 64-bit words: the mode is the lower half of the 16 bits at byte 28, the
    // time of the last change lies at byte 112 (seconds) and 120 (nanoseconds, 32 bits).
    let mut buffer = [0_u64; 32];
    let flags = if follow { 0 } else { AT_SYMLINK_NOFOLLOW };
    let all = 0x7ff;
    let pointer = buffer.as_mut_ptr() as usize;
    // SAFETY: the kernel fills the 256 bytes of the buffer and reads the name.
    unsafe { call(number::STATX, [directory as usize, address(name), flags, all, pointer, 0])? };
    let mode = (buffer[3] >> 32) as u16;
    let kind = match mode & 0o170_000 {
        0o100_000 => Kind::File,
        0o040_000 => Kind::Directory,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    };
    Ok(Status { kind, mode: mode & 0o7777, modified: [buffer[14], buffer[15] & 0xffff_ffff] })
}

pub(crate) fn change_time(directory: Fd, name: Text, status: &Status) -> Result<()> {
    let [seconds, nanoseconds] = status.modified;
    let times = [seconds, nanoseconds, seconds, nanoseconds];
    let pointer = times.as_ptr() as usize;
    // SAFETY: the kernel reads two timespecs of two 64-bit words each, and the name.
    unsafe { call(number::UTIMENSAT, [directory as usize, address(name), pointer, 0, 0, 0]) }.map(drop)
}

/// Zeroed memory for this number of pointers, and of bytes of text.
pub(crate) fn memory(pointers: usize, text: usize) -> Result<(&'static mut [*const u8], &'static mut [u8])> {
    let size = pointers * core::mem::size_of::<*const u8>();
    let (read_write, private_anonymous) = (3, 0x22);
    // SAFETY: new pages of zeros that belong to nobody else and are never given back; pages are aligned for
    // pointers, zero is the null pointer, and the two slices do not overlap.
    unsafe {
        let pages = call(number::MMAP, [0, size + text, read_write, private_anonymous, usize::MAX, 0])?;
        let texts = core::slice::from_raw_parts_mut((pages + size) as *mut u8, text);
        Ok((core::slice::from_raw_parts_mut(pages as *mut *const u8, pointers), texts))
    }
}

/// Replaces this process. Returns only after an error.
pub(crate) fn execute(program: Text, arguments: &Vector, environment: &[*const u8]) -> Errno {
    let (vector, variables) = (arguments.pointers.as_ptr() as usize, environment.as_ptr() as usize);
    // SAFETY: both lists end with a null pointer; what they point to has its NUL and lives to the end.
    match unsafe { call(number::EXECVE, [address(program), vector, variables, 0, 0, 0]) } {
        Ok(_) => Errno(0),
        Err(error) => error,
    }
}
