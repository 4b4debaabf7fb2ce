//! Owns what can be typed after `s2i`: the commands and flags of Source-to-Image 1.6, as people and scripts write
//! them, and few of b2i's own.
//!
//! pflag's habits are kept: flags anywhere, `-xVALUE`, `--flag=VALUE`, `--flag=false`, the last one wins. Must not act
//! on anything. Source: Source-to-Image v1.6.3, docs/cli.md and its help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Marks flags that may be given alone or as `--flag=false`, and never take the next word.
const SWITCH: &str = "BOOL";

/// Build images from sources with S2I builder images, as s2i does
#[derive(Debug, Parser)]
#[command(
    name = "s2i",
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 100,
    after_help = "`b2i build` does more with less typing; docs/from-s2i.md says what differs."
)]
pub(super) struct S2iCommandLine {
    #[command(flatten)]
    pub(super) global: S2iGlobalArguments,
    #[command(subcommand)]
    pub(super) command: S2iCommand,
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global flags")]
pub(super) struct S2iGlobalArguments {
    /// Use the daemon at this address [env: DOCKER_HOST]
    #[arg(short = 'U', long, global = true, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Refused: b2i does not speak TLS without verifying the daemon's certificate
    #[arg(long, global = true, value_name = SWITCH, value_parser = boolean)]
    pub(super) tls: Option<bool>,
    /// Verify the daemon's certificate [env: DOCKER_TLS_VERIFY]
    #[arg(long, global = true, value_name = SWITCH, value_parser = boolean)]
    pub(super) tlsverify: Option<bool>,
    /// Take the client's certificate from this file, cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// Take the client's key from this file, key.pem beside cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Take the certificate authority from this file, ca.pem beside cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Say more: 3 and above log, 5 logs everything
    #[arg(long, global = true, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub(super) loglevel: Option<u8>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum S2iCommand {
    Build(Box<BuildArguments>),
    /// Build an image again that s2i or b2i built
    Rebuild(Box<RebuildArguments>),
    /// Print how a builder image is used
    Usage(Box<UsageArguments>),
    /// Make the files of a new builder image
    Create(CreateArguments),
    /// Write a Dockerfile that builds with a builder image, without sources
    Generate(GenerateArguments),
    /// Print the version
    Version,
    /// Print a completion script for bash or zsh
    Completion {
        /// Shell: bash or zsh
        #[arg(value_name = "SHELL")]
        shell: Option<String>,
    },
}

/// Build an image from sources
#[derive(Debug, Args)]
pub(super) struct BuildArguments {
    /// Sources: a directory, or a git repository with `#ref` if wanted
    #[arg(value_name = "SOURCE")]
    pub(super) source: Option<String>,
    /// Builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// Name of the result
    #[arg(value_name = "TAG")]
    pub(super) tag: Option<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
    /// Start the result
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) run: Option<bool>,
    /// Leave git submodules out
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) ignore_submodules: Option<bool>,
    /// Set a variable of assemble and of the image [repeatable]
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// Set the variables in this file, one NAME=VALUE a line
    #[arg(short = 'E', long, value_name = "FILE")]
    pub(super) environment_file: Option<PathBuf>,
    /// Take this branch, tag or commit; goes before the `#ref` of the source
    #[arg(short, long, value_name = "REF")]
    pub(super) r#ref: Option<String>,
    /// Run assemble as this user
    #[arg(long, value_name = "USER")]
    pub(super) assemble_user: Option<String>,
    /// Run assemble-runtime as this user
    #[arg(long, value_name = "USER")]
    pub(super) assemble_runtime_user: Option<String>,
    /// Build this directory of the sources
    #[arg(long, value_name = "DIR")]
    pub(super) context_dir: Option<String>,
    /// Leave paths of the sources out that match
    #[arg(long, value_name = "REGEX")]
    pub(super) exclude: Option<String>,
    /// Has no effect: the builder's label says where its scripts are
    #[arg(long, value_name = "URL")]
    pub(super) image_scripts_url: Option<String>,
    /// Take scripts from http(s)://, file:// or image:// first
    #[arg(short, long, visible_alias = "scripts", value_name = "URL")]
    pub(super) scripts_url: Option<String>,
    /// Read flags from .s2ifile, and write them back
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) use_config: Option<bool>,
    /// Set the label io.k8s.display-name [default: the tag]
    #[arg(short = 'n', long, value_name = "NAME")]
    pub(super) application_name: Option<String>,
    /// Set the label io.k8s.description
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Refuse builder and runtime images whose user is not among these: 5, 1-, -1000, 1-5,30-
    #[arg(short = 'u', long, value_name = "RANGES")]
    pub(super) allowed_uids: Option<String>,
    /// Let the files of a directory be there while assemble runs [repeatable]
    #[arg(short, long, value_name = "SRC[:DST]")]
    pub(super) inject: Vec<String>,
    /// Mount a directory or volume for assemble [repeatable]
    #[arg(short, long, value_name = "SRC:DST[:ro]")]
    pub(super) volume: Vec<String>,
    /// Take capabilities away from assemble [repeatable]
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub(super) cap_drop: Vec<String>,
    /// Take the directory as it is instead of the commit that is checked out
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) copy: Option<bool>,
    /// Keep symbolic links instead of copying what they point to
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) keep_symlinks: Option<bool>,
    /// Put artifacts of the build into this image
    #[arg(long, value_name = "IMAGE")]
    pub(super) runtime_image: Option<String>,
    /// Take this path of the builder into the runtime image [repeatable]
    #[arg(short = 'a', long, value_name = "SRC[:DIR]")]
    pub(super) runtime_artifact: Vec<String>,
    /// Give assemble this network; without a daemon host or none [default: the daemon's, or this machine's]
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<String>,
    /// Write a Dockerfile and what it needs instead of building
    #[arg(long, value_name = "PATH")]
    pub(super) as_dockerfile: Option<PathBuf>,
    /// Add a line to assemble's hosts file [repeatable]
    #[arg(long, value_name = "HOST:ADDRESS")]
    pub(super) add_host: Vec<String>,
    // Last: its heading holds for every flag that follows.
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// Flags that `build`, `rebuild` and `usage` have.
#[derive(Debug, Default, Args)]
pub(super) struct CommonArguments {
    /// Leave out what scripts print to their standard output
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) quiet: Option<bool>,
    /// Start from what save-artifacts gives of the image before
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) incremental: Option<bool>,
    /// Remove the image before after an incremental build
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) rm: Option<bool>,
    /// Report the end of the build there
    #[arg(long, value_name = "URL")]
    pub(super) callback_url: Option<String>,
    /// Pull the builder image: always, never or if-not-present
    #[arg(short, long, value_name = "WHEN", value_parser = PULL_POLICIES)]
    pub(super) pull_policy: Option<String>,
    /// Pull the image before: always, never or if-not-present
    #[arg(long, value_name = "WHEN", value_parser = PULL_POLICIES)]
    pub(super) incremental_pull_policy: Option<String>,
    /// Pull the runtime image: always, never or if-not-present
    #[arg(long, value_name = "WHEN", value_parser = PULL_POLICIES)]
    pub(super) runtime_pull_policy: Option<String>,
    /// Has no effect: b2i keeps no working directory
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) save_temp_dir: Option<bool>,
    /// Take credentials from this file alone [default: Docker's and Podman's files]
    #[arg(long, value_name = "FILE")]
    pub(super) dockercfg_path: Option<PathBuf>,
    /// Put sources, scripts and artifacts below this directory [default: the builder's label, or /tmp]
    #[arg(short, long, visible_alias = "location", visible_short_alias = 'l', value_name = "DIR")]
    pub(super) destination: Option<String>,
}

