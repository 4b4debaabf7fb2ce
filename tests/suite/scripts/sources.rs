//! What `assemble` of the templates for compiled languages makes of sources and settings, as a false `go` and a false
//! `mvn` see it, under every shell.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;

/// Records how it was called; `list PATTERN` prints what `list.PATTERN` says, `build -o DIR` makes a program.
const FALSE_GO: &str = r#"#!/bin/sh
case $1 in
    version) echo go version go9.9 ;;
    list)
        for pattern; do :; done
        cat "$FALSE/list.$(printf %s "$pattern" | tr -d ./)" 2>/dev/null || { echo "no such module" >&2; exit 1; }
        ;;
    build)
        printf '%s\n' "$CGO_ENABLED $GOTOOLCHAIN ${GOPROXY-}" "$@" >"$FALSE/called"
        [ ! -e "$FALSE/fails" ] || { echo "undefined: x" >&2; exit 1; }
        while [ "$1" != -o ]; do shift; done
        echo program >"$2/tool"
        ;;
esac
"#;

/// Records how it was called, and makes the files that `makes` names.
const FALSE_MAVEN: &str = r#"#!/bin/sh
printf '%s\n' "$@" >"$FALSE/called"
[ ! -e "$FALSE/fails" ] || exit 1
while read -r file; do
    mkdir -p "$(dirname "$file")"
    echo "$file" >"$file"
done <"$FALSE/makes"
"#;

/// A builder with a false tool, and sources in it.
struct Builder {
    folder: TempDir,
    settings: Vec<(String, String)>,
}

impl Builder {
    fn new(tool: &str, text: &str, sources: &[(&str, &str)]) -> Self {
        let folder = open_folder();
        install_script(&folder.path().join("false").join(tool), text);
        std::fs::create_dir_all(folder.path().join("tmp/src")).expect("writable");
        let builder = Self { folder, settings: Vec::new() };
        for (path, text) in sources {
            builder.write(&format!("tmp/src/{path}"), text);
        }
        builder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }

    fn with(mut self, settings: &[(&str, &str)]) -> Self {
        self.settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        self
    }

    fn assemble(&self, runner: Runner, template: &str) -> Output {
        let root = self.folder.path();
        let mut command = runner.command(template, "assemble");
        let tools = command.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
        let mut path = root.join("false").into_os_string();
        path.push(":");
        path.push(tools.expect("a path"));
        command.env("PATH", path).env("FALSE", root.join("false"));
        command.env("S2I_DESTINATION", root.join("tmp")).env("APP_ROOT", root.join("app"));
        run(command.envs(self.settings.iter().map(|(name, value)| (name, value))))
    }

    /// How the tool was called, ROOT for the folder.
    fn called(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("false/called")).expect("it was called");
        let root = self.folder.path().to_str().expect("UTF-8");
        text.lines().map(|line| line.replace(root, "ROOT")).collect()
    }

    /// The files below `path` and what they hold.
    fn files(&self, path: &str) -> BTreeMap<String, String> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join(path)) else { return BTreeMap::new() };
        let file = |entry: std::io::Result<std::fs::DirEntry>| {
            let entry = entry.expect("readable");
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            (entry.file_name().into_string().expect("UTF-8"), text.trim().to_owned())
        };
        entries.map(file).collect()
    }
}

#[test]
fn wrong_sources_and_settings_are_said_by_every_template() {
    for runner in SHELLS {
        for (template, tool, build_file) in [
            ("golang", "go", "go.mod"),
            ("maven", "mvn", "pom.xml"),
            ("nodejs", "node", "package.json"),
            ("nginx", "nginx", "index.html"),
        ] {
            let told = |builder: &Builder, code: i32, words: &[&str]| {
                let output = builder.assemble(runner, template);
                assert_eq!(output.status.code(), Some(code), "{runner:?} {template}: {output:?}");
                for word in words {
                    assert!(stderr(&output).contains(word), "{runner:?} {template}: {output:?}");
                }
            };
            let other = [("README.md", "")];
            told(&Builder::new(tool, FALSE_GO, &other), 1, &[&format!("has no {build_file}")]);
            told(&Builder::new(tool, FALSE_GO, &[]), 1, &["tmp/src is empty"]);
            let relative = Builder::new(tool, FALSE_GO, &other).with(&[("APP_ROOT", "app")]);
            told(&relative, 2, &["APP_ROOT is not an absolute path"]);
            let file = Builder::new(tool, FALSE_GO, &[]);
            std::fs::remove_dir(file.folder.path().join("tmp/src")).expect("an empty folder");
            told(&file, 1, &["tmp/src does not exist"]);
            file.write("tmp/src", "");
            told(&file, 1, &["tmp/src is not a directory"]);
        }
    }
}

