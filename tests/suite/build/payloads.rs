//! Executables that carry a program of another tool: what b2i sees of it, and what the image gets for it.

use super::options::config;
use super::*;

/// The static fixture with a mark in it: at byte 8, or at its end.
fn marked(directory: &Path, name: &str, at_front: &[u8], at_end: &[u8]) -> String {
    let mut bytes = std::fs::read(fixture("program")).expect("the fixture can be read");
    bytes[8..8 + at_front.len()].copy_from_slice(at_front);
    bytes.extend_from_slice(at_end);
    let path = directory.join(name);
    std::fs::write(&path, bytes).expect("the directory is the test's");
    path.display().to_string()
}

#[test]
fn an_appimage_extracts_itself_where_there_is_no_fuse() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let artifact = marked(directory.path(), "tool.AppImage", b"AI\x02", b"hsqs");
    for daemon in TestEnvironment::get().daemons() {
        let image = Image::build(&daemon, &[&artifact, "--", "--print"]);
        assert!(image.messages.contains("Planned binary:debian13 on"), "{}", image.messages);
        assert!(image.messages.contains("docker run --tmpfs /tmp:exec"), "{}", image.messages);
        assert!(words(&config(&image), "Env").contains(&"APPIMAGE_EXTRACT_AND_RUN=1".to_owned()));
        assert_eq!(image.report(&["--tmpfs", "/tmp:exec"], &[])["pid"], 1, "on {}", daemon.name);
        let arguments = [artifact.as_str(), "--env", "APPIMAGE_EXTRACT_AND_RUN=0"];
        let image = Image::build(&daemon, &arguments);
        assert!(words(&config(&image), "Env").contains(&"APPIMAGE_EXTRACT_AND_RUN=0".to_owned()));
    }
}

#[test]
fn inspect_names_the_tool() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cookie = [&b"MEI\x0c\x0b\x0a\x0b\x0e"[..], &[0; 80]].concat();
    for (front, end, word, json) in [
        (&b"AI\x02"[..], &b""[..], "AppImage", r#""tool": "appimage""#),
        (b"", &cookie, "PyInstaller", r#""tool": "pyinstaller""#),
        (b"", b"\n---- Bun! ----\n\0\0\0\0\0\0\0\0", "Bun", r#""tool": "bun""#),
    ] {
        let artifact = marked(directory.path(), "tool", front, end);
        let inspect = |more: &[&str]| {
            let output = B2iCommand::without_daemon().args(["inspect", &artifact]).args(more).run();
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            output.stdout
        };
        let text = inspect(&[]);
        let row = text.lines().find(|line| line.trim_start().starts_with("payload")).expect(&text);
        assert!(row.ends_with(word), "{text}");
        assert!(inspect(&["--format", "json"]).contains(json), "{word}");
    }
}
