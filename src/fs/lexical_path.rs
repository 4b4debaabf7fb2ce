//! Owns following names inside of a tree without asking the system: nothing leads higher than its top.
//!
//! For trees that are not unpacked, such as an archive's. What is on a disk is for the kernel to resolve.

/// Drops `.` and takes `..` together with what is before it; nothing if that leads out.
pub(crate) fn normal(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// Where the symbolic link at `link` leads to; nothing if that is outside of the tree.
pub(crate) fn link_target(link: &str, target: &str) -> Option<String> {
    if target.is_empty() || target.starts_with('/') {
        return None;
    }
    match link.rsplit_once('/') {
        Some((directory, _)) => normal(&format!("{directory}/{target}")),
        None => normal(target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_by_name_and_not_outside() {
        assert_eq!(link_target("bin/tool", "../lib/tool").as_deref(), Some("lib/tool"));
        assert_eq!(link_target("tool", "./tool-1.2").as_deref(), Some("tool-1.2"));
        assert_eq!(link_target("a/b/tool", "..//../c/./x").as_deref(), Some("c/x"));
        assert_eq!(link_target("bin/tool", "..").as_deref(), Some(""));
        for (link, target) in [("bin/tool", "../../x"), ("tool", "/bin/sh"), ("tool", ".."), ("tool", "")] {
            assert_eq!(link_target(link, target), None, "{link} {target}");
        }
    }
}
