//! Owns the labels of b2i: those of all images, and the names of the others. Must not apply the user's labels.
//!
//! Precedence: the user's labels, then these, then the template's, then the base's.

use std::collections::BTreeMap;

use super::{Placeholder, PlannedText};
use crate::builder::RecordedBase;
use crate::image::ConfigEdits;

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

/// The template that made the image, and its version. S2I's label names images only: `java:17` would mean an image of Docker Hub.
pub const TEMPLATE_LABEL: &str = "io.b2i.builder";

/// S2I's label for the builder image.
const BUILDER_IMAGE_LABEL: &str = "io.openshift.s2i.build.image";

const BASE_NAME_LABEL: &str = "org.opencontainers.image.base.name";
const BASE_DIGEST_LABEL: &str = "org.opencontainers.image.base.digest";

/// The labels that are true for one image only. If the image has none, the label of its base is removed.
const OWN_LABELS: [&str; 4] = [TEMPLATE_LABEL, BUILDER_IMAGE_LABEL, BASE_NAME_LABEL, BASE_DIGEST_LABEL];

/// The builder in the labels of an image.
pub(super) enum RecordedBuilder {
    /// The name and the version.
    Template(String),
    /// The full name.
    Image(String),
}

/// The values of the labels of all images.
pub(super) struct LabelFacts<'a> {
    pub(super) builder: RecordedBuilder,
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
        let base = base.map(|base| (BASE_NAME_LABEL.to_owned(), base));
        let mut labels = Self { known: BTreeMap::new(), later: base.into_iter().collect() };
        labels.set(BASE_DIGEST_LABEL, Placeholder::BaseDigest);
        match facts.builder {
            RecordedBuilder::Template(name) => labels.set(TEMPLATE_LABEL, name),
            RecordedBuilder::Image(name) => labels.set(BUILDER_IMAGE_LABEL, name),
        }
        labels.set("io.openshift.s2i.build.source-location", facts.location);
        let display_name = facts.display_name.filter(|name| !name.is_empty());
        labels.set("io.k8s.display-name", display_name.map_or_else(|| facts.title.clone(), Into::into));
        labels.set("org.opencontainers.image.created", facts.created);
        labels.set("org.opencontainers.image.title", facts.title);
        labels.set_some("org.opencontainers.image.source", facts.url);
        labels
    }

    /// Moves the labels without placeholders into the changes of a config, and returns the others.
    pub(super) fn apply(self, edits: &mut ConfigEdits) -> Vec<(String, PlannedText)> {
        edits.removed_labels.extend(OWN_LABELS.map(str::to_owned));
        edits.labels.extend(self.known);
        self.later
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
