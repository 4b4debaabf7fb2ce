//! Owns the road of source builds: sources to an artifact, which then takes the road of every artifact, or to an image.

mod base;
mod prepare;
mod run;
mod stage;

use super::build::build_artifact;
use super::{Built, Error, Surroundings};
use crate::detect::Facts;
use crate::plan::{Plan, PlannedProduct, SCHEMA_VERSION, SourceStage};
use crate::request::Request;
use crate::source_build::SourceBuildRequest;

/// Plans a source build. The image's own stage is there only if it does not depend on what comes of the sources.
pub(super) async fn plan(
    request: &Request,
    wanted: &SourceBuildRequest,
    surroundings: &Surroundings,
) -> Result<Plan, Error> {
    let prepared = prepare::prepare(request, wanted, surroundings).await?;
    Ok(Plan {
        schema_version: SCHEMA_VERSION,
        source: Some(prepared.stage),
        stages: Vec::new(),
        tags: request.tags.clone(),
        outputs: Vec::new(),
        warnings: Vec::new(),
    })
}

/// Builds from sources.
pub(super) async fn build(
    request: &Request,
    wanted: &SourceBuildRequest,
    surroundings: &Surroundings,
) -> Result<Built, Error> {
    let prepared = prepare::prepare(request, wanted, surroundings).await?;
    let work = run::SourceWork { request, wanted, surroundings, prepared: &prepared };
    let made = work.run().await;
    work.clean_up(made.is_err()).await;
    let artifact = made?;
    build_artifact(request, artifact, &prepared.stage, surroundings).await
}

/// Compares what was built with what was declared.
pub(super) fn check_declared(stage: &SourceStage, artifact: &str, facts: &Facts) -> Result<(), Error> {
    match &stage.product {
        PlannedProduct::Artifact { kind: Some(declared), .. } if !declared.accepts(&facts.kind) => {
            Err(Error::OtherProduct {
                builder: stage.builder.name.clone(),
                declared: declared.to_string(),
                artifact: artifact.to_owned(),
                found: facts.describe(),
            })
        }
        _ => Ok(()),
    }
}
