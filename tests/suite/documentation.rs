//! README and `docs/`: commands run as they are written, links lead somewhere, and every flag that is named exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::build::write_bases;
use crate::environment::TestEnvironment;
use crate::fault_server::{FaultServer, answer};
use crate::registry::unique;
use crate::s2i_command::{Ended, Place};

/// Flags of other programs, and of packaged programs, that pages and messages name.
const FOREIGN: [&str; 48] = [
    // Of `tests/field`.
    "--list",
    "--quick",
    "--enable-preview",
    "--security-opt",
    "--appimage-extract",
    "--tmpfs",
    // Of the launcher of Java.
    "--source",
    "--attach",
    "--cap-add",
    "--all-targets",
    "--assimilate",
    "--batch-mode",
    "--bench",
    "--build-arg",
    "--check",
    "--chmod",
    "--chown",
    "--count",
    "--create",
    "--environment-only",
    "--fail",
    "--file",
    "--fix",
    "--flag",
    "--from",
    "--global",
    "--lib",
    "--location",
    "--locked",
    "--more",
    "--mount",
    "--no-default-features",
    "--only-keep-debug",
    "--out",
    "--release",
    "--rm",
    "--rounds",
    "--scope",
    "--seed",
    "--server",
    "--show-error",
    "--silent",
    "--split-string",
    "--stop",
    "--target",
    "--test",
    "--user",
    "--without",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("the page is there")
}

/// The blocks of a page that a shell runs: those without a language, and the `$` lines of `console` blocks.
fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for (number, part) in page.split("\n```").enumerate() {
        let (language, text) = part.split_once('\n').unwrap_or((part, ""));
        match language {
            _ if number % 2 == 0 => {}
            "" => blocks.push(text.to_owned()),
            "console" => {
                blocks.extend(text.lines().filter_map(|line| line.strip_prefix("$ ").map(str::to_owned)))
            }
            _ => {}
        }
    }
    blocks
}

/// The commands of README's table: what stands between backticks in its second column.
fn table(page: &str) -> Vec<String> {
    let section = page.split("## You have → you type\n").nth(1).expect("README has the table");
    let rows = section.lines().take_while(|line| !line.starts_with("## "));
    let cells = rows.filter_map(|row| row.strip_suffix('|')?.rsplit('|').next());
    cells.filter_map(|cell| Some(cell.trim().strip_prefix('`')?.strip_suffix('`')?.to_owned())).collect()
}

/// What Gradle makes of `application`, in short.
const START_SCRIPT: &str = r#"#!/bin/sh
home=$(cd "$(dirname "$0")/.." && pwd -P) || exit
exec java -jar "$home/lib/app.jar" "$@"
"#;

