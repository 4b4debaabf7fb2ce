//! Owns the names of the kernel's capabilities, and which of them a script has on every engine. Must not know how an
//! engine sets them. Source: capabilities(7).

use std::fmt;
use std::str::FromStr;

use super::ContainerSpec;
use crate::text::as_text;

/// In the order of their numbers.
const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
    NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
    SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL \
    SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE";

/// The capabilities that `assemble` needs to write files and set their owners.
const DEFAULT: [&str; 7] = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"];

const ALL: &str = "ALL";

/// A capability, or all of them, by the name without `CAP_`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Capability(&'static str);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid capability: write a name such as NET_RAW, or ALL")]
pub struct UnknownCapability {
    name: String,
}

impl Capability {
    /// Its number; none for `ALL`.
    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    pub(super) fn number(self) -> Option<u32> {
        let number = NAMES.split(' ').position(|name| name == self.0)?;
        u32::try_from(number).ok()
    }
}

impl ContainerSpec {
    /// The capabilities of a script that runs as root.
    pub(super) fn capabilities(&self) -> Vec<Capability> {
        remaining(&self.drop_capabilities)
    }
}

fn remaining(dropped: &[Capability]) -> Vec<Capability> {
    let is_dropped = |name| dropped.iter().any(|dropped| [name, ALL].contains(&dropped.0));
    DEFAULT.into_iter().filter(|name| !is_dropped(*name)).map(Capability).collect()
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Reads a name, with or without `CAP_`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        let name = text.trim().to_ascii_uppercase();
        let bare = name.strip_prefix("CAP_").unwrap_or(&name);
        let known = NAMES.split(' ').chain([ALL]).find(|known| *known == bare);
        known.map(Self).ok_or_else(|| UnknownCapability { name: text.to_owned() })
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

impl fmt::Debug for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

as_text!(Capability);

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Capability, UnknownCapability> {
        text.parse()
    }

    #[test]
    fn names_are_those_of_the_kernel() {
        for text in ["cap_net_raw", "NET_RAW", " Net_Raw "] {
            assert_eq!(parse(text), Ok(Capability("NET_RAW")), "{text}");
        }
        assert_eq!(parse("all"), Ok(Capability("ALL")));
        for text in ["", "net raw", "NET_ROW", "CAP_CAP_CHOWN", "CAP_"] {
            assert_eq!(parse(text), Err(UnknownCapability { name: text.to_owned() }));
        }
    }

    #[cfg(all(feature = "sandbox", target_os = "linux"))]
    #[test]
    fn numbers_are_those_of_the_kernel() {
        for (name, number) in [("CHOWN", 0), ("SYS_ADMIN", 21), ("CHECKPOINT_RESTORE", 40)] {
            assert_eq!(parse(name).expect("known").number(), Some(number));
        }
        assert_eq!(parse("ALL").expect("known").number(), None);
    }

    #[test]
    fn what_is_kept_is_what_is_not_taken_away() {
        let kept = |dropped: &[&str]| {
            let dropped: Vec<_> = dropped.iter().map(|name| parse(name).expect("known")).collect();
            remaining(&dropped).iter().map(Capability::to_string).collect::<Vec<_>>()
        };
        assert_eq!(kept(&["NET_RAW"]), DEFAULT);
        assert_eq!(kept(&["CHOWN", "SETUID"]), ["DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID"]);
        assert!(kept(&["CHOWN", "ALL"]).is_empty());
    }
}
