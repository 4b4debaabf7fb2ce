//! Releases of several files: in the image, every program finds its neighbours where it expects them.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::dockerfile::same;
use super::tree::{assert_same_config, assert_same_tree};
use super::*;

/// Prints its own path, its working directory, a neighbour by `../lib` and one through a link.
const PROGRAM: &str = r#"
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static void show(const char *top, const char *name) {
    char path[4096], line[64] = "missing";
    snprintf(path, sizeof path, "%s/../%s", top, name);
    FILE *file = fopen(path, "r");
    if (file) fgets(line, sizeof line, file);
    printf(" %s", line);
}
int main(int count, char **words) {
    char own[4096], cwd[4096];
    snprintf(own, sizeof own, "%s", words[0]);
    printf("%s in %s", words[0], getcwd(cwd, sizeof cwd));
    char *directory = dirname(own);
    show(directory, "lib/word"); show(directory, "current/word");
    for (int word = 1; word < count; word++) printf(" [%s]", words[word]);
    puts("");
}
"#;

const SCRIPT: &str = r#"#!/bin/sh
top=$(dirname "$0")/..
printf '%s in %s %s %s' "$0" "$(pwd)" "$(cat "$top/lib/word")" "$(cat "$top/current/word")"
for word; do printf ' [%s]' "$word"; done
echo
"#;

/// What each of them prints.
const PRINTED: &str = "/opt/app-root/bin/app/bin/my tool in /opt/app-root/bin/app one two [a b]\n";

/// A release in a temporary directory.
struct Release {
    directory: TempDir,
}

impl Release {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("the directory is the test's");
        std::fs::write(path, bytes).expect("the directory is the test's");
    }

    fn link(&self, name: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("the directory is the test's");
    }

    /// Compiles C from `source`, with further options of gcc.
    fn compile(&self, name: &str, source: &str, options: &[&str]) {
        self.file("source.c", source);
        std::fs::create_dir_all(self.path(name).parent().expect("below"))
            .expect("the directory is the test's");
        let mut gcc = Command::new("gcc");
        gcc.current_dir(self.directory.path()).args(["-O1", "-w", "-o", name, "source.c"]).args(options);
        let output = gcc.output().expect("gcc is installed");
        assert!(output.status.success(), "{output:?}");
        std::fs::remove_file(self.path("source.c")).expect("it was written");
    }

    /// Packs the directory `top`.
    fn archive(&self, top: &str) -> String {
        let path = self.path("release.tar.gz");
        let mut tar = Command::new("tar");
        let status = tar.arg("-C").arg(self.directory.path()).arg("-czf").arg(&path).arg(top).status();
        assert!(status.expect("tar is installed").success());
        path.into_os_string().into_string().expect("UTF-8")
    }
}

/// A release with a program in `bin`.
fn release(program: impl FnOnce(&Release)) -> Release {
    let release = Release::new();
    release.file("t-1/lib/word", "one");
    release.file("t-1/versions/2/word", "two");
    release.link("t-1/current", "versions/2");
    release.file("t-1/README.md", "read me");
    program(&release);
    release
}

/// Builds the release with placing, with the script and as a Dockerfile, compares, and starts each.
fn goes_the_whole_way(release: &Release, printed: &str) {
    let archive = release.archive("t-1");
    for daemon in TestEnvironment::get().daemons() {
        let arguments = [archive.as_str(), "--keep-tree", "--path", "t-1/bin/my tool", "--", "a b"];
        let placed = Image::build(&daemon, &arguments);
        let assembled = Image::build(&daemon, &[&["--assemble", "docker"], &arguments[..]].concat());
        assert_same_config(&placed, &assembled);
        assert_same_tree(&placed, &assembled);
        let from_dockerfile = same(&daemon, &arguments, &[]);
        for image in [&placed, &assembled, &from_dockerfile] {
            assert_eq!(image.print(&["--read-only", "--user", "12345:0"], &[]), printed);
        }
    }
}

#[test]
fn a_static_program_finds_its_neighbours_on_the_built_in_base() {
    let release = release(|release| release.compile("t-1/bin/my tool", PROGRAM, &["-static"]));
    goes_the_whole_way(&release, PRINTED);
}

#[test]
fn a_script_finds_its_neighbours() {
    goes_the_whole_way(&release(|release| release.file("t-1/bin/my tool", SCRIPT)), PRINTED);
}

