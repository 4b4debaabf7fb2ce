//! Owns the catalog: the built-in templates and bases, and those that the configuration adds or replaces.
//!
//! It finds by name. Must not choose by facts (`selection/`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::base::{Base, BaseAssumptions, BaseName, Bases};
use super::error::BuilderError;
use super::metadata::Version;
use super::template::{Template, TemplateOrigin};
use super::{built_in, folder};
use crate::suggestion::nearest;
use crate::transport::Location;

/// The changes of the configuration to the catalog.
#[derive(Clone, Debug, Default)]
pub struct CatalogSettings {
    /// The replacement by the name of the public base, in full or in the short form.
    pub replaced_bases: BTreeMap<String, Location>,
    /// Template folders, or directories of such folders, weakest first: a template overrides an earlier one of the same
    /// name.
    pub template_directories: Vec<(PathBuf, TemplateOrigin)>,
}

#[derive(Clone, Debug)]
pub struct Catalog {
    templates: BTreeMap<String, Arc<Template>>,
    bases: Bases,
    /// The replacements by the full name of the public base.
    replaced: BTreeMap<String, BaseName>,
}

/// Whether two names differ only in their tags.
fn is_sibling(one: &str, other: &str) -> bool {
    let repository = |name: &str| name.rsplit_once(':').map(|(repository, _)| repository.to_owned());
    repository(one).is_some() && repository(one) == repository(other)
}

impl Catalog {
    /// Makes the catalog of the built-in templates and the changes in `settings`.
    ///
    /// # Errors
    /// [`BuilderError`] if a template is not valid, or if no template uses a replaced base.
    pub fn new(settings: &CatalogSettings) -> Result<Self, BuilderError> {
        let mut templates = built_in::templates()?;
        for (directory, origin) in &settings.template_directories {
            templates.extend(folder::load_all(directory, origin)?);
        }
        Self::from_parts(templates, built_in::bases()?, &settings.replaced_bases)
    }

    /// Makes a catalog of its parts. A later template overrides an earlier one of the same name.
    ///
    /// # Errors
    /// [`BuilderError::UnknownBase`] if no template uses a replaced base.
    pub fn from_parts(
        templates: Vec<Template>,
        bases: Bases,
        replaced_bases: &BTreeMap<String, Location>,
    ) -> Result<Self, BuilderError> {
        let named = templates.into_iter().map(|template| (template.name().to_owned(), Arc::new(template)));
        let mut catalog = Self { templates: named.collect(), bases, replaced: BTreeMap::new() };
        for (name, image) in replaced_bases {
            let base = catalog.base_name(name)?;
            catalog.replaced.insert(base, image.clone().into());
        }
        Ok(catalog)
    }

    /// The full name of a base that is listed or that a template uses; `name` may be the short form.
    fn base_name(&self, name: &str) -> Result<String, BuilderError> {
        let versions = self.templates.values().flat_map(|template| &template.metadata.versions);
        let mut known: Vec<String> = versions.map(|version| version.base.to_string()).collect();
        known.extend(self.bases.names().map(Into::into));
        let full = name.parse::<BaseName>().map(|base| base.to_string());
        match full {
            Ok(full) if known.contains(&full) => Ok(full),
            full => {
                let full = full.unwrap_or_else(|_| name.to_owned());
                known.sort();
                known.dedup();
                let nearest = nearest(&full, known.iter().map(String::as_str)).map(Into::into);
                let siblings = known.into_iter().filter(|base| is_sibling(base, &full)).collect();
                Err(BuilderError::UnknownBase { name: name.to_owned(), nearest, siblings })
            }
        }
    }

    /// The templates, sorted by name.
    pub fn templates(&self) -> impl Iterator<Item = &Arc<Template>> {
        self.templates.values()
    }

    /// The template with this name.
    ///
    /// # Errors
    /// [`BuilderError::UnknownTemplate`] with the names of all templates.
    pub fn template(&self, name: &str) -> Result<&Arc<Template>, BuilderError> {
        self.templates.get(name).ok_or_else(|| {
            let known = self.templates.keys().map(String::as_str);
            let nearest = nearest(name, known.clone()).map(Into::into);
            let known = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            BuilderError::UnknownTemplate { name: name.to_owned(), written: name.to_owned(), known, nearest }
        })
    }

