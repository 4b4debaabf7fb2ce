//! Owns the labels that b2i gives every image: those that all images have, and the names of the others.
//!
//! Order of strength: the user's, then these, then the template's, then the base's. Must not apply the user's.

use std::collections::BTreeMap;

use super::{Placeholder, PlannedText};

/// Label with the names of the variables that a later build of the same sources has to set again, empty if there are
/// none: their values are in the image's environment.
pub const ENVIRONMENT_LABEL: &str = "io.b2i.source.environment";

/// Label with the place of scripts that the user named.
pub const SCRIPTS_LABEL: &str = "io.b2i.source.scripts-url";

/// Label with the runtime image, of an extended build.
pub const RUNTIME_IMAGE_LABEL: &str = "io.b2i.source.runtime-image";

/// Label with what the user said that the runtime image gets, as S2I's label of a runtime image says it.
pub const RUNTIME_ARTIFACTS_LABEL: &str = "io.b2i.source.runtime-artifacts";

/// Label with the user of `assemble` that was asked for.
pub const ASSEMBLE_USER_LABEL: &str = "io.b2i.source.assemble-user";

/// Label with the user of `assemble-runtime` that was asked for.
pub const RUNTIME_USER_LABEL: &str = "io.b2i.source.assemble-runtime-user";

/// Label with the place in the builder that files were asked to go to.
pub const DESTINATION_LABEL: &str = "io.b2i.source.destination";

/// Label with the pattern of paths that were left out.
pub const EXCLUDE_LABEL: &str = "io.b2i.source.exclude";

/// Label with how sources were fetched otherwise than S2I does, as `SourceOptions::label` writes it.
pub const FETCHED_LABEL: &str = "io.b2i.source.fetched";

/// What the labels of every image are made of.
pub(super) struct LabelFacts<'a> {
    /// The builder, as S2I's label names it; a template on a base is one that was never built.
    pub(super) builder: String,
    /// The base, as the image may name it.
    pub(super) base: String,
    pub(super) title: PlannedText,
    /// What people see; none means the title.
    pub(super) display_name: Option<&'a str>,
    /// Where others can fetch what it is of.
    pub(super) url: Option<&'a str>,
    /// S2I's location of the sources, which may be a bare name: a path names the machine that builds.
    pub(super) location: PlannedText,
    pub(super) created: &'a str,
}

/// Labels, by whether their values are known.
pub(super) struct Labels {
    pub(super) known: BTreeMap<String, String>,
    pub(super) later: Vec<(String, PlannedText)>,
}

impl Labels {
    /// The labels of every image.
    pub(super) fn new(facts: LabelFacts<'_>) -> Self {
        let base = ("org.opencontainers.image.base.name".to_owned(), facts.base.into());
        let mut labels = Self { known: BTreeMap::new(), later: vec![base] };
        labels.set("org.opencontainers.image.base.digest", Placeholder::BaseDigest);
        labels.set("io.openshift.s2i.build.image", facts.builder);
        labels.set("io.openshift.s2i.build.source-location", facts.location);
        let display_name = facts.display_name.filter(|name| !name.is_empty());
        labels.set("io.k8s.display-name", display_name.map_or_else(|| facts.title.clone(), Into::into));
        labels.set("org.opencontainers.image.created", facts.created);
        labels.set("org.opencontainers.image.title", facts.title);
        labels.set_some("org.opencontainers.image.source", facts.url);
        labels
    }

    /// Sets a label, unless its text is empty.
    pub(super) fn set(&mut self, name: &str, value: impl Into<PlannedText>) {
        match value.into() {
            PlannedText::Known(text) if text.is_empty() => {}
            PlannedText::Known(text) => {
                self.known.insert(name.to_owned(), text);
            }
            later => self.later.push((name.to_owned(), later)),
        }
    }

    /// Sets a label that has a value.
    pub(super) fn set_some(&mut self, name: &str, value: Option<&str>) {
        self.set(name, value.unwrap_or_default());
    }
}
