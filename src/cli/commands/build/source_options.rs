//! Owns the options of builds from sources.
//!
//! Must not have an option that is valid for artifacts, too.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};

use crate::engine::Capability;
use crate::image::ImageReference;
use crate::request::BuilderRequest;
use crate::request::{Injection, ScriptsSource, SecretFile, UidRanges, VolumeRequest, host_entry};

/// How sources become an artifact or an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source options")]
pub(in crate::cli) struct SourceArguments {
    /// Build sources with this builder, such as golang, or any S2I image [default: selected by the sources] [env:
    /// B2I_SOURCE_BUILDER]
    #[arg(long, value_name = "NAME|IMAGE")]
    pub(in crate::cli) source_builder: Option<BuilderRequest>,
    /// Build this subdirectory of the sources
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) context_dir: Option<String>,
    /// Check out this branch, tag or commit of the git repository
    #[arg(long = "ref", value_name = "REF")]
    pub(in crate::cli) reference: Option<String>,
    /// Package the file PATH of the builder; list and fail if several match
    #[arg(id = "artifact_in_builder", long = "artifact", value_name = "PATH")]
    pub(in crate::cli) artifact: Option<String>,
    /// Use the S2I scripts at URL first: http(s)://, file:// or image://
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) scripts_url: Option<ScriptsSource>,
    /// Set a variable for the source build only, not in the image [repeatable]
    ///
    /// Without VALUE, the current value is used.
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli) build_env: Vec<String>,
    /// Mount FILE at /run/secrets/NAME while assemble runs [repeatable]
    #[arg(long, value_name = "id=NAME,src=FILE")]
    pub(in crate::cli) secret: Vec<SecretFile>,
    /// Restore what save-artifacts saved in the previous image, or in IMAGE
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true)]
    pub(in crate::cli) incremental: Option<Option<ImageReference>>,
    /// Put the build result into this image
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::cli) runtime_image: Option<ImageReference>,
    /// Copy this path of the builder into the runtime image [repeatable]
    #[arg(long, value_name = "SRC[:DIR]", requires = "runtime_image")]
    pub(in crate::cli) runtime_artifact: Vec<String>,
    /// Inject the files of a directory while assemble runs [repeatable]
    #[arg(long, value_name = "SRC[:DST]")]
    pub(in crate::cli) inject: Vec<Injection>,
    /// Mount a directory or volume while assemble runs [repeatable]
    #[arg(long, value_name = "SRC:DST[:ro]")]
    pub(in crate::cli) volume: Vec<VolumeRequest>,
    /// Reject builder and runtime images whose user is not in RANGES
    ///
    /// Ranges are written as 5, 1-, -1000 or 1-5,30-. [default: any user]
    #[arg(long, value_name = "RANGES")]
    pub(in crate::cli) allowed_uids: Option<UidRanges>,
    /// Add a line to the hosts file of assemble [repeatable]
    #[arg(long, value_name = "HOST:ADDRESS", value_parser = host_entry)]
    pub(in crate::cli) add_host: Vec<String>,
    /// Drop a capability of assemble, such as NET_RAW, or ALL [repeatable]
    #[arg(long, value_name = "CAPABILITY")]
    pub(in crate::cli) cap_drop: Vec<Capability>,
    /// Disable the build caches of the project
    #[arg(long)]
    pub(in crate::cli) no_build_cache: bool,
    /// Share build caches with every build that uses the same KEY
    ///
    /// Each of these builds can change what the others build. [default: caches of the project alone]
    #[arg(long, value_name = "KEY", conflicts_with = "no_build_cache")]
    pub(in crate::cli) cache_key: Option<String>,
    /// Follow symbolic links that leave the source directory
    #[arg(long)]
    pub(in crate::cli) follow_links: bool,
    /// Exclude source paths that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub(in crate::cli) exclude: Option<String>,
    /// Skip git submodules
    #[arg(long)]
    pub(in crate::cli) no_submodules: bool,
    /// The first of these options on the command line, such as `--ref`.
    #[arg(skip)]
    pub(in crate::cli) first: Option<String>,
}

impl SourceArguments {
    /// Sets `first` from the grammar, which has every option.
    pub(in crate::cli) fn record_first(&mut self, matches: &ArgMatches) {
        let grammar = Self::augment_args(Command::new("build"));
        let is_typed =
            |option: &&Arg| matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine);
        let first = grammar.get_arguments().find(is_typed).and_then(Arg::get_long);
        self.first = first.map(|name| format!("--{name}"));
    }
}
