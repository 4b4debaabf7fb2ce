//! Owns `b2i copy`.

use crate::cli::arguments::copy::CopyArguments;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::printable::printable;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::ops::CopyRequest;
use crate::transport::Transport;

/// Copies, and prints where to and which digest.
pub(in crate::cli) fn run(arguments: &CopyArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let CopyArguments { source, destination, platform } = arguments;
    let offline = settings.network.offline.value;
    if offline && destination.transport == Transport::Registry {
        let message = format!("`{destination}` is in a registry, and the network is not used (`--offline`)");
        return Err(CliError::usage(message));
    }
    if destination.name().is_some_and(|name| name.digest().is_some()) {
        return Err(CliError::usage(format!("`{destination}` names a digest; a tag is what is written")));
    }
    let request = CopyRequest {
        source: source.clone(),
        destination: destination.clone(),
        platform: platform.clone(),
        offline,
    };
    let digest = Runtime::start()?.run(&session, session.copy(&request))?;
    context.progress.finish();
    context.printer.data(&format!("{} {digest}", printable(&destination.to_string())))
}