#[test]
fn go_builds_the_root_or_the_only_program_below_cmd_or_the_only_one() {
    for runner in SHELLS {
        let sources = [("go.mod", "module a\n"), ("main.go", ""), ("cmd/tool/main.go", "")];
        for (lists, settings, package) in [
            (&[("list.", "a\n")][..], &[][..], "a"),
            (&[("list.", ""), ("list.cmd", "a/cmd/tool\n")], &[], "a/cmd/tool"),
            (&[("list.", ""), ("list.cmd", ""), ("list.", "")], &[("GO_MAIN", "cmd/tool")], "./cmd/tool"),
            (&[], &[("BUILD_PACKAGE", "./x")], "./x"),
            (&[], &[("GO_MAIN", "example.com/other/tool")], "example.com/other/tool"),
        ] {
            let builder = Builder::new("go", FALSE_GO, &sources).with(settings);
            for (name, text) in lists {
                builder.write(&format!("false/{name}"), text);
            }
            let output = builder.assemble(runner, "golang");
            assert_eq!(output.status.code(), Some(0), "{runner:?}: {output:?}");
            let called = builder.called();
            assert_eq!(called[0].split(' ').take(2).collect::<Vec<_>>(), ["0", "local"]);
            assert_eq!(
                called[1..],
                [
                    "build",
                    "-trimpath",
                    "-buildvcs=false",
                    "-ldflags",
                    "-s -w -buildid=",
                    "-o",
                    "ROOT/app/out/",
                    "--",
                    package
                ],
                "{runner:?}"
            );
            assert_eq!(builder.files("app/out"), builder.files("app/out"));
            assert_eq!(builder.files("app/out").into_keys().collect::<Vec<_>>(), ["tool"]);
            assert_eq!(builder.files("app/bin")["binary"], "program");
            let mode =
                builder.folder.path().join("app/bin/binary").metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o7777, 0o755);
            assert!(!builder.folder.path().join("tmp/src").exists(), "{runner:?}: the sources are gone");
        }
    }
}

#[test]
fn go_lists_several_programs_and_hands_errors_on() {
    for runner in SHELLS {
        let sources = [("go.mod", "module a\n\nrequire b v1.0.0\n"), ("main.go", ""), ("cmd/x.go", "")];
        let builder = Builder::new("go", FALSE_GO, &sources);
        let output = builder.assemble(runner, "golang");
        assert_eq!(output.status.code(), Some(4), "{runner:?}: {output:?}");
        assert!(stderr(&output).contains("no such module"), "{runner:?}: {output:?}");
        builder.write("false/list.", "");
        builder.write("false/list.cmd", "a/cmd/one\na/cmd/two\n");
        let output = builder.assemble(runner, "golang");
        assert_eq!(output.status.code(), Some(1), "{runner:?}: {output:?}");
        assert!(
            stderr(&output).contains("  a/cmd/one\n  a/cmd/two\nname the one with GO_MAIN"),
            "{output:?}"
        );
        let broken =
            Builder::new("go", FALSE_GO, &sources).with(&[("GO_MAIN", "."), ("GO_LDFLAGS", "-X a=b")]);
        broken.write("false/fails", "");
        broken.write("tmp/src/vendor/modules.txt", "# b v1.0.0\n");
        let output = broken.assemble(runner, "golang");
        assert_eq!(output.status.code(), Some(4), "{runner:?}: {output:?}");
        assert!(stderr(&output).contains("undefined: x"), "{output:?}");
        let called = broken.called();
        assert!(
            called.contains(&"-mod=vendor".into()) && called.contains(&"-X a=b -buildid=".into()),
            "{called:?}"
        );
        let option = Builder::new("go", FALSE_GO, &sources).with(&[("GO_MAIN", "-toolexec=x")]);
        assert_eq!(option.assemble(runner, "golang").status.code(), Some(2));
    }
}

