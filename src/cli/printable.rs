//! Owns the escaping of foreign text for a terminal: file names, messages of servers, output of scripts.
//!
//! Must not pass an escape sequence, which can clear a terminal or type for the user. A direction mark can disguise a name.

use std::borrow::Cow;
use std::path::Path;

/// Whether a character controls the terminal or the direction of the text.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}

/// Replaces every control character by its escape, such as `\u{1b}` or `\n`.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    escape(text, is_control)
}

/// The paths of files in a directory, one per line.
pub(super) fn paths(directory: &Path, files: &[String]) -> String {
    files.iter().map(|file| format!("{}\n", printable(&directory.join(file).to_string_lossy()))).collect()
}

/// Like [`printable`], but keeps line ends.
pub(super) fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| character != '\n' && is_control(character))
}

fn escape(text: &str, is_bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_bad) {
        return Cow::Borrowed(text);
    }
    let escaped = |character: char| -> String {
        if is_bad(character) { character.escape_default().collect() } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(escaped).collect())
}

/// Cleans one line of a script: removes colors and cursor movements, applies carriage returns, replaces tabs, and escapes
/// the rest.
pub(super) fn script_line(line: &str) -> String {
    let stripped = anstream::adapter::strip_str(line).to_string();
    let last = stripped.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    printable(&last.replace('\t', "    ")).into_owned()
}

/// Escapes control characters in a JSON text, which stays equivalent.
pub(super) fn printable_json(json: &str) -> String {
    let mut units = [0; 2];
    let escaped = |character: char| -> String {
        // Strings in JSON have no raw line ends: these belong to the layout.
        if character == '\n' || !is_control(character) {
            return character.to_string();
        }
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    json.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("плюс ä 日本 🎉"), "плюс ä 日本 🎉");
        assert_eq!(printable("a\u{1b}]0;x\u{7}b\nc"), r"a\u{1b}]0;x\u{7}b\nc");
        assert_eq!(printable("\u{9b}31m\u{202e}gpj.exe"), r"\u{9b}31m\u{202e}gpj.exe");
        assert_eq!(printable_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn script_lines_keep_their_visible_text() {
        assert_eq!(script_line("\u{1b}[32mok\u{1b}[0m\tdone"), "ok    done");
        assert_eq!(script_line(" 10%\r 50%\r100%\r"), "100%");
        assert_eq!(script_line("\u{1b}]0;title\u{7}x\u{8}\u{202e}\u{9b}"), r"x\u{202e}\u{9b}");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let value = serde_json::json!({"name": "a\u{9b}b\u{202e}", "lines": "x\ny"});
        let text = printable_json(&serde_json::to_string_pretty(&value).expect("plain data"));
        assert!(!text.contains('\u{9b}') && text.contains("\\u009b"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
    }
}
