//! Owns the grammar of `s2i`: the commands and flags of Source-to-Image 1.6, and a few flags of b2i.
//!
//! Must not act on anything. As with pflag, flags may be anywhere, `--flag=false` is valid, and the last one wins.
//! Source: Source-to-Image v1.6.3, docs/cli.md and its help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Marks switches: `--flag` or `--flag=false`, never with a separate value.
const SWITCH: &str = "BOOL";

/// Build images from sources with S2I builder images, as s2i does
#[derive(Debug, Parser)]
#[command(
    name = "s2i",
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 100,
    after_help = SEE_ALSO,
    after_long_help = after_long_help()
)]
pub(super) struct S2iCommandLine {
    #[command(flatten)]
    pub(super) global: S2iGlobalArguments,
    #[command(subcommand)]
    pub(super) command: S2iCommand,
}

const SEE_ALSO: &str =
    "`b2i build` does the same with fewer arguments; docs/from-s2i.md lists the differences.";

fn after_long_help() -> String {
    let codes = super::exit_code::MEANINGS.map(|(code, meaning)| format!("  {code:<3} {meaning}\n"));
    format!("Exit codes:\n{}\n{SEE_ALSO}", codes.concat())
}

/// Flags of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global flags")]
pub(super) struct S2iGlobalArguments {
    /// Use the daemon at URL [env: DOCKER_HOST]
    #[arg(short = 'U', long, global = true, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Fail: TLS without verification is not supported
    #[arg(long, global = true, value_name = SWITCH, value_parser = boolean)]
    pub(super) tls: Option<bool>,
    /// Verify the daemon's certificate [env: DOCKER_TLS_VERIFY]
    #[arg(long, global = true, value_name = SWITCH, value_parser = boolean)]
    pub(super) tlsverify: Option<bool>,
    /// Read the client certificate from this file, named cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) cert: Option<PathBuf>,
    /// Read the client key from this file, key.pem beside cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
    /// Read the certificate authority from this file, ca.pem beside cert.pem
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Log from level 3 on, everything at level 5 [default: 0]
    #[arg(long, global = true, value_name = "LEVEL", value_parser = clap::value_parser!(u8).range(0..=5))]
    pub(super) loglevel: Option<u8>,
}

#[derive(Debug, Subcommand)]
pub(super) enum S2iCommand {
    Build(Box<BuildArguments>),
    /// Build an image again from its recorded sources
    Rebuild(Box<RebuildArguments>),
    /// Print the usage of a builder image
    Usage(Box<UsageArguments>),
    /// Create the files of a new builder image
    Create(CreateArguments),
    /// Write a Dockerfile that builds with a builder image
    Generate(GenerateArguments),
    /// Print the version
    Version,
    /// Print a completion script for bash or zsh
    Completion {
        /// Print the script for bash or zsh
        #[arg(value_name = "SHELL")]
        shell: Option<String>,
    },
}

