//! Owns the commands by which each tool does the job. Must not measure more than their time.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::measure::timed;
use crate::{Bench, b2i, run};

/// Who publishes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    Curl,
    B2i,
    Docker,
    Podman,
    Buildah,
    Skopeo,
}

/// What is published, and where to.
pub(crate) struct Job<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) artifact: &'a Path,
    /// The finished blob of the layer.
    pub(crate) layer: &'a Path,
    /// The finished image.
    pub(crate) layout: &'a Path,
    /// Its name in the registry.
    pub(crate) name: &'a str,
}

/// What the image is, but for the artifact.
const PLACE: &str = "/opt/app-root/bin/binary";

impl Tool {
    pub(crate) const ALL: [Self; 6] =
        [Self::Curl, Self::B2i, Self::Docker, Self::Podman, Self::Buildah, Self::Skopeo];

    /// What is printed for it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Curl => "curl, the same layer (the limit)",
            Self::B2i => "b2i build --push",
            Self::Docker => "docker build, push",
            Self::Podman => "podman build, push",
            Self::Buildah => "buildah from, copy, commit, push",
            Self::Skopeo => "skopeo copy (builds nothing)",
        }
    }

    /// Its Debian package and program, if it can be left out.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Curl | Self::B2i => None,
            Self::Docker => Some("docker"),
            Self::Podman => Some("podman"),
            Self::Buildah => Some("buildah"),
            Self::Skopeo => Some("skopeo"),
        }
    }

    pub(crate) fn docker_program() -> OsString {
        std::env::var_os("B2I_TEST_DOCKER_CLI").unwrap_or_else(|| "docker".into())
    }

    /// Gives it the base.
    pub(crate) fn prepare(self, bench: &Bench) {
        let base = bench.base();
        match self {
            Self::Curl | Self::B2i | Self::Skopeo => {}
            Self::Docker => run(docker().args(["pull", "--quiet", &base])),
            Self::Podman | Self::Buildah => {
                run(storage(self, bench).args(["pull", "--quiet", "--tls-verify=false", &base]));
            }
        }
    }

    /// Does the job.
    pub(crate) fn publish(self, job: &Job<'_>) -> Duration {
        match self {
            Self::Curl => curl(job.layer, job.name),
            Self::B2i => timed(&mut b2i::push(job.bench, job.artifact, job.name)),
            Self::Docker => {
                let context = context(job);
                let build = timed(docker().args(["build", "--quiet", "--tag", job.name]).arg(&context));
                build + timed(docker().args(["push", "--quiet", job.name]))
            }
            Self::Podman => {
                let context = context(job);
                let mut build = storage(self, job.bench);
                build.args([
                    "build",
                    "--quiet",
                    "--tls-verify=false",
                    "--format",
                    "docker",
                    "--tag",
                    job.name,
                ]);
                let mut push = storage(self, job.bench);
                push.args(["push", "--quiet", "--tls-verify=false", job.name]);
                timed(build.arg(&context)) + timed(&mut push)
            }
            Self::Buildah => buildah(job),
            Self::Skopeo => {
                let from = format!("oci:{}", job.layout.display());
                let to = format!("docker://{}", job.name);
                timed(Command::new("skopeo").args(["copy", "--quiet", "--dest-tls-verify=false", &from, &to]))
            }
        }
    }

    /// Removes the image from its storage.
    pub(crate) fn forget(self, job: &Job<'_>) {
        match self {
            Self::Curl | Self::B2i | Self::Skopeo => {}
            Self::Docker => run(docker().args(["rmi", job.name])),
            Self::Podman | Self::Buildah => run(storage(self, job.bench).args(["rmi", job.name])),
        }
    }

    /// Removes the base from its storage.
    pub(crate) fn clean_up(self, bench: &Bench) {
        match self {
            Self::Curl | Self::B2i | Self::Skopeo => {}
            Self::Docker => run(docker().args(["rmi", &bench.base()])),
            // Unmounts what is mounted below the directory that is removed next.
            Self::Podman | Self::Buildah => run(storage(self, bench).args(["rmi", "--all", "--force"])),
        }
    }
}

fn docker() -> Command {
    let host = std::env::var("B2I_TEST_DOCKER_HOST").expect("B2I_TEST_DOCKER_HOST names the daemon");
    let mut command = Command::new(Tool::docker_program());
    command.env("DOCKER_HOST", host);
    command
}

/// Podman or Buildah, with a storage of its own.
fn storage(tool: Tool, bench: &Bench) -> Command {
    let name = tool.package().expect("a tool with a package");
    let mut command = Command::new(name);
    for option in ["root", "runroot"] {
        command.arg(format!("--{option}")).arg(bench.path(&format!("{name}-{option}")));
    }
    command.args(["--storage-driver", "overlay"]);
    command
}

/// A directory with the artifact and a Dockerfile.
fn context(job: &Job<'_>) -> std::path::PathBuf {
    let context = job.bench.path("context");
    let _ = std::fs::remove_dir_all(&context);
    std::fs::create_dir(&context).expect("making the build context");
    std::fs::hard_link(job.artifact, context.join("artifact")).expect("linking the artifact");
    let base = job.bench.base();
    let text =
        format!("FROM {base}\nCOPY --chown=1001:0 artifact {PLACE}\nUSER 1001:0\nENTRYPOINT [\"{PLACE}\"]\n");
    std::fs::write(context.join("Dockerfile"), text).expect("writing the Dockerfile");
    context
}

fn buildah(job: &Job<'_>) -> Duration {
    let base = job.bench.base();
    let own = storage(Tool::Buildah, job.bench);
    let own: Vec<String> = own.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let script = "set -e\nbase=$1 artifact=$2 name=$3\nshift 3\nb() { buildah \"$@\"; }\n\
        c=$(b \"$@\" from --tls-verify=false \"$base\")\n\
        b \"$@\" copy --quiet --chown 1001:0 \"$c\" \"$artifact\" /opt/app-root/bin/binary >&2\n\
        b \"$@\" config --entrypoint '[\"/opt/app-root/bin/binary\"]' --user 1001:0 \"$c\"\n\
        b \"$@\" commit --quiet --rm \"$c\" \"$name\" >&2\n\
        b \"$@\" push --quiet --tls-verify=false \"$name\" \"docker://$name\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", &base]).arg(job.artifact).arg(job.name).args(own);
    timed(&mut command)
}

/// POST and PUT of a finished layer.
fn curl(layer: &Path, name: &str) -> Duration {
    let digest = format!("sha256:{}", layer.file_name().expect("a blob").to_string_lossy());
    let (registry, rest) = name.split_once('/').expect("a full name");
    let repository = rest.rsplit_once(':').expect("a tag").0;
    let script = "set -e\nlocation=$(curl -sS -f -D - -o /dev/null -X POST \"http://$1/v2/$2/blobs/uploads/\" |\
        tr -d '\\r' | sed -n 's/^[Ll]ocation: //p')\n\
        case $location in /*) location=http://$1$location;; esac\n\
        case $location in *\\?*) location=$location\\&digest=$3;; *) location=$location?digest=$3;; esac\n\
        curl -sS -f -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' -T \"$4\" \"$location\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", registry, repository, &digest]).arg(layer);
    timed(&mut command)
}
