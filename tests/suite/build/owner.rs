//! The files of an image belong to root, and the program that runs can neither change nor replace them.

use super::tree::assert_same_tree;
use super::*;

/// Tries to change the program and a file beside it in every way, and then works as a program works.
const ATTEMPT: &str = r"
cd /opt/app-root/bin
for file in binary beside.txt; do
    { echo changed >>$file; } 2>/dev/null && echo wrote $file
    rm -f $file 2>/dev/null && echo removed $file
    mv $file other 2>/dev/null && echo moved $file
    chmod 777 $file 2>/dev/null && echo opened $file
done
mv ../bin ../other 2>/dev/null && echo moved the directory
echo data >own && mkdir folder && mv own folder/ && rm -r folder && touch /opt/app-root/state && echo works
stat -c '%u:%g %a' binary beside.txt . ..
";

const EXPECTED: &str = "works\n0:0 755\n0:0 644\n0:0 1775\n0:0 1775\n";

#[test]
fn a_program_changes_none_of_its_files_and_writes_beside_them() {
    for (artifact, roads) in [
        ("program-glibc", &["place", "docker"][..]),
        ("standalone.jar", &["place", "docker"]),
        ("shop-javax.war", &["place", "docker"]),
    ] {
        for daemon in TestEnvironment::get().daemons() {
            let mut images = Vec::new();
            for assembly in roads {
                let b2i = b2i(&daemon);
                let file = b2i.directory().join("work/beside.txt");
                write(&file, "text\n");
                let (artifact, added) = (fixture(artifact), file.display().to_string());
                let arguments = [artifact.as_str(), "--add", &added, "--assemble", assembly];
                let image = Image::build_by(b2i, &daemon, &arguments);
                // As its own user, and as any user that a platform picks.
                for user in ["1001:0", "1000650000:0"] {
                    let options = ["--user", user, "--entrypoint", "/bin/sh"];
                    let printed = image.print(&options, &["-c", ATTEMPT]);
                    assert_eq!(printed, EXPECTED, "{artifact} by {assembly} as {user} on {}", daemon.name);
                }
                images.push(image);
            }
            assert_same_tree(&images[0], &images[1]);
        }
    }
}

#[test]
fn rights_that_an_image_does_not_keep_are_said() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = directory.path().join("tool");
    std::fs::copy(fixture("program"), &program).expect("copies");
    let said = || {
        let output = B2iCommand::new().args(["build", "--dry-run", "-o", "oci:out"]).arg(&program).run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stderr
    };
    assert!(!said().contains("does not keep"));
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).expect("changes");
    assert!(said().contains("`tool` has the set-user-ID bit, which the image does not keep"));
}
