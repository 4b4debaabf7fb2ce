//! Owns finding the cgroups of this process in `/proc`. Must not change them.

use std::path::{Path, PathBuf};

pub(super) fn version_1(own: &str, mounts: &str, controller: &str) -> Option<PathBuf> {
    let mount = mounts.lines().find_map(|line| mount_point(line, "cgroup", Some(controller)))?;
    let path = own.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        controllers.split(',').any(|one| one == controller).then(|| fields.next())?
    })?;
    below(&mount, path).filter(|directory| directory.is_dir())
}

/// The directory of a cgroup; none outside of the cgroup namespace, where the name begins with `/..`
/// (cgroup_namespaces(7)).
pub(super) fn below(mount: &Path, group: &str) -> Option<PathBuf> {
    let is_inside = group.split('/').all(|part| part != "..");
    is_inside.then(|| mount.join(group.trim_start_matches('/')))
}

/// The mount point, if the line of `mountinfo` has this type (proc_pid_mountinfo(5)).
pub(super) fn mount_point(line: &str, kind: &str, option: Option<&str>) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let is_kind = after.next()? == kind;
    let options = after.nth(1)?;
    let has_option = option.is_none_or(|option| options.split(',').any(|one| one == option));
    (is_kind && has_option).then(|| before.split(' ').nth(4).map(PathBuf::from))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                          41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    #[test]
    fn mounts_of_both_versions_are_found() {
        let find = |kind, option| MOUNTS.lines().find_map(|line| mount_point(line, kind, option));
        assert_eq!(find("cgroup", Some("cpu")), Some("/sys/fs/cgroup/cpu".into()));
        assert_eq!(find("cgroup", Some("memory")), None);
        assert_eq!(find("cgroup2", None), Some("/sys/fs/cgroup/unified".into()));
    }
}
