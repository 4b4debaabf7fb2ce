//! Owns when an image is pulled. Must not know who pulls it.

use serde::Serialize;

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Before every use: the registry may have a newer one.
    Always,
    /// If it is not there.
    #[default]
    Missing,
    /// Never.
    Never,
}
