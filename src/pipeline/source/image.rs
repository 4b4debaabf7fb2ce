//! Owns turning the result of a source stage into an image. Must not write the image.

use std::sync::OnceLock;

use crate::assemble;
use crate::builder::{Choice, ImageChoice, Selection, SourceSelection};
use crate::engine::{Container, Diff};
use crate::error::Error;
use crate::image::{BaseImage, ImagePath};
use crate::pipeline::stage::{Assembled, StageResult, StageWork};
use crate::plan::{KnownValues, PlannedRuntime};

/// The result of a source stage, which becomes an image.
pub(crate) struct SourceResult {
    pub(crate) base: BaseImage,
    /// None if the container itself may become the image.
    pub(super) changes: Option<Diff>,
    /// Labels of the script.
    pub(super) labels: Vec<(String, String)>,
    /// The script that starts the image, if it is known that only a shell can start it.
    pub(super) shell_script: Option<ImagePath>,
    /// The container may still contain the changes.
    pub(super) container: Box<dyn Container>,
}

impl<'a> StageWork<'a> {
    /// Makes the image of a source stage.
    pub(crate) async fn of_sources(&'a self, result: SourceResult) -> Result<Assembled<'a>, Error> {
        let SourceResult { base, changes, labels, shell_script, container } = result;
        let values = KnownValues { shell_script, ..KnownValues::of_base(&base) };
        let image = match changes {
            Some(changes) => self.changed(base, changes, values, labels)?,
            None => {
                let config = assemble::finish(&base.config, &self.stage.image.resolve(&values), &labels, &[]);
                match container.planned_commit(&config) {
                    Some(commit) => StageResult::InContainer { commit, config, id: OnceLock::new() },
                    None => {
                        let changes = container.take_changes(&self.work.session.events).await?;
                        self.changed(base, changes, values, labels)?
                    }
                }
            }
        };
        let container = Some(container);
        Ok(Assembled { stage: self, image, memo: None, artifact_digest: None, container })
    }
}

/// The runtime image, or the builder.
pub(super) fn selection(source: &SourceSelection, runtime: Option<&PlannedRuntime>) -> Selection {
    if let Some(runtime) = runtime {
        let reason = "it gets the artifacts".to_owned();
        let choice = ImageChoice { reference: runtime.image.clone(), platform: None, reason };
        return Selection::Image(Box::new(choice));
    }
    match source {
        SourceSelection::Image(image) => Selection::Image(image.clone()),
        SourceSelection::Template(choice) => Selection::Template(Box::new(Choice {
            template: choice.template.clone(),
            version: choice.version.clone(),
            base: choice.base.clone(),
            platform: choice.platform.clone(),
            reason: choice.reason.clone(),
            warnings: Vec::new(),
        })),
    }
}
