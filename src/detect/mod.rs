//! Owns detection: from the bytes of an artifact to its facts.
//! Must not read a whole file, only headers, directories and samples.
//!
//! Input is hostile: every size and offset in a file is checked before it is used, and every read has a limit.

mod bounded_reader;
mod candidate;
mod diagnosis;
mod elf;
pub mod facts;
mod rejection;
mod script;
mod source_tree;
#[cfg(test)]
mod tests;
mod unsupported;
mod zip;

use std::io::{Read, Seek};

pub use candidate::{Strength, candidate_strength, is_shell_script};
pub use diagnosis::{ElfNoProgram, OtherZip, ScriptDefect};
#[cfg(test)]
pub(crate) use elf::tests::sample::Elf as ElfSample;
pub use elf::{LinkedFile, linked_file, program_architecture};
pub use facts::Facts;
pub use rejection::{DetectError, Rejection};
pub use source_tree::{BuildFile, build_file_order, container_image, source_tree};
pub use zip::{ClassPathJar, class_path_jar, jar_release};

use bounded_reader::BoundedReader;
use facts::Kind;
use rejection::Stop;

/// The number of bytes at the beginning that decide the kind.
const HEAD: u64 = 4096;

#[derive(Clone, Debug, Default)]
pub struct DetectOptions {
    /// `--main-class`: has precedence over the manifest, and makes a library JAR runnable.
    pub main_class: Option<String>,
}

/// Reads the facts of an artifact of `size` bytes. If the content is ambiguous, the name decides between JAR, WAR and
/// library. Content of fewer than `size` bytes is a [`DetectError::Read`].
pub fn detect<R: Read + Seek>(
    name: &str,
    size: u64,
    mut content: R,
    options: &DetectOptions,
) -> Result<Facts, DetectError> {
    let mut view = BoundedReader::new(&mut content, size);
    let kind = kind(name, &mut view, options).map_err(|stop| stop.named(name))?;
    Ok(Facts { size, kind })
}

fn kind(name: &str, view: &mut BoundedReader<'_>, options: &DetectOptions) -> Result<Kind, Stop> {
    let head = view.read(0, HEAD)?;
    let main_class = options.main_class.as_deref();
    if head.is_empty() {
        return Err(Rejection::Empty.into());
    }
    if head.starts_with(elf::MAGIC) {
        return elf::detect(name, view).map(Kind::Executable);
    }
    if zip::is_archive(&head) {
        return zip::detect(name, &head, view, main_class);
    }
    let is_script = head.starts_with(script::MAGIC);
    // Java finds an archive from its end, so the file may begin with a launch script, also with one for Windows and shells
    // that has no `#!` line. A Windows program in front is what it was built for.
    if !head.starts_with(b"MZ")
        && let Some(kind) = zip::detect_behind(name, is_script, view, main_class)?
    {
        return Ok(kind);
    }
    if is_script || head.starts_with(script::MARKED_MAGIC) {
        return Ok(Kind::Script(script::detect(&view.read(0, script::SEARCHED)?)?));
    }
    Err(unsupported::refuse(name, &head, view))
}
