//! Owns finding ephemeral paths in a change: files, and directories in which nothing else stays. Must not know where
//! changes come from.

use std::collections::BTreeSet;

use crate::image::ImagePath;

/// The changed `paths` that are ephemeral. Paths are absolute, those of directories without a trailing `/`.
pub(in crate::engine) fn left_out<'a>(
    ephemeral: &[ImagePath],
    paths: impl Iterator<Item = (&'a str, bool)> + Clone,
) -> BTreeSet<&'a str> {
    let is_ephemeral = |path: &str| ephemeral.iter().any(|one| one.as_str() == path);
    let mut occupied: BTreeSet<&str> = BTreeSet::new();
    for (path, _) in paths.clone() {
        if is_ephemeral(path) {
            continue;
        }
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/') {
            occupied.insert(parent);
            above = parent;
        }
    }
    paths.filter(|(path, _)| is_ephemeral(path) && !occupied.contains(path)).map(|(path, _)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_stays_if_something_else_is_in_it() {
        let ephemeral: Vec<ImagePath> = ["/run", "/run/secrets", "/run/secrets/token", "/etc/key"]
            .map(|path| ImagePath::new(path).expect("valid"))
            .into();
        let of = |paths: &[(&'static str, bool)]| {
            left_out(&ephemeral, paths.iter().copied()).into_iter().collect::<Vec<_>>()
        };
        let all = [
            ("/run", true),
            ("/run/secrets", true),
            ("/run/secrets/token", false),
            ("/etc", true),
            ("/etc/key", false),
        ];
        assert_eq!(of(&all), ["/etc/key", "/run", "/run/secrets", "/run/secrets/token"]);
        let mut more = all.to_vec();
        more.push(("/run/lock/mine", false));
        assert_eq!(of(&more), ["/etc/key", "/run/secrets", "/run/secrets/token"]);
    }
}
