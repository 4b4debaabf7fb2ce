//! Owns the cgroup of a container: limits on memory, processors and processes.
//!
//! It supports version 2 with a delegated cgroup, and version 1 for root. `requested` has the values, `hierarchy`
//! finds the cgroups, `record` lists them for a later run. Must not know what runs in it.
//!
//! Source: Linux Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.

mod hierarchy;
mod record;
mod requested;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use self::hierarchy::{below, mount_point, version_1};
use self::record::Record;
use self::requested::{Limit, requested};
use super::error::SandboxError;
use crate::engine::ContainerLimits;

/// The cgroups of one container, which are removed on drop.
#[derive(Debug)]
pub(super) struct ControlGroup {
    record: Record,
    directories: Vec<PathBuf>,
    /// Counts processes that were killed for their memory.
    memory_events: Option<PathBuf>,
}

/// Why no cgroup of version 2 accepts the limits.
#[derive(Debug)]
struct NotDelegated {
    /// None means all limits.
    limit: Option<&'static str>,
    reason: String,
}

impl ControlGroup {
    fn new(temporary: &Path) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let record = Record::new(temporary, NEXT.fetch_add(1, Ordering::Relaxed));
        Self { record, directories: Vec::new(), memory_events: None }
    }

    /// Creates the cgroups for `limits`, and for a limit on processes that has no other way; none without limits.
    /// `temporary` is the run's temporary directory.
    pub(super) fn make(
        limits: &ContainerLimits,
        processes: Option<u32>,
        temporary: &Path,
    ) -> Result<Option<Self>, SandboxError> {
        let requested = requested(limits, processes);
        if requested.is_empty() {
            return Ok(None);
        }
        let refused = |limit, reason| SandboxError::LimitNotEnforced { limit, reason };
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mut group = Self::new(temporary);
        let name = group.record.name();
        let delegated = group.make_delegated(&own, &mounts, &requested, &name);
        if let Ok(()) = delegated {
            return Ok(Some(group));
        }
        for limit in &requested {
            let Some(parent) = version_1(&own, &mounts, limit.controller) else {
                let (name, reason) = match delegated {
                    Err(NotDelegated { limit: Some(name), reason }) => (name, reason),
                    Err(NotDelegated { limit: None, reason }) => (limit.name, reason),
                    Ok(()) => unreachable!("it was returned"),
                };
                return Err(refused(name, format!("b2i has no delegated control group: {reason}")));
            };
            let directory = parent.join(&name);
            let made = group
                .add(directory.clone())
                .and_then(|()| write(&directory, &limit.version_1, limit.optional));
            made.map_err(|error| refused(limit.name, format!("`{}`: {error}", directory.display())))?;
            if limit.controller == "memory" {
                group.memory_events = Some(directory.join("memory.oom_control"));
            }
        }
        Ok(Some(group))
    }

    /// Version 2: below the nearest parent with the controllers.
    fn make_delegated(
        &mut self,
        own: &str,
        mounts: &str,
        requested: &[Limit],
        name: &str,
    ) -> Result<(), NotDelegated> {
        let mount = mounts.lines().find_map(|line| mount_point(line, "cgroup2", None));
        let path = own.lines().find_map(|line| line.strip_prefix("0::"));
        let (Some(mount), Some(path)) = (mount, path) else {
            return Err(NotDelegated {
                limit: None,
                reason: "no control groups of version 2 are mounted".into(),
            });
        };
        let Some(mut directory) = below(&mount, path) else {
            let reason = format!("the control group `{path}` of this process is not mounted");
            return Err(NotDelegated { limit: None, reason });
        };
        let mut error = NotDelegated { limit: None, reason: "the controllers are not enabled".into() };
        while directory.starts_with(&mount) {
            match self.make_below(&directory, requested, name) {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
            // Remove the cgroup that does not accept the limits.
            self.remove();
            if !directory.pop() {
                break;
            }
        }
        Err(error)
    }

    fn make_below(&mut self, parent: &Path, requested: &[Limit], name: &str) -> Result<(), NotDelegated> {
        let failed = |error: io::Error| NotDelegated {
            limit: None,
            reason: format!("`{}`: {error}", parent.display()),
        };
        let enabled = fs::read_to_string(parent.join("cgroup.subtree_control")).map_err(failed)?;
        if let Some(missing) =
            requested.iter().find(|limit| !enabled.split_whitespace().any(|one| one == limit.controller))
        {
            let reason =
                format!("`{}` does not delegate the controller `{}`", parent.display(), missing.controller);
            return Err(NotDelegated { limit: Some(missing.name), reason });
        }
        // A cgroup below a threaded one has no memory limits, and processes cannot be moved into it. The root
        // cgroup has no type.
        let kind = fs::read_to_string(parent.join("cgroup.type")).unwrap_or_else(|_| "domain".to_owned());
        if kind.trim() != "domain" {
            let reason = format!("`{}` is a threaded control group (`{}`)", parent.display(), kind.trim());
            return Err(NotDelegated { limit: None, reason });
        }
        // Moving a process needs write access here too.
        drop(fs::OpenOptions::new().write(true).open(parent.join("cgroup.procs")).map_err(failed)?);
        let directory = parent.join(name);
        self.add(directory.clone()).map_err(failed)?;
        for limit in requested {
            write(&directory, &limit.version_2, limit.optional)
                .map_err(|error| NotDelegated { limit: Some(limit.name), ..failed(error) })?;
        }
        self.memory_events = Some(directory.join("memory.events"));
        Ok(())
    }

    fn add(&mut self, directory: PathBuf) -> io::Result<()> {
        self.record.add(&directory)?;
        fs::create_dir(&directory)?;
        self.directories.push(directory);
        Ok(())
    }

    /// The `cgroup.procs` files, to which the first process writes its id.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.directories.iter().map(|directory| directory.join("cgroup.procs")).collect()
    }

    /// Removes the cgroups.
    fn remove(&mut self) {
        self.directories.clear();
        self.memory_events = None;
        if let Err(error) = self.record.remove() {
            tracing::warn!(%error, name = self.record.name(), "a later run removes this cgroup");
        }
    }

    pub(super) fn was_out_of_memory(&self) -> bool {
        let text = self.memory_events.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let count = |text: &str| {
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok())
        };
        text.as_deref().and_then(count).is_some_and(|count| count > 0)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Removes the cgroups that a killed run left. Fails if one still has processes.
