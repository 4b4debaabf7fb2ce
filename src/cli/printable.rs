//! Owns making text from elsewhere harmless to a terminal: names of files, messages of servers, output of scripts.
//!
//! An escape sequence can retitle or clear a terminal, and in some answer on the user's behalf; a direction mark can
//! make a name look like another.

use std::borrow::Cow;

/// Whether a character acts on the terminal or on the order of the text instead of being shown.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}')
}

/// Shows every character that acts as its escape, such as `\u{1b}` or `\n`.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    escape(text, acts)
}

/// The same, but keeps line ends: for texts of several lines.
pub(super) fn printable_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| character != '\n' && acts(character))
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

/// Makes one line of a script's output harmless: colours and cursor movements are dropped, of a line that was
/// overwritten by carriage returns only the last state is kept, tabs become spaces, anything else is escaped.
pub(super) fn script_line(line: &str) -> String {
    let stripped = anstream::adapter::strip_str(line).to_string();
    let last = stripped.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    printable(&last.replace('\t', "    ")).into_owned()
}

/// Makes a JSON text harmless without changing what it means.
pub(super) fn printable_json(json: &str) -> String {
    let mut units = [0; 2];
    let escaped = |character: char| -> String {
        // JSON has no raw line ends inside of strings, so those that are there belong to its layout.
        if character == '\n' || !acts(character) {
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
    fn shows_what_would_act() {
        assert_eq!(printable("плюс ä 日本 🎉"), "плюс ä 日本 🎉");
        assert_eq!(printable("a\u{1b}]0;x\u{7}b\nc"), r"a\u{1b}]0;x\u{7}b\nc");
        assert_eq!(printable("\u{9b}31m\u{202e}gpj.exe"), r"\u{9b}31m\u{202e}gpj.exe");
        assert_eq!(printable_lines("a\nb\r"), "a\nb\\r");
    }

    #[test]
    fn keeps_what_a_script_meant_to_show() {
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
