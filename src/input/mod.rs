//! The room of input: from what the user named to an artifact in an open file.

pub mod artifact;
pub mod options;

pub use artifact::{AddedContent, AddedDestination, AddedFile, Artifact, FileContent, Origin};
pub use options::{AddRequest, HttpOptions, InputOptions, InputSource, ProxySettings, TreatAs};
