//! Owns recognising the tools for sources, and their versions, by the files of an image.
//!
//! Must not read a whole large file.

use std::io::{self, Read};

use super::super::base::Tool;
use super::super::version::DottedVersion;
use super::bounded;

/// The part of nginx that is searched for its version, in bytes. Real ones have 2 MB.
const MAXIMUM_PROGRAM: u64 = 32 << 20;

const PROGRAM_FOLDERS: [&str; 5] = ["bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin"];

/// The tool and version that a file states. `content` is read only for small files and for nginx.
pub(super) fn recognise(
    folder: &str,
    name: &str,
    has_content: bool,
    content: &mut impl Read,
) -> io::Result<Option<(Tool, DottedVersion)>> {
    let parsed = |tool, text: &str| text.parse().ok().map(|version| (tool, version));
    if let Some(version) = name.strip_prefix("python")
        && version.contains('.')
        && PROGRAM_FOLDERS.contains(&folder)
    {
        return Ok(parsed(Tool::Python, version));
    }
    if let Some(version) = name.strip_prefix("maven-core-").and_then(|rest| rest.strip_suffix(".jar")) {
        return Ok(parsed(Tool::Maven, version));
    }
    let last = folder.rsplit('/').next().unwrap_or_default();
    if name == "VERSION" && (last == "go" || last.starts_with("go-")) && has_content {
        let text = bounded(content, 256)?;
        let text = String::from_utf8_lossy(&text);
        let version = text.lines().next().and_then(|line| line.trim().strip_prefix("go").map(str::to_owned));
        return Ok(version.and_then(|version| parsed(Tool::Go, &version)));
    }
    if name == "nginx" && PROGRAM_FOLDERS.contains(&folder) && has_content {
        let program = bounded(content, MAXIMUM_PROGRAM)?;
        return Ok(nginx_version(&program).map(|version| (Tool::Nginx, version)));
    }
    Ok(None)
}

/// Finds "nginx version: nginx/1.28.0", which nginx prints for `-v`.
fn nginx_version(program: &[u8]) -> Option<DottedVersion> {
    const MARK: &[u8] = b"nginx version: nginx/";
    let start = program.windows(MARK.len()).position(|window| window == MARK)? + MARK.len();
    let rest = &program[start..program.len().min(start + 32)];
    let end = rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(rest.len());
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, content: &[u8]) -> Option<String> {
        let (folder, name) = path.rsplit_once('/').expect("a folder");
        let tool = recognise(folder, name, true, &mut &content[..]).expect("memory can be read");
        tool.map(|(tool, version)| format!("{} {version}", tool.word()))
    }

    #[test]
    fn tools_are_told_by_their_files() {
        for (path, content, expected) in [
            ("usr/local/go/VERSION", &b"go1.25.3\ntime 2025-01-01"[..], Some("go 1.25.3")),
            ("usr/share/go-1.19/VERSION", b"go1.19.8", Some("go 1.19.8")),
            ("usr/local/bin/python3.13", b"", Some("python 3.13")),
            ("usr/local/bin/python3", b"", None),
            ("usr/share/maven/lib/maven-core-3.9.9.jar", b"", Some("maven 3.9.9")),
            ("usr/sbin/nginx", b"\x7fELF..nginx version: nginx/1.28.0\0built", Some("nginx 1.28.0")),
            ("usr/sbin/nginx", b"\x7fELF", None),
            ("srv/VERSION", b"go1.25.3", None),
            ("usr/local/go/VERSION", b"devel", None),
        ] {
            assert_eq!(told(path, content).as_deref(), expected, "{path}");
        }
    }
}
