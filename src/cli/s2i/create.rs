//! Owns `s2i create`.
//!
//! Must not know the files of a builder; `ops` does.

use super::arguments::CreateArguments;
use super::source_build::reference;
use crate::cli::commands::builders;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;

/// Creates the files of a new builder image. Unlike s2i, it fails if the directory is not empty.
pub(super) fn create(arguments: &CreateArguments, context: &Context) -> Result<(), CliError> {
    let settings = context.settings(ConfigFile::default())?;
    let session = context.session(&settings)?;
    let mut runtime = Runtime::start()?;
    let base = arguments.base.as_deref().map(|base| reference(base, "base image")).transpose()?;
    let files =
        builders::create(&arguments.name, base.as_ref(), &arguments.directory, &session, &mut runtime)?;
    context.progress.finish();
    context.printer.note(&files);
    Ok(())
}
