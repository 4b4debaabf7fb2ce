//! What `assemble` makes of all kinds of input, in every template.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;

use tempfile::TempDir;

use super::place::Entry::{Directory, File, Link};
use super::place::{Entry, Place, Tree, read_tree, tree};
use super::*;

/// The runners that have this template.
fn runners(template: &str) -> &'static [Runner] {
    if template == "binary" { &ALL } else { &SHELLS }
}

#[test]
fn the_artifact_is_found_and_all_else_lies_beside_it() {
    let other = File(0o604, "other");
    let folder = Directory(0o750);
    // Template, B2I_ARTIFACT, input, what is placed; the artifact's content is "artifact". At the top it becomes `binary`.
    type Case = (&'static str, &'static str, Vec<(&'static [u8], Entry)>, Vec<(&'static [u8], Entry)>);
    let artifact = File(0o600, "artifact");
    let table: Vec<Case> = vec![
        ("binary", "", vec![(b"server", artifact.clone())], vec![]),
        ("binary", "", vec![(b"binary", artifact.clone())], vec![]),
        ("binary", "", vec![(b".hidden", artifact.clone())], vec![]),
        ("binary", "", vec![(b"..two dots", artifact.clone())], vec![]),
        ("binary", "", vec![(b"-f *?[a] $(x) \xff n\nl", artifact.clone())], vec![]),
        (
            "binary",
            "",
            vec![
                (b"my tool", artifact.clone()),
                (b"-rf", folder.clone()),
                (b"-rf/caf\xc3\xa9 \xfe\n", other.clone()),
                (b"-rf/deep", folder.clone()),
                (b".hidden", Directory(0o700)),
                (b"..dd", folder.clone()),
                (b"dangling", Link("/no/such/file")),
                (b"link", Link("my tool")),
            ],
            vec![
                (b"-rf", folder.clone()),
                (b"-rf/caf\xc3\xa9 \xfe\n", other.clone()),
                (b"-rf/deep", folder.clone()),
                (b".hidden", Directory(0o700)),
                (b"..dd", folder.clone()),
                (b"dangling", Link("/no/such/file")),
                (b"link", Link("my tool")),
            ],
        ),
        (
            "binary",
            "b *",
            vec![(b"a", other.clone()), (b"b *", artifact.clone()), (b"*", other.clone())],
            vec![(b"a", other.clone()), (b"*", other.clone())],
        ),
        (
            "binary",
            "out/-x",
            vec![(b"out", folder.clone()), (b"out/-x", artifact.clone()), (b"out/y", other.clone())],
            vec![
                (b"binary", Link("out/-x")),
                (b"out", folder.clone()),
                (b"out/-x", File(0o755, "artifact")),
                (b"out/y", other.clone()),
            ],
        ),
        (
            "java",
            "app/bin/my app.jar",
            vec![
                (b"app", folder.clone()),
                (b"app/bin", folder.clone()),
                (b"app/bin/my app.jar", artifact.clone()),
                (b"app/lib", Link("bin")),
                (b"x", other.clone()),
            ],
            vec![
                (b"binary", Link("app/bin/my app.jar")),
                (b"app", folder.clone()),
                (b"app/bin", folder.clone()),
                (b"app/bin/my app.jar", File(0o755, "artifact")),
                (b"app/lib", Link("bin")),
                (b"x", other.clone()),
            ],
        ),
        (
            "java",
            "",
            vec![
                (b"app.JaR", artifact.clone()),
                (b"application.yml", other.clone()),
                (b".env", other.clone()),
            ],
            vec![(b"application.yml", other.clone()), (b".env", other.clone())],
        ),
        ("java", "", vec![(b"app.jar?sig=1", artifact.clone())], vec![]),
        (
            "java",
            "two.jar",
            vec![(b"one.jar", other.clone()), (b"two.jar", artifact.clone())],
            vec![(b"one.jar", other.clone())],
        ),
        (
            "tomcat",
            "",
            vec![(b"my shop.WAR", artifact.clone()), (b"x.jar", other.clone())],
            vec![(b"x.jar", other.clone())],
        ),
        ("tomcat", "", vec![(b"download", artifact.clone())], vec![]),
    ];
    for (template, named, input, beside) in &table {
        for runner in runners(template) {
            let place = Place::new(Some(&tree(input)));
            let output = place.assemble(*runner, template, &[("B2I_ARTIFACT", named)]);
            assert!(output.status.success(), "{runner:?} {template}: {output:?}");
            let mut expected = tree(beside);
            expected.entry(b"binary".to_vec()).or_insert(File(0o755, "artifact"));
            assert_eq!(place.placed(), expected, "{runner:?} {template}");
            // The upload folder is gone where the user may remove it; here it owns the folder above.
            assert_eq!(place.leftovers(), Tree::new(), "{runner:?} {template}");
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(
                told.starts_with("assemble: /") && told.contains("/bin/binary is "),
                "{runner:?}: {told}"
            );
            let count = input.iter().filter(|(name, _)| !name.contains(&b'/')).count() - 1;
            assert_eq!(told.contains(&format!("{count} more placed")), count > 0, "{runner:?}: {told}");
        }
    }
}