#[test]
fn a_program_finds_its_library_by_its_run_path() {
    let release = release(|release| {
        release.compile(
            "t-1/lib/libword.so.1",
            "const char *word(void) { return \"from libword\"; }",
            &["-shared", "-fPIC", "-Wl,-soname,libword.so.1"],
        );
        let source = "#include <stdio.h>\nconst char *word(void); int main() { puts(word()); }";
        let options = ["-Lt-1/lib", "-l:libword.so.1", "-Wl,-rpath,$ORIGIN/../lib"];
        release.compile("t-1/bin/my tool", source, &options);
    });
    goes_the_whole_way(&release, "from libword\n");
}

#[test]
fn a_library_that_the_program_names_comes_along_and_the_rest_is_counted() {
    let release = Release::new();
    let options = ["-shared", "-fPIC", "-Wl,-soname,libword.so.1"];
    release.compile(
        "t-1/lib/libword.so.1.0",
        "const char *word(void) { return \"from libword\"; }",
        &options,
    );
    release.link("t-1/lib/libword.so.1", "libword.so.1.0");
    let source = "#include <stdio.h>\nconst char *word(void); int main() { puts(word()); }";
    release.compile("t-1/bin/tool", source, &["-Lt-1/lib", "-l:libword.so.1", "-Wl,-rpath,$ORIGIN/../lib"]);
    release.file("t-1/share/data", "not named");
    release.file("t-1/LICENSE", "free");
    let archive = release.archive("t-1");
    for daemon in TestEnvironment::get().daemons() {
        let image = Image::build(&daemon, &[&archive]);
        let note = "1 other file of the archive is left out; `--keep-tree` takes everything along";
        assert!(image.messages.contains(note), "{}", image.messages);
        assert!(!image.messages.contains("libword"), "{}", image.messages);
        assert_eq!(image.print(&["--read-only"], &[]), "from libword\n");
    }
}

#[test]
fn a_jar_brings_its_class_path_from_its_archive() {
    let release = Release::new();
    copy_tree(Path::new(&fixture("app")), &release.path("svc-1"));
    release.file("svc-1/conf/app.properties", "k=v");
    let archive = release.archive("svc-1");
    for daemon in TestEnvironment::get().daemons() {
        let image = Image::build(&daemon, &[archive.as_str(), "--", "--print"]);
        assert!(image.messages.contains("2 other files of the archive are left out"), "{}", image.messages);
        let report = image.report(&["--read-only", "--tmpfs", "/tmp"], &[]);
        assert_eq!(words(&report, "arguments"), ["--print"]);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status();
    assert!(status.expect("cp is installed").success());
}

#[test]
fn the_hint_of_missing_jars_works_from_the_working_directory() {
    let release = Release::new();
    copy_tree(Path::new(&fixture("app")), &release.path("my target"));
    let daemon = &TestEnvironment::get().daemons()[0];
    let build = |more: &[&str]| {
        let command = b2i(daemon).current_dir(release.directory.path());
        command.args(["build", "--offline", "--dry-run", "my target/app.jar"]).args(more).run()
    };
    let output = build(&[]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stderr.contains("hint: add them with `--add 'my target/lib/'`\n"), "{}", output.stderr);
    assert_eq!(build(&["--add", "my target/lib/"]).code, Some(0));
}

#[test]
fn the_hint_of_a_missing_library_works_from_the_working_directory() {
    let release = Release::new();
    let source = "const char *word(void) { return \"from libword\"; }";
    release.compile("rel/lib/libword.so.1", source, &["-shared", "-fPIC", "-Wl,-soname,libword.so.1"]);
    let source = "#include <stdio.h>\nconst char *word(void); int main() { puts(word()); }";
    release.compile("rel/bin/tool", source, &["-Lrel/lib", "-l:libword.so.1", "-Wl,-rpath,$ORIGIN/../lib"]);
    let daemon = &TestEnvironment::get().daemons()[0];
    let output = b2i(daemon)
        .current_dir(release.directory.path())
        .args(["build", "--offline", "--dry-run", "rel/bin/tool"])
        .run();
    assert_eq!(output.code, Some(5), "{}", output.stderr);
    let option = "rel/bin/../lib/libword.so.1:/opt/app-root/lib/libword.so.1";
    assert!(output.stderr.contains(&format!("looks: `--add {option}`")), "{}", output.stderr);
    let command = b2i(daemon).current_dir(release.directory.path());
    let image = Image::build_by(command, daemon, &["rel/bin/tool", "--add", option]);
    assert_eq!(image.print(&[], &[]), "from libword\n");
}
