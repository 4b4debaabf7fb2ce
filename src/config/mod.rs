//! The room of configuration: the types of `b2i.toml` and how its levels merge.
//!
//! Precedence: flag, `B2I_*` variable, the project's `b2i.toml` (working directory only, not trusted), the user's
//! file, the machine's file, built in. Must not read the environment or print; `cli/` hands in what is there.

pub mod error;
pub mod file;
pub mod keys;
mod levels;
pub mod registries;
pub mod settings;
pub mod values;
mod variables;

pub use error::Error;
pub use file::{ConfigFile, FileLevel};
pub use levels::{Sources, load};
pub use registries::{RegistryHost, RegistrySection};
pub use settings::{Origin, Setting, Settings, TemplateDirectory};
pub use variables::unplaced;

#[cfg(test)]
mod tests;
