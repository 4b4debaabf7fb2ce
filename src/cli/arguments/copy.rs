//! Owns the grammar of `b2i copy`.

use clap::Args;

use crate::image::Platform;
use crate::transport::Location;

/// Copy an image between registries, layouts, archives and the daemon
///
/// Between registries, and from a layout to a registry, manifests keep every byte, and an image for several platforms
/// stays whole. An image out of a daemon or its archive keeps its config, and its layers are compressed on the way. A
/// daemon and its archive get the image for one platform, with the config and so the ID that it has.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i copy docker-daemon:app:1 registry.example/team/app:1")]
pub(in crate::cli) struct CopyArguments {
    /// Image: a registry's name, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or
    /// oci-archive:FILE[:TAG]
    #[arg(value_name = "SRC")]
    pub(in crate::cli) source: Location,
    /// Where to: a registry's name, docker-daemon:NAME, docker-archive:FILE, oci:DIR[:TAG] or
    /// oci-archive:FILE[:TAG]
    #[arg(value_name = "DST")]
    pub(in crate::cli) destination: Location,
    /// Copy the image for this platform alone, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub(in crate::cli) platform: Option<Platform>,
}
