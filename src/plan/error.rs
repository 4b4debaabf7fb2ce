//! Owns the reasons for which a request makes no plan.

use super::names::enumerate;
use crate::builder::BuilderError;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::path::InvalidImagePath;
use crate::image::reference::InvalidReference;
use crate::image::{ImagePath, Platform};

/// A request that makes no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// `--env ARGS` and `-- …` at once.
    #[error("the arguments are given twice: as `ARGS` in the environment and after `--`")]
    ArgsTwice,
    /// The date cannot be written.
    #[error("the date {0} (seconds since 1970) is out of range")]
    Date(u64),
    /// The artifact's name makes no image name.
    #[error("no image name can be made of `{name}`")]
    Tag {
        /// The artifact's name.
        name: String,
        /// Why not.
        source: InvalidReference,
    },
    /// An added file's destination is no path.
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    /// A file is added below a directory that is a link in most bases.
    #[error(
        "`{path}` cannot be placed: in most base images `{link}` is a link, which a layer with files below it replaces"
    )]
    BehindLink {
        /// Where the file was to go.
        path: ImagePath,
        /// The directory that is a link.
        link: &'static str,
        /// The same file behind the link.
        instead: String,
    },
    /// The template cannot be used as asked.
    #[error(transparent)]
    Builder(#[from] BuilderError),
    /// `--assemble place` where it is not allowed.
    #[error("`--assemble place` cannot be used with {builder}: {reason}")]
    NotPlaceable {
        /// The builder.
        builder: String,
        /// Why not.
        reason: &'static str,
    },
    /// A project's template wants to be root.
    #[error("the project's template `{builder}` wants to run as root")]
    ProjectRoot {
        /// The builder.
        builder: String,
    },
    /// The script has to run and nothing can run it.
    #[error(
        "{builder} has to run its `assemble` script; no daemon answers, and the sandbox does not work here"
    )]
    NoEngine {
        /// The builder.
        builder: String,
    },
    /// The script is to run on the daemon and there is none.
    #[error("{builder} is to run its `assemble` script on a daemon, and none answers")]
    NoDaemonToRun {
        /// The builder.
        builder: String,
    },
    /// The result has to go into a daemon and there is none.
    #[error("the image cannot be put into a daemon: none answers")]
    NoDaemon,
    /// Several artifacts of which one is no executable.
    #[error(
        "several artifacts are one program for several platforms, and `{name}` is no executable but a {is}"
    )]
    NotExecutable {
        /// The artifact.
        name: String,
        /// What it is.
        is: String,
    },
    /// Two executables for one platform.
    #[error("`{}` and `{}` are both built for {platform}; an index has one image for each platform", names[0], names[1])]
    TwoForOnePlatform {
        /// The artifacts.
        names: [String; 2],
        /// The platform.
        platform: Platform,
    },
    /// Two platforms that are asked for would be one image.
    #[error("{one} and {other} are asked for, and an image for one of them is one for the other")]
    SamePlatform {
        /// One.
        one: Platform,
        /// The other.
        other: Platform,
    },
    /// Platforms are asked for that nothing is built for.
    #[error("{} is asked for, and {}", enumerate(missing), built(found))]
    MissingExecutables {
        /// What is there.
        found: Vec<(String, Platform)>,
        /// What is asked for.
        missing: Vec<Platform>,
    },
    /// An executable for a platform that is not asked for.
    #[error("`{name}` is built for {built_for}, and asked for is {}", enumerate(platforms))]
    NotAskedFor {
        /// The artifact.
        name: String,
        /// Its platform.
        built_for: Platform,
        /// What is asked for.
        platforms: Vec<Platform>,
    },
    /// An output that keeps one platform, and none of the images is for it.
    #[error(
        "`{output}` keeps one platform, {runs} runs {native}, and the images are for {}",
        enumerate(platforms)
    )]
    NoNativeImage {
        /// The output.
        output: String,
        /// What runs it.
        runs: String,
        /// Its platform.
        native: Platform,
        /// The images'.
        platforms: Vec<Platform>,
    },
    /// The artifacts' names have nothing in common.
    #[error("no image name can be made of {}", enumerate(names))]
    NoCommonName {
        /// The names.
        names: Vec<String>,
    },
}

