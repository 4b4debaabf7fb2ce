//! Owns "did you mean": the nearest of a few known names.

/// Returns the known name nearest to `name`, if it is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A typed name may be long; more than this is no slip.
    if name.chars().count() > 128 {
        return None;
    }
    let limit = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Counts the insertions, deletions, replacements and swaps of neighbours that lead from one to the other.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 0..left.len() {
        let mut current = vec![row + 1];
        for column in 0..right.len() {
            let replaced = above[column] + usize::from(left[row] != right[column]);
            let mut best = replaced.min(above[column + 1] + 1).min(current[column] + 1);
            let swapped =
                row > 0 && column > 0 && left[row] == right[column - 1] && left[row - 1] == right[column];
            if swapped {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_slips_only() {
        let known = ["binary", "java", "tomcat"];
        assert_eq!(nearest("jaav", known), Some("java"));
        assert_eq!(nearest("Tomact", known), Some("tomcat"));
        assert_eq!(nearest("binray", known), Some("binary"));
        assert_eq!(nearest("python", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest(&"j".repeat(100_000), known), None);
    }
}
