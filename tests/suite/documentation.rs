//! What README and `docs/` say: their commands run as they are written, and no page or hint names a flag that is none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::write_bases;
use crate::environment::TestEnvironment;
use crate::registry::unique;
use crate::s2i_command::{Ended, Place};

/// Flags of other programs, and of programs that are packaged, of which pages and messages speak.
const FOREIGN: [&str; 24] = [
    "--assimilate",
    "--bench",
    "--build-arg",
    "--check",
    "--chmod",
    "--create",
    "--file",
    "--fix",
    "--flag",
    "--from",
    "--global",
    "--locked",
    "--more",
    "--only-keep-debug",
    "--out",
    "--release",
    "--rm",
    "--scope",
    "--server",
    "--split-string",
    "--target",
    "--user",
    "--chown",
    "--mount",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn page(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("the page is there")
}

/// The blocks of a page that a shell takes: of no language, or of the console, where `$` stands before what is typed.
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

/// A place in which the pages' names mean something. Images have other names there than other tests may have.
struct Reader {
    place: Place,
    images: Vec<(&'static str, String)>,
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
        copy(&environment.fixture("app/app.jar"), "app.jar");
        copy(&environment.fixture("app/lib"), "lib");
        copy(&environment.fixture("standalone.jar"), "target/app.jar");
        copy(&environment.fixture("shop-jakarta.war"), "shop.war");
        place.write("config/app.properties", "a=b\n");
        place.write("sources/app.sh", "#!/bin/sh\necho \"$GREETING\"\n");
        // Those of this reader alone: it removes them in the end, and another test may be reading then.
        let pages = unique("pages");
        let made = |name: &str| format!("b2i-test-made/{pages}-{name}");
        let images = [
            ("quay.example/builder:1", "builder:1"),
            ("team/builder", "team"),
            ("app:1", "app:1"),
            ("shop:1", "shop:1"),
            ("greeter:1", "greeter:1"),
        ];
        let images: Vec<_> = images.into_iter().map(|(name, own)| (name, made(own))).collect();
        environment.docker().stdout(&["tag", &environment.image("s2i-sclorg:1"), &images[0].1]);
        Self { place, images }
    }

    /// Runs a block as it is written, but for the names of images.
    fn run(&self, block: &str) -> Ended {
        let mut text = block.to_owned();
        for (name, own) in &self.images {
            text = text.replace(name, own);
        }
        let base = format!("create --base {} ", TestEnvironment::get().image("glibc:12"));
        let text = text.replace("builders create ", &format!("builders {base}"));
        let mut command = self.place.command(Path::new("sh"));
        Ended::of(command.args(["-e", "-c", &text]).output().expect("sh starts"))
    }

    fn runs(&self, name: &str, block: &str) {
        let ended = self.run(block);
        assert_eq!(ended.code, 0, "{name}:\n{block}\n{}{}", ended.stdout, ended.stderr);
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
    for (name, expected) in
        [("docs/from-s2i.md", 1), ("docs/from-dockerfile.md", 3), ("docs/writing-a-builder.md", 1)]
    {
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
    let mut tried = 0;
    for command in blocks(&shown).into_iter().filter(|block| block.starts_with("b2i ")) {
        let is_here = ["app.jar", "shop.war", "examples/golang"]
            .iter()
            .any(|file| command.split(' ').any(|word| word == *file));
        if !is_here || command.contains("registry.example") {
            continue;
        }
        let ended = reader.run(&command);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        // What depends neither on the bases nor on digests.
        let output = shown.split(&format!("$ {command}\n")).nth(1).expect("it is in the page");
        let output = output.split("```").next().unwrap_or_default();
        let is_fixed = |line: &&str| {
            ["    Detected", "error:", "hint:", "  servlet", "  Java"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        for line in output.lines().filter(is_fixed) {
            assert!(said.lines().any(|one| one == line), "{command} says no {line:?}:\n{said}");
            tried += 1;
        }
        let fails = output.contains("\nerror:");
        assert_eq!(ended.code != 0, fails, "{command}: {said}");
    }
    assert!(tried >= 6, "only {tried} lines were compared");
}

/// All words that begin with `--` between backticks, or in a block.
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
fn no_page_and_no_hint_names_a_flag_that_is_none() {
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
    for name in ["README.md", "CHANGELOG.md", "builder-images/README.md"] {
        look(&root().join(name));
    }
    let listed = Command::new("find")
        .args(["docs", "src", "-name", "*.md", "-o", "-name", "*.rs"])
        .current_dir(root())
        .output();
    let listed = String::from_utf8(listed.expect("find starts").stdout).expect("UTF-8");
    assert!(listed.lines().count() > 300, "{listed}");
    for file in listed.lines().filter(|file| !file.starts_with("src/launcher")) {
        look(&root().join(file));
    }
    assert_eq!(unknown, [""; 0]);
}
