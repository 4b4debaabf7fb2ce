//! The rules of Java's launcher: what it ignores is ignored, what it refuses is refused, and what it needs is set.

use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;

pub(super) const MAIN: &str = r#"package demo;
public class Main {
    public static void main(String[] words) throws Exception {
        if (words.length == 1 && words[0].equals("--user-name")) {
            System.out.println(System.getProperty("user.name"));
            return;
        }
        System.out.println("main " + String.join("|", words) + " " + word());
    }
    private static String word() throws Exception {
        try {
            return (String) Class.forName("demo.util.Word").getMethod("word").invoke(null);
        } catch (ClassNotFoundException missing) {
            return "alone";
        }
    }
}
"#;

pub(super) const WORD: &str = r#"package demo.util;
public class Word { public static String word() { return "with a library"; } }
"#;

/// Pattern matching for `switch` was a preview feature of Java 17 (JEP 406).
const PREVIEW: &str = r#"package demo;
public class Main {
    public static void main(String[] words) {
        Object object = 4;
        System.out.println(switch (object) { case Integer number -> "preview " + number; default -> "none"; });
    }
}
"#;

/// A directory with compiled classes and JARs.
pub(super) struct Workshop {
    directory: TempDir,
}

impl Workshop {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).into_os_string().into_string().expect("UTF-8")
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .expect("the JDK is installed");
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    }

    /// Compiles `source` to the directory `classes`.
    pub(super) fn compile(&self, classes: &str, source: &str, options: &[&str]) {
        let file = self.path(if source.contains("class Word") { "Word.java" } else { "Main.java" });
        std::fs::write(&file, source).expect("the directory is the test's");
        self.run("javac", &[&["-nowarn", "-d", classes], options, &[&file]].concat());
    }

    /// Packs the directory `classes` as `name`, with `manifest` as the lines of its manifest.
    pub(super) fn jar(&self, name: &str, classes: &str, manifest: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("below")).expect("the directory is the test's");
        std::fs::write(self.path("manifest"), manifest).expect("the directory is the test's");
        self.run("jar", &["--create", "--file", name, "--manifest", "manifest", "-C", classes, "."]);
        self.path(name)
    }

    /// The program in `app.jar` and its library in `lib/word.jar`.
    fn program(manifest: &str) -> Self {
        let workshop = Self::new();
        workshop.compile("main", MAIN, &["--release", "8"]);
        workshop.compile("word", WORD, &["--release", "8"]);
        workshop.jar("app.jar", "main", manifest);
        workshop.jar("lib/word.jar", "word", "");
        workshop
    }
}

fn docker() -> Daemon {
    TestEnvironment::get().daemons()[0].clone()
}

#[test]
fn class_path_entries_that_java_ignores_are_a_warning_at_most() {
    for (class_path, warning, hint, printed) in [
        (". ./ conf/ lib/", None, None, "alone"),
        (
            "gone.jar",
            Some("JARs on the Class-Path of `app.jar` do not come along: gone.jar"),
            Some("`--add FILE:gone.jar`"),
            "alone",
        ),
        (
            "/opt/x.jar file:/opt/y.jar",
            Some("has absolute paths, which the base may lack: /opt/x.jar, file:/opt/y.jar"),
            None,
            "alone",
        ),
        ("lib/word.jar", Some("do not come along: lib/word.jar"), Some("lib/`"), "alone"),
    ] {
        let workshop = Workshop::program(&format!("Main-Class: demo.Main\nClass-Path: {class_path}\n"));
        let image = Image::build(&docker(), &[&workshop.path("app.jar")]);
        let messages = &image.messages;
        assert_eq!(messages.contains("warning: "), warning.is_some(), "{class_path}: {messages}");
        for words in warning.into_iter().chain(hint) {
            assert!(messages.contains(words), "{class_path}: {messages}");
        }
        assert_eq!(image.print(&[], &["a b"]), format!("main a b {printed}\n"), "{class_path}");
    }
}