pub(super) fn remove_leftovers(temporary: &Path) -> io::Result<()> {
    record::records(temporary)?.iter().try_for_each(Record::remove)
}

fn write(directory: &Path, files: &[(&str, String)], optional: &[&str]) -> io::Result<()> {
    for (name, value) in files {
        match fs::write(directory.join(name), value) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && optional.contains(name) => {}
            result => result?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A place that looks like a hierarchy of version 2: groups by their paths, with the controllers they hand on. The
    /// kernel's own files would be there before anybody writes to them.
    fn hierarchy(groups: &[(&str, &str)]) -> (tempfile::TempDir, String) {
        let root = tempfile::tempdir().expect("a directory");
        for (path, controllers) in groups {
            let directory = root.path().join(path);
            fs::create_dir_all(&directory).expect("made");
            fs::write(directory.join("cgroup.subtree_control"), controllers).expect("written");
            fs::write(directory.join("cgroup.procs"), "").expect("written");
        }
        let mounts = format!("41 31 0:38 / {} rw,relatime - cgroup2 cgroup2 rw\n", root.path().display());
        (root, mounts)
    }

    /// A group whose cgroups have the name `own`.
    fn own_group(root: &Path) -> ControlGroup {
        fs::create_dir_all(root.join("records")).expect("made");
        let record = Record::at(root.join("records/own"));
        ControlGroup { record, directories: Vec::new(), memory_events: None }
    }

    fn all_limits() -> Vec<Limit> {
        let limits = ContainerLimits {
            memory: Some(1 << 20),
            nano_cpus: Some(500_000_000),
            ..ContainerLimits::default()
        };
        requested(&limits, Some(50))
    }

    #[test]
    fn the_nearest_group_of_version_2_that_hands_on_all_controllers_is_used() {
        // As systemd delegates: processes in the leaf, controllers handed on above it.
        let groups = [("", "cpu memory pids"), ("user", "cpu memory pids\n"), ("user/b2i.scope", "")];
        let (root, mounts) = hierarchy(&groups);
        let mut group = own_group(root.path());
        group
            .make_delegated("1:name=systemd:/x\n0::/user/b2i.scope\n", &mounts, &all_limits(), "own")
            .expect("made");
        let own = root.path().join("user/own");
        let read = |name: &str| fs::read_to_string(own.join(name)).expect("written");
        let files = ["pids.max", "memory.max", "memory.swap.max", "cpu.max"];
        assert_eq!(files.map(read), ["50", "1048576", "0", "50000 100000"]);
        assert_eq!(group.files(), [own.join("cgroup.procs")]);
        assert!(!group.was_out_of_memory());
        fs::write(own.join("memory.events"), "low 0\noom 1\noom_kill 2\noom_group_kill 0\n")
            .expect("written");
        assert!(group.was_out_of_memory());
    }

    #[test]
    fn without_a_controller_or_rights_nothing_is_made() {
        let own = "0::/a/b\n";
        for (groups, reason) in [
            (&[("", ""), ("a", "cpu memory"), ("a/b", "")][..], "controller"),
            (&[("", "cpu io"), ("a", ""), ("a/b", "memory pids")], "controller"),
        ] {
            let (root, mounts) = hierarchy(groups);
            let mut group = own_group(root.path());
            let error =
                group.make_delegated(own, &mounts, &all_limits(), "own").expect_err("nothing is delegated");
            assert!(error.reason.contains(reason), "{error:?}");
            assert!(group.files().is_empty());
            let made = ["own", "a/own", "a/b/own"].map(|path| root.path().join(path).exists());
            assert_eq!(made, [false; 3]);
        }
        // A limit that is refused: the group above takes them all, and only that one is entered.
        let (root, mounts) = hierarchy(&[("", "cpu memory pids"), ("a", "cpu memory pids"), ("a/b", "")]);
        fs::create_dir_all(root.path().join("a/own")).expect("in the way");
        let mut group = own_group(root.path());
        group.make_delegated(own, &mounts, &all_limits(), "own").expect("made above");
        assert_eq!(group.files(), [root.path().join("own/cgroup.procs")]);
        let none = own_group(root.path()).make_delegated(own, "", &all_limits(), "own");
        assert!(none.expect_err("not mounted").reason.contains("version 2"));
    }

    #[test]
    fn a_group_for_threads_is_passed_over() {
        let groups = [("", "cpu memory pids"), ("a", "cpu memory pids"), ("a/b", "cpu memory pids")];
        let own = "0::/a/b\n";
        for (kinds, made) in [
            (["domain", "domain"], Some("a/b/own")),
            (["domain", "threaded"], Some("a/own")),
            (["domain threaded", "threaded"], Some("own")),
            (["domain invalid", "domain invalid"], Some("own")),
        ] {
            let (root, mounts) = hierarchy(&groups);
            for (path, kind) in ["a", "a/b"].into_iter().zip(kinds) {
                fs::write(root.path().join(path).join("cgroup.type"), format!("{kind}\n")).expect("written");
            }
            let mut group = own_group(root.path());
            let result = group.make_delegated(own, &mounts, &all_limits(), "own");
            assert!(result.is_ok(), "{kinds:?}");
            let files: Vec<_> = made.iter().map(|path| root.path().join(path).join("cgroup.procs")).collect();
            assert_eq!(group.files(), files, "{kinds:?}");
        }
        // In a container, the root of the mount is not the machine's root, and it has a type, too.
        let (root, mounts) = hierarchy(&[("", "cpu memory pids")]);
        fs::write(root.path().join("cgroup.type"), "domain threaded\n").expect("written");
        let error = own_group(root.path()).make_delegated("0::/\n", &mounts, &all_limits(), "own");
        let error = error.expect_err("it is for threads");
        assert!(error.reason.contains("`domain threaded`"), "{}", error.reason);
    }

    #[test]
    fn a_group_that_takes_no_processes_or_files_is_passed_over() {
        let (root, mounts) = hierarchy(&[("", "cpu memory pids"), ("a", "cpu memory pids")]);
        // Nobody can write to it, whatever rights they have.
        fs::remove_file(root.path().join("a/cgroup.procs")).expect("removed");
        fs::create_dir(root.path().join("a/cgroup.procs")).expect("made");
        let mut group = own_group(root.path());
        assert!(group.make_delegated("0::/a\n", &mounts, &all_limits(), "own").is_ok());
        assert_eq!(group.files(), [root.path().join("own/cgroup.procs")]);
        assert!(!root.path().join("a/own").exists(), "nothing is left in the one that refused");
        drop(group);
        // A path of another hierarchy, or of a group that is not there any more, has nothing above it but the root.
        let mut group = own_group(root.path());
        fs::remove_dir_all(root.path().join("own")).expect("a directory that has files, unlike the kernel's");
        assert!(group.make_delegated("0::/gone/long/ago\n", &mounts, &all_limits(), "own").is_ok());
        assert_eq!(group.files(), [root.path().join("own/cgroup.procs")]);
        let error = own_group(root.path()).make_delegated("0::/../..\n", &mounts, &all_limits(), "own");
        assert!(error.expect_err("that is no group here").reason.contains("is not mounted"));
    }

    #[test]
    fn the_limit_that_has_no_controller_is_named() {
        // As systemd leaves its own groups: root may write, but no unit has requested for shares of processors.
        let (root, mounts) = hierarchy(&[("", "memory pids"), ("system.slice", "memory pids")]);
        let error = own_group(root.path())
            .make_delegated("0::/system.slice\n", &mounts, &all_limits(), "own")
            .expect_err("no controller for processors");
        assert_eq!(error.limit, Some("processor"));
        assert!(error.reason.ends_with("does not delegate the controller `cpu`"), "{error:?}");
    }
}
