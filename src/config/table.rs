//! Owns the table of keys, the only place with a key's name, value, variables, flag, rule for project files, example and
//! description. It generates the types of a file and of the merged settings, and the list in `docs/configuration.md`.
//!
//! Must not know how a value is parsed (`values`) or which level wins (`levels`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::error::Error;
use super::keys::{Key, ProjectRule};
use super::levels::Levels;
use super::settings::{Setting, TemplateDirectory};
use super::values::{ByteSize, Cpus, Period, Platforms, Port, ProxyUrl, Words};
use super::variables::VariableReader;
use crate::request::{AssembleRequest, BuilderRequest, PullPolicy};
use crate::store::registry::Mirror;
use crate::transport::Location;

/// A section of a file.
pub(super) trait Section {
    /// Sets the values whose variables are set.
    fn read_variables(&mut self, reader: &mut VariableReader<'_>) -> Result<(), Error>;

    /// Adds the keys of this section and of those below.
    fn keys(keys: &mut Vec<Key>);
}

/// One block for each section: the type in a file, the type after merging, the path of the section.
///
/// An entry is a field, its name in TOML, and a kind in brackets:
/// `one T` (the highest level that sets it), `one T = default`, `entries T` (a map whose entries are merged),
/// `directories` (collected from all levels), `section File Merged`, `each File Merged` (a section for each name).
macro_rules! table {
    (@file one $type:ty $(= $default:expr)?) => { Option<Spanned<$type>> };
    (@file entries $type:ty) => { BTreeMap<String, Spanned<$type>> };
    (@file directories) => { Option<Spanned<Vec<PathBuf>>> };
    (@file section $file:ident $merged:ident) => { $file };
    (@file each $file:ident $merged:ident) => { BTreeMap<String, $file> };

    (@merged one $type:ty) => { Option<Setting<$type>> };
    (@merged one $type:ty = $default:expr) => { Setting<$type> };
    (@merged entries $type:ty) => { BTreeMap<String, Setting<$type>> };
    (@merged directories) => { Vec<Setting<TemplateDirectory>> };
    (@merged section $file:ident $merged:ident) => { $merged };
    (@merged each $file:ident $merged:ident) => { BTreeMap<String, $merged> };

    (@merge $levels:ident $at:ident $path:expr, $field:ident, one $type:ty) => {
        $levels.highest($path, &|file| $at(file)?.$field.as_ref())
    };
    (@merge $levels:ident $at:ident $path:expr, $field:ident, one $type:ty = $default:expr) => {
        $levels.highest($path, &|file| $at(file)?.$field.as_ref()).unwrap_or(Setting::built_in($default))
    };
    (@merge $levels:ident $at:ident $path:expr, $field:ident, entries $type:ty) => {
        $levels.entries($path, &|file| Some(&$at(file)?.$field))
    };
    (@merge $levels:ident $at:ident $path:expr, $field:ident, directories) => {
        $levels.directories($path, &|file| $at(file)?.$field.as_ref())
    };
    (@merge $levels:ident $at:ident $path:expr, $field:ident, section $file:ident $merged:ident) => {
        $merged::merge($levels, &|file| Some(&$at(file)?.$field))
    };
    (@merge $levels:ident $at:ident $path:expr, $field:ident, each $file:ident $merged:ident) => {{
        let names = $levels.names(&|file| Some(&$at(file)?.$field));
        let section = |name: &String| $merged::merge($levels, &|file| $at(file)?.$field.get(name));
        names.into_iter().map(|name| (name.clone(), section(name))).collect()
    }};

    (@read $reader:ident $value:expr, $path:expr, [], section $file:ident $merged:ident) => {
        $value.read_variables($reader)?
    };
    // Uses the reader of a section without variables.
    (@read $reader:ident $value:expr, $path:expr, [], $($kind:tt)+) => { let _ = &$reader; };
    (@read $reader:ident $value:expr, $path:expr, $variables:expr, one bool $(= $default:expr)?) => {
        $value = $reader.switch($path, &$variables)?
    };
    (@read $reader:ident $value:expr, $path:expr, $variables:expr, one $type:ty $(= $default:expr)?) => {
        $value = $reader.value($path, &$variables)?
    };

    (@key $keys:ident section $file:ident $merged:ident; $($rest:tt)*) => { $file::keys($keys) };
    (@key $keys:ident $kind:ident $($type:ty $(= $default:expr)?)?; $($key:tt)*) => { $keys.push(Key { $($key)* }) };
    (@key $keys:ident each $file:ident $merged:ident; $($key:tt)*) => { $keys.push(Key { $($key)* }) };

    (@some) => { None };
    (@some $value:expr) => { Some($value) };
    (@text) => { "" };
    (@text $value:expr) => { $value };

    ($(
        $(#[doc = $about:literal])*
        $file:ident => $merged:ident, $section:literal {$(
            $(#[doc = $text:literal])*
            $field:ident $name:literal [$($kind:tt)+]
                $(, env [$($variable:literal),+])? $(, flag $flag:literal)? $(, project $rule:expr)? $(, example $example:literal)?;
        )*}
    )*) => {$(
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
        pub struct $file {$(
            $(#[doc = $text])*
            pub $field: table!(@file $($kind)+),
        )*}

        $(#[doc = $about])*
        ///
        /// Merged from all levels.
        #[derive(Clone, Debug, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub struct $merged {$(
            $(#[doc = $text])*
            ///
            #[doc = concat!("The key `", $section, $name, "`.")]
            pub $field: table!(@merged $($kind)+),
        )*}

        impl Section for $file {
            fn read_variables(&mut self, reader: &mut VariableReader<'_>) -> Result<(), Error> {
                $(table!(@read reader self.$field, concat!($section, $name), [$($($variable),+)?], $($kind)+);)*
                Ok(())
            }

            fn keys(keys: &mut Vec<Key>) {
                $(table!(@key keys $($kind)+;
                    path: concat!($section, $name),
                    variables: &[$($($variable),+)?],
                    flag: table!(@some $($flag)?),
                    project: table!(@text $($rule)?),
                    #[cfg(test)] text: concat!($($text),*),
                    #[cfg(test)] example: table!(@text $($example)?),
                );)*
            }
        }

        impl $merged {
            /// Merges the section that `at` finds in each level.
            pub(super) fn merge(levels: &Levels, at: &dyn Fn(&ConfigFile) -> Option<&$file>) -> Self {
                Self {$(
                    $field: table!(@merge levels at concat!($section, $name), $field, $($kind)+),
                )*}
            }
        }
    )*};
}

const ALLOWED: ProjectRule = ProjectRule::Allowed;
const NETWORK: ProjectRule = ProjectRule::Refused("it decides which hosts are contacted and trusted");
const LIMITS: ProjectRule = ProjectRule::Refused("it decides how much of this machine `assemble` may use");

table! {
    /// The content of `b2i.toml`. A value in a file knows its place in the text.
    ConfigFile => Settings, "" {
        build "build" [section BuildSection BuildSettings];
        /// Base images that replace the public ones, by the public name: names in registries, `oci:DIR`,
        /// `oci-archive:FILE`, `docker-archive:FILE` or `docker-daemon:NAME`. Paths are relative to the file.
        bases "bases" [entries Location],
            project ProjectRule::Refused("it replaces base images, and so decides which registries are trusted"),
            example r#""docker.io/library/debian:12" = "mirror.example/debian:12""#;
        templates "templates" [section TemplatesSection TemplatesSettings];
        docker "docker" [section DockerSection DockerSettings];
        cache "cache" [section CacheSection CacheSettings];
        network "network" [section NetworkSection NetworkSettings];
        /// Settings of single registries, by `host[:port]`.
        registries "registries" [each RegistrySection RegistryHost], project NETWORK;
        limits "limits" [section LimitsSection LimitsSettings];
    }

    /// `[build]`
    BuildSection => BuildSettings, "build." {
        /// Builder of artifacts: a template such as `java:21`, or an image with S2I scripts. Default:
        /// selected by the artifact.
        builder "builder" [one BuilderRequest],
            env ["B2I_BUILDER"], flag "--builder", project ALLOWED, example r#""java:21""#;
        /// Base image of the template: a name in a registry, `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE` or
        /// `docker-daemon:NAME`. Paths are relative to the file; a project's file may name only files of the project.
        /// Default: the template's base.
        base "base" [one Location],
            env ["B2I_BASE"], flag "--base", project ALLOWED, example r#""registry.example/team/jre:21""#;
        /// Builder of sources: a template, or an image with S2I scripts. Default: selected by the sources.
        source_builder "source-builder" [one BuilderRequest],
            env ["B2I_SOURCE_BUILDER"], flag "--source-builder", project ALLOWED, example r#""golang""#;
        /// Default arguments of the program: a list, or one string with shell quoting.
        args "args" [one Words], env ["B2I_ARGS"], flag "--", project ALLOWED, example r#"["--port", "8080"]"#;
        /// Environment variables of the image.
        env "env" [entries String], flag "--env",
            project ProjectRule::Refused("it changes how every program in the image runs"),
            example r#"{ TZ = "UTC" }"#;
        /// Labels of the image.
        labels "labels" [entries String], flag "--label", project ALLOWED, example r#"{ team = "web" }"#;
        /// Ports that the image exposes: a number, with `/udp` or `/sctp` for other protocols than TCP.
        ports "ports" [one Vec<Port>], flag "--port", project ALLOWED, example r#"["8080", "53/udp"]"#;
        /// How the artifact gets into the image: `place` does the work of the script, `docker` and `sandbox`
        /// run the script, `auto` selects one of them.
        assemble "assemble" [one AssembleRequest = AssembleRequest::Auto],
            env ["B2I_ASSEMBLE"], flag "--assemble",
            project ProjectRule::Refused("it decides whether scripts run on this machine"), example r#""docker""#;
        /// When images are pulled: `always`, `missing` or `never`.
        pull "pull" [one PullPolicy = PullPolicy::Missing],
            env ["B2I_PULL"], flag "--pull", project NETWORK, example r#""never""#;
        /// Platform of the image, or a list for several platforms. Default: the platform of the artifact.
        platform "platform" [one Platforms], env ["B2I_PLATFORM"], flag "--platform",
            project ProjectRule::Refused("it follows from the artifact or from who builds"),
            example r#""linux/arm64""#;
    }

    /// `[templates]`
    TemplatesSection => TemplatesSettings, "templates." {
        /// Builder templates or directories of templates, relative to the file. The lists of all files are
        /// combined. A project's file may list only directories of the project; the scripts of their
        /// templates always run.
        directories "directories" [directories], project ALLOWED, example r#"["templates"]"#;
    }

    /// `[docker]`
    DockerSection => DockerSettings, "docker." {
        /// Address of the Docker or Podman daemon. Default: Docker's context, then the usual sockets.
        host "host" [one String], env ["B2I_DOCKER_HOST", "DOCKER_HOST"], flag "--docker-host",
            project ProjectRule::Refused("it decides which daemon gets the artifact"),
            example r#""unix:///run/user/1000/podman/podman.sock""#;
    }

    /// `[cache]`
    CacheSection => CacheSettings, "cache." {
        /// Directory of the cache, relative to the file. Default: `b2i` in `$XDG_CACHE_HOME`, else
        /// `~/.cache/b2i`.
        directory "directory" [one PathBuf], env ["B2I_CACHE_DIR"], flag "--cache-dir",
            project ProjectRule::Refused("it decides where files are written and which remembered results are trusted"),
            example r#""/var/cache/b2i""#;
    }

    /// `[network]`
    NetworkSection => NetworkSettings, "network." {
        /// Never use the network; fail if something is missing.
        offline "offline" [one bool = false], env ["B2I_OFFLINE"], flag "--offline", project NETWORK, example "true";
        proxies "proxies" [section ProxiesSection ProxiesSettings];
        /// PEM files with CA certificates to trust in addition to the system's, relative to the file.
        ca_files "ca-files" [one Vec<PathBuf>], flag "--ca-file", project NETWORK, example r#"["company-ca.pem"]"#;
        /// Time limit for connecting to a server. Default: 20 seconds.
        connect_timeout "connect-timeout" [one Period], env ["B2I_CONNECT_TIMEOUT"], project NETWORK,
            example r#""10s""#;
        /// Time limit for a server that sends no data. Default: 60 seconds.
        read_timeout "read-timeout" [one Period], env ["B2I_READ_TIMEOUT"], project NETWORK, example r#""2m""#;
        /// Smallest rate of a server, in bytes per second, measured over the read timeout; `0` allows any rate.
        /// Default: 1KiB.
        min_rate "min-rate" [one ByteSize], env ["B2I_MIN_RATE"], project NETWORK, example r#""10KiB""#;
        /// Number of retries after a temporary failure. Default: 4.
        retries "retries" [one u32], env ["B2I_RETRIES"], project NETWORK, example "2";
        /// Size of the chunks of uploads to registries. Default: no chunks.
        chunk_size "chunk-size" [one ByteSize], env ["B2I_CHUNK_SIZE"], flag "--chunk-size", project NETWORK,
            example r#""10MiB""#;
        /// Largest size of a download or an unpacked archive.
        max_size "max-size" [one ByteSize = ByteSize(4 << 30)],
            env ["B2I_MAX_SIZE"], flag "--max-size", project NETWORK, example r#""8GiB""#;
    }

    /// `[network.proxies]`
    ProxiesSection => ProxiesSettings, "network.proxies." {
        /// Proxy for `http` URLs.
        http "http" [one ProxyUrl], env ["http_proxy", "HTTP_PROXY"], project NETWORK,
            example r#""http://proxy.example:3128""#;
        /// Proxy for `https` URLs.
        https "https" [one ProxyUrl], env ["https_proxy", "HTTPS_PROXY"], project NETWORK,
            example r#""http://proxy.example:3128""#;
        /// Proxy for all other URLs.
        all "all" [one ProxyUrl], env ["all_proxy", "ALL_PROXY"], project NETWORK,
            example r#""http://proxy.example:3128""#;
        /// Hosts without a proxy, separated by commas.
        none "none" [one String], env ["no_proxy", "NO_PROXY"], project NETWORK,
            example r#""localhost,.internal.example""#;
    }

    /// `[registries."host:port"]`
    RegistrySection => RegistryHost, "registries.\"HOST[:PORT]\"." {
        /// Accept plain HTTP, and certificates that cannot be verified.
        insecure "insecure" [one bool], project NETWORK, example "true";
        /// PEM files with CA certificates to trust for this registry, relative to the file.
        ca_files "ca-files" [one Vec<PathBuf>], project NETWORK, example r#"["registry-ca.pem"]"#;
        /// Registries and layouts to pull from first: `host[:port][/path]`, `oci:DIR` or `oci-archive:FILE`. A layout has
        /// images by their public names, as `b2i copy` writes them. Paths are relative to the file.
        mirrors "mirrors" [one Vec<Mirror>], project NETWORK, example r#"["mirror.example/cache", "oci:/mnt/bases"]"#;
        /// Size of the chunks of uploads to this registry. Default: `network.chunk-size`.
        chunk_size "chunk-size" [one ByteSize], project NETWORK, example r#""20MiB""#;
    }

    /// `[limits]`
    LimitsSection => LimitsSettings, "limits." {
        /// Memory of the `assemble` script.
        memory "memory" [one ByteSize], env ["B2I_MEMORY"], flag "--memory", project LIMITS, example r#""2GiB""#;
        /// Processors of the `assemble` script.
        cpus "cpus" [one Cpus], env ["B2I_CPUS"], flag "--cpus", project LIMITS, example "1.5";
        /// Largest number of processes of the `assemble` script.
        pids "pids" [one u32], env ["B2I_PIDS_LIMIT"], flag "--pids-limit", project LIMITS, example "500";
        /// Time after which the `assemble` script is stopped. Reading what it left has the same limit.
        timeout "timeout" [one Period], env ["B2I_TIMEOUT"], flag "--timeout", project LIMITS, example r#""10m""#;
        /// Largest size of all files together that a script leaves, with holes of sparse files. Default: 32GiB
        /// in the sandbox, no limit on a daemon.
        change_size "change-size" [one ByteSize], env ["B2I_CHANGE_SIZE"], project LIMITS, example r#""4GiB""#;
        /// Largest number of paths that a script changes in the sandbox. Default: 1000000.
        change_files "change-files" [one u64], env ["B2I_CHANGE_FILES"], project LIMITS, example "50000";
    }
}
