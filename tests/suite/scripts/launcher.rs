//! That the launcher's ELF files are what its source makes.

use std::path::Path;

use super::*;

#[test]
fn its_source_makes_the_same_bytes_for_both_processors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/launcher");
    // The tools are kept there between test runs.
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("launcher");
    must_succeed(Command::new("sh").arg(folder.join("build.sh")).arg(&output));
    for name in ["launcher-amd64", "launcher-arm64"] {
        let built = std::fs::read(output.join(name)).expect("built");
        let kept = std::fs::read(folder.join(name)).expect("checked in");
        assert!(
            built == kept,
            "{name} is not what build.sh makes: copy {} there",
            output.join(name).display()
        );
        assert!(kept.len() < 24 * 1024, "{name} is small: {} bytes", kept.len());
    }
}
