//! Directories, where only the real program as an ordinary user shows what happens.

use std::os::unix::fs::PermissionsExt;

use crate::environment::B2iCommand;
use crate::failures::assert_clean;

#[test]
fn what_cannot_be_read_is_named_unless_it_is_left_out() {
    for (name, is_directory) in [("secret.txt", false), ("private", true)] {
        let mut command = B2iCommand::as_nobody();
        let sources = command.directory().join("sources");
        std::fs::create_dir(&sources).expect("creates");
        std::fs::set_permissions(&sources, std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let path = sources.join(name);
        if is_directory {
            std::fs::create_dir(&path).expect("creates");
        } else {
            std::fs::write(&path, "secret").expect("writes");
        }
        // The directory is root's, or else nobody may read it all the same.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("chmod");
        command = command.args(["build", "--source-builder", "registry.invalid/builder:1", "--offline"]);
        command = command.arg(&sources);
        let output = command.run();
        assert_eq!(output.code, Some(3), "{}", output.stderr);
        assert!(output.stderr.contains(name) && output.stderr.contains(".s2iignore"), "{}", output.stderr);
        assert_clean(&command.cache());
        std::fs::write(sources.join(".s2iignore"), format!("{name}\n")).expect("writes");
        let output = command.run();
        assert!(!output.stderr.contains(name), "{}", output.stderr);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).expect("chmod");
    }
}
