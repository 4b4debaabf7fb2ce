//! Owns making programs that a test starts, or has started.
//!
//! Must not write them itself: a file that this process, with its many threads that start programs, had open for writing
//! may still be open in a process that is just being made, and then whoever executes it is told that it is busy.

use std::path::Path;
use std::process::Command;

/// Makes an executable file that is like another one.
pub(crate) fn install(source: &Path, target: &Path) {
    let output = Command::new("install").args(["-D", "-m", "0755"]).arg(source).arg(target).output();
    let output = output.expect("install starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an executable script with that text.
pub(crate) fn install_script(target: &Path, text: &str) {
    let source = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    std::fs::write(source.path(), text).expect("the file is the test's");
    install(source.path(), target);
}