/// Build an image from sources
#[derive(Debug, Args)]
pub(super) struct BuildArguments {
    /// Build this directory or git repository, with an optional `#ref`
    #[arg(value_name = "SOURCE")]
    pub(super) source: Option<String>,
    /// Use this builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// Name the result [default: no name]
    #[arg(value_name = "TAG")]
    pub(super) tag: Option<String>,
    /// Further words, which s2i ignores
    #[arg(hide = true)]
    pub(super) ignored: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
    /// Run the result
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) run: Option<bool>,
    /// Skip git submodules
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) ignore_submodules: Option<bool>,
    /// Set a variable for assemble and in the image [repeatable]
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// Set the variables in FILE, one NAME=VALUE per line
    #[arg(short = 'E', long, value_name = "FILE")]
    pub(super) environment_file: Option<PathBuf>,
    /// Check out this branch, tag or commit; wins over `#ref`
    #[arg(short, long, value_name = "REF")]
    pub(super) r#ref: Option<String>,
    /// Run assemble as this user [default: the builder's]
    #[arg(long, value_name = "USER")]
    pub(super) assemble_user: Option<String>,
    /// Run assemble-runtime as this user [default: the runtime image's]
    #[arg(long, value_name = "USER")]
    pub(super) assemble_runtime_user: Option<String>,
    /// Build this subdirectory of the sources
    #[arg(long, value_name = "DIR")]
    pub(super) context_dir: Option<String>,
    /// Exclude source paths that match this regular expression
    #[arg(long, value_name = "REGEX")]
    pub(super) exclude: Option<String>,
    /// Use the scripts at URL if the builder has no label for them
    #[arg(long, value_name = "URL")]
    pub(super) image_scripts_url: Option<String>,
    /// Use the scripts at URL first: http(s)://, file:// or image://
    #[arg(short, long, visible_alias = "scripts", value_name = "URL")]
    pub(super) scripts_url: Option<String>,
    /// Read flags from .s2ifile and write them back
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) use_config: Option<bool>,
    /// Set the label io.k8s.display-name [default: the tag]
    #[arg(short = 'n', long, value_name = "NAME")]
    pub(super) application_name: Option<String>,
    /// Set the label io.k8s.description
    #[arg(long, value_name = "TEXT")]
    pub(super) description: Option<String>,
    /// Reject images whose user is not in RANGES, such as 1-5,30-
    #[arg(short = 'u', long, value_name = "RANGES")]
    pub(super) allowed_uids: Option<String>,
    /// Inject the files of a directory while assemble runs [repeatable]
    #[arg(short, long, value_name = "SRC[:DST]")]
    pub(super) inject: Vec<String>,
    /// Mount a directory or volume while assemble runs [repeatable]
    #[arg(short, long, value_name = "SRC:DST[:ro]")]
    pub(super) volume: Vec<String>,
    /// Drop capabilities of assemble [repeatable]
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    pub(super) cap_drop: Vec<String>,
    /// Build the files of the directory instead of the checked-out commit
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) copy: Option<bool>,
    /// Keep symbolic links instead of copying their targets
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) keep_symlinks: Option<bool>,
    /// Put the build result into this image
    #[arg(long, value_name = "IMAGE")]
    pub(super) runtime_image: Option<String>,
    /// Copy this path of the builder into the runtime image [repeatable]
    #[arg(short = 'a', long, value_name = "SRC[:DIR]")]
    pub(super) runtime_artifact: Vec<String>,
    /// Connect assemble to this network; host or none in the sandbox [default: the daemon's or the host's]
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<String>,
    /// Write a Dockerfile and its build context to PATH; build nothing
    #[arg(long, value_name = "PATH")]
    pub(super) as_dockerfile: Option<PathBuf>,
    /// Add a line to the hosts file of assemble [repeatable]
    #[arg(long, value_name = "HOST:ADDRESS")]
    pub(super) add_host: Vec<String>,
    // Last: its heading applies to every flag that follows.
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// Flags of `build`, `rebuild` and `usage`.
#[derive(Debug, Default, Args)]
pub(super) struct CommonArguments {
    /// Hide the standard output of scripts
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) quiet: Option<bool>,
    /// Restore what save-artifacts saved in the previous image
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) incremental: Option<bool>,
    /// Remove the previous image after an incremental build
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) rm: Option<bool>,
    /// Post the result of the build to URL
    #[arg(long, value_name = "URL")]
    pub(super) callback_url: Option<String>,
    /// Pull the builder image: always, never or if-not-present [default: if-not-present]
    #[arg(short, long, value_name = "WHEN", value_parser = PULL_POLICIES, hide_possible_values = true)]
    pub(super) pull_policy: Option<String>,
    /// Pull the previous image: always, never or if-not-present [default: if-not-present]
    #[arg(long, value_name = "WHEN", value_parser = PULL_POLICIES, hide_possible_values = true)]
    pub(super) incremental_pull_policy: Option<String>,
    /// Pull the runtime image: always, never or if-not-present [default: if-not-present]
    #[arg(long, value_name = "WHEN", value_parser = PULL_POLICIES, hide_possible_values = true)]
    pub(super) runtime_pull_policy: Option<String>,
    /// Accept and ignore: b2i has no working directory to keep
    #[arg(long, value_name = SWITCH, value_parser = boolean)]
    pub(super) save_temp_dir: Option<bool>,
    /// Read credentials only from FILE [default: Docker's and Podman's files]
    #[arg(long, value_name = "FILE")]
    pub(super) dockercfg_path: Option<PathBuf>,
    /// Put sources, scripts and artifacts below DIR [default: the builder's label, or /tmp]
    #[arg(short, long, visible_alias = "location", visible_short_alias = 'l', value_name = "DIR")]
    pub(super) destination: Option<String>,
}

