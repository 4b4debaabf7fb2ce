//! Owns quoting in Dockerfiles for `docker build`, BuildKit and buildah. Must not let a value expand or start a line.
//!
//! Source: Dockerfile reference, "Environment replacement", "Escape" and "Shell and exec form".

use super::DockerfileError;

/// A comment line. Control characters and line ends become escapes.
pub(super) fn comment(text: &str) -> String {
    let shown: String = text
        .chars()
        .flat_map(|character| match character {
            '\u{2028}' | '\u{2029}' => character.escape_unicode().collect::<Vec<_>>(),
            _ if character.is_control() => character.escape_default().collect(),
            _ => vec![character],
        })
        .collect();
    format!("# {shown}")
}

/// One word, in double quotes if it has special characters.
pub(super) fn word(what: &str, value: &str) -> Result<String, DockerfileError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,-".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_plain) {
        return Ok(value.to_owned());
    }
    quoted(what, value)
}

/// Double quotes, in which only `"`, `$` and `\` are special.
fn quoted(what: &str, value: &str) -> Result<String, DockerfileError> {
    let forbidden = value.chars().find_map(|character| match character {
        '\n' => Some("a line feed"),
        '\r' => Some("a carriage return"),
        '\0' => Some("a NUL"),
        _ => None,
    });
    if let Some(character) = forbidden {
        return Err(DockerfileError::Unwritable { what: what.to_owned(), character });
    }
    let mut text = String::from('"');
    for character in value.chars() {
        if matches!(character, '"' | '$' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    Ok(text)
}

/// `INSTRUCTION NAME=VALUE …`, one line for each value; empty without values.
pub(super) fn assignments(instruction: &str, values: &[(String, String)]) -> Result<String, DockerfileError> {
    let what = |name: &str| match instruction {
        "LABEL" => format!("the label `{name}`"),
        _ => format!("the variable `{name}`"),
    };
    let pairs = values
        .iter()
        .map(|(name, value)| Ok(format!("{}={}", word(&what(name), name)?, quoted(&what(name), value)?)));
    let pairs: Vec<String> = pairs.collect::<Result<_, DockerfileError>>()?;
    if pairs.is_empty() {
        return Ok(String::new());
    }
    let separator = format!(" \\\n{:width$}", "", width = instruction.len() + 1);
    Ok(format!("{instruction} {}\n", pairs.join(&separator)))
}

/// The exec form: a JSON list, which nothing expands.
pub(super) fn json_words(words: &[String]) -> String {
    serde_json::to_string(words).expect("a list of texts is JSON")
}

/// The shell form of a command, which only the shell in the container expands.
pub(super) fn shell_command(command: &str) -> Result<String, DockerfileError> {
    let command = command.trim();
    if command.contains(['\n', '\r', '\0']) || command.ends_with('\\') {
        let character = if command.ends_with('\\') { "a backslash at its end" } else { "a line end" };
        return Err(DockerfileError::Unwritable { what: "the health check".into(), character });
    }
    if command.starts_with('[') && serde_json::from_str::<Vec<String>>(command).is_ok() {
        return Err(DockerfileError::HealthCheck { command: command.to_owned() });
    }
    Ok(command.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_they_must_be() {
        let written = |value: &str| word("it", value).expect("can be written");
        assert_eq!(written("1001:0"), "1001:0");
        assert_eq!(written("/opt/a b"), "\"/opt/a b\"");
        assert_eq!(written(""), "\"\"");
        assert_eq!(written(r#"a"$HOME\n"#), r#""a\"\$HOME\\n""#);
    }

    #[test]
    fn no_value_begins_a_line_of_its_own() {
        for value in ["a\nRUN evil", "a\rb", "a\0b"] {
            let error = assignments("ENV", &[("TOKEN".into(), value.into())]).expect_err("it has a line end");
            assert!(error.to_string().contains("the variable `TOKEN`"), "{error}");
            assert!(!error.to_string().contains("evil"), "{error}");
        }
        assert_eq!(comment("a\nRUN evil\u{2028}\u{1b}[2J"), "# a\\nRUN evil\\u{2028}\\u{1b}[2J");
        for command in ["a\nRUN evil", "sleep 1 \\", "[\"a\"]"] {
            assert!(shell_command(command).is_err(), "{command}");
        }
        assert_eq!(shell_command(" [ -f /x ] ").expect("a test, not a list"), "[ -f /x ]");
    }

    #[test]
    fn one_instruction_has_a_line_for_each_value() {
        let values = [("a.b/c".to_owned(), "1".to_owned()), ("d e".to_owned(), "$x".to_owned())];
        assert_eq!(
            assignments("LABEL", &values).expect("can be written"),
            "LABEL a.b/c=\"1\" \\\n      \"d e\"=\"\\$x\"\n"
        );
        assert_eq!(assignments("ENV", &[]).expect("nothing"), "");
    }
}