#[test]
fn a_library_on_the_class_path_comes_along_by_the_hint() {
    let workshop = Workshop::program("Main-Class: demo.Main\nClass-Path: . lib/word.jar conf/\n");
    let image = Image::build(&docker(), &[&workshop.path("app.jar"), "--add", &workshop.path("lib")]);
    assert!(!image.messages.contains("warning: "), "{}", image.messages);
    assert_eq!(image.print(&["--read-only", "--tmpfs", "/tmp"], &["x"]), "main x with a library\n");
}

#[test]
fn a_main_class_of_the_user_has_the_added_jars_on_its_class_path() {
    let workshop = Workshop::program("");
    let arguments =
        [&*workshop.path("app.jar"), "--main-class", "demo.Main", "--add", &workshop.path("lib"), "--", "y"];
    for assembly in ["place", "docker"] {
        let image = Image::build(&docker(), &[&["--assemble", assembly], &arguments[..]].concat());
        assert_eq!(image.print(&[], &[]), "main y with a library\n");
    }
    let output = b2i(&docker()).args(["build", "--offline", "--dry-run"]).args(arguments).run();
    assert!(output.stdout.contains("JAVA_CLASSPATH"), "{}", output.stdout);
}

#[test]
fn classes_with_preview_features_get_exactly_their_release() {
    let workshop = Workshop::new();
    workshop.compile("main", PREVIEW, &["--release", "17", "--enable-preview"]);
    let jar = workshop.jar("app.jar", "main", "Main-Class: demo.Main\n");
    let image = Image::build(&docker(), &[&jar]);
    assert!(image.messages.contains("Planned java:17"), "{}", image.messages);
    assert_eq!(image.print(&[], &[]), "preview 4\n");
    let other = b2i(&docker()).args(["build", "--offline", "--dry-run", &jar, "--builder", "java:21"]).run();
    assert_eq!(other.code, Some(5), "{}", other.stderr);
    assert!(other.stderr.contains("preview features of Java 17"), "{}", other.stderr);
}

#[test]
fn a_jar_that_the_launcher_refuses_starts_by_its_class() {
    let workshop = Workshop::program("Main-Class: demo.Main\n");
    let jar = workshop.path("app.jar");
    let mut bytes = std::fs::read(&jar).expect("it was written");
    bytes.extend([0; 100]);
    std::fs::write(&jar, bytes).expect("the directory is the test's");
    let refused = b2i(&docker()).args(["build", "--offline", "--dry-run", &jar]).run();
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("100 bytes follow its end"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`--main-class demo.Main`"), "{}", refused.stderr);
    let image = Image::build(&docker(), &[&jar, "--main-class", "demo.Main"]);
    assert_eq!(image.print(&[], &["z"]), "main z alone\n");
}

#[test]
fn the_heap_is_a_part_of_a_memory_limit_only() {
    let workshop = Workshop::program("Main-Class: demo.Main\n");
    let image = Image::build(&docker(), &[&workshop.path("app.jar")]);
    let part = |options: &[&str]| {
        let flags = [&["--env", "JAVA_OPTS=-XX:+PrintFlagsFinal"], options].concat();
        let printed = image.print(&flags, &[]);
        let line = printed.lines().find(|line| line.contains(" MaxRAMPercentage ")).expect("Java prints it");
        line.split_whitespace().nth(3).expect("a value").to_owned()
    };
    assert_eq!(part(&["--memory", "256m"]), "75.000000");
    assert_eq!(part(&[]), "25.000000");
    assert_eq!(part(&["--env", "JAVA_MAX_MEM_RATIO=50"]), "50.000000");
}

#[test]
fn a_user_without_an_account_has_a_name() {
    let workshop = Workshop::program("Main-Class: demo.Main\n");
    let image = Image::build(&docker(), &[&workshop.path("app.jar"), "--", "--user-name"]);
    assert_eq!(image.print(&["--user", "4711:0"], &[]), "default\n");
    assert_eq!(image.print(&["--user", "root"], &[]), "root\n");
}
