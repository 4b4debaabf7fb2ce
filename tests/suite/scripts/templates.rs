//! That the templates hold together: scripts with their copies, metadata with Dockerfile and assumptions on bases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

use super::*;

/// Those that take artifacts, then those that take sources.
const TEMPLATES: [&str; 8] = ["binary", "java", "tomcat", "golang", "maven", "nginx", "nodejs", "python"];
const OF_ARTIFACTS: &[&str] = TEMPLATES.split_at(3).0;
const OF_SOURCES: &[&str] = TEMPLATES.split_at(3).1;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn script(template: &str, name: &str) -> String {
    read(&templates_folder().join(template).join("s2i/bin").join(name))
}

/// The scripts that a template has.
fn scripts(template: &str) -> Vec<&'static str> {
    let has = |name: &&str| templates_folder().join(template).join("s2i/bin").join(name).is_file();
    let scripts: Vec<&str> = ["assemble", "run", "usage", "save-artifacts"].into_iter().filter(has).collect();
    assert!(scripts.len() >= 3, "{template}: {scripts:?}");
    scripts
}

fn metadata(template: &str) -> Table {
    read(&templates_folder().join(template).join("builder.toml")).parse().expect("TOML")
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let mut command = Command::new(tool("shellcheck"));
    command.args(["--shell=sh", "--severity=style"]);
    for template in TEMPLATES {
        for name in scripts(template) {
            command.arg(templates_folder().join(template).join("s2i/bin").join(name));
        }
    }
    must_succeed(command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/launcher/build.sh")));
}

#[test]
fn scripts_are_executable_and_never_trace() {
    for template in TEMPLATES {
        for name in scripts(template) {
            let text = script(template, name);
            assert!(text.starts_with("#!/bin/sh\n") && !text.contains('\r'), "{template}/{name}");
            assert!(!text.contains("set -x"), "{template}/{name}: a trace shows secrets");
            let path = templates_folder().join(template).join("s2i/bin").join(name);
            assert_eq!(
                path.metadata().expect("there").permissions().mode() & 0o111,
                0o111,
                "{template}/{name}"
            );
        }
    }
}

/// The text between the two lines that mark a shared part.
fn shared<'a>(text: &'a str, part: &str) -> &'a str {
    let begin = text.find(&format!("# --- {part}")).expect("a beginning");
    let end = text.find(&format!("# --- end of {part} ---\n")).expect("an end");
    &text[begin..end]
}

#[test]
fn what_scripts_share_is_the_same_text() {
    for (name, part, templates) in [
        ("assemble", "placing", OF_ARTIFACTS),
        ("assemble", "sources", OF_SOURCES),
        ("run", "words", &["binary", "java", "tomcat", "golang", "maven"]),
        ("run", "splitting", &["nginx", "nodejs", "python"]),
        ("run", "java", &["java", "tomcat", "maven"]),
    ] {
        let first = script(templates[0], name);
        let expected = shared(&first, part);
        assert!(expected.lines().count() > 50, "{part}");
        for template in &templates[1..] {
            assert!(shared(&script(template, name), part) == expected, "{part} differs in {template}/{name}");
        }
    }
}

#[test]
fn scripts_of_sources_split_words_as_all_others_do() {
    let all = script("binary", "run");
    let (_, splitting) = shared(&script("nginx", "run"), "splitting")
        .split_once('\n')
        .map(|(head, text)| (head.to_owned(), text.to_owned()))
        .expect("lines");
    assert!(shared(&all, "words").contains(splitting.trim_end()));
}

#[test]
fn what_is_compiled_runs_as_a_finished_artifact_does() {
    assert_eq!(script("golang", "run"), script("binary", "run"));
    assert_eq!(script("maven", "run"), script("java", "run"));
}

#[test]
fn run_assigns_no_variable_of_the_programs_environment() {
    // An assignment to a name that came from the environment changes what the program sees. LANG is meant to.
    for template in TEMPLATES {
        let text = script(template, "run");
        let code = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for word in code.flat_map(|line| line.split([' ', '\t'])) {
            let Some((name, _)) = word.split_once('=') else { continue };
            let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            if is_name
                && ![
                    "IFS",
                    "LANG",
                    "address",
                    "server",
                    "transport",
                    "suspend",
                    "docBase",
                    // Where programs and modules of the project are, and what process 1 needs.
                    "PATH",
                    "NODE_OPTIONS",
                    "PYTHONPATH",
                ]
                .contains(&name)
            {
                assert!(name.starts_with("b2i_"), "{template}/run assigns {name}");
            }
        }
    }
}

