//! Owns the names of the result: the user's tags, or a name from the artifacts. Must not check a registry.

use std::fmt::Display;

use super::PlanError;
use crate::image::ImageReference;
use crate::request::Request;

/// Words that name a platform: `app-linux-arm64` is `app`.
const PLATFORM_WORDS: [&str; 3] = ["linux", "unknown", "static"];

pub(super) fn tags(request: &Request, names: &[&str]) -> Result<Vec<ImageReference>, PlanError> {
    if !request.tags.is_empty() {
        return Ok(request.tags.clone());
    }
    let Some(stem) = common_stem(names) else {
        return Err(PlanError::NoCommonName { names: names.iter().map(|name| (*name).to_owned()).collect() });
    };
    let tag = format!("{}:latest", repository(&stem)).parse();
    Ok(vec![tag.map_err(|source| PlanError::Tag { name: stem, source })?])
}

/// The common start of the names of one program for several platforms.
pub(super) fn common_stem(names: &[&str]) -> Option<String> {
    let (first, others) = names.split_first()?;
    let first = stem(first);
    if others.iter().all(|other| stem(other) == first) {
        return Some(first.to_owned());
    }
    let is_separator = |character: char| "-_.".contains(character);
    let mut length = first.len();
    for other in others {
        let alike = first.bytes().zip(stem(other).bytes()).take_while(|(one, two)| one == two).count();
        length = length.min(alike);
    }
    // Up to the last separator: `amd64` and `arm64` both start with `a`.
    let ends_a_word = |end: &usize| {
        let rest = |name: &str| {
            name.get(*end..).is_some_and(|rest| rest.is_empty() || rest.starts_with(is_separator))
        };
        rest(first) && others.iter().all(|other| rest(stem(other)))
    };
    let end = (1..=length).rev().find(ends_a_word)?;
    let mut common = &first[..end];
    while let Some((before, word)) = common.rsplit_once(is_separator) {
        if !PLATFORM_WORDS.contains(&word.to_ascii_lowercase().as_str()) || before.is_empty() {
            break;
        }
        common = before;
    }
    Some(common.to_owned())
}

/// Joins items in a sentence.
pub(super) fn enumerate(things: &[impl Display]) -> String {
    match things {
        [] => "none".into(),
        [one] => one.to_string(),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
    }
}

/// A valid repository name: lower case, with single separators.
fn repository(stem: &str) -> String {
    let mut name = String::new();
    let mut separator = None;
    for character in stem.to_lowercase().chars() {
        if character.is_ascii_alphanumeric() {
            name.extend(separator.take().filter(|_| !name.is_empty()));
            name.push(character);
        } else {
            // `._` or another character: one `-` replaces all of them.
            separator = Some(if separator.is_none() && "._".contains(character) { character } else { '-' });
        }
    }
    name
}

/// The artifact's name without its extension.
pub(super) fn stem(name: &str) -> &str {
    let known = [".jar", ".war", ".sh", ".py", ".bin", ".run", ".exe"];
    let ending = known.iter().find(|ending| {
        name.len() > ending.len()
            && name.is_char_boundary(name.len() - ending.len())
            && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
    });
    ending.map_or(name, |ending| &name[..name.len() - ending.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_program_has_one_name() {
        for (names, common) in [
            (&["app.jar"][..], Some("app")),
            (&["app-linux-amd64", "app-linux-arm64"], Some("app")),
            (&["app_linux_amd64", "app_linux_armv7"], Some("app")),
            (&["server", "server"], Some("server")),
            (&["app-1.2-amd64", "app-1.2-arm64"], Some("app-1.2")),
            (&["app-amd64.bin", "app-arm64.bin"], Some("app")),
            (&["app", "app-arm64"], Some("app")),
            (&["app", "application"], None),
            (&["amd64", "arm64"], None),
            (&["linux-amd64", "linux-arm64"], Some("linux")),
            (&["ä-1", "ö-1"], None),
            (&["", ""], Some("")),
        ] {
            assert_eq!(common_stem(names).as_deref(), common, "{names:?}");
        }
    }
}
