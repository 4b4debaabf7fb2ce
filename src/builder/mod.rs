//! Owns the builders: templates and their catalog, the selection, the assumptions about public base images, and the
//! contract of S2I builder images.
//!
//! Must not start a container nor use a registry or daemon. It reads no files except template folders of the
//! configuration.

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
pub mod template;
pub mod version;

#[cfg(test)]
mod tests;

pub use base::{Base, BaseAssumptions, BaseName, RecordedBase};
pub use catalog::{Catalog, CatalogSettings};
pub use error::BuilderError;
pub use metadata::{ArtifactKind, Metadata, Product, ProductKind, SourceSection, Takes, Version};
pub use placement::{Placement, Places, TREE_DIRECTORY};
pub use s2i_contract::S2iContract;
pub use selection::source::{SourceChoice, SourceSelection, SourceSelectionRequest, select_source};
pub use selection::{Choice, ImageChoice, Selection, SelectionRequest, Warning, select};
pub use template::{Template, TemplateOrigin};