#[test]
fn usage_names_every_setting_of_the_scripts() {
    for template in TEMPLATES {
        let usage = must_succeed(&mut Runner::Dash.command(template, "usage"));
        let usage = String::from_utf8(usage.stdout).expect("UTF-8");
        assert!(usage.lines().all(|line| line.len() < 100), "{template}");
        let scripts = script(template, "assemble") + &script(template, "run");
        let known: BTreeSet<&str> = scripts
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| {
                ["ARGS", "PORT"].contains(word)
                    || ["JAVA_", "B2I_", "TOMCAT_", "GO_", "MAVEN_", "NPM_", "SITE_", "APP_"]
                        .iter()
                        .any(|prefix| word.starts_with(prefix))
                    || word.ends_with("_PROXY")
            })
            .filter(|word| !["JAVA_HOME", "MAVEN_CONFIG"].contains(word))
            .collect();
        // What only the shared part knows does not matter to Tomcat.
        for name in known {
            assert!(usage.contains(name), "{template}: usage does not say what {name} is for");
        }
    }
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value.as_str().unwrap_or_else(|| panic!("{what} is a text"))
}

#[test]
fn every_version_stands_on_a_known_base_that_fits() {
    let bases: Table = read(&templates_folder().join("bases.toml")).parse().expect("TOML");
    let mut used = BTreeSet::new();
    for template in TEMPLATES {
        for version in metadata(template)["versions"].as_array().expect("versions") {
            let base = text(&version["base"], "base");
            let facts = bases.get(base).unwrap_or_else(|| panic!("{template}: nothing is assumed of {base}"));
            used.insert(base.to_owned());
            if base != "builtin:static" {
                assert_eq!(facts["shell"].as_bool(), Some(true), "{base}: scripts need a shell");
                assert_eq!(
                    base.parse::<b2i::image::ImageReference>().expect("a reference").to_string(),
                    base
                );
            }
            if let Some(release) = version.get("release") {
                let tools = facts["tools"].as_table().expect("tools");
                assert!(tools.values().any(|tool| tool == release), "{template} on {base}: release");
            }
            for (key, fact) in [("libc", "libc"), ("glibc", "glibc"), ("level", "java"), ("tomcat", "tomcat")]
            {
                if let Some(stated) = version.get(key) {
                    assert_eq!(facts.get(fact), Some(stated), "{template} on {base}: {key}");
                }
            }
            for platform in facts["platforms"].as_array().expect("platforms") {
                let platform = text(platform, "platform");
                assert_eq!(platform.parse::<b2i::image::Platform>().expect("valid").to_string(), platform);
            }
        }
    }
    assert_eq!(used, bases.keys().cloned().collect(), "every base is used by a template");
}

/// The instructions of a Dockerfile, continued lines joined.
fn instructions(template: &str) -> Vec<(String, String)> {
    read(&templates_folder().join(template).join("Dockerfile"))
        .replace("\\\n", " ")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("an instruction and its value"))
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
        .collect()
}

#[test]
fn dockerfiles_make_the_config_that_the_metadata_states() {
    for template in TEMPLATES {
        let metadata = metadata(template);
        let image = metadata["image"].as_table().expect("image");
        let instructions = instructions(template);
        let last = |name: &str| {
            let found = instructions.iter().rev().find(|(instruction, _)| instruction == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_else(|| panic!("{template}: no {name}"))
        };
        assert_eq!(last("USER"), text(&image["user"], "user"));
        assert_eq!(last("WORKDIR"), text(&image["working-directory"], "working directory"));
        // Plain s2i passes its own command to an entrypoint. The metadata is about the images that b2i makes.
        assert_eq!(last("ENTRYPOINT"), "[]");
        assert_eq!(last("CMD"), "[\"/usr/libexec/s2i/usage\"]");
        let pairs = |table: &str, quote: &str| -> String {
            let table = image[table].as_table().expect("a table");
            let sorted: BTreeMap<_, _> = table.iter().collect();
            let pairs: Vec<String> = sorted
                .into_iter()
                .map(|(name, value)| format!("{name}={quote}{}{quote}", text(value, name)))
                .collect();
            pairs.join(" ")
        };
        assert_eq!(last("LABEL"), pairs("labels", "\""), "{template}");
        assert_eq!(last("ENV"), pairs("env", ""), "{template}");
        let run = last("RUN");
        for directory in image["directories"].as_array().expect("directories") {
            let path = text(&directory["path"], "path");
            assert!(run.contains(path), "{template}: the Dockerfile knows {path}");
        }
        for file in image.get("files").and_then(Value::as_array).into_iter().flatten() {
            let source = text(&file["source"], "source");
            assert!(templates_folder().join(template).join(source).is_file(), "{template}: {source}");
            let copied = instructions.iter().any(|(name, value)| name == "COPY" && value.contains(source));
            assert!(copied, "{template}: the Dockerfile copies {source}");
        }
    }
}
