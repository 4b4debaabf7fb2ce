//! Owns `.s2iignore`: S2I's own rules.
//!
//! A pattern names paths from the root and nothing else: it is not recursive. A directory that is left out goes whole,
//! whatever later lines bring back in it. `!` takes back what earlier lines said of a path; the last line decides.

use super::glob::Glob;
use super::{InvalidLine, lines};
use crate::fs::path::lexical_path;

/// The patterns of one file.
#[derive(Debug, Default)]
pub(super) struct S2iIgnore(Vec<Pattern>);

#[derive(Debug)]
struct Pattern {
    brings_back: bool,
    glob: Glob,
}

impl S2iIgnore {
    /// Parses the text of the file.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidLine> {
        let mut patterns = Vec::new();
        for (number, line) in lines(text) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (brings_back, pattern) = match line.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, line),
            };
            // A pattern that leads out, or means the root itself, matches nothing in it.
            let Some(pattern) = lexical_path(pattern).filter(|pattern| !pattern.is_empty()) else { continue };
            let glob = Glob::parse(&pattern).map_err(|reason| InvalidLine {
                number,
                reason: format!("`{pattern}` is no valid pattern: {reason}"),
            })?;
            patterns.push(Pattern { brings_back, glob });
        }
        Ok(Self(patterns))
    }

    /// What the last line that matches `path` says: whether it brings it back. Nothing if none does.
    fn decision(&self, path: &str) -> Option<bool> {
        self.0.iter().rev().find(|pattern| pattern.glob.matches(path)).map(|pattern| pattern.brings_back)
    }

    /// Says whether `path` itself is left out. Whoever asks leaves out what is below it, too.
    pub(super) fn leaves_out(&self, path: &str) -> bool {
        self.decision(path) == Some(false)
    }

    /// Says whether `path`, or a directory that it is in, is brought back.
    pub(super) fn brings_back(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        let mut decisions = ends.filter_map(|end| self.decision(&path[..end]));
        decisions.any(|brings_back| brings_back)
    }

    /// Says whether anything is ever brought back.
    pub(super) fn has_exceptions(&self) -> bool {
        self.0.iter().any(|pattern| pattern.brings_back)
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
            assert_eq!(rules.leaves_out(path), expected, "{path}");
        }
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        let error = S2iIgnore::parse("ok\n\n[x").expect_err("not closed");
        assert_eq!(error.number, 3);
        assert!(error.reason.contains("[x"), "{}", error.reason);
    }
}