impl PlanError {
    /// Says whether a daemon that answers would have made the plan possible.
    pub fn needs_daemon(&self) -> bool {
        matches!(self, Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon)
    }
}

impl Diagnostic for PlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::ArgsTwice
            | Self::Date(_)
            | Self::Tag { .. }
            | Self::Path(_)
            | Self::BehindLink { .. }
            | Self::NotPlaceable { .. }
            | Self::NotExecutable { .. }
            | Self::TwoForOnePlatform { .. }
            | Self::SamePlatform { .. }
            | Self::MissingExecutables { .. }
            | Self::NotAskedFor { .. }
            | Self::NoNativeImage { .. }
            | Self::NoCommonName { .. } => FailureKind::Usage,
            Self::Builder(error) => error.kind(),
            Self::ProjectRoot { .. } => FailureKind::Builder,
            Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon => FailureKind::Engine,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ArgsTwice => vec!["give the arguments after `--` and drop `--env ARGS`".into()],
            Self::Date(_) => vec!["set SOURCE_DATE_EPOCH to a number of seconds since 1970".into()],
            Self::Tag { .. } | Self::NoCommonName { .. } => vec!["name the image with `-t NAME:TAG`".into()],
            Self::NotExecutable { .. } => vec![
                "build each by itself; what belongs to one artifact goes along with `--add FILE`".into(),
                "a JAR, WAR or script goes on several platforms with `--platform linux/amd64,linux/arm64`"
                    .into(),
            ],
            Self::TwoForOnePlatform { platform, .. } => {
                let mut hints = vec!["leave one of them out".to_owned()];
                if platform.architecture == "arm" && platform.variant.is_none() {
                    hints.push(
                        "if they differ in the variant, name both: `--platform linux/arm/v6,linux/arm/v7`"
                            .into(),
                    );
                }
                hints
            }
            Self::SamePlatform { .. } => vec!["leave one of them out, or name the variant of both".into()],
            Self::MissingExecutables { .. } => vec![
                "name an executable for each platform: `b2i build app-amd64 app-arm64`".into(),
                "or leave `--platform` out: it is read from the executables".into(),
            ],
            Self::NotAskedFor { .. } => vec!["leave it out, or name its platform too".into()],
            Self::NoNativeImage { .. } => vec![
                "write an index with `--push`, `-o oci:DIR` or `-o oci-archive:FILE`".into(),
                "or build the image for one platform alone".into(),
            ],
            Self::Path(_) => vec!["give `--add SRC:DEST` an absolute or plain relative destination".into()],
            Self::BehindLink { instead, .. } => vec![
                format!("name the directory it links to: `--add SRC:{instead}`"),
                "or run the script, which goes through links: `--assemble docker` or `--assemble sandbox`"
                    .into(),
            ],
            Self::Builder(error) => error.hints(),
            Self::NotPlaceable { .. } => {
                vec!["use `--assemble docker` or `--assemble sandbox`, or leave the option out".into()]
            }
            Self::ProjectRoot { .. } => vec![
                "name another `user` in its `builder.toml`".into(),
                "`--allow-root` allows it, if you trust the project".into(),
            ],
            Self::NoDaemonToRun { .. } => vec![
                "start Docker or Podman, or name its socket with DOCKER_HOST".into(),
                "or run it without a daemon: `--assemble sandbox`".into(),
            ],
            Self::NoEngine { .. } => vec![
                "`b2i doctor` says what the sandbox lacks".into(),
                "or start Docker or Podman, or name its socket with DOCKER_HOST".into(),
            ],
            Self::NoDaemon => vec!["start Docker or Podman, or name its socket with DOCKER_HOST".into()],
        }
    }
}

/// Says what executables are built for.
fn built(found: &[(String, Platform)]) -> String {
    let one = |(name, platform): &(String, Platform)| format!("`{name}` is built for {platform}");
    enumerate(&found.iter().map(one).collect::<Vec<_>>())
}
