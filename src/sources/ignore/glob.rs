//! Owns the patterns of `.s2iignore` and `ONBUILD COPY`: those of Go's `filepath.Match`, which S2I and Docker use.
//!
//! Must not do more: `**` is `*`, `{a,b}` is literal, and only `^` negates a class. Crates for globs (`glob`, `globset`)
//! differ in that. Source: Go's documentation of `path/filepath.Match`.

/// A pattern for paths with `/` between their components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// Any character except `/`.
    Any,
    /// Any number of characters except `/`.
    Star,
    /// Never matches `/`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Glob {
    /// # Errors
    /// The reason, as a clause.
    pub(crate) fn parse(pattern: &str) -> Result<Self, &'static str> {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                '\\' => Token::Literal(characters.next().ok_or("no character follows the last `\\`")?),
                '[' => class(&mut characters)?,
                other => Token::Literal(other),
            });
        }
        Ok(Self(tokens))
    }

    /// Whether the whole of `path` matches.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let characters: Vec<char> = path.chars().collect();
        let (mut token, mut position) = (0, 0);
        // The place to continue if the last star must match one more character.
        let mut star: Option<(usize, usize)> = None;
        loop {
            let matched = match (self.0.get(token), characters.get(position)) {
                (None, None) => return true,
                (Some(Token::Star), _) => {
                    star = Some((token + 1, position));
                    token += 1;
                    continue;
                }
                (Some(single), Some(character)) => single.takes(*character),
                (None, Some(_)) | (Some(_), None) => false,
            };
            if matched {
                (token, position) = (token + 1, position + 1);
                continue;
            }
            match star {
                // A star never matches a `/`, and an earlier star could not do better than this one.
                Some((after, taken)) if characters.get(taken).is_some_and(|next| *next != '/') => {
                    star = Some((after, taken + 1));
                    (token, position) = (after, taken + 1);
                }
                _ => return false,
            }
        }
    }
}

impl Token {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Literal(literal) => *literal == character,
            Self::Any => character != '/',
            Self::Star => false,
            Self::Class { negated, ranges } => {
                let is_in = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                character != '/' && is_in != *negated
            }
        }
    }
}

/// Reads a class after its `[`.
fn class(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Ok(Token::Class { negated, ranges });
        }
        let low = class_character(characters)?;
        let high = match characters.next_if_eq(&'-') {
            Some(_) => class_character(characters)?,
            None => low,
        };
        ranges.push((low, high));
    }
}

fn class_character(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, &'static str> {
    match characters.next().ok_or("a `[` is not closed")? {
        '-' | ']' => Err("a class has a `-` or `]` in the place of a character"),
        '\\' => characters.next().ok_or("a `[` is not closed"),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each line is what Go says to the same pattern and name.
    #[test]
    fn matches_as_go_does() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*", ".hidden", true),
            ("*c", "abc", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[e-g]", "abc", false),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("[!a]", "!", true),
            ("[!a]", "b", false),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a???b", "a☺b", false),
            ("[a-ζ]*", "α", true),
            ("*[a-ζ]", "A", false),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "x", true),
            ("[x\\-]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("**/x", "a/b/x", false),
            ("**/x", "a/x", true),
            ("{a,b}", "a", false),
            ("", "", true),
            ("a", "ab", false),
            ("*", "", true),
        ] {
            let glob = Glob::parse(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(glob.matches(path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for pattern in ["[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[", "[^", "[^bc", "a[", "a\\", "[a\\"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_take_no_long_time() {
        let glob = Glob::parse(&"a*".repeat(200)).expect("valid");
        assert!(!glob.matches(&format!("{}b/", "a".repeat(3000))));
    }
}