/// What s2i does not have.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "b2i's own flags")]
pub(super) struct OutputArguments {
    /// Write to docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE [repeatable] [default: docker, or an archive without it]
    #[arg(long, value_name = "WHERE")]
    pub(super) output: Vec<String>,
    /// Push to the registry that the tag names
    #[arg(long)]
    pub(super) push: bool,
}

/// What `rebuild` takes.
#[derive(Debug, Args)]
pub(super) struct RebuildArguments {
    /// Image that was built
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Name of the result [default: the image's]
    #[arg(value_name = "NEW-TAG")]
    pub(super) tag: Option<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// What `usage` takes.
#[derive(Debug, Args)]
pub(super) struct UsageArguments {
    /// Builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    #[command(flatten)]
    pub(super) common: CommonArguments,
}

/// What `create` takes.
#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Name of the builder image
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Directory, made if it is not there
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// Base image of the builder (b2i's own flag)
    #[arg(long, value_name = "IMAGE")]
    pub(super) base: Option<String>,
}

/// What `generate` takes.
#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// Builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// File to write
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Has no effect: no script runs
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) quiet: Option<bool>,
    /// Set a variable of assemble and of the image [repeatable]
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// Run assemble as this user
    #[arg(long, value_name = "USER")]
    pub(super) assemble_user: Option<String>,
    /// Has no effect: the Dockerfile has no second image
    #[arg(long, value_name = "USER")]
    pub(super) assemble_runtime_user: Option<String>,
}

