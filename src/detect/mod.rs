//! The room of detection: artifact in, facts out.
//!
//! Pure: reads the bytes it is given and nothing else. Input is hostile here; every size and offset that a file
//! states is checked before it is believed, and every read has a limit of its own. Only headers, directories and
//! samples are read, never a whole file.
#![allow(missing_docs, reason = "private to the crate")]

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

pub use candidate::{Candidate, CandidateKind, Strength, is_artifact_candidate};
pub use diagnosis::{ElfNoProgram, OtherZip, ScriptDefect};
pub use facts::Facts;
pub use rejection::{DetectError, Rejection};
pub use source_tree::{BuildFile, BuildSystem, build_file_order, container_image, source_tree};
pub use zip::{ClassPathJar, class_path_jar};

use bounded_reader::BoundedReader;
use facts::Kind;
use rejection::Stop;

/// How much of the beginning is looked at to tell what a file is.
const HEAD: usize = 4096;

/// What the user said about the artifact.
#[derive(Clone, Debug, Default)]
pub struct DetectOptions {
    /// The class to start, which outranks the manifest and makes a library JAR runnable.
    pub main_class: Option<String>,
}

/// Reads the facts of an artifact of `size` bytes. The name tells JARs, WARs and libraries apart where the content
/// leaves it open.
///
/// # Errors
/// [`DetectError::Refused`] names what the file is if it cannot be packaged; [`DetectError::Read`] is an error of
/// `content`, also if it has fewer bytes than `size`.
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
    // Java finds an archive from its end, so that a launch script may stand before it.
    if (is_script || zip::has_ending(name, ".jar") || zip::has_ending(name, ".war"))
        && let Some(kind) = zip::detect_behind(name, is_script, view, main_class)?
    {
        return Ok(kind);
    }
    if is_script || head.starts_with(script::MARKED_MAGIC) {
        return Ok(Kind::Script(script::detect(&head)?));
    }
    Err(unsupported::refuse(name, &head, view))
}
