//! Owns the words of Dockerfile instructions: quotes, escapes and variables. Must not know instructions.
//!
//! Source: Dockerfile reference, "Environment replacement" and "Escape". The escape character is the backslash: a daemon
//! joins lines before it stores an instruction.

pub(super) trait Variables {
    fn value(&self, name: &str) -> Option<&str>;
}

/// Removes quotes and escapes, and replaces variables. Spaces stay.
pub(super) fn expand(text: &str, variables: &dyn Variables) -> Result<String, String> {
    let mut reader = Reader { characters: text.chars().peekable(), variables };
    reader.until(None)
}

struct Reader<'a> {
    characters: std::iter::Peekable<std::str::Chars<'a>>,
    variables: &'a dyn Variables,
}

impl Reader<'_> {
    /// Reads to the end, or to the closing brace of a variable.
    fn until(&mut self, end: Option<char>) -> Result<String, String> {
        let mut out = String::new();
        while let Some(character) = self.characters.next() {
            match character {
                one if Some(one) == end => return Ok(out),
                '\'' => self.single_quoted(&mut out)?,
                '"' => self.double_quoted(&mut out)?,
                '\\' => out.extend(self.characters.next()),
                '$' => self.variable(&mut out)?,
                plain => out.push(plain),
            }
        }
        match end {
            None => Ok(out),
            Some(_) => Err("a `${` is not closed".into()),
        }
    }

    fn single_quoted(&mut self, out: &mut String) -> Result<(), String> {
        for character in self.characters.by_ref() {
            if character == '\'' {
                return Ok(());
            }
            out.push(character);
        }
        Err("a single quote is not closed".into())
    }

    fn double_quoted(&mut self, out: &mut String) -> Result<(), String> {
        while let Some(character) = self.characters.next() {
            match character {
                '"' => return Ok(()),
                '$' => self.variable(out)?,
                '\\' => match self.characters.next() {
                    Some(escaped @ ('"' | '$' | '\\')) => out.push(escaped),
                    Some(other) => out.extend(['\\', other]),
                    None => break,
                },
                plain => out.push(plain),
            }
        }
        Err("a double quote is not closed".into())
    }

    fn variable(&mut self, out: &mut String) -> Result<(), String> {
        if self.characters.next_if_eq(&'{').is_none() {
            let name = self.name();
            match name.is_empty() {
                true => out.push('$'),
                false => out.push_str(self.variables.value(&name).unwrap_or_default()),
            }
            return Ok(());
        }
        let name = self.name();
        let value = self.variables.value(&name).map(str::to_owned);
        match (self.characters.next(), name.is_empty()) {
            (Some('}'), false) => out.push_str(&value.unwrap_or_default()),
            (Some(':'), false) => {
                let operator = self.characters.next();
                let word = self.until(Some('}'))?;
                let value = value.filter(|value| !value.is_empty());
                match operator {
                    Some('-') => out.push_str(&value.unwrap_or(word)),
                    Some('+') => out.push_str(&value.map(|_| word).unwrap_or_default()),
                    _ => return Err(format!("only `${{{name}:-…}}` and `${{{name}:+…}}` are supported")),
                }
            }
            (None, _) => return Err("a `${` is not closed".into()),
            _ => return Err("a form of `${…}` is not supported".into()),
        }
        Ok(())
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        let is_part = |one: &char| *one == '_' || one.is_ascii_alphanumeric();
        while let Some(character) =
            self.characters.next_if(|one| is_part(one) && !(name.is_empty() && one.is_ascii_digit()))
        {
            name.push(character);
        }
        name
    }
}

/// Splits at spaces outside of quotes and not after a backslash. The words keep their quotes and escapes.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            (space, None) if space.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            ('\\', None | Some('"')) => {
                word.push('\\');
                word.extend(characters.next());
                continue;
            }
            ('\'' | '"', None) => quote = Some(character),
            (closing, Some(opened)) if closing == opened => quote = None,
            _ => {}
        }
        word.push(character);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two;

    impl Variables for Two {
        fn value(&self, name: &str) -> Option<&str> {
            match name {
                "A" => Some("a b"),
                "EMPTY" => Some(""),
                _ => None,
            }
        }
    }

    #[test]
    fn variables_quotes_and_escapes_are_taken_away() {
        for (text, wanted) in [
            ("plain text", "plain text"),
            ("$A/${A}x/$NONE.", "a b/a bx/."),
            ("'$A' \"$A\" \\$A", "$A a b $A"),
            ("\"a \\\" \\n \\\\\"", "a \" \\n \\"),
            ("${NONE:-other $A}${EMPTY:-e}${A:+set}${NONE:+set}", "other a beset"),
            ("100$ $1 $", "100$ $1 $"),
        ] {
            assert_eq!(expand(text, &Two).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["'", "\"", "${", "${A", "${A:?x}", "${A#x}", "${}", "${A:-"] {
            assert!(expand(text, &Two).is_err(), "{text}");
        }
    }

    #[test]
    fn words_end_at_spaces_outside_of_quotes() {
        let words = split("a=\"b c\"  d='e \" f' g\\ h ");
        assert_eq!(words, ["a=\"b c\"", "d='e \" f'", "g\\ h"]);
        assert!(split("  ").is_empty());
    }
}
