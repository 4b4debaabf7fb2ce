//! Owns the options of builds from sources.

use clap::Args;

use crate::config::values::BuilderName;
use crate::engine::Capability;
use crate::image::ImageReference;
use crate::request::{Injection, ScriptsSource, SecretFile, UidRange, VolumeRequest};

use crate::cli::source_values;

/// How sources become an artifact or an image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Source options")]
pub(in crate::cli) struct SourceArguments {
    /// Build the sources with this builder: a name such as golang, or any image with S2I scripts [env:
    /// B2I_SOURCE_BUILDER]
    #[arg(long, value_name = "NAME|IMAGE")]
    pub(in crate::cli) source_builder: Option<BuilderName>,
    /// Build this directory of the sources
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) context_dir: Option<String>,
    /// Take this branch, tag or commit of the git repository
    #[arg(long = "ref", value_name = "REF")]
    pub(in crate::cli) reference: Option<String>,
    /// Take the artifact from this place in the builder; several there are listed
    #[arg(id = "artifact_in_builder", long = "artifact", value_name = "PATH")]
    pub(in crate::cli) artifact: Option<String>,
    /// Take scripts from this place first: http(s)://, file:// or image://
    #[arg(long, value_name = "URL", value_parser = source_values::scripts_source)]
    pub(in crate::cli) scripts_url: Option<ScriptsSource>,
    /// Set a variable while the sources are built, and leave no trace of it; without a value, take it from this
    /// environment [repeatable]
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli) build_env: Vec<String>,
    /// Let assemble read a file at /run/secrets/NAME, and leave no trace of it [repeatable]
    #[arg(long, value_name = "id=NAME,src=FILE", value_parser = source_values::secret)]
    pub(in crate::cli) secret: Vec<SecretFile>,
    /// Start from what the image before, or the named one, has saved
    #[arg(long, value_name = "IMAGE", num_args = 0..=1, require_equals = true)]
    pub(in crate::cli) incremental: Option<Option<ImageReference>>,
    /// Put what was built into this image
    #[arg(long, value_name = "IMAGE")]
    pub(in crate::cli) runtime_image: Option<ImageReference>,
    /// Take this path of the builder into the runtime image [repeatable]
    #[arg(long, value_name = "SRC[:DIR]", requires = "runtime_image")]
    pub(in crate::cli) runtime_artifact: Vec<String>,
    /// Let the files of a directory be there while assemble runs [repeatable]
    #[arg(long, value_name = "SRC[:DST]", value_parser = source_values::injection)]
    pub(in crate::cli) inject: Vec<Injection>,
    /// Mount a directory or volume while assemble runs [repeatable]
    #[arg(long, value_name = "SRC:DST[:ro]", value_parser = source_values::volume)]
    pub(in crate::cli) volume: Vec<VolumeRequest>,
    /// Refuse builders and runtime images whose user is not among these: 5, 1-, -1000, 1-5,30-
    #[arg(long, value_name = "RANGES")]
    pub(in crate::cli) allowed_uids: Option<UidRanges>,
    /// Add a line to assemble's hosts file [repeatable]
    #[arg(long, value_name = "HOST:ADDRESS", value_parser = source_values::add_host)]
    pub(in crate::cli) add_host: Vec<String>,
    /// Take a capability away from assemble [repeatable]
    #[arg(long, value_name = "CAPABILITY", value_parser = source_values::capability)]
    pub(in crate::cli) cap_drop: Vec<Capability>,
    /// Neither use nor fill the project's build caches
    #[arg(long)]
    pub(in crate::cli) no_build_cache: bool,
    /// Share build caches with all builds that name this key: each can change what the others build
    #[arg(long, value_name = "KEY", value_parser = source_values::cache_key, conflicts_with = "no_build_cache")]
    pub(in crate::cli) cache_key: Option<String>,
    /// Copy what links lead to that go out of the directory with the sources
    #[arg(long)]
    pub(in crate::cli) follow_links: bool,
    /// Leave paths of the sources out that match
    #[arg(long, value_name = "REGEX")]
    pub(in crate::cli) exclude: Option<String>,
    /// Leave git submodules out
    #[arg(long)]
    pub(in crate::cli) no_submodules: bool,
}

/// Ranges of user numbers. (A type of its own: clap takes a `Vec` for a repeatable option.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct UidRanges(pub(in crate::cli) Vec<UidRange>);

impl std::str::FromStr for UidRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        source_values::uid_ranges(text).map(Self)
    }
}

impl SourceArguments {
    /// The first option that only sources have a use for, as it is typed.
    pub(in crate::cli) fn first(&self) -> Option<&'static str> {
        let given = [
            ("--source-builder", self.source_builder.is_some()),
            ("--context-dir", self.context_dir.is_some()),
            ("--ref", self.reference.is_some()),
            ("--artifact", self.artifact.is_some()),
            ("--scripts-url", self.scripts_url.is_some()),
            ("--build-env", !self.build_env.is_empty()),
            ("--secret", !self.secret.is_empty()),
            ("--incremental", self.incremental.is_some()),
            ("--runtime-image", self.runtime_image.is_some()),
            ("--inject", !self.inject.is_empty()),
            ("--volume", !self.volume.is_empty()),
            ("--allowed-uids", self.allowed_uids.is_some()),
            ("--add-host", !self.add_host.is_empty()),
            ("--cap-drop", !self.cap_drop.is_empty()),
            ("--no-build-cache", self.no_build_cache),
            ("--cache-key", self.cache_key.is_some()),
            ("--follow-links", self.follow_links),
            ("--exclude", self.exclude.is_some()),
            ("--no-submodules", self.no_submodules),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}
