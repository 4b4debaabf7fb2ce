//! The room of builders: templates and the catalog of them, which one fits an artifact and why, what we assume of
//! each public base image, and the contract of any S2I builder image.
//!
//! Plain values in and out: it starts no container and talks to no registry or daemon. The only files it reads are
//! template folders that configuration names.

pub mod base;
pub mod built_in;
pub mod catalog;
pub mod check;
pub mod error;
pub mod folder;
pub mod image_metadata;
pub mod metadata;
pub mod observe;
pub mod placement;
pub mod s2i_contract;
pub mod scaffold;
pub mod selection;
mod suggestion;
pub mod template;
pub mod version;

#[cfg(test)]
mod sample;

pub use base::{Base, BaseAssumptions, BaseName};
pub use catalog::{Catalog, CatalogSettings, parse_builder};
pub use error::BuilderError;
pub use metadata::{ArtifactKind, Metadata, Product, ProductKind, SourceSection, Takes, Version};
pub use placement::Placement;
pub use s2i_contract::S2iContract;
pub use selection::source::{
    SourceChoice, SourceFiles, SourceSelection, SourceSelectionRequest, select_source,
};
pub use selection::{Choice, ImageChoice, Selection, SelectionRequest, Warning, select};
pub use template::{Template, TemplateOrigin};
