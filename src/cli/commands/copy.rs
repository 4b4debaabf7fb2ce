//! Owns `b2i copy`: its arguments, and the output of its result.
//!
//! Must not know how an image is copied.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::image::Platform;
use crate::ops::CopyRequest;
use crate::transport::Location;

/// Copy an image between registries, layouts, archives and the daemon
///
/// Between registries, and from a layout to a registry, manifests are copied byte for byte and an index stays complete. An
/// image from a daemon or a docker-archive keeps its config, and its layers are compressed. A daemon or a docker-archive
/// receives the image for one platform, with its config and image ID.
#[derive(Debug, Args)]
#[command(after_help = "Example: b2i copy docker-daemon:app:1 registry.example/team/app:1")]
pub(in crate::cli) struct CopyArguments {
    /// Copy from here: NAME in a registry, docker-daemon:NAME or a file
    ///
    /// Files are docker-archive:FILE, oci:DIR[:TAG] and oci-archive:FILE[:TAG].
    #[arg(value_name = "SRC", value_parser = place)]
    pub(in crate::cli) source: Location,
    /// Copy to here: the same forms as SRC
    #[arg(value_name = "DST", value_parser = place)]
    pub(in crate::cli) destination: Location,
    /// Copy only the image for this platform, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH")]
    pub(in crate::cli) platform: Option<Platform>,
}

/// Parses a location. clap shows no hint of its own, so the message has it.
fn place(text: &str) -> Result<Location, String> {
    Location::for_copy(text).map_err(|error| format!("{error}; {}", error.hint))
}

pub(in crate::cli) fn run(arguments: &CopyArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let CopyArguments { source, destination, platform } = arguments;
    let offline = settings.network.offline.value;
    if offline && destination.transport.is_registry() {
        let message = format!("cannot copy to the registry `{destination}`: `--offline` is set");
        return Err(CliError::usage(message));
    }
    if destination.name().is_some_and(|name| name.digest().is_some()) {
        return Err(CliError::usage(format!("`{destination}` has a digest; a destination needs a tag")));
    }
    let (source, platform) = (source.clone(), platform.clone());
    let request = CopyRequest { source, destination: destination.clone(), platform, offline };
    let digest = Runtime::start()?.run(&session, session.copy(&request))?;
    context.progress.finish();
    context.printer.data(&format!("{} {digest}", printable(&destination.to_string())))
}
