//! Owns "did you mean": the nearest valid name to a misspelled one.
//! Must not know the names.

/// The candidate nearest to `name`, if the difference can be a typing error. Ignores case.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    // A user may pass a whole file, and the time grows with its length.
    if length > 128 {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    let distance = |candidate: &str| strsim::osa_distance(&name.to_lowercase(), &candidate.to_lowercase());
    let measured = candidates.into_iter().map(|candidate| (distance(candidate), candidate));
    let near = measured.filter(|(distance, _)| *distance <= limit);
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_slips_only() {
        let names = ["binary", "java", "tomcat"];
        assert_eq!(nearest("jaav", names), Some("java"));
        assert_eq!(nearest("Tomact", names), Some("tomcat"));
        assert_eq!(nearest("binray", names), Some("binary"));
        assert_eq!(nearest("python", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(nearest(&"j".repeat(100_000), names), None);
    }
}
