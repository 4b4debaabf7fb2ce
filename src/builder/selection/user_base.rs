//! Owns the fit between a template and a base that the user names: the version that stands for it, and what the base lacks.
//!
//! Must not look at the base; the observations in it are assumptions by then.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::builder::base::{Base, BaseAssumptions, Tool};
use crate::builder::catalog::Catalog;
use crate::builder::metadata::Version;
use crate::builder::template::Template;
use crate::detect::facts::{GlibcVersion, ServletApi};
use crate::image::Platform;

/// The first Tomcat with `jakarta.servlet`.
const FIRST_JAKARTA: &str = "10";

/// The version of a template that is most similar to `base`, with the properties of the base.
pub(super) fn version(catalog: &Catalog, meant: &[&Version], base: &Base) -> Version {
    let assumed = &base.assumptions;
    let nearest = meant.iter().min_by_key(|version| {
        (other_tools(&catalog.base(version).assumptions, assumed), distance(version, assumed))
    });
    let nearest = (*nearest.expect("a name of versions means at least one")).clone();
    let jakarta = || FIRST_JAKARTA.parse().expect("a constant version");
    let servlet_api = assumed.tomcat.as_ref().map(|tomcat| match *tomcat >= jakarta() {
        true => ServletApi::Jakarta,
        false => ServletApi::Javax,
    });
    Version {
        level: assumed.java,
        tomcat: assumed.tomcat.clone(),
        servlet_api,
        libc: assumed.libc,
        glibc: assumed.glibc,
        ..nearest
    }
}

/// The number of interpreters that only one of two bases has. A version for Python does not stand for a plain base.
fn other_tools(one: &BaseAssumptions, other: &BaseAssumptions) -> usize {
    let tools = |base: &BaseAssumptions| base.tools.keys().copied().collect::<BTreeSet<Tool>>();
    let has_java = |base: &BaseAssumptions| base.java.is_some();
    tools(one).symmetric_difference(&tools(other)).count() + usize::from(has_java(one) != has_java(other))
}

/// How much a version differs from a base: the kind of base first, then its releases.
fn distance(
    version: &Version,
    base: &BaseAssumptions,
) -> (bool, bool, u32, bool, Reverse<Option<GlibcVersion>>) {
    let other_libc = version.libc.is_some() && version.libc != base.libc;
    let other_tomcat = match (&version.tomcat, &base.tomcat) {
        (Some(version), Some(base)) => !version.covers(base),
        _ => false,
    };
    let other_java = match (version.level, base.java) {
        (Some(level), Some(java)) => level.abs_diff(java),
        _ => 0,
    };
    (other_libc, other_tomcat, other_java, version.glibc > base.glibc, Reverse(version.glibc))
}

/// The need of the template that an inspected base does not meet.
pub(super) fn obstacle(template: &Template, base: &Base, platform: Option<&Platform>) -> Option<String> {
    if !base.is_observed {
        return None;
    }
    // A template may have versions for other interpreters beside.
    let needs = |property: fn(&Version) -> bool| template.metadata.versions.iter().all(property);
    let image = &base.image;
    if needs(|version| version.level.is_some()) && base.assumptions.java.is_none() {
        return Some(format!("the base `{image}` has no Java"));
    }
    if needs(|version| version.tomcat.is_some()) && base.assumptions.tomcat.is_none() {
        return Some(format!("the base `{image}` has no Tomcat"));
    }
    let platform =
        platform.filter(|_| base.assumptions.shell == Some(false) && template.has_text_scripts())?;
    crate::launcher::for_platform(platform)
        .is_none()
        .then(|| format!("the base `{image}` has no shell, and b2i has no launcher for {platform}"))
}
