//! Owns ranges of releases: npm's (`>=18 <21 || ^22`) and Python's (`>=3.9,<3.13`, `~=3.10`).
//!
//! A builder has a line of releases (`22`, `3.12`), and its base has the newest patch of it. So a line is in a range if
//! its newest patch is. Must not guess what it does not understand. `node-semver` 2.2 and `pep440_rs` 0.7 were weighed:
//! they compare full versions, and the newest patch of a line is not known here.

/// Alternatives, each a list of comparisons that must all hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::builder::selection) struct Range(Vec<Vec<Comparison>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    bound: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    AtLeast,
    Above,
    AtMost,
    Below,
    /// npm's `^20.1`: this or later, with the same first number.
    Caret,
    /// Python's `~=3.10`: this or later, with the same numbers except the last.
    Compatible,
    /// `20.x`, `=20.1`, `~20.1`, `==3.11.*`: the line itself.
    Line,
    /// `!=3.11.2` excludes one patch, which is hardly the newest one.
    Except,
}

/// The relation of a line's newest patch to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Below,
    /// The bound is the line or contains it.
    Within,
    /// The bound is a patch of the line, so it is not later than the newest patch.
    Later,
    Above,
}

impl Range {
    /// Parses a range; `None` if it is not understood.
    pub(in crate::builder::selection) fn parse(text: &str) -> Option<Self> {
        text.split("||").map(alternative).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether the newest patch of a line is in the range.
    pub(in crate::builder::selection) fn admits(&self, line: &[u32]) -> bool {
        self.0.iter().any(|all| all.iter().all(|comparison| comparison.admits(line)))
    }

    /// The lowest lower bound.
    pub(super) fn floor(&self) -> Option<&[u32]> {
        let all = self.0.iter().flatten();
        let below =
            all.filter(|one| !matches!(one.operator, Operator::AtMost | Operator::Below | Operator::Except));
        below.map(|one| one.bound.as_slice()).min()
    }
}

impl Comparison {
    fn admits(&self, line: &[u32]) -> bool {
        let order = order(line, &self.bound);
        let same =
            |length: usize| line.iter().zip(&self.bound).take(length).all(|(left, right)| left == right);
        match self.operator {
            Operator::AtLeast => order != Order::Below,
            Operator::Above => matches!(order, Order::Later | Order::Above),
            Operator::AtMost => matches!(order, Order::Below | Order::Within),
            Operator::Below => order == Order::Below,
            Operator::Caret => order != Order::Below && same(1),
            Operator::Compatible => order != Order::Below && same(self.bound.len().saturating_sub(1)),
            Operator::Line => matches!(order, Order::Within | Order::Later),
            Operator::Except => order != Order::Within,
        }
    }
}

fn order(line: &[u32], bound: &[u32]) -> Order {
    for (left, right) in line.iter().zip(bound) {
        match left.cmp(right) {
            std::cmp::Ordering::Less => return Order::Below,
            std::cmp::Ordering::Greater => return Order::Above,
            std::cmp::Ordering::Equal => {}
        }
    }
    if bound.len() > line.len() { Order::Later } else { Order::Within }
}

fn alternative(text: &str) -> Option<Vec<Comparison>> {
    if let Some((low, high)) = text.split_once(" - ") {
        let (low, high) = (numbers(low.trim())?, numbers(high.trim())?);
        let comparison = |operator, bound| Comparison { operator, bound };
        return Some(vec![comparison(Operator::AtLeast, low), comparison(Operator::AtMost, high)]);
    }
    let mut comparisons = Vec::new();
    let mut rest = text.trim_matches(separator);
    while !rest.is_empty() {
        let version = rest.trim_start_matches(['<', '>', '=', '~', '^', '!']);
        let sign = &rest[..rest.len() - version.len()];
        let version = version.trim_start();
        let end = version.find(|one| separator(one) || "<>=~^!".contains(one)).unwrap_or(version.len());
        let bound = numbers(&version[..end])?;
        let operator = match sign {
            ">=" => Operator::AtLeast,
            ">" => Operator::Above,
            "<=" => Operator::AtMost,
            "<" => Operator::Below,
            "^" => Operator::Caret,
            "~=" => Operator::Compatible,
            "" | "=" | "==" | "===" | "~" | "~>" => Operator::Line,
            "!=" => Operator::Except,
            _ => return None,
        };
        comparisons.push(Comparison { operator, bound });
        rest = version[end..].trim_start_matches(separator);
    }
    Some(comparisons)
}

fn separator(one: char) -> bool {
    one == ',' || one.is_whitespace()
}

/// Reads `v20.11.0`, `3.11.*`, `20.x`, `*`, and `3.12rc1` as `3.12`.
pub(super) fn numbers(text: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.is_empty() {
        return None;
    }
    for part in text.split('.').take(8) {
        if matches!(part, "x" | "X" | "*") {
            break;
        }
        let end = part.find(|one: char| !one.is_ascii_digit()).unwrap_or(part.len());
        numbers.push(part[..end].parse().ok()?);
        if end < part.len() {
            break;
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(range: &str, lines: &[&str]) -> Vec<String> {
        let range = Range::parse(range).expect(range);
        let admits = |line: &&&str| range.admits(&numbers(line).expect("a line"));
        lines.iter().filter(admits).map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn npm_ranges() {
        for (range, expected) in [
            (">=18", "20 22 24"),
            (">= 20.11.0 < 23", "20 22"),
            ("^20.1.0", "20"),
            ("20.x || >=24", "20 24"),
            ("20 - 22", "20 22"),
            ("~22.3", "22"),
            ("v22.1.0", "22"),
            (">20", "22 24"),
            (">20.1.0", "20 22 24"),
            ("<=22", "20 22"),
            ("<=22.3", "20"),
            ("*", "20 22 24"),
            ("", "20 22 24"),
            ("^18", ""),
            ("<18", ""),
        ] {
            assert_eq!(admitted(range, &["20", "22", "24"]).join(" "), expected, "{range}");
        }
    }

    #[test]
    fn python_ranges() {
        for (range, expected) in [
            (">=3.9", "3.10 3.11 3.12"),
            (">=3.9,<3.12", "3.10 3.11"),
            (">= 3.11.4, != 3.12.*", "3.11"),
            ("~=3.11", "3.11 3.12"),
            ("~=3.11.2", "3.11"),
            ("==3.12.*", "3.12"),
            ("==3.11.5", "3.11"),
            ("^3.10", "3.10 3.11 3.12"),
            ("<=3.11", "3.10 3.11"),
            (">3.11", "3.12"),
            ("<4", "3.10 3.11 3.12"),
        ] {
            assert_eq!(admitted(range, &["3.10", "3.11", "3.12"]).join(" "), expected, "{range}");
        }
    }

    #[test]
    fn what_is_not_understood_is_none() {
        for text in ["lts/*", ">=", "latest", "=>18", "18 || lts", "1.99999999999", ">= <"] {
            assert_eq!(Range::parse(text), None, "{text}");
        }
        assert_eq!(Range::parse("<21 >=18.2").expect("a range").floor(), Some([18, 2].as_slice()));
        assert_eq!(Range::parse("<21").expect("a range").floor(), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[ ,|<>=~^!.0-9xv*a-]{0,24}", line in proptest::collection::vec(0_u32..30, 1..3)) {
            if let Some(range) = Range::parse(&text) {
                let _ = (range.admits(&line), range.floor());
            }
        }
    }
}
