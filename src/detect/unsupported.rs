//! Owns recognising files that are not artifacts, by their first bytes: programs of other systems, archives, packages,
//! error pages, text. Must not refuse a file that could be packaged.
//!
//! `infer` names the other types. `object` was weighed: it parses whole files, but only the first 4 KiB are read here.
//! `tar` was weighed: it reads all members to list their names.

use super::bounded_reader::{BoundedReader, array, big_u32, holds, little_u16, little_u32, text};
use super::rejection::{Rejection, Stop};
use super::source_tree::container_image;

/// The longest quotation from an error page, in characters.
const LONGEST_QUOTE: usize = 80;

/// The rejection of a file. `head` is its beginning, up to 4 KiB.
pub(super) fn refuse(name: &str, head: &[u8], view: &mut BoundedReader<'_>) -> Stop {
    if let Some(rejection) = program(head).or_else(|| class_file(head)).or_else(|| error_page(head)) {
        return rejection.into();
    }
    if holds(head.get(257..263).unwrap_or_default(), b"ustar") {
        return match tar_names(view) {
            Err(error) => error.into(),
            Ok(names) => match container_image(names.iter().map(String::as_str)) {
                Some(format) => Rejection::ContainerImage { format }.into(),
                None => Rejection::Archive { what: "a tar archive" }.into(),
            },
        };
    }
    signature(head).or_else(|| plain_text(name, head)).unwrap_or_else(|| unknown(head)).into()
}

pub(super) fn program(head: &[u8]) -> Option<Rejection> {
    let what = match head.get(..4)? {
        _ if head.starts_with(b"MZqFpD=") => return Some(Rejection::PortableExecutable),
        [b'M', b'Z', ..] => windows_program(head),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf] => "a macOS program (Mach-O)".to_owned(),
        [0xce | 0xcf, 0xfa, 0xed, 0xfe] => mac_program(head),
        // Universal binaries have the same first bytes as class files. The next number is the number of architectures, or
        // the version of a class file, which is never below 45.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf] if big_u32(head, 4)? < 45 => {
            "a macOS universal program (Mach-O)".to_owned()
        }
        [0xbe | 0xbf, 0xba, 0xfe, 0xca] => "a macOS universal program (Mach-O)".to_owned(),
        _ => return None,
    };
    Some(Rejection::ForeignProgram { what })
}

fn windows_program(head: &[u8]) -> String {
    const IMAGE_FILE_DLL: u16 = 0x2000;
    let at = little_u32(head, 0x3c).map(|at| at as usize);
    let Some(at) = at.filter(|at| array(head, *at) == Some(*b"PE\0\0")) else {
        return "a DOS or Windows program".into();
    };
    let machine = match little_u16(head, at + 4) {
        Some(0x014c) => "x86",
        Some(0x8664) => "x86-64",
        Some(0xaa64) => "ARM64",
        Some(0x01c0 | 0x01c4) => "ARM",
        _ => "unknown processor",
    };
    let library = little_u16(head, at + 22).is_some_and(|flags| flags & IMAGE_FILE_DLL != 0);
    format!("a Windows {} (PE, {machine})", if library { "library" } else { "program" })
}

fn mac_program(head: &[u8]) -> String {
    let processor = match little_u32(head, 4) {
        Some(0x0100_0007) => "x86-64",
        Some(0x0100_000c) => "ARM64",
        Some(7) => "x86",
        Some(12) => "ARM",
        _ => "unknown processor",
    };
    format!("a macOS program (Mach-O, {processor})")
}

fn class_file(head: &[u8]) -> Option<Rejection> {
    let java = super::zip::class_file::release(head)?;
    Some(Rejection::ClassFile { java })
}

/// Recognises pages that servers send instead of a file: HTML, XML and JSON.
fn error_page(head: &[u8]) -> Option<Rejection> {
    let page = String::from_utf8_lossy(head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head));
    let page = page.trim_start();
    let lower: String = page.chars().take(512).collect::<String>().to_ascii_lowercase();
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| lower.starts_with(beginning));
    let (format, element) = if begins(&["<!doctype html", "<html", "<head", "<body", "<!--"])
        || begins(&["<?xml"]) && lower.contains("<html")
    {
        ("an HTML page", "title")
    } else if begins(&["<?xml", "<error"]) {
        ("an XML document", "Code")
    } else if is_json(&lower) {
        ("a JSON document", "")
    } else {
        return None;
    };
    let beginning = quote(content_of(page, element).unwrap_or(page));
    Some(Rejection::ErrorPage { format, beginning })
}

fn is_json(beginning: &str) -> bool {
    let inner = beginning.strip_prefix(['{', '[']).map(str::trim_start);
    inner.is_some_and(|inner| inner.starts_with(['"', '{', '}', ']']))
}

fn content_of<'a>(page: &'a str, element: &str) -> Option<&'a str> {
    (!element.is_empty()).then_some(())?;
    // Changing the case of ASCII keeps every position.
    let folded = page.to_ascii_lowercase();
    let element = element.to_ascii_lowercase();
    let start = folded.find(&format!("<{element}"))?;
    let start = start + folded[start..].find('>')? + 1;
    let end = start + folded[start..].find('<')?;
    let content = page[start..end].trim();
    (!content.is_empty()).then_some(content)
}

