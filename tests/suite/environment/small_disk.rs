//! Owns small file systems, for tests that fill one.

use std::path::Path;
use std::process::Command;

/// A file system of its own. Unmounted when it is dropped.
pub(crate) struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one of `kilobytes`; needs root, as the whole suite does where it starts its own daemon.
    pub(crate) fn new(kilobytes: u32) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let size = format!("size={kilobytes}k,mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "none"]).arg(directory.path());
        let output = mount.output().expect("`mount` is installed");
        let reason = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "a file system can be mounted only by root: {reason}");
        Self { directory }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.directory.path()).status());
    }
}
