//! Owns mapping the sandbox's ids to ids of this machine.
//!
//! The first possible way counts: ranges of ids (unused ones for real root, those of `/etc/subuid` with `newuidmap`
//! for others), one id, or, if allowed, real root without a user namespace. Must not start anything but the two
//! helpers.
//!
//! Source: user_namespaces(7), subuid(5), newuidmap(1).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::error::SandboxError;
use super::protocol::{Fault, FaultKind, Identity};
use crate::image::Digest;

/// The first id for root, above those of systemd and `useradd`.
const ROOT_FIRST: u32 = 0x7000_0000;

/// Number of ids for root: more than images use.
const ROOT_COUNT: u32 = 1 << 24;

const MAXIMUM_COUNT: u32 = 1 << 24;

/// Directories of the helpers. PATH is not used, because the helpers have more rights than the user.
const HELPER_PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/run/wrappers/bin"];

/// Consecutive ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    inside: u32,
    outside: u32,
    count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    users: Vec<Extent>,
    groups: Vec<Extent>,
    method: Method,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Method {
    /// No user namespace.
    Host,
    /// One id, which every user may map.
    Single,
    /// Root writes the map itself.
    Direct,
    /// `newuidmap` and `newgidmap` write the map.
    Helpers { newuidmap: PathBuf, newgidmap: PathBuf },
}

impl Mapping {
    /// Real root without a user namespace.
    pub(super) fn host() -> Self {
        Self { users: Vec::new(), groups: Vec::new(), method: Method::Host }
    }

    /// The id of this user alone.
    pub(super) fn single() -> Self {
        let one = |outside| vec![Extent { inside: 0, outside, count: 1 }];
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { users: one(uid), groups: one(gid), method: Method::Single }
    }

    /// Whether this process is root of the machine, outside of user namespaces.
    pub(super) fn is_real_root() -> bool {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        rustix::process::geteuid().is_root() && is_whole(&map)
    }

    /// The mapping with the most ids.
    pub(super) fn best() -> Self {
        if rustix::process::geteuid().is_root() {
            return Self::of_root().unwrap_or_else(Self::single);
        }
        Self::subordinate().unwrap_or_else(Self::single)
    }

    /// Unused ids, and root itself as the last, because it opens the files.
    fn of_root() -> Option<Self> {
        let extents = |map: &str| {
            let (first, count) = available(&std::fs::read_to_string(map).ok()?)?;
            let inside = Extent { inside: 0, outside: first, count };
            Some(vec![inside, Extent { inside: count, outside: 0, count: 1 }])
        };
        let (users, groups) = (extents("/proc/self/uid_map")?, extents("/proc/self/gid_map")?);
        Some(Self { users, groups, method: Method::Direct })
    }

    fn subordinate() -> Option<Self> {
        let helper = |name: &str| {
            HELPER_PLACES.iter().map(|place| Path::new(place).join(name)).find(|path| path.is_file())
        };
        let (newuidmap, newgidmap) = (helper("newuidmap")?, helper("newgidmap")?);
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let name = user_name(uid);
        let ranges = |file: &str, own: u32| {
            let text = std::fs::read_to_string(file).ok()?;
            let ranges = ranges_of(&text, uid, name.as_deref());
            (!ranges.is_empty()).then(|| extents(own, &ranges))
        };
        let (users, groups) = (ranges("/etc/subuid", uid)?, ranges("/etc/subgid", gid)?);
        Some(Self { users, groups, method: Method::Helpers { newuidmap, newgidmap } })
    }

    pub(super) fn identity(&self) -> Identity {
        match self.method {
            Method::Host => Identity::Host,
            Method::Single => Identity::Single,
            Method::Direct | Method::Helpers { .. } => {
                Identity::Ranges { users: self.count(&self.users), groups: self.count(&self.groups) }
            }
        }
    }

    /// Without root itself.
    fn count(&self, extents: &[Extent]) -> u32 {
        let all: u32 = extents.iter().map(|extent| extent.count).sum();
        if self.method == Method::Direct { all - 1 } else { all }
    }

    /// A short key of the owners on the disk. Files of mappings with other keys cannot be shared.
    pub(super) fn key(&self) -> String {
        match self.method {
            Method::Host => "host".into(),
            Method::Single => "single".into(),
            Method::Direct | Method::Helpers { .. } => {
                let text = format!("{}/{}", lines(&self.users), lines(&self.groups));
                Digest::of(text.as_bytes()).hex()[..12].to_owned()
            }
        }
    }

    /// A description for people.
    pub(super) fn describe(&self) -> String {
        match self.identity() {
            Identity::Host => "real root, without a user namespace".into(),
            Identity::Single => "a user namespace with one id, in which owners cannot be changed".into(),
            Identity::Ranges { users, .. } => format!("a user namespace with {users} ids"),
        }
    }

    /// Whether it needs more rights than one id.
    pub(super) fn needs_rights(&self) -> bool {
        matches!(self.method, Method::Helpers { .. } | Method::Direct)
    }

    /// Whether root makes the mapping. Root may also map ids of filesystems.
    pub(super) fn is_of_root(&self) -> bool {
        self.method == Method::Direct
    }

