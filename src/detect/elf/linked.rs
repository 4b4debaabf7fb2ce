//! Owns what the dynamic linker reads of an ELF file, a program or a library.
//! Must not decide where it looks for the libraries.

use std::io::{self, Read, Seek};

use super::super::bounded_reader::BoundedReader;
use super::super::facts::{ExecutableFacts, GlibcVersion, Libc};
use super::super::rejection::Stop;
use super::dynamic::Dynamic;
use super::layout::Headers;
use super::{interpreter, libc, platform, toolchain};
use crate::image::Platform;

/// The parts of a program or library that the dynamic linker reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedFile {
    pub platform: Platform,
    /// The dynamic linker that starts it; `None` for libraries and static programs.
    pub interpreter: Option<String>,
    /// `None` if nothing in it tells.
    pub libc: Option<Libc>,
    /// The highest `GLIBC_x.y` symbol version that it needs.
    pub glibc: Option<GlibcVersion>,
    /// The shared libraries that it needs, in its order.
    pub libraries: Vec<String>,
    /// RPATH: directories for its libraries, and for their libraries.
    pub inherited_path: Vec<String>,
    /// RUNPATH: directories for its own libraries only. RPATH has no effect if there is one.
    pub own_path: Vec<String>,
}

impl From<&ExecutableFacts> for LinkedFile {
    fn from(facts: &ExecutableFacts) -> Self {
        Self {
            platform: facts.platform.clone(),
            interpreter: facts.interpreter.clone(),
            libc: facts.libc,
            glibc: facts.glibc,
            libraries: facts.libraries.clone(),
            inherited_path: Vec::new(),
            own_path: facts.run_path.clone(),
        }
    }
}

/// Reads an ELF file of `size` bytes; `None` if it is not a valid one for Linux.
pub fn linked_file<R: Read + Seek>(size: u64, mut content: R) -> io::Result<Option<LinkedFile>> {
    let mut view = BoundedReader::new(&mut content, size);
    match read(&mut view) {
        Ok(file) => Ok(Some(file)),
        Err(Stop::Refused(_)) => Ok(None),
        Err(Stop::Read(error)) => Err(error),
    }
}

fn read(view: &mut BoundedReader<'_>) -> Result<LinkedFile, Stop> {
    let headers = Headers::read(view)?;
    let interpreter = interpreter(&headers, view)?;
    let notes = toolchain::note_owners(&headers, view)?;
    let platform = platform::platform(&headers, interpreter.as_deref(), &notes)?;
    let dynamic = Dynamic::read(&headers, view)?;
    let libc = match libc(interpreter.as_deref(), &dynamic) {
        // Musl's own name of the library that programs link against.
        Libc::Other if dynamic.libraries.iter().any(|name| name == "libc.so") => Some(Libc::Musl),
        Libc::Other if interpreter.is_none() => None,
        known => Some(known),
    };
    Ok(LinkedFile {
        platform,
        interpreter,
        libc,
        glibc: dynamic.glibc,
        libraries: dynamic.libraries,
        inherited_path: dynamic.inherited_path,
        own_path: dynamic.own_path,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::super::tests::sample::Elf;
    use super::*;

    fn linked(elf: &Elf) -> LinkedFile {
        let bytes = elf.bytes();
        linked_file(bytes.len() as u64, Cursor::new(bytes)).expect("reads").expect("an ELF file")
    }

    #[test]
    fn programs_and_libraries_say_what_they_need() {
        let library = Elf {
            interpreter: None,
            entry: 0,
            needed: vec!["libz.so.1", "libc.so.6"],
            soname: Some("libx.so.1"),
            run_path: Some("$ORIGIN:/opt/lib"),
            versions: vec![("GLIBC_2.35", false)],
            ..Elf::default()
        };
        let read = linked(&library);
        assert_eq!(read.libraries, ["libz.so.1", "libc.so.6"]);
        assert_eq!([read.inherited_path, read.own_path].concat(), ["$ORIGIN", "/opt/lib"]);
        assert_eq!((read.libc, read.glibc), (Some(Libc::Glibc), Some("2.35".parse().expect("a version"))));
        let musl = Elf { interpreter: None, needed: vec!["libc.so"], ..Elf::default() };
        assert_eq!(linked(&musl).libc, Some(Libc::Musl));
        assert_eq!(linked(&Elf { interpreter: None, ..Elf::default() }).libc, None);
        assert_eq!(linked_file(4, Cursor::new(b"text".to_vec())).expect("reads"), None);
    }
}
