//! Owns the list of keys in `docs/configuration.md`, and the check that the file has it.
//!
//! Must not state a fact that is not in the table.

use std::fmt::Write as _;

use crate::config::keys::{KEYS, Key, ProjectRule, REGISTRY_KEYS};
use crate::config::{FileLevel, Sources, file, load};

/// The line of the page after which everything is written from the table.
const MARK: &str = "<!-- The text below is written from the table of keys in src/config/table.rs. -->\n";

/// Set to write the page instead of comparing it.
const WRITE: &str = "B2I_WRITE_REFERENCE";

fn list() -> String {
    let defaults = load(Sources::default()).expect("no file and no variable");
    let defaults = serde_json::to_value(&defaults).expect("settings are plain data");
    let default = |key: &Key| {
        let pointer = format!("/{}/value", key.path.replace('.', "/"));
        defaults.pointer(&pointer).map(ToString::to_string)
    };
    let mut list = String::new();
    let mut section = "";
    for key in KEYS.iter().chain(REGISTRY_KEYS.iter()) {
        let parent = key.path.strip_suffix(key.name()).expect("a name ends its path").trim_end_matches('.');
        if parent.is_empty() {
            write!(list, "\n## `[{}]`\n\n", key.path).expect("writing to a String");
        } else {
            if parent != section {
                write!(list, "\n## `[{parent}]`\n").expect("writing to a String");
            }
            write!(list, "\n### `{}`\n\n", key.name()).expect("writing to a String");
        }
        section = parent;
        write_key(&mut list, key, default(key)).expect("writing to a String");
    }
    list
}

fn write_key(list: &mut String, key: &Key, default: Option<String>) -> std::fmt::Result {
    writeln!(list, "{}\n", key.text.trim())?;
    match (key.example, key.path.contains('.')) {
        ("", _) => {}
        (example, true) => writeln!(list, "* Example: `{} = {example}`", key.name())?,
        (example, false) => writeln!(list, "* Example: `{example}`")?,
    }
    if let Some(default) = default {
        writeln!(list, "* Default: `{default}`")?;
    }
    if let Some(flag) = key.flag {
        writeln!(list, "* Flag: `{flag}`")?;
    }
    let variables: Vec<String> = key.variables.iter().map(|variable| format!("`{variable}`")).collect();
    if !variables.is_empty() {
        writeln!(list, "* Environment variable: {}", variables.join(", else "))?;
    }
    match key.project {
        ProjectRule::Allowed => writeln!(list, "* In a project's file: allowed"),
        ProjectRule::Refused(reason) => {
            writeln!(list, "* In a project's file: not allowed, because {reason}")
        }
    }
}

#[test]
fn the_page_has_every_key_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    let page = std::fs::read_to_string(path).expect("the page can be read");
    let (text, _) = page.split_once(MARK).expect("the page has the mark");
    let new_page = format!("{text}{MARK}{}", list());
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, &new_page).expect("the page can be written");
        return;
    }
    assert_eq!(page, new_page, "write it with `{WRITE}=1 cargo test --lib config::tests::reference`");
}

#[test]
fn every_example_is_valid() {
    for key in KEYS.iter().chain(REGISTRY_KEYS.iter()) {
        let section = key.path.strip_suffix(key.name()).expect("a name ends its path").trim_end_matches('.');
        let section = section.replace("HOST[:PORT]", "registry.example:5000");
        let text = match (key.example, section.as_str()) {
            ("", _) => continue,
            (example, "") => format!("[{}]\n{example}\n", key.path),
            (example, section) => format!("[{section}]\n{} = {example}\n", key.name()),
        };
        if let Err(error) = file::parse(FileLevel::User, "b2i.toml".as_ref(), &text) {
            panic!("{error}");
        }
    }
}
