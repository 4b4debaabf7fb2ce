//! Owns `.dockerignore`, with Docker's own rules. Must not apply rules of gitignore or of a glob library: they differ.
//!
//! A pattern is relative to the root, also without a leading `/`. `**` matches several levels. A match of a directory
//! includes everything below it. The last matching line decides. `!` includes again, also below an excluded directory.
//! Source: Docker's documentation, "`.dockerignore` files"; moby's `patternmatcher` for the quirks.

use regex::Regex;

use super::{InvalidLine, lines};
use crate::fs::path::lexical_path;

#[derive(Debug, Default)]
pub(super) struct DockerIgnore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    includes: bool,
    matcher: Matcher,
    /// The common beginning of all matching paths.
    literal: String,
}

#[derive(Debug)]
enum Matcher {
    Exact(String),
    Prefix(String),
    /// The pattern also matches its text without the leading `/`.
    Suffix(String),
    Regex(Regex),
}

impl DockerIgnore {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidLine> {
        let mut patterns = Vec::new();
        for (number, line) in lines(text) {
            // For Docker, a comment begins with `#` in the first column.
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (includes, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern.trim()),
                None => (false, line),
            };
            if line.is_empty() {
                continue;
            }
            let invalid = |reason: &str| InvalidLine { number, reason: reason.to_owned() };
            if pattern.is_empty() {
                return Err(invalid("a pattern is missing after the `!`"));
            }
            // A pattern for the root itself, or for a path outside of it, matches no entry.
            let Some(pattern) = lexical_path(pattern).filter(|pattern| !pattern.is_empty()) else { continue };
            let matcher = compile(&pattern).map_err(|reason| invalid(&reason))?;
            let literal = pattern.split(['*', '?', '[', '\\']).next().unwrap_or_default().to_owned();
            patterns.push(Pattern { includes, matcher, literal });
        }
        Ok(Self(patterns))
    }

    pub(super) fn excludes(&self, path: &str) -> bool {
        let ends = || path.match_indices('/').map(|(end, _)| end);
        let is_matched =
            |matcher: &Matcher| matcher.matches(path) || ends().any(|end| matcher.matches(&path[..end]));
        let mut excluded = false;
        for pattern in &self.0 {
            // Skips patterns that would not change the result.
            if pattern.includes == excluded && is_matched(&pattern.matcher) {
                excluded = !pattern.includes;
            }
        }
        excluded
    }

    /// Whether a `!` line may include an entry below the directory `path` again.
    pub(super) fn may_include_below(&self, path: &str) -> bool {
        let directory = format!("{path}/");
        let mut exceptions = self.0.iter().filter(|pattern| pattern.includes);
        exceptions
            .any(|pattern| pattern.literal.starts_with(&directory) || directory.starts_with(&pattern.literal))
    }
}

impl Matcher {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(text) => path == text,
            Self::Prefix(text) => path.starts_with(text),
            Self::Suffix(text) => path.ends_with(text) || text.strip_prefix('/') == Some(path),
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

/// Translates a pattern. Docker compares simple patterns as text. In those, `**` at an end means any text: `**.log` excludes
/// `a.log`.
fn compile(pattern: &str) -> Result<Matcher, String> {
    let wild = |text: &str| text.contains(['*', '?', '[', ']', '\\']);
    if !wild(pattern) {
        return Ok(Matcher::Exact(pattern.to_owned()));
    }
    if let Some(start) = pattern.strip_suffix("**").filter(|start| !start.is_empty() && !wild(start)) {
        return Ok(Matcher::Prefix(start.to_owned()));
    }
    if let Some(end) = pattern.strip_prefix("**").filter(|end| !wild(end)) {
        return Ok(Matcher::Suffix(end.to_owned()));
    }
    let expression = expression(pattern);
    Regex::new(&expression).map(Matcher::Regex).map_err(|_| format!("`{pattern}` is not a valid pattern"))
}

fn expression(pattern: &str) -> String {
    let mut expression = String::from("(?s)^");
    let mut in_class = false;
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' if !in_class => {
                if characters.next_if_eq(&'*').is_none() {
                    expression.push_str("[^/]*");
                    continue;
                }
                // `**/` means the same as `**`.
                characters.next_if_eq(&'/');
                expression.push_str(if characters.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '?' if !in_class => expression.push_str("[^/]"),
            '\\' => match characters.next() {
                Some(escaped) => expression.push_str(&regex::escape(&escaped.to_string())),
                None => expression.push_str("\\\\"),
            },
            '[' if !in_class => {
                in_class = true;
                expression.push('[');
                if characters.next_if_eq(&'^').is_some() {
                    expression.push('^');
                }
            }
            ']' if in_class => {
                in_class = false;
                expression.push(']');
            }
            '-' | '^' if in_class => expression.push(character),
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push('$');
    expression
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_out(text: &str, path: &str) -> bool {
        DockerIgnore::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}")).excludes(path)
    }

    /// The documented cases, and the results of Docker's own matcher for others.
    #[test]
    fn matches_as_docker_does() {
        for (pattern, path, expected) in [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("dir/**", "dir", false),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir2/file", true),
            ("**/dir2/**", "dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**file", "dir/dir.file", true),
            ("**/file", "dir/file", true),
            ("**/file", "file", true),
            ("**/file", "dir/myfile", false),
            ("**/*.txt", "dir/file.txt", true),
            ("**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a[b-d]e", "ade", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc?def", "abcZdef", true),
            ("abc?def", "abcdef", false),
            ("a\\\\", "a\\", true),
            ("a\\*b", "a*b", true),
            ("*/temp*", "somedir/temporary.txt", true),
            ("*/temp*", "a/b/temp", false),
            ("temp?", "tempa", true),
            ("/foo/bar", "foo/bar", true),
            ("foo/bar/", "foo/bar", true),
            ("./foo/../bar", "bar", true),
            ("node_modules", "node_modules/x/index.js", true),
            ("node_modules", "web/node_modules", false),
            ("../x", "x", false),
            (".", "x", false),
            ("# a", "# a", false),
            ("a+b(c)|{d}$", "a+b(c)|{d}$", true),
            ("[a&&b]x", "&x", true),
            ("[[]x", "[x", true),
            ("  spaces  ", "spaces", true),
            ("\u{feff}bom", "bom", true),
        ] {
            assert_eq!(left_out(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_last_line_decides_and_includes_below_what_is_excluded() {
        let text = "*\n!src\nsrc/test\n!src/test/keep.txt\r\n! README.md\n";
        for (path, expected) in [
            ("pom.xml", true),
            ("src", false),
            ("src/main/App.java", false),
            ("src/test/AppTest.java", true),
            ("src/test/keep.txt", false),
            ("README.md", false),
        ] {
            assert_eq!(left_out(text, path), expected, "{path}");
        }
        let rules = DockerIgnore::parse("target\n!target/app.jar\n!**/x").expect("valid");
        assert!(rules.may_include_below("target") && rules.may_include_below("anything"));
        let rules = DockerIgnore::parse("*\n!target/app.jar").expect("valid");
        assert!(!rules.may_include_below("src"));
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        for (text, number) in [("ok\n!", 2), ("a[b", 1), ("\n[z-a]", 2)] {
            assert_eq!(DockerIgnore::parse(text).expect_err(text).number, number, "{text}");
        }
    }
}