#[test]
fn wrong_input_is_a_clear_error_that_changes_nothing() {
    let file = File(0o644, "x");
    let folder = Directory(0o755);
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        Vec<(&'static [u8], Entry)>,
        i32,
        &'static str,
    );
    let table: Vec<Case> = vec![
        ("binary", &[], vec![], 1, "/src is empty"),
        ("java", &[], vec![], 1, "put the JAR there"),
        ("tomcat", &[], vec![], 1, "put the WAR there"),
        (
            "binary",
            &[],
            vec![(b"app", folder.clone()), (b"app/server", file.clone())],
            1,
            "holds no file, only",
        ),
        ("binary", &[], vec![(b"app", Link("/bin/ls"))], 1, "holds no file, only"),
        (
            "binary",
            &[],
            vec![(b"b", file.clone()), (b"a\x1b[1m\n", file.clone()), (b".c", file.clone())],
            1,
            "several files that could be the program:\n  a?[1m?\n  b\n  .c\nname the one with B2I_ARTIFACT",
        ),
        (
            "java",
            &[],
            vec![(b"b.jar", file.clone()), (b"a.jar", file.clone()), (b"c.txt", file.clone())],
            1,
            "several files that could be the JAR:\n  a.jar\n  b.jar\nname the one",
        ),
        (
            "java",
            &[],
            vec![(b"b.txt", file.clone()), (b"a.txt", file.clone())],
            1,
            "none of them named like the JAR:\n  a.txt\n  b.txt\nname the one",
        ),
        ("tomcat", &[], vec![(b"a.war", file.clone()), (b"b.war", file.clone())], 1, "could be the WAR"),
        (
            "java",
            &[],
            vec![(b"a.jar", file.clone()), (b"binary", file.clone())],
            1,
            "something else named binary",
        ),
        (
            "binary",
            &[("B2I_ARTIFACT", "binary/x")],
            vec![(b"binary", folder.clone()), (b"binary/x", file.clone())],
            1,
            "something else named binary",
        ),
        (
            "binary",
            &[("B2I_ARTIFACT", "a")],
            vec![(b"a", file.clone()), (b"binary", Link("x"))],
            1,
            "something else named binary",
        ),
        ("binary", &[("B2I_ARTIFACT", "b")], vec![(b"a", file.clone())], 1, "names b, but"),
        ("binary", &[("B2I_ARTIFACT", "d")], vec![(b"d", folder.clone())], 1, "is a directory"),
        ("binary", &[("B2I_ARTIFACT", "l")], vec![(b"l", Link("/bin/ls"))], 1, "l in "),
        ("binary", &[("B2I_ARTIFACT", "l/ls")], vec![(b"l", Link("/bin"))], 1, "is a symbolic link"),
        ("binary", &[("B2I_ARTIFACT", "../x")], vec![(b"a", file.clone())], 2, "must be a plain path"),
        ("binary", &[("B2I_ARTIFACT", "/bin/ls")], vec![(b"a", file.clone())], 2, "must be a plain path"),
        ("binary", &[("B2I_ARTIFACT", "./a")], vec![(b"a", file.clone())], 2, "must be a plain path"),
        ("binary", &[("B2I_ARTIFACT", "a/")], vec![(b"a", file.clone())], 2, "must be a plain path"),
        ("binary", &[("S2I_DESTINATION", "tmp")], vec![(b"a", file.clone())], 2, "S2I_DESTINATION is not"),
        ("binary", &[("APP_ROOT", "app")], vec![(b"a", file.clone())], 2, "APP_ROOT is not an absolute"),
        ("tomcat", &[("B2I_CONTEXT_PATH", "shop")], vec![(b"a.war", file.clone())], 2, "B2I_CONTEXT_PATH"),
    ];
    for (template, environment, input, code, text) in &table {
        for runner in runners(template) {
            let input = tree(input);
            let place = Place::new(Some(&input));
            let output = place.assemble(*runner, template, environment);
            assert_eq!(output.status.code(), Some(*code), "{runner:?} {template}: {output:?}");
            assert!(stderr(&output).starts_with("assemble: "), "{runner:?} {template}: {output:?}");
            assert!(stderr(&output).contains(text), "{runner:?} {template}: {text}: {}", stderr(&output));
            assert_eq!(place.placed(), Tree::new(), "{runner:?} {template}");
            assert_eq!(read_tree(&place.upload.path().join("src")), input, "{runner:?} {template}");
        }
    }
}

