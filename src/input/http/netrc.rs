//! Owns reading netrc files: `machine`, `default`, `login`, `password`, `account`, `macdef` (GNU inetutils, "The
//! .netrc file"), with quoted values and comments as in curl.
//! Must not fail: unknown tokens are skipped.
//!
//! `rust-netrc` 0.1 was weighed: it takes the last entry of a host and not the first, and fails at an unknown token.

/// Login and password for `host`, else those of `default`.
pub(super) fn lookup(text: &str, host: &str) -> Option<(String, String)> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut tokens = Tokens { rest: text };
    let mut current: Option<Entry> = None;
    while let Some(token) = tokens.next() {
        match token.as_str() {
            "machine" | "default" => {
                // The first matching entry wins; `default` is the last one.
                if let Some(entry) = current.take().and_then(Entry::complete) {
                    return Some(entry);
                }
                let fits = token == "default" || tokens.next()?.eq_ignore_ascii_case(host);
                current = fits.then(Entry::default);
            }
            "login" => set(&mut current, tokens.next()?, |entry| &mut entry.login),
            "password" => set(&mut current, tokens.next()?, |entry| &mut entry.password),
            "account" => drop(tokens.next()),
            "macdef" => tokens.skip_macro(),
            _ => {}
        }
    }
    current.and_then(Entry::complete)
}

#[derive(Default)]
struct Entry {
    login: Option<String>,
    password: Option<String>,
}

impl Entry {
    fn complete(self) -> Option<(String, String)> {
        match (self.login, self.password) {
            (None, None) => None,
            (login, password) => Some((login.unwrap_or_default(), password.unwrap_or_default())),
        }
    }
}

fn set(current: &mut Option<Entry>, value: String, field: fn(&mut Entry) -> &mut Option<String>) {
    if let Some(entry) = current {
        *field(entry) = Some(value);
    }
}

struct Tokens<'a> {
    rest: &'a str,
}

impl Iterator for Tokens<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            self.rest = self.rest.trim_start();
            match self.rest.strip_prefix('#') {
                Some(comment) => self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest),
                None => break,
            }
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            return Some(self.quoted(quoted.len()));
        }
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!token.is_empty()).then(|| token.to_owned())
    }
}

impl Tokens<'_> {
    /// Reads up to the closing quote. `length` counts the bytes after the opening quote.
    fn quoted(&mut self, length: usize) -> String {
        let text = &self.rest[self.rest.len() - length..];
        let mut value = String::new();
        let mut characters = text.char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &text[index + 1..];
                    return value;
                }
                '\\' => value.extend(characters.next().map(|(_, escaped)| match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                })),
                other => value.push(other),
            }
        }
        self.rest = "";
        value
    }

    /// A macro ends with an empty line.
    fn skip_macro(&mut self) {
        self.rest = self.rest.split_once("\n\n").map_or("", |(_, rest)| rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# machine h login commented password out\n\
        machine example.org\n  login alice\n  password \"p \\\"w\"\n\
        machine h login bob password #1\n\
        macdef init\nmachine h login evil\n\n\
        machine nologin password token\n\
        default login anonymous password guest\n";

    fn found(host: &str) -> Option<(String, String)> {
        lookup(TEXT, host)
    }

    #[test]
    fn finds_the_entry_of_the_host() {
        let pair = |login: &str, password: &str| Some((login.to_owned(), password.to_owned()));
        assert_eq!(found("EXAMPLE.org"), pair("alice", "p \"w"));
        assert_eq!(found("nologin"), pair("", "token"));
        assert_eq!(found("elsewhere"), pair("anonymous", "guest"));
        assert_eq!(lookup("machine h login a password b", "other"), None);
        assert_eq!(lookup("machine", "h"), None);
        assert_eq!(lookup("machine h login", "h"), None);
    }

    #[test]
    fn a_password_may_begin_with_a_hash() {
        assert_eq!(lookup("machine h login bob password \"#1\"", "h"), Some(("bob".into(), "#1".into())));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(machine|default|login|password|macdef|\"|\\\\|#|h|\n| ){0,40}") {
            lookup(&text, "h");
        }
    }
}