    /// Finds the template and the versions of `NAME` or `NAME:VERSION`. Without VERSION it returns all versions.
    ///
    /// # Errors
    /// [`BuilderError::UnknownTemplate`], [`BuilderError::UnknownVersion`], each with all names.
    pub fn find(&self, text: &str) -> Result<(&Arc<Template>, Vec<&Version>), BuilderError> {
        let (name, version) = match text.split_once(':') {
            Some((name, version)) => (name, Some(version)),
            None => (text, None),
        };
        let template = self.template(name).map_err(|error| match error {
            BuilderError::UnknownTemplate { name, known, nearest, .. } => {
                BuilderError::UnknownTemplate { name, written: text.to_owned(), known, nearest }
            }
            other => other,
        })?;
        Ok((template, versions(template, version)?))
    }

    /// The base of a version, after the replacements of the configuration.
    pub fn base(&self, version: &Version) -> Base {
        let assumptions = self.bases.get(&version.base).cloned().unwrap_or_default();
        let (image, replaces) = match self.replaced.get(&version.base.to_string()) {
            None => (version.base.clone(), None),
            Some(image) => (image.clone(), Some(version.base.clone())),
        };
        Base { image, replaces, assumptions, is_observed: false }
    }

    /// The image that replaces a base.
    pub fn replacement(&self, base: &BaseName) -> Option<&BaseName> {
        self.replaced.get(&base.to_string())
    }

    /// The assumptions about a base that the user names, if it is listed.
    pub fn assumptions(&self, base: &BaseName) -> Option<&BaseAssumptions> {
        self.bases.get(base)
    }
}

/// The versions of `template` that match `version`, in the template's order: the version with this name; else all that
/// begin with it (`10` matches `10.1-jre17`, `debian` matches `debian12`); else all with this C library (`musl`).
/// Without `version`, all versions match.
///
/// # Errors
///
/// [`BuilderError::UnknownVersion`] with all names.
pub fn versions<'a>(template: &'a Template, version: Option<&str>) -> Result<Vec<&'a Version>, BuilderError> {
    let all = &template.metadata.versions;
    let Some(name) = version else { return Ok(all.iter().collect()) };
    if let Some(exact) = template.version(name) {
        return Ok(vec![exact]);
    }
    let begins =
        |version: &&Version| version.version.strip_prefix(name).is_some_and(|rest| is_border(name, rest));
    let has_libc = |version: &&Version| version.libc.is_some_and(|libc| libc.to_string() == name);
    let meant: Vec<&Version> = all.iter().filter(begins).collect();
    let meant = if meant.is_empty() { all.iter().filter(has_libc).collect() } else { meant };
    if !meant.is_empty() {
        return Ok(meant);
    }
    let known = all.iter().map(|version| version.version.as_str());
    // Another number is not a typing error: `debian9` does not mean `debian11`.
    let letters = |text: &str| text.chars().filter(|one| one.is_alphabetic()).collect::<String>();
    let slips = known.clone().filter(|known| letters(known) != letters(name));
    let nearest = nearest(name, slips).map(Into::into);
    let known = known.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(BuilderError::UnknownVersion {
        template: template.name().to_owned(),
        version: name.to_owned(),
        known,
        nearest,
    })
}

