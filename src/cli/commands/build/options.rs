//! Owns the options of `b2i build` for the builder, the image and the output.
//!
//! Must not act on them.

use std::path::PathBuf;

use clap::Args;

use crate::cli::arguments::{Format, one_of};
use crate::config::values::{ByteSize, Cpus, Period, Port};
use crate::image::compression::Compression;
use crate::image::{ImagePath, ImageReference, Platform, PullPolicy};
use crate::request::{
    AssembleRequest, BuilderRequest, ContextPath, CreatedDate, StopSignal, User, without_blanks,
};
use crate::transport::{InvalidTransport, Location};

/// The builder, and how `assemble` runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Builder options")]
pub(in crate::cli) struct BuilderArguments {
    /// Use this builder: a name such as java:21, or any S2I builder image
    ///
    /// [default: selected by the artifact] [env: B2I_BUILDER]
    #[arg(long, value_name = "NAME|IMAGE")]
    pub(in crate::cli) builder: Option<BuilderRequest>,
    /// Use this base: NAME, docker-daemon:NAME, oci:DIR or an archive
    ///
    /// Archives are oci-archive:FILE and docker-archive:FILE. The template and its scripts stay. b2i looks at what the
    /// base has, and fails if it cannot run the artifact. [default: the template's] [env: B2I_BASE]
    #[arg(long, value_name = "IMAGE", value_parser = base)]
    pub(in crate::cli) base: Option<Location>,
    /// Place the files (place), or run assemble in docker or sandbox [default: auto] [env: B2I_ASSEMBLE]
    #[arg(long, value_name = "HOW", value_parser = one_of(AssembleRequest::TEXTS), hide_possible_values = true)]
    pub(in crate::cli) assemble: Option<AssembleRequest>,
    /// Pull images: always, missing or never [default: missing] [env: B2I_PULL]
    #[arg(long, value_name = "WHEN", value_parser = one_of(PullPolicy::TEXTS), hide_possible_values = true)]
    pub(in crate::cli) pull: Option<PullPolicy>,
    /// Run assemble as this user [default: the builder's]
    #[arg(long, value_name = "USER")]
    pub(in crate::cli) assemble_user: Option<User>,
    /// Build although the base lacks a library that the program needs
    #[arg(long)]
    pub(in crate::cli) allow_missing: bool,
    /// Allow assemble to run as root if the builder requires it
    #[arg(long)]
    pub(in crate::cli) allow_root: bool,
    /// Run the sandbox as root where user namespaces are not available
    #[arg(long)]
    pub(in crate::cli) allow_root_sandbox: bool,
    /// Limit the memory of assemble, such as 512m [default: no limit] [env: B2I_MEMORY]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) memory: Option<ByteSize>,
    /// Limit the CPUs of assemble, such as 1.5 [default: no limit] [env: B2I_CPUS]
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) cpus: Option<Cpus>,
    /// Limit the number of processes of assemble [default: no limit] [env: B2I_PIDS_LIMIT]
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) pids_limit: Option<u32>,
    /// Connect assemble to a daemon network, or to `host` in the sandbox [default: none]
    ///
    /// In the sandbox, `--run` uses it too.
    #[arg(long, value_name = "NETWORK", value_parser = without_blanks)]
    pub(in crate::cli) network: Option<String>,
    /// Stop assemble after this time, such as 30s or 5m [default: no limit] [env: B2I_TIMEOUT]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) timeout: Option<Period>,
}

/// The name and the configuration of the image.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub(in crate::cli) struct ImageArguments {
    /// Name the image [repeatable] [default: the artifact's name]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(in crate::cli) tag: Vec<ImageReference>,
    /// Set an environment variable; without VALUE, use the current one
    ///
    /// [repeatable]
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli) env: Vec<String>,
    /// Expose a port, such as 8080 or 53/udp [repeatable]
    #[arg(long, value_name = "PORT")]
    pub(in crate::cli) port: Vec<Port>,
    /// Set a label [repeatable]
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(in crate::cli) label: Vec<(String, String)>,
    /// Build for these platforms, such as linux/amd64,linux/arm64
    ///
    /// [default: the artifact's] [env: B2I_PLATFORM]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(in crate::cli) platform: Vec<Platform>,
    /// Set the user: a name or UID[:GID] [default: the builder's]
    #[arg(long, value_name = "USER")]
    pub(in crate::cli) user: Option<User>,
    /// Replace the entrypoint: a JSON list, or words quoted as in a shell
    #[arg(long, value_name = "COMMAND", value_parser = entrypoint)]
    pub(in crate::cli) entrypoint: Option<Entrypoint>,
    /// Set the variables in FILE, one NAME=VALUE per line [repeatable]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) env_file: Vec<PathBuf>,
    /// Set an annotation of the manifest and, if there is one, the index [repeatable]
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(in crate::cli) annotation: Vec<(String, String)>,
    /// Set the working directory [default: the builder's]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) workdir: Option<ImagePath>,
    /// Check health with this shell command; "" removes the base's check
    #[arg(long, value_name = "COMMAND")]
    pub(in crate::cli) health_cmd: Option<String>,
    /// Date the image: git, now, epoch, a date or seconds since 1970
    ///
    /// `git` is the date of the commit that the work tree around the artifact is at, `epoch` is 1970-01-01, and a date is
    /// one of RFC 3339, such as 2026-01-31T12:00:00Z. Files in layers keep their date. [default: SOURCE_DATE_EPOCH, else
    /// 1980-01-01]
    #[arg(long, value_name = "DATE")]
    pub(in crate::cli) created: Option<CreatedDate>,
    /// Stop the program with this signal, such as SIGINT [default: the builder's]
    #[arg(long, value_name = "SIGNAL")]
    pub(in crate::cli) stop_signal: Option<StopSignal>,
    /// Serve a web application at this path [default: /]
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) context_path: Option<ContextPath>,
}

