//! Owns the question which images there will be: which artifact becomes an image for which platform.
//!
//! Several artifacts are one program, built for several platforms. What runs on any processor becomes an image for each
//! platform that is asked for.

use super::names::enumerate;
use super::outputs::{native, outputs};
use super::{Machine, PlanError};
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::diagnostic::Warning;
use crate::image::Platform;
use crate::request::Request;
use crate::transport::Transport;

/// An artifact that was looked at.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub name: &'a str,
    /// What tells it from the others: its name, or where it is if several have the same.
    pub shown: String,
    pub facts: &'a Facts,
}

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
    pub warning: Option<Warning>,
}

/// Finds out which images there will be.
///
/// # Errors
/// [`PlanError`] if artifacts and platforms do not fit each other.
pub fn targets(request: &Request, artifacts: &[Input<'_>], machine: &Machine) -> Result<Targets, PlanError> {
    check_platforms(&request.platforms)?;
    let all = match artifacts {
        [one] => of_one(&one.shown, one.facts, &request.platforms)?,
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

fn of_several(artifacts: &[Input<'_>], platforms: &[Platform]) -> Result<Vec<Target>, PlanError> {
    let mut found: Vec<(String, Platform)> = Vec::new();
    for Input { shown: name, facts, .. } in artifacts {
        let Kind::Executable(executable) = &facts.kind else {
            let is = facts.kind.word().to_owned();
            return Err(PlanError::NotExecutable { name: name.clone(), is });
        };
        // The user may know the variant that the file does not tell; of several, the order does.
        let is_free = |asked: &&Platform| !found.iter().any(|(_, taken)| taken == *asked);
        let asked = platforms.iter().filter(is_free).find(|asked| asked.matches(&executable.platform));
        let platform = match (&executable.platform.variant, asked) {
            (None, Some(asked)) => asked.clone(),
            _ => executable.platform.clone(),
        };
        if let Some((other, _)) = found.iter().find(|(_, other)| other.matches(&platform)) {
            let names = [other.clone(), name.clone()];
            return Err(PlanError::TwoForOnePlatform { names, platform });
        }
        found.push((name.clone(), platform));
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
    artifacts: &[Input<'_>],
    machine: &Machine,
    mut all: Vec<Target>,
) -> Result<Targets, PlanError> {
    let platforms: Vec<Platform> = all.iter().filter_map(|target| target.platform.clone()).collect();
    if all.len() < 2 || platforms.len() < all.len() {
        return Ok(Targets { kept: all, warning: None });
    }
    let names: Vec<&str> = artifacts.iter().map(|one| one.name).collect();
    let outputs = outputs(request, machine, &names);
    let single: Vec<&Transport> = outputs.iter().filter(|output| !output.accepts_index()).collect();
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
        return Ok(Targets { kept: all, warning: Some(Warning { message, hint: None }) });
    }
    let others = without(&platforms, |platform| platform == native_platform);
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let message = format!("{message}; none is made for {}", enumerate(&others));
    let hint = Some("Push with `--push`, or write to `oci:DIR` or `oci-archive:FILE`, to keep all.".into());
    let kept = vec![all.swap_remove(native)];
    Ok(Targets { kept, warning: Some(Warning { message, hint }) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{program, request, war};
    use super::*;

    /// An executable for this platform.
    fn built_for(platform: &str) -> Facts {
        let mut facts = program();
        let Kind::Executable(executable) = &mut facts.kind else { panic!("an executable") };
        executable.platform = platform.parse().expect("a platform");
        facts
    }

    /// The targets of executables that are named by what they are built for, or why there are none.
    fn targets_of(built: &[&str], asked: &[&str], outputs: &[Transport]) -> Result<Vec<String>, String> {
        let facts: Vec<Facts> = built.iter().map(|platform| built_for(platform)).collect();
        let artifacts: Vec<Input<'_>> =
            built.iter().zip(&facts).map(|(name, facts)| input(name, facts)).collect();
        shown(&artifacts, asked, outputs)
    }

    fn input<'a>(name: &'a str, facts: &'a Facts) -> Input<'a> {
        Input { name, shown: name.to_owned(), facts }
    }

    fn shown(artifacts: &[Input<'_>], asked: &[&str], outputs: &[Transport]) -> Result<Vec<String>, String> {
        let platforms = asked.iter().map(|platform| platform.parse().expect("a platform")).collect();
        let request = Request { platforms, outputs: outputs.to_vec(), ..request() };
        let machine = Machine { daemon: true, sandbox: false, native_platform: Platform::linux("amd64") };
        let targets = targets(&request, artifacts, &machine).map_err(|error| error.to_string())?;
        let one = |target: &Target| {
            let platform = target.platform.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            format!("{} {platform}", target.artifact)
        };
        Ok(targets.kept.iter().map(one).chain(targets.warning.map(|warning| warning.message)).collect())
    }

    #[test]
    fn executables_say_what_they_are_for_and_the_request_what_they_do_not() {
        let index = [Transport::Registry];
        let of = |built: &[&str], asked: &[&str]| targets_of(built, asked, &index);
        let two = ["linux/amd64", "linux/arm64"];
        assert_eq!(of(&two, &[]), Ok(vec!["0 linux/amd64".into(), "1 linux/arm64".into()]));
        assert_eq!(of(&two, &["linux/arm64/v8", "linux/amd64"]), of(&two, &[]));
        assert_eq!(
            of(&["linux/arm", "linux/arm64"], &["linux/arm/v7", "linux/arm64"]),
            Ok(vec!["0 linux/arm/v7".into(), "1 linux/arm64".into()])
        );
        // Two of which neither says its variant: in the order in which they are asked for.
        assert_eq!(
            of(&["linux/arm", "linux/arm"], &["linux/arm/v6", "linux/arm/v7"]),
            Ok(vec!["0 linux/arm/v6".into(), "1 linux/arm/v7".into()])
        );
        assert_eq!(of(&["linux/arm/v6", "linux/arm/v7"], &[]).map(|targets| targets.len()), Ok(2));
        for (built, asked, words) in [
            (&["linux/arm", "linux/arm"][..], &[][..], "both built for linux/arm;"),
            (&["linux/arm", "linux/arm/v7"], &[], "both built for linux/arm/v7"),
            (&two, &["linux/amd64"], "asked for is linux/amd64"),
            (
                &two,
                &["linux/amd64", "linux/arm64", "linux/arm"],
                "linux/arm is asked for, and `linux/amd64` is built",
            ),
            (&["linux/amd64"], &two, "linux/arm64 is asked for"),
            (
                &["linux/amd64"],
                &["linux/amd64", "linux/amd64/v3"],
                "an image for one of them is one for the other",
            ),
        ] {
            let error = of(built, asked).expect_err(words);
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_runs_anywhere_goes_on_each_platform_that_is_asked_for() {
        let war = war();
        let of = |asked: &[&str], outputs: &[Transport]| shown(&[input("shop.war", &war)], asked, outputs);
        let index = [Transport::Registry];
        assert_eq!(of(&[], &index), Ok(vec!["0 -".into()]));
        assert_eq!(of(&["linux/arm64"], &index), Ok(vec!["0 linux/arm64".into()]));
        let two = ["linux/arm64", "linux/amd64"];
        assert_eq!(of(&two, &index), Ok(vec!["0 linux/arm64".into(), "0 linux/amd64".into()]));
        // A daemon keeps one; without another output no other is made.
        let kept = of(&two, &[Transport::Docker]).expect("targets");
        assert_eq!(kept[0], "0 linux/amd64");
        assert!(kept[1].ends_with("none is made for linux/arm64"), "{kept:?}");
        let both = of(&two, &[Transport::Docker, Transport::Registry]).expect("targets");
        assert_eq!(both.len(), 3, "{both:?}");
        let error =
            of(&["linux/arm64", "linux/s390x"], &[Transport::Docker]).expect_err("nothing for the daemon");
        assert!(error.contains("the daemon runs linux/amd64"), "{error}");
        // One foreign image goes where it is sent.
        assert_eq!(of(&["linux/arm64"], &[Transport::Docker]), Ok(vec!["0 linux/arm64".into()]));
    }
}