/// Whether `name` is a valid short form of `name` followed by `rest`: the cut must not be inside a word or a number.
fn is_border(name: &str, rest: &str) -> bool {
    let word_before_number = name.ends_with(|last: char| last.is_ascii_alphabetic())
        && rest.starts_with(|first: char| first.is_ascii_digit());
    !name.is_empty() && (rest.starts_with(['.', '-']) || word_before_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;
    use crate::diagnostic::{Diagnostic, FailureKind};

    #[test]
    fn finds_by_name_and_version() {
        let catalog = sample::catalog();
        for (text, versions) in [
            ("java:17", vec!["17"]),
            ("binary:musl", vec!["alpine3.22"]),
            ("binary:alpine", vec!["alpine3.22"]),
            ("tomcat", vec!["9", "10.1", "11"]),
            ("tomcat:10", vec!["10.1"]),
            ("binary:debian", vec!["debian12", "debian13"]),
            ("binary:glibc", vec!["debian12", "debian13"]),
        ] {
            let (template, found) = catalog.find(text).expect(text);
            assert!(text.starts_with(template.name()));
            assert_eq!(found.iter().map(|version| version.version.as_str()).collect::<Vec<_>>(), versions);
        }
    }

    #[test]
    fn the_hint_for_an_image_keeps_its_tag() {
        let hints = |text: &str| sample::catalog().find(text).expect_err("no template").hints();
        let last = |text: &str| hints(text).pop().expect("a hint");
        assert!(last("amazoncorretto:17").ends_with("`docker.io/library/amazoncorretto:17`"));
        assert!(last("amazoncorretto").ends_with("`docker.io/library/amazoncorretto`"));
    }

    #[test]
    fn a_replaced_base_that_nobody_uses_names_those_of_its_repository() {
        let hints = |name: &str| sample::catalog().base_name(name).expect_err("nobody uses it").hints();
        let hint = &hints("docker.io/library/golang:1.25-windowsservercore")[0];
        assert!(
            hint.starts_with("builders use these bases of the repository: `docker.io/library/golang:1."),
            "{hint}"
        );
        assert!(hints("golang:1.24-bokworm")[0].starts_with("did you mean `docker.io/library/golang:1.24-"));
        assert_eq!(hints("elsewhere.example/golang:1").len(), 1);
    }

    #[test]
    fn says_what_there_is() {
        let catalog = sample::catalog();
        let error = catalog.find("jaav").expect_err("unknown");
        let known = "`binary`, `golang`, `java`, `maven`, `nginx`, `nodejs`, `python`, `tomcat`";
        assert_eq!(error.to_string(), format!("unknown builder `jaav`; the builders are {known}"));
        assert_eq!(error.hints()[0], "did you mean `java`?");
        assert_eq!(error.kind(), FailureKind::Usage);
        let error = catalog.find("java:27").expect_err("unknown");
        assert!(error.to_string().contains("no version `27`; it has `8`, `11`, `17`, `21`, `25`"), "{error}");
        assert_eq!(error.hints(), ["pass `--builder java` to let b2i choose the version"]);
        let error = catalog.find("binary:debain12").expect_err("a slip");
        assert_eq!(error.hints()[0], "did you mean `binary:debian12`?");
        assert!(
            catalog.find("java:").is_err() && catalog.find("").is_err() && catalog.find("java:1").is_err()
        );
    }

    #[test]
    fn a_replaced_base_inherits_what_is_assumed() {
        let mirror: Location = "mirror.example/debian:12".parse().expect("valid");
        let parts = |name: &str| {
            let bases = Bases::parse("bases.toml", sample::BASES).expect("valid");
            let replaced = BTreeMap::from([(name.to_owned(), mirror.clone())]);
            Catalog::from_parts(vec![sample::template(sample::BINARY)], bases, &replaced)
        };
        let catalog = parts("debian:12-slim").expect("valid");
        let (_, versions) = catalog.find("binary:debian12").expect("there");
        let base = catalog.base(versions[0]);
        assert_eq!(base.image, BaseName::from(mirror.clone()));
        assert_eq!(
            base.replaces.map(|name| name.to_string()).as_deref(),
            Some("docker.io/library/debian:12-slim")
        );
        assert_eq!(base.assumptions.glibc.map(|version| version.to_string()).as_deref(), Some("2.36"));
        let error = parts("debian:12-slin").expect_err("not used");
        assert_eq!(error.hints()[0], "did you mean `docker.io/library/debian:12-slim`?");
        assert!(parts("builtin:static").is_ok());
    }

    #[test]
    fn a_later_template_overrides_an_earlier_one() {
        let other = sample::JAVA.replace("Runs a JAR", "Runs our JARs");
        let templates = vec![sample::template(sample::JAVA), sample::template(&other)];
        let catalog = Catalog::from_parts(templates, Bases::default(), &BTreeMap::new()).expect("valid");
        assert_eq!(catalog.template("java").expect("there").metadata.description, "Runs our JARs");
    }
}