/// A directory in which the pages' names mean something. Images have other names there than other tests may have.
struct Reader {
    place: Place,
    images: Vec<(&'static str, String)>,
    texts: Vec<(&'static str, String)>,
}

impl Reader {
    fn new() -> Self {
        let place = Place::new();
        let environment = TestEnvironment::get();
        write_bases(&place.home(), |test| Some(environment.image(test)));
        std::fs::create_dir(place.home().join("bin")).expect("makes");
        let copy = |from: &Path, to: &str| {
            let to = place.work().join(to);
            std::fs::create_dir_all(to.parent().expect("it is in a directory")).expect("makes");
            let copied = Command::new("cp").arg("-R").args([from, &to]).status();
            assert!(copied.expect("cp starts").success());
        };
        copy(&root().join("examples/golang"), "shop");
        copy(&root().join("examples/golang"), "examples/golang");
        copy(&environment.fixture("app/lib"), "lib");
        copy(&environment.fixture("app/app.jar"), "app.jar");
        copy(&environment.fixture("app"), "target/quarkus-app");
        place.write("target/quarkus-app/quarkus/quarkus-application.dat", "b\n");
        copy(&environment.fixture("standalone.jar"), "build/install/app/lib/app.jar");
        place.write("build/install/app/bin/app", START_SCRIPT);
        copy(&environment.fixture("standalone.jar"), "target/app.jar");
        copy(&environment.fixture("standalone.jar"), "shop.jar");
        for name in ["shop.war", "app.war"] {
            copy(&environment.fixture("shop-jakarta.war"), name);
        }
        copy(&environment.fixture("shell-program"), "job.sh");
        for name in ["server", "greeter", "dist/app-linux-amd64"] {
            copy(&environment.fixture("program"), name);
        }
        copy(&environment.fixture("program-arm64"), "dist/app-linux-arm64");
        place.write("job.py", "#!/usr/bin/env python3\nprint('done')\n");
        place.write("config/app.properties", "a=b\n");
        place.write("sources/app.sh", "#!/bin/sh\necho \"$GREETING\"\n");
        // Names of this reader alone: it removes the images in the end, while another test may still need its own.
        let pages = unique("pages");
        let made = |name: &str| format!("b2i-test-made/{pages}-{name}");
        let images = [
            ("quay.example/builder:1", "builder:1"),
            ("team/builder", "team"),
            ("kubespheredev/s2i-binary:latest", "kubesphere:1"),
            ("kubespheredev/tomcat85-java8-centos7:latest", "kubesphere:2"),
            ("app:1", "app:1"),
            ("shop:1", "shop:1"),
            ("greeter:1", "greeter:1"),
            ("server:1", "server:1"),
            ("tool:1", "tool:1"),
            ("job:1", "job:1"),
        ];
        let images: Vec<_> = images.into_iter().map(|(name, own)| (name, made(own))).collect();
        environment.docker().stdout(&["tag", &environment.image("s2i-sclorg:1"), &images[0].1]);
        for (_, image) in &images[2..4] {
            environment.docker().stdout(&["tag", &environment.image("s2i-kubesphere:1"), image]);
        }
        let texts = vec![("registry.example", environment.registry().to_owned())];
        let reader = Self { place, images, texts };
        let commit =
            "git -c user.name=A -c user.email=a@host.example commit --quiet --allow-empty --message first";
        reader.runs("a repository", &format!("git init --quiet && {commit}"));
        reader
    }

    /// Runs a block as it is written, but for the names of images and hosts.
    fn run(&self, block: &str) -> Ended {
        let mut text = block.to_owned();
        for (name, own) in self.texts.iter().chain(&self.images) {
            text = text.replace(name, own);
        }
        let base = format!("create --base {} ", TestEnvironment::get().image("glibc:12"));
        let text = text.replace("builders create ", &format!("builders {base}"));
        let mut command = self.place.command(Path::new("sh"));
        Ended::of(command.args(["-e", "-c", &text]).output().expect("sh starts"))
    }

    fn runs(&self, name: &str, block: &str) -> Ended {
        let ended = self.run(block);
        assert_eq!(ended.code, 0, "{name}:\n{block}\n{}{}", ended.stdout, ended.stderr);
        ended
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let docker = TestEnvironment::get().docker();
        for (_, image) in &self.images {
            docker.output(&["image", "rm", "--force", image]);
        }
        let candidate = format!("{}-candidate", self.images[1].1);
        docker.output(&["image", "rm", "--force", &candidate]);
    }
}

#[test]
fn what_the_guides_tell_to_type_works() {
    let reader = Reader::new();
    for (name, expected) in [
        ("docs/from-s2i.md", 1),
        ("docs/from-dockerfile.md", 3),
        ("docs/from-kubesphere.md", 1),
        ("docs/writing-a-builder.md", 1),
        ("docs/sources.md", 1),
        ("docs/reproducible-builds.md", 1),
        ("docs/air-gapped.md", 1),
    ] {
        let blocks = blocks(&page(name));
        assert_eq!(blocks.len(), expected, "{name}: {blocks:?}");
        for block in blocks {
            reader.runs(name, &block);
        }
    }
}

#[test]
fn what_readme_shows_is_what_happens() {
    let reader = Reader::new();
    let shown = page("README.md");
    let (mut commands, mut lines) = (0, 0);
    for command in blocks(&shown).into_iter().filter(|block| block.starts_with("b2i ")) {
        commands += 1;
        let ended = reader.run(&command);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        // Lines that depend neither on the bases nor on digests.
        let output = shown.split(&format!("$ {command}\n")).nth(1).expect("it is in the page");
        let output = output.split("```").next().unwrap_or_default();
        let is_fixed = |line: &&str| {
            ["    Detected", "error:", "hint:", "shop.jar:", "  main class", "  Java"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        for line in output.lines().filter(is_fixed) {
            assert!(said.lines().any(|one| one == line), "{command} says no {line:?}:\n{said}");
            lines += 1;
        }
        let fails = output.lines().any(|line| line.starts_with("error:"));
        assert_eq!(ended.code != 0, fails, "{command}: {said}");
    }
    assert!(commands == 4 && lines >= 8, "{commands} commands, {lines} lines");
}

#[test]
fn what_readme_tells_to_type_works() {
    let archive = std::fs::read(TestEnvironment::get().fixture("archives/tool.tar.gz")).expect("a fixture");
    let digest = b2i::image::Digest::of(&archive).to_string();
    let server = FaultServer::start(move |_, out| answer(out, "200 OK", &[], &archive));
    let mut reader = Reader::new();
    reader.texts.push(("https://host.example/tool.tar.gz", server.url("/tool.tar.gz")));
    reader.texts.push(("DIGEST", digest));
    let commands = table(&page("README.md"));
    assert_eq!(commands.len(), 17, "{commands:?}");
    for command in commands {
        // A base for several platforms in a registry has tests of its own.
        let plans = command.contains("shop.jar --platform");
        reader.runs("README.md", &if plans { format!("{command} --dry-run") } else { command });
    }
    let report = reader.run("docker run --rm app:1 --print x");
    assert!(report.stdout.contains("\"greeting\":\"hello b2i\""), "{}{}", report.stdout, report.stderr);
}

#[test]
fn what_readme_answers_is_so() {
    let reader = Reader::new();
    let plan = |command: &str| -> Value {
        let printed = reader.runs("README.md", &format!("{command} --dry-run --format json")).stdout;
        let plan: Value = serde_json::from_str(&printed).expect("JSON");
        plan["stages"][0].clone()
    };
    let usual = plan("b2i build ./server");
    assert_eq!(usual["image"]["created"], "1980-01-01T00:00:00Z");
    assert_eq!(usual["image"]["user"], "1001:0");
    let other = plan("SOURCE_DATE_EPOCH=1700000000 b2i build ./server --user 4711");
    assert_eq!(other["image"]["created"], "2023-11-14T22:13:20Z");
    assert_eq!(other["image"]["user"], "4711");
    let checked = plan("b2i build shop.jar --health-cmd /check");
    assert_eq!(checked["image"]["healthCmd"], "/check");
    let base = plan("b2i build shop.jar --builder java:21");
    assert_eq!(base["builder"]["base"], "docker.io/library/eclipse-temurin:21-jre");
}

#[test]
fn the_recording_shows_what_happens() {
    let mut command = Command::new(root().join("docs/recording/record"));
    let ended = command.arg("--check").env("B2I", env!("CARGO_BIN_EXE_b2i")).output().expect("it starts");
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// The names of the fields of an object.
fn fields(document: &Value) -> impl Iterator<Item = &String> {
    document.as_object().into_iter().flat_map(|fields| fields.keys())
}

#[test]
fn the_page_on_json_names_every_field() {
    let reader = Reader::new();
    let text = page("docs/reference/json.md");
    let json = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let mut names: BTreeSet<String> = BTreeSet::new();
    let mut add = |document: &Value| names.extend(fields(document).cloned());
    let built = reader.runs("a build", "b2i build ./server -o oci:json --format json --progress json");
    add(&json(&built.stdout));
    add(&json(&built.stdout)["images"][0]);
    built.stderr.lines().for_each(|line| add(&json(line)));
    let failed = reader.run("b2i build missing --progress json");
    failed.stderr.lines().for_each(|line| add(&json(line)));
    let plan = json(&reader.runs("a plan", "b2i build ./server --dry-run --format json").stdout);
    for part in [&plan, &plan["stages"][0], &plan["outputs"][0]] {
        add(part);
    }
    for artifact in ["server", "job.sh", "shop.jar", "shop.war"] {
        add(&json(&reader.runs("inspect", &format!("b2i inspect {artifact} --format json")).stdout));
    }
    add(&json(&reader.run("b2i doctor --format json").stdout)["findings"][0]);
    names.retain(|name| !text.contains(&format!("`{name}`")));
    assert_eq!(names, BTreeSet::new());
}

/// Every page that is written for people, by its name from the root.
fn pages() -> Vec<String> {
    let mut pages =
        ["README.md", "CHANGELOG.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(str::to_owned).to_vec();
    let listed = Command::new("find")
        .args(["docs", "builder-images", "examples", "-name", "*.md"])
        .current_dir(root())
        .output();
    let listed = String::from_utf8(listed.expect("find starts").stdout).expect("UTF-8");
    pages.extend(listed.lines().map(str::to_owned));
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

#[test]
fn the_page_on_exit_codes_is_right() {
    let reader = Reader::new();
    let text = page("docs/reference/exit-codes.md");
    for (command, row) in [
        ("b2i build ./server -t docs:1 -o oci:codes", "| 0 | done |"),
        ("b2i build ./server --nonsense", "| 2 | usage or configuration |"),
        ("b2i build missing", "| 3 | input |"),
        ("b2i build config/app.properties", "| 4 | artifact |"),
        ("b2i build shop.jar --builder host.invalid/none:1 --offline", "| 5 | builder image |"),
        ("b2i build ./server -o oci-archive:missing/archive.tar", "| 7 | image |"),
        ("b2i build ./server -t 127.0.0.1:1/docs:1 --push", "| 8 | publishing |"),
        ("DOCKER_HOST=unix:///missing.sock b2i build ./server", "| 9 | engine |"),
    ] {
        let ended = reader.run(command);
        assert!(
            row.starts_with(&format!("| {} |", ended.code)),
            "{command}: {}: {}",
            ended.code,
            ended.stderr
        );
        assert!(text.contains(row), "{row}");
    }
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    for name in pages() {
        let text = page(&name);
        let here = root().join(&name);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://") && !target.starts_with('#')) {
            let path = target.split('#').next().unwrap_or(target);
            if !here.parent().expect("a page is in a directory").join(path).exists() {
                broken.push(format!("{name}: {target}"));
            }
        }
    }
    assert_eq!(broken, [""; 0]);
}

/// The words that begin with `--`, between backticks or in a block.
fn flags(text: &str) -> BTreeSet<String> {
    let is_of_flag =
        |character: char| character.is_ascii_lowercase() || character == '-' || character.is_ascii_digit();
    let mut found = BTreeSet::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 0 {
            continue;
        }
        for word in part.split([' ', '=', ',', '\n', '[', ']', '(', ')', '|']) {
            let Some(name) = word.strip_prefix("--") else { continue };
            let name: String = name.chars().take_while(|character| is_of_flag(*character)).collect();
            if name.starts_with(|first: char| first.is_ascii_lowercase()) {
                found.insert(format!("--{name}"));
            }
        }
    }
    found
}

#[test]
fn every_flag_that_is_named_exists() {
    let place = Place::new();
    let mut known: BTreeSet<String> = FOREIGN.iter().map(|flag| (*flag).to_owned()).collect();
    for line in [&["b2i", "completions", "bash"][..], &["s2i", "completion", "bash"]] {
        let ended =
            Ended::of(place.command(Path::new(line[0])).args(&line[1..]).output().expect("it starts"));
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        known.extend(
            ended.stdout.split_whitespace().map(|word| word.trim_matches(['"', ')', '|', '\'']).to_owned()),
        );
    }
    let mut unknown = Vec::new();
    let mut look = |file: &Path| {
        let text = std::fs::read_to_string(file).expect("readable");
        let named = flags(&text);
        for flag in named.difference(&known) {
            unknown.push(format!("{}: {flag}", file.strip_prefix(root()).unwrap_or(file).display()));
        }
    };
    for name in pages() {
        look(&root().join(name));
    }
    let listed = Command::new("find")
        .args(["src", "-name", "*.md", "-o", "-name", "*.rs"])
        .current_dir(root())
        .output();
    let listed = String::from_utf8(listed.expect("find starts").stdout).expect("UTF-8");
    assert!(listed.lines().count() > 300, "{listed}");
    for file in listed.lines().filter(|file| !file.starts_with("src/launcher")) {
        look(&root().join(file));
    }
    assert_eq!(unknown, [""; 0]);
}