#[test]
fn a_long_list_of_candidates_is_cut() {
    let names: Vec<String> = (0..200).map(|number| format!("file{number:03}")).collect();
    let input: Tree = names.iter().map(|name| (name.as_bytes().to_vec(), File(0o644, "x"))).collect();
    for runner in ALL {
        let output = Place::new(Some(&input)).assemble(runner, "binary", &[]);
        let text = stderr(&output);
        assert!(
            text.contains("  file019\n  and more\nname") && !text.contains("file020"),
            "{runner:?}: {text}"
        );
    }
}

#[test]
fn missing_and_wrong_places_are_named() {
    let input = tree(&[(b"server", File(0o644, "x"))]);
    for runner in ALL {
        let output = Place::new(None).assemble(runner, "binary", &[]);
        assert_eq!(output.status.code(), Some(1), "{runner:?}");
        assert!(stderr(&output).contains("/src does not exist"), "{runner:?}: {output:?}");

        let place = Place::new(None);
        std::fs::write(place.upload.path().join("src"), "x").expect("writable");
        let output = place.assemble(runner, "binary", &[]);
        assert_eq!(output.status.code(), Some(1), "{runner:?}");
        assert!(stderr(&output).contains("/src is not a directory"), "{runner:?}: {output:?}");

        let place = Place::new(Some(&input));
        std::fs::create_dir(place.root.path().join("bin/binary")).expect("writable");
        let output = place.assemble(runner, "binary", &[]);
        assert_eq!(output.status.code(), Some(1), "{runner:?}");
        assert!(stderr(&output).contains("/bin/binary is a directory"), "{runner:?}: {output:?}");

        // What a former image left is replaced, and a missing folder is made.
        let place = Place::new(Some(&input));
        std::fs::write(place.root.path().join("bin/binary"), "old").expect("writable");
        assert!(place.assemble(runner, "binary", &[]).status.success(), "{runner:?}");
        assert_eq!(place.placed(), tree(&[(b"binary", File(0o755, "x"))]), "{runner:?}");
        let place = Place::new(Some(&input));
        std::fs::remove_dir(place.root.path().join("bin")).expect("empty");
        assert!(place.assemble(runner, "binary", &[]).status.success(), "{runner:?}");
        assert_eq!(place.placed(), tree(&[(b"binary", File(0o755, "x"))]), "{runner:?}");
    }
}

#[test]
fn a_file_system_that_refuses_is_code_3() {
    if !rustix::process::geteuid().is_root() {
        panic!("this test needs root, to make a folder that belongs to somebody else");
    }
    for runner in ALL {
        let place = Place::new(Some(&tree(&[(b"server", File(0o644, "x"))])));
        let foreign = open_folder();
        std::fs::create_dir(foreign.path().join("bin")).expect("writable");
        chown(foreign.path().join("bin"), Some(0), Some(0)).expect("root");
        let app_root = foreign.path().to_str().expect("UTF-8");
        let output = place.assemble(runner, "binary", &[("APP_ROOT", app_root)]);
        assert_eq!(output.status.code(), Some(3), "{runner:?}: {output:?}");
        assert!(stderr(&output).contains("cannot move server to "), "{runner:?}: {output:?}");
        assert!(stderr(&output).contains("Permission denied"), "{runner:?}: {output:?}");
    }
}

#[test]
fn the_upload_may_lie_on_another_file_system() {
    let input = tree(&[
        (b"server", File(0o600, "artifact")),
        (b"lib", Directory(0o750)),
        (b"lib/deep er", Directory(0o1711)),
        (b"lib/deep er/a", File(0o751, "a")),
        (b"lib/link", Link("deep er/a")),
        (b"dangling", Link("/no/such/file")),
    ]);
    let mut expected = input.clone();
    expected.remove(b"server".as_slice());
    expected.insert(b"binary".to_vec(), File(0o755, "artifact"));
    for runner in ALL {
        let root = TempDir::new_in("/dev/shm").expect("a temporary file system at /dev/shm");
        set_mode(root.path(), 0o755);
        let place = Place::with_root(Some(&input), root);
        let device = |path: &Path| path.metadata().expect("there").dev();
        assert_ne!(device(place.root.path()), device(place.upload.path()), "two file systems");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let file = std::fs::File::open(place.upload.path().join("src/lib/deep er/a")).expect("readable");
        file.set_modified(time).expect("own file");
        let output = place.assemble(runner, "binary", &[]);
        assert!(output.status.success(), "{runner:?}: {output:?}");
        assert_eq!(place.placed(), expected, "{runner:?}");
        assert_eq!(place.leftovers(), Tree::new(), "{runner:?}");
        let moved = place.root.path().join("bin/lib/deep er/a").metadata().expect("there");
        assert_eq!(moved.modified().expect("a time"), time, "{runner:?}");
    }
}

