//! Owns splitting and quoting argument lists: `ARGS`, `--entrypoint`, `args` of the configuration. Every `run` script and
//! the launcher split `ARGS` by the same rules. Must not expand anything, nor know comments or operators.
//!
//! Source: POSIX.1-2017, Shell Command Language 2.2 "Quoting". `shell-words` 1.1 was weighed: it skips comments, accepts a
//! backslash at the end, and its errors have no position.

/// The error for a quote that is not closed, or a backslash at the end. The text may contain secrets, so the message has
/// only the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} at character {position} {wrong}")]
pub struct UnclosedQuote {
    what: &'static str,
    wrong: &'static str,
    /// Counted from 1.
    position: usize,
}

/// Splits `text` into words at unquoted spaces, tabs and newlines.
///
/// In single quotes, everything is literal. In double quotes, a backslash escapes `$`, `` ` ``, `"`, `\` and the newline.
/// Outside quotes, it escapes any character. An escaped newline is dropped. `''` and `""` are empty words.
pub fn split(text: &str) -> Result<Vec<String>, UnclosedQuote> {
    let unclosed = |what, position| UnclosedQuote { what, wrong: "is not closed", position };
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = text.chars();
    loop {
        let rest = characters.as_str().len();
        let Some(character) = characters.next() else { break };
        let position = || text[..text.len() - rest].chars().count() + 1;
        match character {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(literal) => word.push(literal),
                        None => return Err(unclosed("single quote", position())),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                double_quoted(&mut characters, word).ok_or_else(|| unclosed("double quote", position()))?;
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
                None => {
                    let wrong = "is the last one and escapes nothing";
                    return Err(UnclosedQuote { what: "backslash", wrong, position: position() });
                }
            },
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads up to the closing double quote; `None` if it is missing.
fn double_quoted(characters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match characters.next()? {
            '"' => return Some(()),
            '\\' => match characters.next()? {
                '\n' => {}
                escaped @ ('$' | '`' | '"' | '\\') => word.push(escaped),
                other => word.extend(['\\', other]),
            },
            literal => word.push(literal),
        }
    }
}

/// Joins `words` to a text that [`split`] and every POSIX shell split into these words.
pub fn quote<W: AsRef<str>>(words: &[W]) -> String {
    words.iter().map(|word| quote_word(word.as_ref())).collect::<Vec<_>>().join(" ")
}

fn quote_word(word: &str) -> String {
    // Not `~`, which a shell expands, and not `=`, because `a=b` as the first word is an assignment.
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./:,@%+".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_by_the_shells_rules() {
        for (text, words) in [
            ("", vec![]),
            (" \t\n ", vec![]),
            ("--port 8080 \"a b\"", vec!["--port", "8080", "a b"]),
            ("a\tb\nc", vec!["a", "b", "c"]),
            ("''", vec![""]),
            ("a '' \"\" b", vec!["a", "", "", "b"]),
            (r"'a\b'", vec![r"a\b"]),
            (r#""a\b\$\`\"\\""#, vec![r#"a\b$`"\"#]),
            ("\"a\\\nb\"", vec!["ab"]),
            ("a\\\nb", vec!["ab"]),
            ("\\\n", vec![]),
            (r"a\ b\'c", vec!["a b'c"]),
            ("a'b'\"c\"d", vec!["abcd"]),
            ("* $(date) $HOME ~ # ;|&", vec!["*", "$(date)", "$HOME", "~", "#", ";|&"]),
            ("a\u{a0}b\rc", vec!["a\u{a0}b\rc"]),
        ] {
            assert_eq!(split(text).expect(text), words, "{text:?}");
        }
    }

    #[test]
    fn refuses_what_is_not_closed() {
        for (text, message) in [
            ("a 'b", "the single quote at character 3 is not closed"),
            ("--password 'ä' \"hunter2", "the double quote at character 16 is not closed"),
            (r#""\""#, "the double quote at character 1 is not closed"),
            (r"a\", "the backslash at character 2 is the last one and escapes nothing"),
        ] {
            assert_eq!(split(text).expect_err(text).to_string(), message);
        }
    }

    #[test]
    fn quotes_only_where_needed() {
        assert_eq!(quote(&["--port", "8080", "a b", "", "it's"]), r"--port 8080 'a b' '' 'it'\''s'");
        assert_eq!(quote::<&str>(&[]), "");
    }

    proptest! {
        #[test]
        fn splitting_gives_back_what_was_quoted(words in prop::collection::vec(any::<String>(), 0..6)) {
            prop_assert_eq!(split(&quote(&words)), Ok(words));
        }

        #[test]
        fn splitting_never_panics(text in r#"[ab \\"'$`\n\t]{0,24}"#) {
            let _ = split(&text);
        }
    }

    /// The shell itself is the judge, for every text in which nothing would be expanded.
    #[cfg(unix)]
    #[test]
    fn agrees_with_sh() {
        for text in [
            r#"a "b c" 'd e' f\ g"#,
            r#""a\b" 'a\b' a\b "\$x" '' """#,
            "x\\\ny 'multi\nline' \"and\\\nmore\"",
            &quote(&["*", "$(date)", "ä ö", "\u{1b}[0m", "a\nb", "'", "\\", "\"", "~", "a=b", "#"]),
        ] {
            let script = format!("for word in {text}\ndo printf '%s\\0' \"$word\"; done");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().expect("sh runs");
            let printed = String::from_utf8(output.stdout).expect("UTF-8");
            let expected: Vec<&str> = printed.split_terminator('\0').collect();
            assert_eq!(split(text).expect(text), expected, "{text}");
        }
    }
}
