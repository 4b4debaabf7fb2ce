//! Owns the values of limits in both versions of cgroups. Must not write them.

use crate::engine::ContainerLimits;

/// In microseconds.
const PERIOD: u64 = 100_000;

/// One limit: its controller, and the files and values of both versions.
pub(super) struct Limit {
    pub(super) name: &'static str,
    pub(super) controller: &'static str,
    pub(super) version_1: Vec<(&'static str, String)>,
    pub(super) version_2: Vec<(&'static str, String)>,
    /// Files that some kernels lack; the limit holds without them.
    pub(super) optional: &'static [&'static str],
}

pub(super) fn requested(limits: &ContainerLimits, processes: Option<u32>) -> Vec<Limit> {
    let mut requested = Vec::new();
    if let Some(processes) = processes {
        let files = vec![("pids.max", processes.to_string())];
        requested.push(Limit {
            name: "process",
            controller: "pids",
            version_1: files.clone(),
            version_2: files,
            optional: &[],
        });
    }
    if let Some(bytes) = limits.memory {
        let bytes = bytes.to_string();
        requested.push(Limit {
            name: "memory",
            controller: "memory",
            version_1: vec![
                ("memory.limit_in_bytes", bytes.clone()),
                // If both limits are equal, there is no swap.
                ("memory.memsw.limit_in_bytes", bytes.clone()),
            ],
            version_2: vec![("memory.max", bytes), ("memory.swap.max", "0".into())],
            optional: &["memory.memsw.limit_in_bytes", "memory.swap.max"],
        });
    }
    if let Some(nano) = limits.nano_cpus {
        // The kernel refuses less than a millisecond.
        let quota = (u128::from(nano) * u128::from(PERIOD) / 1_000_000_000).max(1000).to_string();
        requested.push(Limit {
            name: "processor",
            controller: "cpu",
            version_1: vec![("cpu.cfs_period_us", PERIOD.to_string()), ("cpu.cfs_quota_us", quota.clone())],
            version_2: vec![("cpu.max", format!("{quota} {PERIOD}"))],
            optional: &[],
        });
    }
    requested
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_in_the_units_of_the_kernel() {
        let limits = ContainerLimits {
            memory: Some(1 << 20),
            nano_cpus: Some(1_500_000_000),
            pids: Some(1),
            ..ContainerLimits::default()
        };
        let files = requested(&limits, None);
        assert_eq!(files[0].version_2[0], ("memory.max", "1048576".into()));
        assert_eq!(files[1].version_2[0], ("cpu.max", "150000 100000".into()));
        assert!(requested(&ContainerLimits::default(), None).is_empty());
        assert_eq!(requested(&ContainerLimits::default(), Some(7))[0].version_1[0].1, "7");
    }
}
