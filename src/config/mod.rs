//! The room of configuration: the keys of `b2i.toml` and how its levels merge.
//!
//! Precedence: flag, `B2I_*` variable, the project's `b2i.toml` (working directory only, not trusted), the user's
//! file, the machine's file, built in. Must not read the environment or print; `cli/` does.

pub mod error;
pub mod file;
pub mod keys;
mod levels;
#[cfg(test)]
mod reference;
pub mod settings;
mod table;
pub mod values;
mod variables;

pub use error::Error;
pub use file::FileLevel;
pub use levels::{Sources, load};
pub use settings::{Origin, Setting, TemplateDirectory};
pub use table::{ConfigFile, RegistryHost, RegistrySection, Settings};
pub use variables::unplaced;

#[cfg(test)]
mod tests;