/// Flags that s2i does not have.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "b2i's own flags")]
pub(super) struct OutputArguments {
    /// Write to docker, registry, or (oci|oci-archive|docker-archive):PATH [repeatable] [default: docker; without a
    /// daemon, a docker-archive]
    #[arg(long, value_name = "WHERE")]
    pub(super) output: Vec<String>,
    /// Push to the registry of the tag
    #[arg(long)]
    pub(super) push: bool,
}

#[derive(Debug, Args)]
pub(super) struct RebuildArguments {
    /// Rebuild this image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Name the result [default: the name of IMAGE]
    #[arg(value_name = "NEW-TAG")]
    pub(super) tag: Option<String>,
    /// Further words, which s2i ignores
    #[arg(hide = true)]
    pub(super) ignored: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

#[derive(Debug, Args)]
pub(super) struct UsageArguments {
    /// Show the usage of this builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Further words, which s2i ignores
    #[arg(hide = true)]
    pub(super) ignored: Vec<String>,
    #[command(flatten)]
    pub(super) common: CommonArguments,
}

#[derive(Debug, Args)]
pub(super) struct CreateArguments {
    /// Name the builder image
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Write to this directory; create it if missing
    #[arg(value_name = "DIR")]
    pub(super) directory: PathBuf,
    /// Use this base image (b2i's own flag) [default: debian:12-slim]
    #[arg(long, value_name = "IMAGE")]
    pub(super) base: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    /// Use this builder image
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Write the Dockerfile to FILE
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Accept and ignore: no script runs
    #[arg(short, long, value_name = SWITCH, value_parser = boolean)]
    pub(super) quiet: Option<bool>,
    /// Set a variable for assemble and in the image [repeatable]
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// Run assemble as this user [default: the builder's]
    #[arg(long, value_name = "USER")]
    pub(super) assemble_user: Option<String>,
    /// Accept and ignore: the Dockerfile has no runtime image
    #[arg(long, value_name = "USER")]
    pub(super) assemble_runtime_user: Option<String>,
}

const PULL_POLICIES: [&str; 3] = ["always", "never", "if-not-present"];

/// The texts that Go's `strconv.ParseBool` accepts.
fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("the value is not true or false".into()),
    }
}

/// `NAME=VALUE`; s2i trims the value.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().into(), value.trim().into())),
        // The message omits the text: it may be a password.
        _ => Err("the variable is not NAME=VALUE".into()),
    }
}

pub(super) fn is_on(flag: Option<bool>) -> bool {
    flag.unwrap_or(false)
}

/// The value of a flag. As in s2i, an empty one counts as unset.
pub(super) fn non_empty(value: &Option<String>) -> Option<String> {
    value.clone().filter(|text| !text.is_empty())
}

/// The grammar, for help and completions.
pub(in crate::cli) fn command() -> clap::Command {
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

/// Parses `arguments`, the name of the program first. The matches record which flags were typed. An error is a usage error,
/// or a request for help.
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
    fn flags_may_be_anywhere_and_have_the_forms_of_s2i() {
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
    fn further_words_are_ignored_as_by_s2i() {
        let parsed = build(". b t more -c words");
        assert_eq!((parsed.tag.as_deref(), is_on(parsed.copy)), (Some("t"), true));
        assert_eq!(parsed.ignored, ["more", "words"]);
    }

    #[test]
    fn what_s2i_rejects_is_rejected() {
        for arguments in ["-p x . b", "-e NOEQ . b", "--nonsense . b", "--copy=maybe . b"] {
            let words = ["s2i", "build"].into_iter().chain(arguments.split_whitespace()).map(Into::into);
            assert!(parse(words, "s2i").is_err(), "{arguments}");
        }
    }
}