/// The outputs of the build.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub(in crate::cli) struct OutputArguments {
    /// Write to docker, registry, or (oci|oci-archive|docker-archive):PATH
    ///
    /// `docker` is the daemon; `registry` means the registries of the tags. [repeatable] [default: docker; without a
    /// daemon, a docker-archive in the working directory]
    #[arg(short, long, value_name = "WHERE")]
    pub(in crate::cli) output: Vec<String>,
    /// Push to the registries of the tags (same as --output registry)
    #[arg(long)]
    pub(in crate::cli) push: bool,
    /// Run the image after the build; exit as the program exits
    ///
    /// It runs in the daemon if it was written there, else in the sandbox.
    #[arg(long, conflicts_with_all = ["dry_run", "format"])]
    pub(in crate::cli) run: bool,
    /// Print the plan and build nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Print the result as text or json [default: text]
    #[arg(long, value_enum, default_value_t, hide_default_value = true, hide_possible_values = true)]
    pub(in crate::cli) format: Format,
    /// Write the result as JSON to FILE
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) metadata_file: Option<PathBuf>,
    /// Write the image ID to FILE; with several platforms, the index's digest
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) iidfile: Option<PathBuf>,
    /// Write NAME@DIGEST of the pushed image, or the layout's digest, to FILE
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) digest_file: Option<PathBuf>,
    /// Write a Dockerfile and its build context to DIR; build nothing
    ///
    /// `docker build`, BuildKit and buildah make the same files from it. A directory that b2i wrote is replaced.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "run", "output", "push", "metadata_file", "iidfile", "digest_file"])]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
    /// Compress the new layer: auto, gzip, zstd or none, with a :LEVEL [default: auto]
    #[arg(long, value_name = "METHOD[:LEVEL]")]
    pub(in crate::cli) compression: Option<Compression>,
    /// Upload to registries in chunks of this size [default: no chunks] [env: B2I_CHUNK_SIZE]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) chunk_size: Option<ByteSize>,
    /// Ignore remembered digests and re-read every file
    #[arg(long)]
    pub(in crate::cli) no_memo: bool,
}

/// The words of a command. A newtype, because clap treats a `Vec` as a repeatable option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Entrypoint(pub(in crate::cli) Vec<String>);

/// Parses a base. clap shows no hint of its own, so the message has it.
fn base(text: &str) -> Result<Location, String> {
    text.parse().map_err(|error: InvalidTransport| format!("{error}; {}", error.hint))
}

fn entrypoint(text: &str) -> Result<Entrypoint, String> {
    let words = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| format!("not a JSON list of strings: {error}"))?
    } else {
        crate::image::shell_words::split(text).map_err(|error| error.to_string())?
    };
    match words.first().map(String::as_str) {
        None | Some("") => Err("the program is missing".into()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("it contains a NUL".into()),
        Some(_) => Ok(Entrypoint(words)),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name before `=` is missing".into()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("write `{text}=VALUE`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrypoints_are_json_or_words() {
        let words = |text: &str| entrypoint(text).map(|entrypoint| entrypoint.0);
        assert_eq!(words(r#"["/bin/a", "b c"]"#), Ok(vec!["/bin/a".into(), "b c".into()]));
        assert_eq!(words("/bin/a 'b c'"), Ok(vec!["/bin/a".into(), "b c".into()]));
        for text in ["", "[]", "['a']", "[1]", "'", "''", "[\"\"]"] {
            assert!(entrypoint(text).is_err(), "{text}");
        }
    }
}
