//! Owns the decision which artifact becomes an image for which platform. Must not choose builders.
//!
//! Several artifacts are one program, built for several platforms. An artifact for any processor becomes an image for each
//! requested platform.

use super::names::enumerate;
use super::outputs::{native, outputs};
use super::{Machine, PlanError};
use crate::detect::Facts;
use crate::detect::facts::Kind;
use crate::diagnostic::Warning;
use crate::image::Platform;
use crate::request::Request;
use crate::transport::Transport;

/// An artifact with its facts.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    pub name: &'a str,
    /// Its name in messages: its location if several artifacts have the same name.
    pub shown: String,
    pub facts: &'a Facts,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into the artifacts.
    pub artifact: usize,
    /// The platform; none if artifact and machine decide it.
    pub platform: Option<Platform>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets {
    /// The images that an output receives, in the order of the request.
    pub images: Vec<Target>,
    /// Names the images that no output receives.
    pub warning: Option<Warning>,
}

/// Decides which images the build makes.
///
/// # Errors
/// [`PlanError`] if artifacts and platforms do not fit each other.
pub fn targets(request: &Request, artifacts: &[Input<'_>], machine: &Machine) -> Result<Targets, PlanError> {
    check_platforms(&request.platforms)?;
    let all = match artifacts {
        [one] => of_one(&one.shown, one.facts, &request.platforms)?,
        several => of_several(several, &request.platforms)?,
    };
    leave_out_unused(request, artifacts, machine, all)
}

/// Rejects two platforms that are one image, such as `linux/arm64` and `linux/arm64/v8`.
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
            missing: without(platforms, |platform| platform.matches(&executable.platform)),
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
    let mut executables: Vec<(String, Platform)> = Vec::new();
    for Input { shown: name, facts, .. } in artifacts {
        let Kind::Executable(executable) = &facts.kind else {
            let is = facts.kind.word().to_owned();
            return Err(PlanError::NotExecutable { name: name.clone(), is });
        };
        // A file may not state its variant. Then the request decides, by the order of its platforms.
        let is_free = |platform: &&Platform| !executables.iter().any(|(_, other)| other == *platform);
        let requested = platforms.iter().filter(is_free).find(|one| one.matches(&executable.platform));
        let platform = match (&executable.platform.variant, requested) {
            (None, Some(requested)) => requested.clone(),
            _ => executable.platform.clone(),
        };
        if let Some((other, _)) = executables.iter().find(|(_, other)| other.matches(&platform)) {
            let names = [other.clone(), name.clone()];
            return Err(PlanError::TwoForOnePlatform { names, platform });
        }
        executables.push((name.clone(), platform));
    }
    if !platforms.is_empty() {
        let missing = without(platforms, |one| executables.iter().any(|(_, built)| one.matches(built)));
        let is_extra = |(_, built): &&(String, Platform)| !platforms.iter().any(|one| one.matches(built));
        let other = executables.iter().find(is_extra);
        if let (true, Some((name, built_for))) = (missing.is_empty(), other) {
            return Err(PlanError::ExtraExecutable {
                name: name.clone(),
                built_for: built_for.clone(),
                platforms: platforms.to_vec(),
            });
        }
        if !missing.is_empty() {
            return Err(PlanError::MissingExecutables { found: executables, missing });
        }
    }
    let targets = executables.into_iter().enumerate();
    Ok(targets.map(|(artifact, (_, platform))| Target { artifact, platform: Some(platform) }).collect())
}

fn without(platforms: &[Platform], is_there: impl Fn(&Platform) -> bool) -> Vec<Platform> {
    platforms.iter().filter(|platform| !is_there(platform)).cloned().collect()
}

/// Leaves out the images that no output can hold: without an index, an output holds the one for its machine.
fn leave_out_unused(
    request: &Request,
    artifacts: &[Input<'_>],
    machine: &Machine,
    mut all: Vec<Target>,
) -> Result<Targets, PlanError> {
    let platforms: Vec<Platform> = all.iter().filter_map(|target| target.platform.clone()).collect();
    if all.len() < 2 || platforms.len() < all.len() {
        return Ok(Targets { images: all, warning: None });
    }
    let names: Vec<&str> = artifacts.iter().map(|one| one.name).collect();
    let outputs = outputs(request, machine, &names);
    let single: Vec<&Transport> = outputs.iter().filter(|output| !output.accepts_index()).collect();
    let Some(first) = single.first() else { return Ok(Targets { images: all, warning: None }) };
    let native = native(first, machine, &platforms)?;
    let runs = if machine.daemon { "the daemon" } else { "this machine" };
    let places: Vec<String> = single.iter().map(|output| format!("`{output}`")).collect();
    let places = enumerate(&places);
    let native_platform = &platforms[native];
    let store = if single.len() == 1 { "stores" } else { "each store" };
    let message = format!("{places} {store} one platform: {native_platform}, which {runs} runs");
    if single.len() < outputs.len() {
        return Ok(Targets { images: all, warning: Some(Warning { message, hint: None }) });
    }
    let others = without(&platforms, |platform| platform == native_platform);
    let others: Vec<String> = others.iter().map(ToString::to_string).collect();
    let message = format!("{message}; skipping {}", enumerate(&others));
    let hint = Some("Push with `--push`, or write to `oci:DIR` or `oci-archive:FILE`, to store all.".into());
    let images = vec![all.swap_remove(native)];
    Ok(Targets { images, warning: Some(Warning { message, hint }) })
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
        Ok(targets.images.iter().map(one).chain(targets.warning.map(|warning| warning.message)).collect())
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
            (&two, &["linux/amd64"], "`--platform` names linux/amd64"),
            (
                &two,
                &["linux/amd64", "linux/arm64", "linux/arm"],
                "no executable for linux/arm; `linux/amd64` is built",
            ),
            (&["linux/amd64"], &two, "no executable for linux/arm64"),
            (&["linux/amd64"], &["linux/amd64", "linux/amd64/v3"], "mean the same image"),
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
        assert!(kept[1].ends_with("; skipping linux/arm64"), "{kept:?}");
        let both = of(&two, &[Transport::Docker, Transport::Registry]).expect("targets");
        assert_eq!(both.len(), 3, "{both:?}");
        let error =
            of(&["linux/arm64", "linux/s390x"], &[Transport::Docker]).expect_err("nothing for the daemon");
        assert!(error.contains("the daemon runs linux/amd64"), "{error}");
        // One foreign image goes where it is sent.
        assert_eq!(of(&["linux/arm64"], &[Transport::Docker]), Ok(vec!["0 linux/arm64".into()]));
    }
}
