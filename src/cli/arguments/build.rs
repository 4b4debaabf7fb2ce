//! Owns the grammar of `b2i build`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;

use super::Format;
use super::input::InputArguments;
use super::source::SourceArguments;
use crate::config::values::{ASSEMBLE_CHOICES, BuilderName, ByteSize, Cpus, PULL_CHOICES, Period, Port};
use crate::image::compression::Compression;
use crate::image::signal::stop_signal;
use crate::image::{ImagePath, ImageReference, Platform};

/// Build an image from an artifact
///
/// Finds out what the artifact is, chooses the builder that fits, puts the artifact in its place and writes the
/// image to the daemon, a registry or a file.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct BuildArguments {
    /// JAR, WAR, executable, or an archive that holds one: a file, an http(s) URL, or - for standard input
    ///
    /// Several are one program, built for several platforms: they become one image index.
    #[arg(value_name = "ARTIFACT", required = true)]
    pub(in crate::cli) artifacts: Vec<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) input: InputArguments,
    #[command(flatten)]
    pub(in crate::cli) source: SourceArguments,
    #[command(flatten)]
    pub(in crate::cli) builder: BuilderArguments,
    #[command(flatten)]
    pub(in crate::cli) image: ImageArguments,
    #[command(flatten)]
    pub(in crate::cli) output: OutputArguments,
    /// Default arguments of the program, kept in ARGS; `docker run -e ARGS=...` replaces them
    #[arg(last = true, value_name = "ARGS", help_heading = None::<&'static str>)]
    pub(in crate::cli) args: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  b2i build target/app.jar -t app:1.0
  b2i build app.jar -t registry.example/team/app:1.2 --push
  b2i build https://host.example/tool.tar.gz --sha256 DIGEST -t tool:1.2 -- --port 8080 \"a b\"
  b2i build app.jar --add lib/ --add application.yml -t app:1
  b2i build shop.war -t shop:1 --port 8080 --env TZ=UTC --label team=web
  b2i build ./server --builder registry.example/s2i-builder:3 -t server:1
  b2i build dist/app-linux-amd64 dist/app-linux-arm64 -t registry.example/app:1 --push
  b2i build app.jar --platform linux/amd64,linux/arm64 -t registry.example/app:1 --push
  b2i build ./server --run -- --help
  b2i build ./server --dry-run --format json";

/// Which builder, and how `assemble` runs.
#[derive(Debug, Args)]
#[command(next_help_heading = "Builder options")]
pub(in crate::cli) struct BuilderArguments {
    /// Use this builder: a name such as java:21, or any image with S2I scripts [env: B2I_BUILDER]
    #[arg(long, value_name = "NAME|IMAGE")]
    pub(in crate::cli) builder: Option<BuilderName>,
    /// Perform the assembly (place), run the script (docker, sandbox), or choose (auto) [env: B2I_ASSEMBLE]
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(ASSEMBLE_CHOICES), hide_possible_values = true)]
    pub(in crate::cli) assemble: Option<String>,
    /// Pull images always, if missing, or never [default: missing] [env: B2I_PULL]
    #[arg(long, value_name = "WHEN", value_parser = PossibleValuesParser::new(PULL_CHOICES), hide_possible_values = true)]
    pub(in crate::cli) pull: Option<String>,
    /// Run the script as this user
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(in crate::cli) assemble_user: Option<String>,
    /// Let the script run as root if the builder's label asks for it
    #[arg(long)]
    pub(in crate::cli) allow_root: bool,
    /// Use the sandbox as real root where user namespaces are forbidden
    #[arg(long)]
    pub(in crate::cli) allow_root_sandbox: bool,
    /// Limit the script's memory [env: B2I_MEMORY]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) memory: Option<ByteSize>,
    /// Limit the script's processors, such as 1.5 [env: B2I_CPUS]
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli) cpus: Option<Cpus>,
    /// Limit the script's number of processes [env: B2I_PIDS_LIMIT]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) pids_limit: Option<u32>,
    /// Give the script this network of the daemon; in the sandbox only host, also for --run [default: none]
    #[arg(long, value_name = "NETWORK", value_parser = not_empty)]
    pub(in crate::cli) network: Option<String>,
    /// Stop the script after this time, such as 30s or 5m [env: B2I_TIMEOUT]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) timeout: Option<Period>,
}