const PULL_POLICIES: [&str; 3] = ["always", "never", "if-not-present"];

/// The texts that Go's `strconv.ParseBool` takes.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false".into()),
    }
}

/// `NAME=VALUE`; s2i takes blanks around the value away.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        // The text is left out of the message: it may be a password.
        _ => Err("write NAME=VALUE".into()),
    }
}

/// A flag that was switched on.
pub(super) fn is_on(flag: Option<bool>) -> bool {
    flag.unwrap_or(false)
}

/// The grammar, for help and completions.
pub(super) fn command() -> clap::Command {
    with_switches(S2iCommandLine::command()).mut_subcommands(with_switches)
}

fn with_switches(command: clap::Command) -> clap::Command {
    command.mut_args(|argument| {
        let is_switch =
            argument.get_value_names().is_some_and(|names| names.iter().any(|name| name == SWITCH));
        match is_switch {
            true => argument.num_args(0..=1).require_equals(true).default_missing_value("true"),
            false => argument,
        }
    })
}

/// Parses `arguments`, the program's name first; gives also what was typed, flag by flag.
///
/// # Errors
/// clap's error: a usage error, or a request for help.
pub(super) fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    name: &str,
) -> Result<(S2iCommandLine, clap::ArgMatches), clap::Error> {
    let mut command = command().bin_name(name);
    let matches = command.try_get_matches_from_mut(arguments)?;
    let parsed = S2iCommandLine::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
    Ok((parsed, matches))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(arguments: &str) -> BuildArguments {
        let words = ["s2i", "build"].into_iter().chain(arguments.split_whitespace()).map(Into::into);
        let (parsed, _) = parse(words, "s2i").unwrap_or_else(|error| panic!("{arguments}: {error}"));
        let S2iCommand::Build(build) = parsed.command else { panic!("s2i build is a build") };
        *build
    }

    #[test]
    fn the_grammar_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn flags_stand_anywhere_and_are_written_as_s2i_writes_them() {
        let parsed = build("-e A=1 . -eB=2 --env=C=x,y builder:1 -c --incremental=true tag:1 -pnever -qc");
        assert_eq!(parsed.source.as_deref(), Some("."));
        assert_eq!((parsed.image.as_deref(), parsed.tag.as_deref()), (Some("builder:1"), Some("tag:1")));
        assert_eq!(parsed.env, [("A", "1"), ("B", "2"), ("C", "x,y")].map(|(a, b)| (a.into(), b.into())));
        assert!(is_on(parsed.copy) && is_on(parsed.common.incremental) && is_on(parsed.common.quiet));
    }

    #[test]
    fn the_last_of_a_single_flag_wins_and_switches_take_no_next_word() {
        let parsed = build("--copy=false --copy -n one -n two --rm=0 . b");
        assert!(is_on(parsed.copy) && !is_on(parsed.common.rm));
        assert_eq!(parsed.application_name.as_deref(), Some("two"));
        assert_eq!(parsed.source.as_deref(), Some("."));
        assert_eq!(build("-d /x . b").common.destination, build("-l /x . b").common.destination);
        assert_eq!(build("--scripts image:///x . b").scripts_url.as_deref(), Some("image:///x"));
    }

    #[test]
    fn what_s2i_refuses_is_refused() {
        for arguments in ["-p x . b", "-e NOEQ . b", "--nonsense . b", "--copy=maybe . b", ". b t more"] {
            let words = ["s2i", "build"].into_iter().chain(arguments.split_whitespace()).map(Into::into);
            assert!(parse(words, "s2i").is_err(), "{arguments}");
        }
    }
}
