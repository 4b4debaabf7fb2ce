//! Owns what is declared of an artifact that sources will become: its image is planned before it is built.
//!
//! The builder that the user names says most, then what the source builder declares, then what the project says.

use super::prepare::PreparedSource;
use crate::builder::selection::source::{DeclaredPackage, declared_package};
use crate::builder::{ArtifactKind, Catalog, ProductKind, SourceSelection, Takes};
use crate::detect::Facts;
use crate::detect::facts::{ExecutableFacts, JarFacts, Kind, Linkage, ServletApi, WarFacts};
use crate::error::Error;
use crate::fs::FileError;
use crate::image::Platform;
use crate::input::{Artifact, FileContent, Origin};
use crate::plan::PlannedProduct;
use crate::request::{BuilderRequest, Request};
use crate::session::Session;

/// An artifact that is not built yet, without its bytes, and what is declared of it.
pub(crate) struct DeclaredArtifact {
    pub(crate) artifact: Artifact,
    pub(crate) facts: Facts,
}

/// What is declared of the artifact of a source stage; nothing, with the path that it will be at, if nothing tells its
/// kind.
pub(super) async fn declared(
    request: &Request,
    prepared: &PreparedSource,
    session: &Session,
) -> Result<Result<DeclaredArtifact, String>, Error> {
    let PlannedProduct::Artifact { kind, places } = &prepared.stage.product else {
        unreachable!("only an artifact is declared")
    };
    let place = places.first().map(ToString::to_string).unwrap_or_default();
    let named = named_kinds(request, session)?;
    let package = declared_package(&prepared.tree);
    let Some(product) = product(*kind, &named, package, &place) else { return Ok(Err(place)) };
    let known = Known {
        platform: prepared.stage.platform.clone(),
        level: level(request, prepared),
        servlet_api: package.and_then(|package| package.servlet_api),
    };
    // Nobody reads it: its plan is shown or written down, and not carried out.
    let directory = prepared.lease.temporary_directory();
    let empty = tempfile::NamedTempFile::new_in(directory)
        .map_err(|source| Error::Output(FileError::new("create a file in", directory, source)))?;
    let artifact = Artifact {
        name: prepared.tree.name.clone(),
        size: 0,
        sha256: None,
        origin: Origin::Sources { location: prepared.tree.info.location.clone() },
        content: FileContent::temporary(empty),
        added: crate::input::added(&request.input.added).await?,
    };
    Ok(Ok(DeclaredArtifact { artifact, facts: Facts { size: 0, kind: known.facts(product) } }))
}

/// What the builder takes that the user names; empty if none is named, or an image, which takes anything.
fn named_kinds(request: &Request, session: &Session) -> Result<Named, Error> {
    Ok(match &request.builder {
        None => Named::Nothing,
        Some(BuilderRequest::Image(_)) => Named::Image,
        Some(BuilderRequest::Template { name, .. }) => {
            let catalog = Catalog::new(&session.host.catalog)?;
            match &catalog.template(name)?.metadata.takes {
                Takes::Artifacts(section) => Named::Template(section.kinds.clone()),
                // Choosing it is refused with the reason.
                Takes::Sources(_) => Named::Image,
            }
        }
    })
}

/// What the user names to run the artifact.
enum Named {
    Nothing,
    Image,
    Template(Vec<ArtifactKind>),
}

/// What comes of the sources; none if nothing tells.
fn product(
    declared: Option<ProductKind>,
    named: &Named,
    package: Option<DeclaredPackage>,
    place: &str,
) -> Option<ProductKind> {
    let takes = |kind| matches!(named, Named::Template(kinds) if kinds.contains(&kind));
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
        None => match named {
            Named::Nothing => None,
            Named::Image | Named::Template(_) => Some(ProductKind::Executable),
        },
    }
}

/// The Java level of the classes: that of the builder's, unless the user knows better.
fn level(request: &Request, prepared: &PreparedSource) -> Option<u32> {
    match (&request.builder, &prepared.selection) {
        (Some(BuilderRequest::Template { version: Some(_), .. }), _) => None,
        (_, SourceSelection::Template(choice)) => choice.version.level,
        (_, SourceSelection::Image(_)) => None,
    }
}

/// What is known before the artifact is.
struct Known {
    platform: Platform,
    level: Option<u32>,
    servlet_api: Option<ServletApi>,
}

impl Known {
    fn facts(self, product: ProductKind) -> Kind {
        match product {
            // One that is not says so with `--builder`: then its version is the user's choice.
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
                stripped: false,
            }),
            ProductKind::Jar | ProductKind::Java => Kind::Jar(JarFacts {
                main_class: String::new(),
                has_main_class: true,
                start_class: None,
                java: self.level,
                multi_release: false,
                spring_boot: None,
                class_path: Vec::new(),
                libraries: Vec::new(),
                self_executing: false,
            }),
            ProductKind::War => Kind::War(WarFacts {
                servlet_api: self.servlet_api,
                servlet_evidence: self.servlet_api.map(|_| "`pom.xml` depends on it".to_owned()),
                java: self.level,
                main_class: None,
                start_class: None,
                spring_boot: None,
                libraries: std::collections::BTreeSet::new(),
                self_executing: false,
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
        let of = |declared, named: &Named, package, place| product(declared, named, package, place);
        let java = Some(ProductKind::Java);
        assert_eq!(of(java, &Named::Nothing, war, "/out"), Some(ProductKind::War));
        assert_eq!(of(java, &Named::Nothing, None, "/out"), Some(ProductKind::Jar));
        let only_jars = Named::Template(vec![ArtifactKind::Jar]);
        assert_eq!(of(java, &only_jars, war, "/out"), Some(ProductKind::Jar));
        assert_eq!(of(None, &Named::Nothing, None, "/out/app"), None);
        assert_eq!(of(None, &Named::Nothing, None, "/out/app.war"), Some(ProductKind::War));
        let programs = Named::Template(vec![ArtifactKind::Executable, ArtifactKind::Script]);
        assert_eq!(of(None, &programs, None, "/out/app"), Some(ProductKind::Executable));
        assert_eq!(
            of(Some(ProductKind::Executable), &Named::Nothing, war, "/out"),
            Some(ProductKind::Executable)
        );
    }
}
