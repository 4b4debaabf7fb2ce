//! Owns configuration: the keys of `b2i.toml` and the merge of its levels.
//!
//! Must not read the environment or print; `cli/` does. Precedence: flag, `B2I_*` variable, the project's `b2i.toml`
//! (working directory only, not trusted), the user's file, the machine's file, built in.

pub mod error;
pub mod file;
pub mod keys;
mod levels;
pub mod settings;
mod table;
pub mod values;
mod variables;

pub use error::Error;
pub use file::FileLevel;
pub use levels::{Sources, load};
pub use settings::{Origin, Setting, TemplateDirectory, value};
pub use table::{ConfigFile, RegistryHost, RegistrySection, Settings};
pub use variables::unplaced;

#[cfg(test)]
mod tests;
