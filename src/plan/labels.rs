//! Owns the labels of b2i: those of all images, and the names of the others. Must not apply the user's labels.
//!
//! Precedence: the user's labels, then these, then the template's, then the base's.

use std::collections::BTreeMap;

use super::{Placeholder, PlannedText};
use crate::builder::RecordedBase;

/// Names of the variables that a rebuild sets again. Their values are in the image's environment.
pub const ENVIRONMENT_LABEL: &str = "io.b2i.source.environment";

/// The location in `--scripts-url`.
pub const SCRIPTS_LABEL: &str = "io.b2i.source.scripts-url";

/// The runtime image of an extended build.
pub const RUNTIME_IMAGE_LABEL: &str = "io.b2i.source.runtime-image";

/// The user's paths for the runtime image, in the form of S2I's label.
pub const RUNTIME_ARTIFACTS_LABEL: &str = "io.b2i.source.runtime-artifacts";

/// The requested user of `assemble`.
pub const ASSEMBLE_USER_LABEL: &str = "io.b2i.source.assemble-user";

/// The requested user of `assemble-runtime`.
pub const RUNTIME_USER_LABEL: &str = "io.b2i.source.assemble-runtime-user";

/// The requested directory for uploads in the builder.
pub const DESTINATION_LABEL: &str = "io.b2i.source.destination";

/// The pattern of excluded paths.
pub const EXCLUDE_LABEL: &str = "io.b2i.source.exclude";

/// How the fetch of the sources differed from S2I's; `SourceOptions::label` has the form.
pub const FETCHED_LABEL: &str = "io.b2i.source.fetched";

/// The values of the labels of all images.
pub(super) struct LabelFacts<'a> {
    /// The name in S2I's label; a template has no builder image.
    pub(super) builder: String,
    /// The name of the base in the image's labels.
    pub(super) base: RecordedBase,
    pub(super) title: PlannedText,
    /// The default is the title.
    pub(super) display_name: Option<&'a str>,
    /// A public location of artifact or sources.
    pub(super) url: Option<&'a str>,
    /// S2I's location of the sources. It may be a bare name, because a path would name the build machine.
    pub(super) location: PlannedText,
    pub(super) created: &'a str,
}

/// Labels with and without placeholders.
pub(super) struct Labels {
    pub(super) known: BTreeMap<String, String>,
    pub(super) later: Vec<(String, PlannedText)>,
}

impl Labels {
    /// The labels of all images.
    pub(super) fn new(facts: LabelFacts<'_>) -> Self {
        let base = match facts.base {
            RecordedBase::Name(name) => Some(name.into()),
            RecordedBase::InFile => Some(Placeholder::BaseName.into()),
            RecordedBase::Unnamed => None,
        };
        let base = base.map(|base| ("org.opencontainers.image.base.name".to_owned(), base));
        let mut labels = Self { known: BTreeMap::new(), later: base.into_iter().collect() };
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
