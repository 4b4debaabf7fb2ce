//! Owns reading the kernel settings that prevent a sandbox, and the hints for them. Must not change settings.

pub(super) const ALTERNATIVES: &str = "assemble on a daemon with `--assemble docker`, or use one of b2i's own builders, which need \
                            no container";

/// Hints on settings in `/proc/sys` that forbid namespaces.
pub(super) fn namespace_hints(errno: Option<i32>) -> Vec<String> {
    let is = |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let mut hints = Vec::new();
    if errno == Some(libc::ENOSYS) {
        hints.push("the sandbox needs Linux 5.12".to_owned());
    }
    if is("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        hints.push("allow user namespaces: `sysctl kernel.unprivileged_userns_clone=1`".to_owned());
    }
    if is("/proc/sys/user/max_user_namespaces", "0") || errno == Some(libc::ENOSPC) {
        hints.push("allow more user namespaces: `sysctl user.max_user_namespaces=10000`".to_owned());
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        hints.push(
            "AppArmor restricts user namespaces: give b2i a profile with `userns,`, or run \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
                .to_owned(),
        );
    }
    if hints.is_empty() {
        hints.push(
            "in a container, the runtime must allow user namespaces and an unmasked /proc (seccomp profile, \
             `procMount: Unmasked`)"
                .to_owned(),
        );
    }
    hints.push(ALTERNATIVES.to_owned());
    hints
}

pub(super) fn overlay_hints(errno: Option<i32>) -> Vec<String> {
    let mut hints = Vec::new();
    if matches!(errno, Some(libc::EPERM | libc::EACCES | libc::ENODEV)) {
        hints.push("the sandbox needs Linux 5.12 and the module `overlay`".to_owned());
        hints.extend(namespace_hints(None).into_iter().filter(|hint| hint != ALTERNATIVES));
    } else {
        hints.push(
            "pass `--cache-dir` with a directory on ext4, xfs or tmpfs: overlayfs cannot write to overlay, NFS or FUSE"
                .to_owned(),
        );
    }
    hints.push(ALTERNATIVES.to_owned());
    hints
}

pub(super) fn mount_hint(errno: Option<i32>) -> Option<&'static str> {
    (errno == Some(libc::ENOSYS)).then_some("mounts in the sandbox need Linux 5.12")
}
