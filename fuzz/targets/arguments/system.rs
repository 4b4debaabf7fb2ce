//! Owns what stands for the kernel, so that the launcher's `run` can be called in this process: memory that is exactly
//! as large as was asked for, and an `execute` that says what would have been started.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::run::Vector;

pub(crate) const HERE: i32 = -100;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Errno {
    NoEntry,
}

impl Errno {
    pub(crate) const NO_ENTRY: Self = Self::NoEntry;

    pub(crate) fn meaning(self) -> &'static [u8] {
        b"No such file or directory"
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
}

pub(crate) struct Status {
    pub(crate) kind: Kind,
}

pub(crate) fn status(_: i32, program: Text<'_>, _: bool) -> Result<Status, Errno> {
    let kind = if program.0.ends_with(b"/\0") { Kind::Directory } else { Kind::File };
    Ok(Status { kind })
}

/// No program is a link.
pub(crate) fn read_link(_: i32, _: Text<'_>, _: &mut [u8]) -> Result<usize, Errno> {
    Err(Errno::NoEntry)
}

pub(crate) fn may_execute(_: Text<'_>) -> bool {
    true
}

pub(crate) fn user() -> usize {
    1001
}

type Memory = (&'static mut [*const u8], &'static mut [u8]);

/// Of exactly this size: what does not fit is lost, which is seen, and what is written behind it ends the process.
/// It is never given back, as the launcher never gives it back; the limit of memory is far above what leaks.
pub(crate) fn memory(pointers: usize, text: usize) -> Result<Memory, Errno> {
    ARENA.with_borrow_mut(|arena| {
        let arena = arena.insert(Arena { pointers: vec![std::ptr::null(); pointers], text: vec![0; text] });
        // SAFETY: the arena lives until `outcome` ends, which nothing of the launcher outlives, and nobody else uses it.
        unsafe {
            Ok((
                std::slice::from_raw_parts_mut(arena.pointers.as_mut_ptr(), pointers),
                std::slice::from_raw_parts_mut(arena.text.as_mut_ptr(), text),
            ))
        }
    })
}

struct Arena {
    pointers: Vec<*const u8>,
    text: Vec<u8>,
}

thread_local! {
    static ARENA: std::cell::RefCell<Option<Arena>> = const { std::cell::RefCell::new(None) };
}

/// How the launcher's `run` ended.
enum End {
    Started(Vec<Vec<u8>>),
    Exit(i32),
}

pub(crate) fn execute(_: Text<'_>, arguments: &Vector, _: &[*const u8]) -> Errno {
    let null = arguments.pointers.iter().position(|pointer| pointer.is_null());
    let arguments = &arguments.pointers[..null.expect("the list ends with a null pointer")];
    // SAFETY: the pointers lead to texts with a NUL: the program's path, words in the arena, and `OWN`.
    let words = arguments.iter().map(|pointer| unsafe { std::ffi::CStr::from_ptr(pointer.cast()) });
    resume_unwind(Box::new(End::Started(words.map(|word| word.to_bytes().to_vec()).collect())))
}

#[derive(Clone, Copy)]
pub(crate) struct Text<'a>(pub(crate) &'a [u8]);

impl<'a> Text<'a> {
    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0.strip_suffix(b"\0").unwrap_or(self.0)
    }
}

pub(crate) struct Path(Vec<u8>);

impl Path {
    pub(crate) fn of(_: &[u8], parts: &[&[u8]]) -> Self {
        Self([&parts.concat()[..], b"\0"].concat())
    }

    pub(crate) fn text(&self) -> Text<'_> {
        Text(&self.0)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.text().bytes()
    }
}

pub(crate) struct Process {
    pub(crate) arguments: Vec<*const u8>,
    pub(crate) environment: &'static [*const u8],
    value: Vec<u8>,
}

impl Process {
    pub(crate) fn argument(&self, index: usize) -> Text<'static> {
        Text(if index == 0 { b"run\0" } else { OWN })
    }

    pub(crate) fn variable(&self, name: &[u8]) -> &[u8] {
        if name == b"ARGS" { &self.value } else { b"" }
    }

    pub(crate) fn variable_or(&self, _: &[u8], default: &'static [u8]) -> &'static [u8] {
        default
    }
}

/// The container's own argument.
const OWN: &[u8] = b"--own\0";

pub(crate) struct Output;

impl Output {
    pub(crate) fn new(_: &[u8]) -> Self {
        Self
    }

    pub(crate) fn text(&mut self, _: &[u8]) -> &mut Self {
        self
    }

    pub(crate) fn name(&mut self, _: &[u8]) -> &mut Self {
        self
    }

    pub(crate) fn number(&mut self, _: usize) -> &mut Self {
        self
    }

    pub(crate) fn end(&mut self, code: i32) -> ! {
        resume_unwind(Box::new(End::Exit(code)))
    }

    pub(crate) fn because(&mut self, _: Errno, code: i32) -> ! {
        self.end(code)
    }
}

/// Calls the launcher's `run` with this value of `ARGS`: what it would start, or its exit code.
pub(crate) fn outcome(value: &str, run: fn(&Process) -> !) -> Result<Vec<Vec<u8>>, i32> {
    let value = value.as_bytes().to_vec();
    let arguments = vec![b"run\0".as_ptr(), OWN.as_ptr()];
    let process = Process { arguments, environment: &[], value };
    let ended = catch_unwind(AssertUnwindSafe(|| run(&process)));
    let Err(end) = ended;
    match end.downcast::<End>() {
        Ok(end) => match *end {
            End::Started(words) => Ok(words),
            End::Exit(code) => Err(code),
        },
        Err(other) => resume_unwind(other),
    }
}
