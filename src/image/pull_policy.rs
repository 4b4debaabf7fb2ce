//! Owns the pull policy.
//! Must not pull images.

use crate::text::{as_choice, as_text};

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Pull before every use, because the registry may have a newer image.
    Always,
    /// If it is missing.
    #[default]
    Missing,
    /// Never.
    Never,
}

impl PullPolicy {
    /// The text of each variant.
    pub(crate) const TEXTS: [(&'static str, Self); 3] =
        [("always", Self::Always), ("missing", Self::Missing), ("never", Self::Never)];
}

as_choice!(PullPolicy);
as_text!(PullPolicy);