    /// Maps the ids of the child, which waits in a new user namespace.
    pub(super) fn write(&self, pid: u32) -> Result<(), SandboxError> {
        let failed = |action: &str, error: &std::io::Error| {
            SandboxError::of(Fault::system(FaultKind::Namespace, action, error))
        };
        let write = |name: &str, text: &str| {
            std::fs::write(format!("/proc/{pid}/{name}"), text)
                .map_err(|error| failed(&format!("map the ids ({name})"), &error))
        };
        match &self.method {
            Method::Host => Ok(()),
            Method::Single => {
                write("setgroups", "deny")?;
                write("uid_map", &lines(&self.users))?;
                write("gid_map", &lines(&self.groups))
            }
            Method::Direct => {
                write("uid_map", &lines(&self.users))?;
                write("gid_map", &lines(&self.groups))
            }
            Method::Helpers { newuidmap, newgidmap } => {
                help(newuidmap, pid, &self.users)?;
                help(newgidmap, pid, &self.groups)
            }
        }
    }
}

fn lines(extents: &[Extent]) -> String {
    let mut text = String::new();
    for Extent { inside, outside, count } in extents {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{inside} {outside} {count}");
    }
    text
}

fn help(program: &Path, pid: u32, extents: &[Extent]) -> Result<(), SandboxError> {
    let unavailable = |reason: String| SandboxError::Unavailable {
        action: format!("map the subordinate ids with `{}`", program.display()),
        reason,
        hints: vec!["install it with its set-user-id bit or capabilities".into()],
    };
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null()).arg(pid.to_string());
    for Extent { inside, outside, count } in extents {
        command.args([inside.to_string(), outside.to_string(), count.to_string()]);
    }
    let output = command.output().map_err(|error| unavailable(error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let message: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(500).collect();
    Err(unavailable(if message.is_empty() { output.status.to_string() } else { message }))
}

/// The ids for root that its own map has: the usual ids, or the ids after 0.
fn available(map: &str) -> Option<(u32, u32)> {
    let extents = map.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    });
    let mut small = None;
    for (inside, _, count) in extents {
        let end = u64::from(inside) + u64::from(count);
        if inside <= ROOT_FIRST && end >= u64::from(ROOT_FIRST) + u64::from(ROOT_COUNT) {
            return Some((ROOT_FIRST, ROOT_COUNT));
        }
        let first = inside.max(1);
        if end > u64::from(first) + 1 && small.is_none_or(|(_, known)| end - u64::from(first) > known) {
            small = Some((first, end - u64::from(first)));
        }
    }
    let (first, count) = small?;
    Some((first, u32::try_from(count).unwrap_or(u32::MAX).min(ROOT_COUNT)))
}

/// Whether the map has all ids unchanged.
fn is_whole(map: &str) -> bool {
    map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The user's name, which `/etc/subuid` may have in place of the number.
fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2)?.parse() == Ok(uid)).then(|| fields[0].to_owned())
    })
}

/// The first id and the length of each range of the user.
fn ranges_of(text: &str, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    let of_line = |line: &str| {
        let fields: Vec<&str> = line.trim().split(':').collect();
        let [user, first, count] = fields[..] else { return None };
        let is_own = name == Some(user) || user.parse() == Ok(uid);
        let (first, count): (u32, u32) = (first.parse().ok()?, count.parse().ok()?);
        (is_own && count > 0 && first > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    text.lines().filter_map(of_line).collect()
}

/// The user is 0 inside; the ranges follow.
fn extents(own: u32, ranges: &[(u32, u32)]) -> Vec<Extent> {
    let mut extents = vec![Extent { inside: 0, outside: own, count: 1 }];
    let mut next = 1;
    for (first, count) in ranges {
        let count = (*count).min(MAXIMUM_COUNT - next);
        if count > 0 {
            extents.push(Extent { inside: next, outside: *first, count });
            next += count;
        }
    }
    extents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_are_found_by_name_and_number() {
        let text = "other:100:5\nme:1000:10\n\n1234:5000:7\nme:0:9\nme:4294967295:2\nme:1:x\n";
        assert_eq!(ranges_of(text, 1234, Some("me")), [(1000, 10), (5000, 7)]);
        assert_eq!(ranges_of(text, 1234, None), [(5000, 7)]);
        assert_eq!(ranges_of("", 1234, None), []);
        assert_eq!(lines(&extents(1234, &[(1000, 10), (5000, 7)])), "0 1234 1\n1 1000 10\n11 5000 7\n");
        let large = extents(1, &[(10, u32::MAX - 10), (7, 7)]);
        assert_eq!(large.iter().map(|extent| u64::from(extent.count)).sum::<u64>(), u64::from(MAXIMUM_COUNT));
    }

    #[test]
    fn root_takes_ids_that_are_its_to_give() {
        assert_eq!(available("         0          0 4294967295\n"), Some((ROOT_FIRST, ROOT_COUNT)));
        assert_eq!(available("0 1000 1\n1 100000 65536\n"), Some((1, 65536)));
        assert_eq!(available("0 100000 65536\n"), Some((1, 65535)));
        assert_eq!(available("0 1000 1\n"), None);
        assert!(is_whole("         0          0 4294967295\n") && !is_whole("0 0 65536\n"));
        assert_eq!(available("nonsense"), None);
    }
}
