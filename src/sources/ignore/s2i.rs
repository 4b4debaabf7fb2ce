//! Owns `.s2iignore`, with S2I's own rules. Must not apply Docker's.
//!
//! A pattern is relative to the root and not recursive. An excluded directory is excluded as a whole, whatever later lines
//! include below it. The last matching line decides.

use super::glob::Glob;
use super::{InvalidLine, lines};
use crate::fs::path::lexical_path;

#[derive(Debug, Default)]
pub(super) struct S2iIgnore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    includes: bool,
    glob: Glob,
}

impl S2iIgnore {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidLine> {
        let mut patterns = Vec::new();
        for (number, line) in lines(text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (includes, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, line),
            };
            // A pattern for the root itself, or for a path outside of it, matches no entry.
            let Some(pattern) = lexical_path(pattern).filter(|pattern| !pattern.is_empty()) else { continue };
            let glob = Glob::parse(&pattern).map_err(|reason| InvalidLine {
                number,
                reason: format!("`{pattern}` is not a valid pattern: {reason}"),
            })?;
            patterns.push(Pattern { includes, glob });
        }
        Ok(Self(patterns))
    }

    /// Whether the last matching line includes `path`; `None` if no line matches.
    fn decision(&self, path: &str) -> Option<bool> {
        self.0.iter().rev().find(|pattern| pattern.glob.matches(path)).map(|pattern| pattern.includes)
    }

    /// Whether `path` itself is excluded. The caller then skips everything below it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.decision(path) == Some(false)
    }

    /// Whether a `!` line includes `path` or a directory above it.
    pub(super) fn includes(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let mut decisions = ends.filter_map(|end| self.decision(&path[..end]));
        decisions.any(|includes| includes)
    }

    pub(super) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|pattern| pattern.includes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_count_from_the_root_and_the_last_line_decides() {
        let text = "# comment\n*.log\n  target/  \r\n./docs/*.md\n!docs/README.md\n/abs\n../out\n!*.keep\n*.keep\n!a.keep\n";
        let rules = S2iIgnore::parse(text).expect("valid");
        for (path, expected) in [
            ("a.log", true),
            ("sub/a.log", false),
            ("target", true),
            ("sub/target", false),
            ("docs/a.md", true),
            ("docs/README.md", false),
            ("abs", true),
            ("out", false),
            ("a.keep", false),
            ("b.keep", true),
            ("# comment", false),
        ] {
            assert_eq!(rules.excludes(path), expected, "{path}");
        }
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let error = S2iIgnore::parse("ok\n\n[x").expect_err("not closed");
        assert_eq!(error.number, 3);
        assert!(error.reason.contains("[x"), "{}", error.reason);
    }
}
