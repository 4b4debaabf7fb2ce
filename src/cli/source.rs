//! Owns turning what was typed about sources into what is asked of a source build.

use std::path::Path;

use super::arguments::source::SourceArguments;
use super::failure::CliError;
use crate::input::InputOptions;
use crate::source_build::{SourceBuildRequest, SourceLocation, SourceOptions};

/// What is asked of a source build, if `artifact` stands for sources.
pub(super) fn source_build(
    artifact: &Path,
    arguments: &SourceArguments,
    input: &InputOptions,
) -> Result<Option<SourceBuildRequest>, CliError> {
    let is_source = artifact.is_dir()
        || arguments.source_builder.is_some()
        || input.treat_as == Some(crate::input::TreatAs::Source);
    if !is_source {
        return Ok(None);
    }
    Ok(Some(SourceBuildRequest {
        location: SourceLocation::Directory(artifact.to_owned()),
        source: SourceOptions {
            context_directory: None,
            submodules: true,
            exclude: None,
            follow_links: false,
            input: input.clone(),
        },
        builder: arguments.source_builder.clone().map(|builder| builder.0),
        artifact: arguments.artifact.clone(),
        keep_builder: false,
        scripts: None,
        destination: None,
        environment: Vec::new(),
        build_environment: Vec::new(),
        secrets: Vec::new(),
        injections: Vec::new(),
        volumes: Vec::new(),
        incremental: None,
        runtime: None,
        allowed_uids: Vec::new(),
        block_on_build: false,
        add_hosts: Vec::new(),
        drop_capabilities: Vec::new(),
        display_name: None,
        description: None,
        callback: None,
        use_caches: true,
        download_timeout: None,
    }))
}