#[test]
fn scripts_that_were_uploaded_stay() {
    // Plain S2I starts the image with them when they do not come from the builder image.
    for runner in ALL {
        let place = Place::new(Some(&tree(&[(b"server", File(0o644, "x"))])));
        std::fs::write(place.upload.path().join("scripts/run"), "x").expect("writable");
        assert!(place.assemble(runner, "binary", &[]).status.success(), "{runner:?}");
        assert!(place.upload.path().join("scripts/run").exists(), "{runner:?}");
        assert!(!place.upload.path().join("src").exists(), "{runner:?}");
    }
}

#[test]
fn a_war_in_a_directory_gets_a_second_name_too() {
    for runner in SHELLS {
        let place =
            Place::new(Some(&tree(&[(b"app", Directory(0o755)), (b"app/x.war", File(0o640, "war"))])));
        let output = place.assemble(runner, "tomcat", &[("B2I_ARTIFACT", "app/x.war")]);
        assert!(output.status.success(), "{runner:?}: {output:?}");
        let inode = |path: &str| place.root.path().join(path).symlink_metadata().expect("there").ino();
        assert_eq!(inode("tomcat/webapps/ROOT.war"), inode("bin/app/x.war"), "{runner:?}");
    }
}

#[test]
fn what_a_former_image_left_is_replaced_by_a_link() {
    let input = tree(&[(b"app", Directory(0o755)), (b"app/tool", File(0o640, "tool"))]);
    for runner in ALL {
        for former in [Some("elsewhere"), None] {
            let place = Place::new(Some(&input));
            let binary = place.root.path().join("bin/binary");
            match former {
                Some(target) => std::os::unix::fs::symlink(target, &binary).expect("writable"),
                None => std::fs::write(&binary, "old").expect("writable"),
            }
            let output = place.assemble(runner, "binary", &[("B2I_ARTIFACT", "app/tool")]);
            assert!(output.status.success(), "{runner:?}: {output:?}");
            assert_eq!(std::fs::read_link(&binary).expect("a link"), Path::new("app/tool"));
        }
    }
}

#[test]
fn a_war_gets_a_second_name_that_is_its_context() {
    let good = [
        ("", "ROOT.war"),
        ("/", "ROOT.war"),
        ("/shop", "shop.war"),
        ("/shop/v1", "shop#v1.war"),
        ("/a/b/c", "a#b#c.war"),
        ("/~a_b.c-d", "~a_b.c-d.war"),
        ("/root", "root.war"),
    ];
    let bad = [
        "shop",
        "//",
        "/shop/",
        "//shop",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/.",
        "/a#b",
        "/a##1",
        "/a b",
        "/ä",
        "/a\nb",
        "/*",
        "/ROOT",
        "/WEB-INF",
        "/META-INF",
        " /a",
        "/a\\b",
        "/%41",
    ];
    for runner in SHELLS {
        let input = tree(&[(b"my shop.war", File(0o640, "war"))]);
        for (path, name) in good {
            let place = Place::new(Some(&input));
            let output = place.assemble(runner, "tomcat", &[("B2I_CONTEXT_PATH", path)]);
            assert!(output.status.success(), "{runner:?} {path}: {output:?}");
            let war = place.root.path().join("tomcat/webapps").join(name);
            let binary = place.root.path().join("bin/binary").metadata().expect("there");
            let status = war.symlink_metadata().unwrap_or_else(|error| panic!("{runner:?} {path}: {error}"));
            assert_eq!((status.ino(), status.nlink(), status.mode() & 0o7777), (binary.ino(), 2, 0o755));
        }
        for path in bad {
            let place = Place::new(Some(&input));
            let output = place.assemble(runner, "tomcat", &[("B2I_CONTEXT_PATH", path)]);
            assert_eq!(output.status.code(), Some(2), "{runner:?} {path:?}: {output:?}");
            assert!(stderr(&output).contains("B2I_CONTEXT_PATH must be"), "{runner:?}: {output:?}");
            assert_eq!(place.placed(), Tree::new(), "{runner:?} {path:?}");
        }
    }
}
