//! Owns the declared facts of an artifact that sources will become. Must not plan its image.
//!
//! Precedence: the user's builder, then the declaration of the source builder, then the project.

use std::sync::Arc;

use super::prepare::PreparedSource;
use crate::builder::selection::source::{DeclaredPackage, declared_package};
use crate::builder::{ArtifactKind, Catalog, ProductKind, SourceSelection, Takes};
use crate::detect::Facts;
use crate::detect::facts::{ExecutableFacts, JarFacts, Kind, Linkage, ServletApi, WarFacts};
use crate::error::Error;
use crate::fs::FileError;
use crate::image::Platform;
use crate::input::{Artifact, FileContent, Origin};
use crate::pipeline::prepare::{ExaminedArtifact, neighbours};
use crate::plan::PlannedProduct;
use crate::request::{BuilderRequest, Request};
use crate::session::Session;

/// The artifact of a source stage with its declared facts, without bytes; its path if nothing declares its kind.
pub(super) async fn declared(
    request: &Request,
    prepared: &PreparedSource,
    session: &Session,
) -> Result<Result<ExaminedArtifact, String>, Error> {
    let PlannedProduct::Artifact { kind, places } = &prepared.stage.product else {
        unreachable!("only an artifact is declared")
    };
    let place = places.first().map(ToString::to_string).unwrap_or_default();
    let builder = requested_builder(request, session)?;
    let package = declared_package(&prepared.tree);
    let Some(product) = product(*kind, &builder, package, &place) else { return Ok(Err(place)) };
    let declaration = Declaration {
        platform: prepared.stage.platform.clone(),
        level: level(request, prepared),
        servlet_api: package.and_then(|package| package.servlet_api),
    };
    // Nothing reads the file: the plan is shown or rendered, never executed.
    let directory = prepared.lease.temporary_directory();
    let empty = tempfile::NamedTempFile::new_in(directory)
        .map_err(|source| Error::Output(FileError::new("create a file in", directory, source)))?;
    let artifact = Artifact {
        name: prepared.tree.name.clone(),
        size: 0,
        sha256: None,
        origin: Origin::Sources { location: prepared.tree.info.location.clone() },
        content: FileContent::temporary(empty),
        tree_path: None,
        added: crate::input::added(&request.input.added).await?,
        left_out: 0,
        has_other_platforms: false,
    };
    let facts = Facts { size: 0, kind: declaration.facts(product) };
    let (source, artifact) = (artifact.name.clone(), Arc::new(artifact));
    let neighbours = neighbours(&artifact)?;
    Ok(Ok(ExaminedArtifact { source, artifact, facts, neighbours, is_declared: true }))
}

/// The kinds of artifact that the user's builder accepts.
fn requested_builder(request: &Request, session: &Session) -> Result<RequestedBuilder, Error> {
    Ok(match &request.builder {
        None => RequestedBuilder::Nothing,
        Some(BuilderRequest::Image(_)) => RequestedBuilder::Image,
        Some(BuilderRequest::Template { name, .. }) => {
            let catalog = Catalog::new(&session.host.catalog)?;
            match &catalog.template(name)?.metadata.takes {
                Takes::Artifacts(section) => RequestedBuilder::Template(section.kinds.clone()),
                // Its selection fails later, with the reason.
                Takes::Sources(_) => RequestedBuilder::Image,
            }
        }
    })
}

/// The user's choice of a builder.
enum RequestedBuilder {
    Nothing,
    Image,
    Template(Vec<ArtifactKind>),
}

/// The kind of artifact that the sources become; none if unknown.
fn product(
    declared: Option<ProductKind>,
    builder: &RequestedBuilder,
    package: Option<DeclaredPackage>,
    place: &str,
) -> Option<ProductKind> {
    let takes = |kind| matches!(builder, RequestedBuilder::Template(kinds) if kinds.contains(&kind));
    match declared {
        Some(ProductKind::Java) => Some(match package {
            _ if takes(ArtifactKind::War) && !takes(ArtifactKind::Jar) => ProductKind::War,
            _ if takes(ArtifactKind::Jar) && !takes(ArtifactKind::War) => ProductKind::Jar,
            Some(DeclaredPackage { is_war: true, .. }) => ProductKind::War,
            _ => ProductKind::Jar,
        }),
        Some(kind) => Some(kind),
        None if place.ends_with(".war") || takes(ArtifactKind::War) => Some(ProductKind::War),
        None if place.ends_with(".jar") || takes(ArtifactKind::Jar) => Some(ProductKind::Jar),
        None => match builder {
            RequestedBuilder::Nothing => None,
            RequestedBuilder::Image | RequestedBuilder::Template(_) => Some(ProductKind::Executable),
        },
    }
}

/// The Java level of the classes: the builder's, unless the user sets a version.
fn level(request: &Request, prepared: &PreparedSource) -> Option<u32> {
    match (&request.builder, &prepared.selection) {
        (Some(BuilderRequest::Template { version: Some(_), .. }), _) => None,
        (_, SourceSelection::Template(choice)) => choice.version.level,
        (_, SourceSelection::Image(_)) => None,
    }
}

/// The declared facts.
struct Declaration {
    platform: Platform,
    level: Option<u32>,
    servlet_api: Option<ServletApi>,
}

impl Declaration {
    fn facts(self, product: ProductKind) -> Kind {
        match product {
            // For a dynamic executable, the user sets `--builder` and its version.
            ProductKind::Executable => Kind::Executable(ExecutableFacts {
                platform: self.platform,
                linkage: Linkage::Static,
                interpreter: None,
                libc: None,
                glibc: None,
                libraries: Vec::new(),
                run_path: Vec::new(),
                built_by: None,
                packed: false,
                payload: None,
                stripped: false,
            }),
            ProductKind::Jar | ProductKind::Java => {
                Kind::Jar(JarFacts { has_main_class: true, java: self.level, ..JarFacts::default() })
            }
            ProductKind::War => Kind::War(WarFacts {
                servlet_api: self.servlet_api,
                servlet_evidence: self.servlet_api.map(|_| "`pom.xml` depends on it".to_owned()),
                java: self.level,
                ..WarFacts::default()
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_is_what_is_named_declared_or_said_by_the_project() {
        let war = Some(DeclaredPackage { is_war: true, servlet_api: None });
        let of =
            |declared, builder: &RequestedBuilder, package, place| product(declared, builder, package, place);
        let java = Some(ProductKind::Java);
        assert_eq!(of(java, &RequestedBuilder::Nothing, war, "/out"), Some(ProductKind::War));
        assert_eq!(of(java, &RequestedBuilder::Nothing, None, "/out"), Some(ProductKind::Jar));
        let only_jars = RequestedBuilder::Template(vec![ArtifactKind::Jar]);
        assert_eq!(of(java, &only_jars, war, "/out"), Some(ProductKind::Jar));
        assert_eq!(of(None, &RequestedBuilder::Nothing, None, "/out/app"), None);
        assert_eq!(of(None, &RequestedBuilder::Nothing, None, "/out/app.war"), Some(ProductKind::War));
        let programs = RequestedBuilder::Template(vec![ArtifactKind::Executable, ArtifactKind::Script]);
        assert_eq!(of(None, &programs, None, "/out/app"), Some(ProductKind::Executable));
        assert_eq!(
            of(Some(ProductKind::Executable), &RequestedBuilder::Nothing, war, "/out"),
            Some(ProductKind::Executable)
        );
    }
}
