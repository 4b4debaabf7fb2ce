//! Owns reading the kernel settings that prevent a sandbox, and the hints for them. Must not change settings.

pub(super) const ALTERNATIVES: &str = "assemble on a daemon with `--assemble docker`, or use one of b2i's own builders, which need \
                            no container";

/// The facts of this machine that explain a refused namespace.
struct Surroundings {
    /// Whether the kernel is older than 5.12.
    is_old: bool,
    /// Whether b2i runs in a container, whose runtime filters system calls.
    is_container: bool,
}

impl Surroundings {
    fn of_this_machine() -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        // Docker and Podman leave a file, Kubernetes sets a variable, and all have a seccomp filter.
        let has_mark = ["/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io"]
            .iter()
            .any(|path| std::path::Path::new(path).exists());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { is_old: is_before_5_12(&release), is_container: has_mark || is_filtered(&status) }
    }

    /// The hint for an error of `unshare`. Docker's and containerd's profiles answer EPERM, Podman's answers ENOSYS.
    fn hint(&self, errno: Option<i32>) -> Option<String> {
        match errno {
            Some(libc::EPERM | libc::ENOSYS) if self.is_container && !self.is_old => Some(
                "the seccomp profile of this container forbids user namespaces: allow `unshare`, `clone`, `mount` and \
                 `setns` in the profile, or run it with `--security-opt seccomp=unconfined` (Kubernetes: \
                 `seccompProfile: {type: Unconfined}`)"
                    .to_owned(),
            ),
            Some(libc::ENOSYS) => Some("the sandbox needs Linux 5.12".to_owned()),
            _ => None,
        }
    }
}

/// Whether `release`, such as `5.10.0-28-amd64`, is older than 5.12.
fn is_before_5_12(release: &str) -> bool {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit()).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (5, 12))
}

/// Whether `status`, from `/proc/self/status`, says that a seccomp filter is active.
fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

/// Hints on settings in `/proc/sys`, and on filters of system calls, that forbid namespaces.
pub(super) fn namespace_hints(errno: Option<i32>) -> Vec<String> {
    let is = |path: &str, value: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    let mut hints: Vec<String> = Surroundings::of_this_machine().hint(errno).into_iter().collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_namespace_in_a_container_is_seccomp() {
        let hint = |is_old, is_container, errno| {
            Surroundings { is_old, is_container }.hint(Some(errno)).unwrap_or_default()
        };
        for errno in [libc::EPERM, libc::ENOSYS] {
            let words = hint(false, true, errno);
            assert!(words.contains("seccomp profile of this container"), "{words}");
        }
        assert_eq!(hint(false, false, libc::EPERM), "", "a setting of the machine");
        assert_eq!(hint(false, false, libc::ENOSYS), "the sandbox needs Linux 5.12");
        assert_eq!(hint(true, true, libc::ENOSYS), "the sandbox needs Linux 5.12");
        assert_eq!(hint(false, true, libc::ENOSPC), "");
    }

    #[test]
    fn versions_and_filters_are_read() {
        for (release, is_old) in [
            ("5.10.0-28-amd64", true),
            ("5.12.0", false),
            ("4.18.0-553.el8", true),
            ("6.1", false),
            ("", false),
        ] {
            assert_eq!(is_before_5_12(release), is_old, "{release}");
        }
        assert!(is_filtered("Name:\tb2i\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Seccomp:\t0\n") && !is_filtered(""));
    }
}
