//! Owns the question which images there will be: which artifact becomes an image for which platform.
//!
//! Several artifacts are one program, built for several platforms. What runs on any processor becomes an image for each
//! platform that is asked for.

use super::names::enumerate;
use super::outputs::{native, outputs};
use super::{Machine, PlanError, PlanWarning};
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::image::Platform;
use crate::request::{Output, Request};

/// One image that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into the artifacts.
    pub artifact: usize,
    /// The platform, where the request decides it; else artifact and machine do.
    pub platform: Option<Platform>,
}

/// The images that are to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Those that go somewhere, in the order in which they are named.
    pub kept: Vec<Target>,
    /// Says which were asked for and go nowhere.
    pub warning: Option<PlanWarning>,
}

/// Finds out which images there will be.
///
/// # Errors
/// [`PlanError`] if artifacts and platforms do not fit each other.
pub fn targets(
    request: &Request,
    artifacts: &[(&str, &Facts)],
    machine: &Machine,
) -> Result<Targets, PlanError> {
    check_platforms(&request.platforms)?;
    let all = match artifacts {
        [(name, facts)] => of_one(name, facts, &request.platforms)?,
        several => of_several(several, &request.platforms)?,
    };
    keep_needed(request, artifacts, machine, all)
}

/// Two platforms of which one means the other would be one image.
fn check_platforms(platforms: &[Platform]) -> Result<(), PlanError> {
    for (index, one) in platforms.iter().enumerate() {
        if let Some(other) = platforms[..index].iter().find(|other| other.matches(one)) {
            return Err(PlanError::SamePlatform { one: other.clone(), other: one.clone() });
        }
    }
    Ok(())
}

fn of_one(name: &str, facts: &Facts, platforms: &[Platform]) -> Result<Vec<Target>, PlanError> {
    if let (Kind::Executable(executable), [_, _, ..]) = (&facts.kind, platforms) {
        return Err(PlanError::MissingExecutables {
            found: vec![(name.to_owned(), executable.platform.clone())],
            missing: without(platforms, |asked| asked.matches(&executable.platform)),
        });
    }
    match platforms {
        [] => Ok(vec![Target { artifact: 0, platform: None }]),
        _ => Ok(platforms
            .iter()
            .map(|platform| Target { artifact: 0, platform: Some(platform.clone()) })
            .collect()),
    }
}

fn of_several(artifacts: &[(&str, &Facts)], platforms: &[Platform]) -> Result<Vec<Target>, PlanError> {
    let mut found: Vec<(String, Platform)> = Vec::new();
    for (name, facts) in artifacts {
        let Kind::Executable(executable) = &facts.kind else {
            let is = facts.kind.word().to_owned();
            return Err(PlanError::NotExecutable { name: (*name).to_owned(), is });
        };
        // The user may know the variant that the file does not tell; of several, the order does.
        let is_free = |asked: &&Platform| !found.iter().any(|(_, taken)| taken == *asked);
        let asked = platforms.iter().filter(is_free).find(|asked| asked.matches(&executable.platform));
        let platform = match (&executable.platform.variant, asked) {
            (None, Some(asked)) => asked.clone(),
            _ => executable.platform.clone(),
        };
        if let Some((other, _)) = found.iter().find(|(_, other)| other.matches(&platform)) {
            let names = [other.clone(), (*name).to_owned()];
            return Err(PlanError::TwoForOnePlatform { names, platform });
        }
        found.push(((*name).to_owned(), platform));
    }
    if !platforms.is_empty() {
        let missing = without(platforms, |asked| found.iter().any(|(_, built)| asked.matches(built)));
        let other = found.iter().find(|(_, built)| !platforms.iter().any(|asked| asked.matches(built)));
        if let (true, Some((name, built_for))) = (missing.is_empty(), other) {
            return Err(PlanError::NotAskedFor {
                name: name.clone(),
                built_for: built_for.clone(),
                platforms: platforms.to_vec(),
            });
        }
        if !missing.is_empty() {
            return Err(PlanError::MissingExecutables { found, missing });
        }
    }
    let targets = found.into_iter().enumerate();
    Ok(targets.map(|(artifact, (_, platform))| Target { artifact, platform: Some(platform) }).collect())
}

fn without(platforms: &[Platform], is_there: impl Fn(&Platform) -> bool) -> Vec<Platform> {
    platforms.iter().filter(|platform| !is_there(platform)).cloned().collect()
}

/// Where no output keeps an index, only the image that runs there is made.
fn keep_needed(
    request: &Request,
    artifacts: &[(&str, &Facts)],
    machine: &Machine,
    mut all: Vec<Target>,
) -> Result<Targets, PlanError> {
    let platforms: Vec<Platform> = all.iter().filter_map(|target| target.platform.clone()).collect();
    if all.len() < 2 || platforms.len() < all.len() {
        return Ok(Targets { kept: all, warning: None });
    }
    let names: Vec<&str> = artifacts.iter().map(|(name, _)| *name).collect();
    let outputs = outputs(request, machine, &names);
    let single: Vec<&Output> = outputs.iter().filter(|output| !output.has_manifest()).collect();
    let Some(first) = single.first() else { return Ok(Targets { kept: all, warning: None }) };
    let native = native(first, machine, &platforms)?;
    let runs = if machine.daemon { "what the daemon runs" } else { "what this machine runs" };
    let places: Vec<String> = single.iter().map(|output| format!("`{output}`")).collect();
    let places = enumerate(&places);
    let native_platform = &platforms[native];
    let message = if single.len() == 1 {
        format!("{places} keeps one platform: it gets the image for {native_platform}, {runs}")
    } else {
        format!("{places} keep one platform each: they get the image for {native_platform}, {runs}")
    };
    if single.len() < outputs.len() {
        return Ok(Targets { kept: all, warning: Some(PlanWarning { message, hint: None }) });
    }
    let others = without(&platforms, |platform| platform == native_platform);
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let message = format!("{message}; none is made for {}", enumerate(&others));
    let hint = Some("Push with `--push`, or write to `oci:DIR` or `oci-archive:FILE`, to keep all.".into());
    let kept = vec![all.swap_remove(native)];
    Ok(Targets { kept, warning: Some(PlanWarning { message, hint }) })
}