#[test]
fn maven_ships_the_one_archive_that_is_meant() {
    // Files that Maven makes, settings, the file that is shipped or the exit code.
    type Case = (&'static str, &'static [(&'static str, &'static str)], Result<&'static str, i32>);
    let table: [Case; 10] = [
        ("target/shop.war\ntarget/classes.txt", &[], Ok("shop.war")),
        (
            "target/a-sources.jar\ntarget/a-javadoc.jar\ntarget/a-tests.jar\ntarget/original-a.jar\ntarget/a-plain.jar\ntarget/a b.jar",
            &[],
            Ok("a b.jar"),
        ),
        ("target/shop.war\ntarget/shop-classes.jar", &[], Ok("shop.war")),
        ("target/a.jar\ntarget/b.jar", &[], Err(1)),
        ("target/a.jar\ntarget/b.jar", &[("MAVEN_ARTIFACT", "target/b.jar")], Ok("b.jar")),
        ("web/target/shop.war\ncore/target/core.jar", &[], Ok("shop.war")),
        ("web/target/shop.jar\ncore/target/core.jar", &[], Err(1)),
        ("web/target/shop.jar\ncore/target/core.jar", &[("MAVEN_MODULE", "web")], Ok("shop.jar")),
        ("target/classes.txt", &[], Err(4)),
        ("target/a.jar", &[("MAVEN_ARTIFACT", "../a.jar")], Err(2)),
    ];
    for runner in SHELLS {
        for (makes, settings, expected) in table {
            let builder = Builder::new("mvn", FALSE_MAVEN, &[("pom.xml", "<project/>"), ("web/pom.xml", "")]);
            builder.write("false/makes", &format!("{makes}\n"));
            let builder = builder.with(settings);
            let output = builder.assemble(runner, "maven");
            let shipped: Vec<String> = builder.files("app/out").into_keys().collect();
            match expected {
                Ok(name) => {
                    assert_eq!(output.status.code(), Some(0), "{runner:?} {makes}: {output:?}");
                    assert_eq!(shipped, [name], "{runner:?}");
                    assert!(builder.files("app/bin")["binary"].ends_with(name), "{runner:?} {makes}");
                }
                Err(code) => assert_eq!(output.status.code(), Some(code), "{runner:?} {makes}: {output:?}"),
            }
        }
    }
}

#[test]
fn maven_gets_the_settings_and_the_repository_of_the_sources() {
    for runner in SHELLS {
        let sources =
            [("pom.xml", "<project/>"), ("configuration/settings.xml", ""), (".m2/repository/a", "")];
        let builder = Builder::new("mvn", FALSE_MAVEN, &sources);
        builder.write("false/makes", "target/a.jar\n");
        let output = builder.assemble(runner, "maven");
        assert_eq!(output.status.code(), Some(0), "{runner:?}: {output:?}");
        assert_eq!(
            builder.called(),
            [
                "--batch-mode",
                "--no-transfer-progress",
                "-Dmaven.repo.local=ROOT/tmp/src/.m2/repository",
                "--offline",
                "-Daether.offline.protocols=file",
                "--settings",
                "configuration/settings.xml",
                "-Dproject.build.outputTimestamp=1980-01-01T00:00:02Z",
                "-DskipTests",
                "package",
            ]
        );
        let dated = "<project><properties><project.build.outputTimestamp>2020</project.build.outputTimestamp></properties></project>";
        let builder = Builder::new("mvn", FALSE_MAVEN, &[("pom.xml", dated), ("web/pom.xml", "")]);
        builder.write("false/makes", "web/target/a.jar\n");
        let builder = builder.with(&[
            ("MAVEN_ARGS", "-Pall *"),
            ("MAVEN_GOALS", "clean verify"),
            ("MAVEN_MODULE", "web"),
        ]);
        let output = builder.assemble(runner, "maven");
        assert_eq!(output.status.code(), Some(0), "{runner:?}: {output:?}");
        let called = builder.called().join(" ");
        assert!(called.contains("-Dmaven.repo.local=ROOT/app/cache/repository"), "{called}");
        assert!(called.ends_with("--projects web --also-make -Pall * clean verify"), "{called}");
    }
}

#[test]
fn what_the_build_before_left_is_taken_over() {
    for runner in SHELLS {
        let builder = Builder::new("mvn", FALSE_MAVEN, &[("pom.xml", "<project/>")]);
        builder.write("false/makes", "target/a.jar\n");
        builder.write("tmp/artifacts/repository/org/a.pom", "kept");
        let output = builder.assemble(runner, "maven");
        assert_eq!(output.status.code(), Some(0), "{runner:?}: {output:?}");
        assert_eq!(builder.files("app/cache/repository/org")["a.pom"], "kept");
        assert!(!builder.folder.path().join("tmp/artifacts").exists());
        let mut saving = runner.command("maven", "save-artifacts");
        let tar = must_succeed(saving.env("APP_ROOT", builder.folder.path().join("app"))).stdout;
        let mut archive = tar::Archive::new(tar.as_slice());
        let paths: Vec<String> = archive
            .entries()
            .expect("a tar")
            .map(|entry| entry.expect("an entry").path().expect("a path").display().to_string())
            .collect();
        assert!(paths.contains(&"repository/org/a.pom".to_owned()), "{runner:?}: {paths:?}");
    }
}