fn quote(page: &str) -> String {
    let words: Vec<&str> = page.split_whitespace().collect();
    let line = text(words.join(" ").as_bytes());
    match line.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn signature(head: &[u8]) -> Option<Rejection> {
    let archive = |what| Rejection::Archive { what };
    let other = |what: &str| Rejection::Other { what: what.to_owned() };
    let signatures: [(&[u8], Rejection); 29] = [
        (b"\x1f\x8b", archive("a gzip file")),
        (b"\xfd7zXZ\0", archive("an xz file")),
        (b"\x28\xb5\x2f\xfd", archive("a Zstandard file")),
        (b"BZh", archive("a bzip2 file")),
        (b"7z\xbc\xaf\x27\x1c", archive("a 7-Zip archive")),
        (b"Rar!\x1a\x07", archive("a RAR archive")),
        (b"\x04\x22\x4d\x18", archive("an LZ4 file")),
        (b"MSCF", archive("a Windows cabinet")),
        (b"xar!", Rejection::ForeignProgram { what: "a macOS installer package".into() }),
        (b"\xd0\xcf\x11\xe0", Rejection::ForeignProgram { what: "a Windows installer (MSI)".into() }),
        (b"!<arch>\ndebian-binary", Rejection::Package { format: "a Debian" }),
        (b"\xed\xab\xee\xdb", Rejection::Package { format: "an RPM" }),
        (b"hsqs", Rejection::Package { format: "a snap (squashfs)" }),
        (b"!<arch>\n", other("a static library (ar)")),
        (b"\0asm", other("a WebAssembly module")),
        (b"BC\xc0\xde", other("LLVM bitcode")),
        (b"\xde\xc0\x17\x0b", other("LLVM bitcode")),
        (b"JM\x01\0", other("a Java module for linking (JMOD)")),
        (b"\xda\xda\xfe\xca", other("a Java run-time image (jimage)")),
        (b"\xca\xfe\xda\xda", other("a Java run-time image (jimage)")),
        (b"\xac\xed\0\x05", other("a serialised Java object")),
        (b"dex\n", other("Android bytecode (DEX)")),
        (b"\x1bLua", other("Lua bytecode")),
        (b"%PDF", other("a PDF document")),
        (b"\x89PNG", other("an image (PNG)")),
        (b"SQLite format 3", other("an SQLite database")),
        (b"-----BEGIN PGP", other("an OpenPGP signature or key")),
        (b"-----BEGIN ", other("a certificate or key (PEM)")),
        (b"\xff\xd8\xff", other("an image (JPEG)")),
    ];
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some(git_lfs(head));
    }
    signatures.into_iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, rejection)| rejection)
}

fn git_lfs(head: &[u8]) -> Rejection {
    let size = head.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"size "));
    Rejection::GitLfsPointer { size: quote(&text(size.unwrap_or(b"unknown"))) }
}

fn plain_text(name: &str, head: &[u8]) -> Option<Rejection> {
    let name = name.to_ascii_lowercase();
    let marked = head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff");
    let valid = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The head may end in the middle of a character.
        Err(error) => error.error_len().is_none(),
    };
    let control = |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\n' | b'\r' | b'\t' | 0x0c | 0x1b);
    if !(marked || valid && !head.iter().any(control)) {
        return None;
    }
    match [".bat", ".cmd", ".ps1"].iter().any(|ending| name.ends_with(ending)) {
        true => Some(Rejection::ForeignProgram { what: "a Windows script".into() }),
        false => Some(Rejection::Text),
    }
}

fn unknown(head: &[u8]) -> Rejection {
    if let Some(kind) = infer::get(head) {
        return Rejection::Other { what: format!("a file of type {}", kind.mime_type()) };
    }
    let beginning: Vec<String> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Rejection::Unknown { beginning: beginning.join(" ") }
}

/// Reads the top-level names among the first members of a tar archive.
fn tar_names(view: &mut BoundedReader<'_>) -> std::io::Result<Vec<String>> {
    const MOST_MEMBERS: usize = 512;
    let mut names = Vec::new();
    let mut at = 0u64;
    while names.len() < MOST_MEMBERS {
        let Some(header) = view.read_exact(at, 512)? else { break };
        let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
        if name.is_empty() {
            break;
        }
        let name = text(name);
        names.push(name.trim_start_matches("./").split('/').next().unwrap_or_default().to_owned());
        let Some(size) = tar_size(&header[124..136]) else { break };
        let Some(next) =
            size.checked_next_multiple_of(512).and_then(|size| at.checked_add(512)?.checked_add(size))
        else {
            break;
        };
        at = next;
    }
    Ok(names)
}

/// Reads the size of a member: octal digits (POSIX), or base 256 if the first bit is set (GNU).
fn tar_size(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| first & 0x80 != 0) {
        return Some(u64::from_be_bytes(array(field, 4)?));
    }
    let digits: Vec<u8> = field.iter().copied().filter(u8::is_ascii_digit).collect();
    u64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}
