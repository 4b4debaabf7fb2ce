//! The launcher: one static program that replaces the scripts of the template `binary` on base images without a shell.
//! Its name (`assemble`, `run` or `usage`) selects the script. Paths, exit codes and messages are those of the scripts,
//! except messages of a shell's own tools.
//!
//! It is not part of the b2i crate: `build.sh` compiles this folder alone, for Linux on amd64 and arm64, without the
//! standard library or a C library. The results are beside that script. So code is unsafe in `system`, and where
//! pointers of the kernel become slices.
#![no_std]
#![no_main]
#![no_builtins]
#![deny(unsafe_op_in_unsafe_fn)]

mod assemble;
mod compiler_support;
mod relocate;
mod run;
mod system;

use system::{Errno, Fd};

const ROOT: &[u8] = b"/opt/app-root";
const PATH_LIMIT: usize = 4096;
const USAGE: &[u8] = include_bytes!("usage.txt");

/// Never called: nothing here should panic, and nothing could unwind.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    system::exit(125)
}

// The kernel puts the argument count at the stack pointer, and the pointers behind it.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call start",
    "ud2"
);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, #0",
    "mov x30, #0",
    "mov x0, sp",
    "bl start",
    "brk #1"
);

/// The entry point in Rust, which the assembly calls.
#[no_mangle]
extern "C" fn start(stack: *const usize) -> ! {
    // SAFETY: the two instructions above pass the stack pointer of the kernel. It points to a count, that many pointers
    // to texts with a NUL, a null pointer, the pointers of the environment, and a null pointer. All of it lives to the
    // end.
    let (arguments, environment) = unsafe {
        let count = *stack;
        let arguments = core::slice::from_raw_parts(stack.add(1).cast::<*const u8>(), count);
        let environment = stack.add(count + 2).cast::<*const u8>();
        let mut variables = 0;
        while !(*environment.add(variables)).is_null() {
            variables += 1;
        }
        // The slice includes its null pointer, as execve requires.
        (arguments, core::slice::from_raw_parts(environment, variables + 1))
    };
    let process = Process { arguments, environment };
    let name = process.argument(0).bytes();
    match name.rsplit(|byte| *byte == b'/').next() {
        Some(b"assemble") => assemble::Assemble::new(&process).place(),
        Some(b"run") => run::run(&process),
        Some(b"usage") => {
            system::write(1, USAGE);
            system::exit(0)
        }
        _ => Output::new(b"launcher").text(b"acts by its name: assemble, run or usage").end(2),
    }
}

/// A text that ends with a NUL, as system calls require. The NUL is part of the slice and the only one in it.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// # Safety
    /// The pointer must lead to bytes that end with a NUL and stay unchanged for `'a`.
    unsafe fn from_pointer(pointer: *const u8) -> Self {
        let mut length = 0;
        // SAFETY: the caller guarantees the bytes up to the NUL.
        unsafe {
            while *pointer.add(length) != 0 {
                length += 1;
            }
            Self(core::slice::from_raw_parts(pointer, length + 1))
        }
    }

    fn bytes(self) -> &'a [u8] {
        match self.0 {
            [bytes @ .., _] => bytes,
            [] => &[],
        }
    }
}

/// The arguments and the environment from the kernel.
struct Process {
    arguments: &'static [*const u8],
    environment: &'static [*const u8],
}

impl Process {
    fn argument(&self, index: usize) -> Text<'static> {
        match self.arguments.get(index) {
            // SAFETY: the kernel's pointers lead to texts with a NUL that nobody changes.
            Some(pointer) => unsafe { Text::from_pointer(*pointer) },
            None => Text(b"\0"),
        }
    }

    /// The value of a variable; empty if it is unset or empty.
    fn variable(&self, name: &[u8]) -> &'static [u8] {
        for pointer in self.environment.iter().filter(|pointer| !pointer.is_null()) {
            // SAFETY: as for arguments; the null pointer at the end was left out.
            let line = unsafe { Text::from_pointer(*pointer) }.bytes();
            if let Some([b'=', value @ ..]) = line.strip_prefix(name) {
                return value;
            }
        }
        b""
    }

    fn variable_or(&self, name: &[u8], default: &'static [u8]) -> &'static [u8] {
        match self.variable(name) {
            b"" => default,
            value => value,
        }
    }
}

/// One message, by default to standard error, written in few pieces.
struct Output {
    to: Fd,
    bytes: [u8; 1024],
    length: usize,
}

impl Output {
    fn new(program: &[u8]) -> Self {
        let mut output = Self { to: 2, bytes: [0; 1024], length: 0 };
        output.text(program).text(b": ");
        output
    }

    fn byte(&mut self, byte: u8) {
        if self.length == self.bytes.len() {
            self.flush();
        }
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn text(&mut self, text: &[u8]) -> &mut Self {
        text.iter().for_each(|byte| self.byte(*byte));
        self
    }

    /// Adds a file name without its control characters, which a terminal would obey.
    fn name(&mut self, name: &[u8]) -> &mut Self {
        name.iter().for_each(|byte| self.byte(if *byte < 0x20 || *byte == 0x7f { b'?' } else { *byte }));
        self
    }

    fn number(&mut self, number: usize) -> &mut Self {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
        self
    }

    fn flush(&mut self) {
        if let Some(bytes) = self.bytes.get(..self.length) {
            system::write(self.to, bytes);
        }
        self.length = 0;
    }

    /// Ends the message and the program.
    fn end(&mut self, code: i32) -> ! {
        self.byte(b'\n');
        self.flush();
        system::exit(code)
    }

    /// Adds the kernel's reason and ends the program.
    fn because(&mut self, error: Errno, code: i32) -> ! {
        self.text(b": ").text(error.meaning()).end(code)
    }
}

/// A path under construction, always with its NUL.
#[derive(Clone, Copy)]
struct Path {
    bytes: [u8; PATH_LIMIT],
    length: usize,
}

impl Path {
    /// Joins the parts. Ends the program if the path is too long.
    fn of(program: &[u8], parts: &[&[u8]]) -> Self {
        let mut path = Self { bytes: [0; PATH_LIMIT], length: 0 };
        for byte in parts.iter().flat_map(|part| part.iter()) {
            match path.bytes.get_mut(path.length) {
                Some(place) if path.length < PATH_LIMIT - 1 => *place = *byte,
                _ => Output::new(program).text(b"a path is longer than 4095 bytes").end(2),
            }
            path.length += 1;
        }
        path
    }

    fn text(&self) -> Text<'_> {
        Text(self.bytes.get(..=self.length).unwrap_or(b"\0"))
    }

    fn bytes(&self) -> &[u8] {
        self.text().bytes()
    }
}