/// What the image is to be like.
#[derive(Debug, Args)]
#[command(next_help_heading = "Image options")]
pub(in crate::cli) struct ImageArguments {
    /// Name the image [repeatable] [default: the artifact's name]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    pub(in crate::cli) tag: Vec<ImageReference>,
    /// Set an environment variable; without a value, take it from this environment [repeatable]
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli) env: Vec<String>,
    /// Set the environment variables in this file, one NAME=VALUE a line [repeatable]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) env_file: Vec<PathBuf>,
    /// Set a label [repeatable]
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(in crate::cli) label: Vec<(String, String)>,
    /// Set an annotation of the manifest, and of the index, where the output has one [repeatable]
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(in crate::cli) annotation: Vec<(String, String)>,
    /// Expose a port, such as 8080 or 53/udp [repeatable]
    #[arg(long, value_name = "PORT")]
    pub(in crate::cli) port: Vec<Port>,
    /// Set the working directory
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) workdir: Option<ImagePath>,
    /// Set the user, uid[:gid] or a name
    #[arg(long, value_name = "USER", value_parser = user)]
    pub(in crate::cli) user: Option<String>,
    /// Replace the entrypoint: a JSON list, or words with shell quoting
    #[arg(long, value_name = "COMMAND", value_parser = entrypoint)]
    pub(in crate::cli) entrypoint: Option<Entrypoint>,
    /// Check health with this shell command; an empty one switches the base's check off
    #[arg(long, value_name = "COMMAND")]
    pub(in crate::cli) health_cmd: Option<String>,
    /// Stop the program with this signal, such as SIGINT
    #[arg(long, value_name = "SIGNAL", value_parser = stop_signal)]
    pub(in crate::cli) stop_signal: Option<String>,
    /// Build for this platform, such as linux/arm64, or for several with commas between them [default: the
    /// artifact's] [env: B2I_PLATFORM]
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(in crate::cli) platform: Vec<Platform>,
    /// Serve a web application at this path [default: /]
    #[arg(long, value_name = "PATH", value_parser = context_path)]
    pub(in crate::cli) context_path: Option<String>,
}

/// Where the result goes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output options")]
pub(in crate::cli) struct OutputArguments {
    /// Write to docker, registry, oci:DIR, oci-archive:FILE or docker-archive:FILE [repeatable] [default: docker, or
    /// an archive without it]
    ///
    /// docker is the daemon; registry means the registries that the tags name.
    #[arg(short, long, value_name = "WHERE")]
    pub(in crate::cli) output: Vec<String>,
    /// Push to the registries that the tags name; the same as `--output registry`
    #[arg(long)]
    pub(in crate::cli) push: bool,
    /// Compress the new layer: auto, gzip, zstd or none, with :LEVEL if wanted [default: auto]
    #[arg(long, value_name = "HOW")]
    pub(in crate::cli) compression: Option<Compression>,
    /// Read everything again, also files that look unchanged
    #[arg(long)]
    pub(in crate::cli) no_memo: bool,
    /// Write what was built, as JSON, to this file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) metadata_file: Option<PathBuf>,
    /// Write the image's ID to this file
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(in crate::cli) iidfile: Option<PathBuf>,
    /// Upload to registries in pieces of this size, for those that take no large requests [env: B2I_CHUNK_SIZE]
    #[arg(long, value_name = "SIZE")]
    pub(in crate::cli) chunk_size: Option<ByteSize>,
    /// Print the result as text or JSON
    #[arg(long, value_enum, default_value_t, hide_default_value = true)]
    pub(in crate::cli) format: Format,
    /// Start the image when it is built, in the daemon if it went there, else in the sandbox; b2i ends as the program
    /// ends
    #[arg(long, conflicts_with_all = ["dry_run", "format"])]
    pub(in crate::cli) run: bool,
    /// Print the plan and build nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Write a Dockerfile and what it needs to this directory, and build nothing
    ///
    /// `docker build`, BuildKit and buildah make the same files of it. A directory that b2i wrote is replaced.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["dry_run", "run", "output", "push", "metadata_file", "iidfile"])]
    pub(in crate::cli) dockerfile: Option<PathBuf>,
}

/// A command as a list of words. (A type of its own: clap takes a `Vec` for a repeatable option.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Entrypoint(pub(in crate::cli) Vec<String>);

fn entrypoint(text: &str) -> Result<Entrypoint, String> {
    let words = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| format!("not a JSON list of strings: {error}"))?
    } else {
        crate::image::shell_words::split(text).map_err(|error| error.to_string())?
    };
    match words.first().map(String::as_str) {
        None | Some("") => Err("it names no program".into()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("it contains a NUL".into()),
        Some(_) => Ok(Entrypoint(words)),
    }
}

fn not_empty(text: &str) -> Result<String, String> {
    let is_bad = |character: char| character.is_whitespace() || character.is_control();
    if text.is_empty() || text.contains(is_bad) {
        return Err("it must not be empty or contain spaces".into());
    }
    Ok(text.to_owned())
}

/// The largest number of a user or group that Docker and Podman start a container as.
const MAX_ID: u64 = (1 << 31) - 1;

fn user(text: &str) -> Result<String, String> {
    let text = not_empty(text)?;
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let too_large = |part: &&str| part.parse::<u64>().map_or(true, |id| id > MAX_ID);
    match text.splitn(2, ':').filter(is_number).find(too_large) {
        Some(part) => Err(format!("`{part}` is larger than a user or group may be, which is {MAX_ID}")),
        None => Ok(text),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name before `=` is missing".into()),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("write `{text}=VALUE`")),
    }
}

fn context_path(text: &str) -> Result<String, String> {
    let is_bad =
        |character: char| character.is_control() || character.is_whitespace() || "?#\\".contains(character);
    if !text.starts_with('/')
        || text.contains(is_bad)
        || text.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err("write a path such as /shop".into());
    }
    Ok(text.to_owned())
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

    #[test]
    fn context_paths_stay_paths() {
        assert_eq!(context_path("/shop/eu"), Ok("/shop/eu".into()));
        for text in ["", "shop", "/a b", "/../x", "/a?b"] {
            assert!(context_path(text).is_err(), "{text}");
        }
    }
}
