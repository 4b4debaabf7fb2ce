//! Build caches: the next build of a project finds what the one before left, no other project does, and the cache's own
//! commands know them. In the sandbox they are directories whose files belong to other ids. An image has nothing of them.

use serde_json::Value;

use super::{Image, Place, Sources, b2i_build};
use crate::build::replace_bases_by;
use crate::daemonless::PushedBase;
use crate::environment::{B2iCommand, B2iOutput, TestEnvironment};
use crate::failures::assert_clean;

/// Go's own sources of a program, with an `assemble` that says first what it finds in the caches.
fn project() -> Sources {
    Sources::new()
        .with("go.mod", "module example.com/one\n\ngo 1.19\n")
        .with("main.go", "package main\n\nfunc main() { println(\"one\") }\n")
        .with_script(
            ".s2i/bin/assemble",
            "cd /opt/app-root/cache; echo found $(find . -name '*-[ad]' -type f | wc -l) of $(find . -user 1001 -type d -name build)\n\
             echo kept > mod/note; exec /usr/libexec/s2i/assemble",
        )
}

/// How many entries of Go's build cache a build says it found.
fn found(output: &B2iOutput) -> u32 {
    let line = output.stderr.lines().find_map(|line| line.split_once("| found "));
    let (_, line) = line.unwrap_or_else(|| panic!("no line in {}", output.stderr));
    assert!(line.ends_with(" of ./build"), "the directory is the script's user's: {line}");
    line.split(' ')
        .next()
        .and_then(|count| count.parse().ok())
        .unwrap_or_else(|| panic!("no number in {line}"))
}

fn of_build_caches(command: B2iCommand, cache: &std::path::Path, words: &[&str]) -> Value {
    let mut command = command.args(words).args(["--format", "json", "--cache-dir"]).arg(cache);
    let output = command.run();
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    serde_json::from_str(&output.stdout).expect("JSON")
}

/// Builds twice, and another project, and looks into the cache; `command` makes a call with its bases and its engine.
fn keeps_caches(command: impl Fn() -> B2iCommand, plain: impl Fn() -> B2iCommand) {
    let (project, other) = (project(), project());
    let output = |command: B2iCommand, sources: &Sources| {
        command.args(["build", "-o", "oci:image", "--tag", "caches:1"]).arg(sources.path())
    };
    let mut first = output(command(), &project);
    let built = first.run();
    assert_eq!(built.code, Some(0), "{}", built.stderr);
    assert_eq!(found(&built), 0, "{}", built.stderr);
    let cache = first.cache();
    let again = |sources: &Sources, words: &[&str]| {
        let mut command = output(command(), sources).args(words).arg("--cache-dir").arg(&cache);
        let built = command.run();
        assert_eq!(built.code, Some(0), "{}", built.stderr);
        assert_clean(&cache);
        built
    };
    assert!(found(&again(&project, &[])) > 10, "the second build finds what the first left");
    assert_eq!(found(&again(&other, &[])), 0, "another project does not");
    assert_eq!(found(&again(&project, &["--no-build-cache"])), 0);
    // Those who say so share theirs, and nobody else has them.
    assert_eq!(found(&again(&project, &["--cache-key", "team"])), 0);
    assert!(found(&again(&other, &["--cache-key", "team"])) > 10, "the key is the same");
    assert_eq!(found(&again(&other, &["--cache-key", "other team"])), 0);

    let info = of_build_caches(plain(), &cache, &["cache", "info"]);
    let parts = info["parts"].as_array().expect("a list");
    let part = parts.iter().find(|part| part["name"] == "build-caches").expect("is a part");
    assert_eq!(part["entries"], 8, "two projects and two keys with two caches each: {info}");
    assert!(part["bytes"].as_u64().expect("a number") > 100_000, "{info}");
    of_build_caches(plain(), &cache, &["cache", "prune"]);
    let info = of_build_caches(plain(), &cache, &["cache", "info"]);
    for part in info["parts"].as_array().expect("a list") {
        assert_eq!(part["entries"], 0, "{info}");
    }
    assert_eq!(found(&again(&project, &[])), 0, "what was pruned is gone");
    of_build_caches(plain(), &cache, &["cache", "prune"]);
}

#[test]
fn the_next_build_in_the_sandbox_finds_them() {
    let base = PushedBase::new("golang:1.19");
    let of_registry = |test: &str| (test == "golang:1.19").then(|| base.name.clone());
    for who in [B2iCommand::without_daemon, B2iCommand::as_nobody] {
        keeps_caches(|| replace_bases_by(who(), of_registry), who);
    }
}

#[test]
fn the_next_build_on_docker_finds_them() {
    let environment = TestEnvironment::get();
    let docker = environment.docker();
    keeps_caches(
        || replace_bases_by(B2iCommand::new(), |test| Some(environment.image(test))).daemon(&docker),
        || B2iCommand::new().daemon(&docker),
    );
}

#[test]
fn an_image_has_the_templates_directory_where_a_cache_was() {
    let environment = TestEnvironment::get();
    let base = PushedBase::new("python:3.11");
    let sources = Sources::new().with("requirements.txt", "").with_script(
        ".s2i/bin/assemble",
        "cp -R /tmp/src/. /opt/app-root/src/; cd /opt/app-root/cache/pip; [ ! -e note ] || echo found $(cat note); \
         echo kept >note",
    );
    let daemons = environment.daemons().into_iter().map(Place::Daemon);
    let seen = daemons.chain([Place::Sandbox]).map(|place| {
        let name_of = |test: &str| match &place {
            Place::Daemon(_) => Some(environment.image(test)),
            Place::Sandbox => (test == "python:3.11").then(|| base.name.clone()),
        };
        let home = tempfile::tempdir().expect("a temporary directory can be made");
        let build = || {
            let command = replace_bases_by(b2i_build(&place, "python:3.11", &sources), name_of);
            Image::build_by(&place, command.env("XDG_CACHE_HOME", home.path()))
        };
        // The cache is there, and has something, before the second build.
        let images = [build(), build()];
        assert!(images[1].messages.contains("| found kept"), "{}", images[1].messages);
        assert_clean(&home.path().join("b2i"));
        let prune = match &place {
            Place::Daemon(daemon) => B2iCommand::new().daemon(daemon),
            Place::Sandbox => B2iCommand::without_daemon(),
        };
        of_build_caches(prune, &home.path().join("b2i"), &["cache", "prune"]);
        images.map(|image| {
            let stat = "stat -c '%n %u:%g %a %F' /opt/app-root /opt/app-root/cache /opt/app-root/cache/pip; \
                ls -A /opt/app-root/cache/pip; stat -c '%n %u:%g %a' /opt/app-root/src/requirements.txt";
            image.shell(stat)
        })
    });
    let seen: Vec<[String; 2]> = seen.collect();
    let wanted = "/opt/app-root 1001:0 775 directory\n/opt/app-root/cache 1001:0 775 directory\n\
        /opt/app-root/cache/pip 1001:0 775 directory\n/opt/app-root/src/requirements.txt 1001:0 644";
    for images in seen {
        assert_eq!(images, [wanted, wanted]);
    }
}
