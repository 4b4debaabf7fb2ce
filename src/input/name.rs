//! Owns safe file names: one path component that is valid in a label, a tag and a path.
//! Must not know where a name comes from.

use crate::fs::path::cut;

/// The name of an artifact without a name.
pub(super) const FALLBACK: &str = "artifact";

/// The limit of file systems.
const MAX_BYTES: usize = 255;

/// Makes `name` safe: the part after the last separator, without control characters and leading dots or dashes, at most
/// 255 bytes. Letters of every script stay. `None` if no character is left.
pub(crate) fn safe_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|character| !is_unsafe(*character)).collect();
    let trimmed = visible.trim().trim_start_matches(['.', '-']).trim();
    (!trimmed.is_empty()).then(|| shorten(trimmed))
}

/// The name of an artifact that was `name` where it came from.
pub(crate) fn artifact_name(name: &str) -> String {
    safe_name(name).unwrap_or_else(|| FALLBACK.to_owned())
}

/// Whether it is a control character, or one that changes the direction of text and so can hide an extension.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Cuts the stem, not the extension.
fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').map(|dot| &name[dot..]).filter(|extension| extension.len() <= 20);
    let extension = extension.unwrap_or_default();
    format!("{}{extension}", cut(name, MAX_BYTES - extension.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keeps_good_names_and_cleans_bad_ones() {
        for (name, safe) in [
            ("app-1.2.jar", Some("app-1.2.jar")),
            ("приложение 1.jar", Some("приложение 1.jar")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\x\\app.jar", Some("app.jar")),
            ("..", None),
            ("--help", Some("help")),
            (".b\u{202e}raj.\u{7}exe", Some("braj.exe")),
            ("", None),
            ("a/", None),
        ] {
            assert_eq!(safe_name(name).as_deref(), safe, "{name:?}");
        }
    }

    #[test]
    fn shortens_the_stem() {
        let name = safe_name(&format!("{}.jar", "ä".repeat(300))).expect("has one");
        assert!(name.len() <= 255 && name.ends_with("ä.jar"));
    }

    proptest! {
        #[test]
        fn is_always_one_component(name in ".{0,400}") {
            if let Some(safe) = safe_name(&name) {
                prop_assert!(!safe.is_empty() && safe.len() <= 255);
                prop_assert!(!safe.contains(['/', '\\', '\0', '\n']) && !safe.starts_with(['.', '-']));
            }
        }
    }
}
