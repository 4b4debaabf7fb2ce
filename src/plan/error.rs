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
    #[error("the arguments are given twice: as `ARGS` in the environment and after `--`")]
    ArgsTwice,
    #[error("the date {0} (seconds since 1970) is out of range")]
    Date(u64),
    #[error("no image name can be made of `{name}`")]
    Tag { name: String, source: InvalidReference },
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    #[error(
        "`{path}` cannot be placed: in most base images `{link}` is a link, which a layer with files below it replaces"
    )]
    BehindLink { path: ImagePath, link: &'static str, instead: String },
    #[error(transparent)]
    Builder(#[from] BuilderError),
    #[error("`--assemble place` cannot be used with {builder}: {reason}")]
    NotPlaceable { builder: String, reason: &'static str },
    #[error("the project's template `{builder}` wants to run as root")]
    ProjectRoot { builder: String },
    #[error(
        "{builder} has to run its `assemble` script; no daemon answers, and the sandbox does not work here"
    )]
    NoEngine { builder: String },
    #[error("{builder} is to run its `assemble` script on a daemon, and none answers")]
    NoDaemonToRun { builder: String },
    #[error("the image cannot be put into a daemon: none answers")]
    NoDaemon,
    #[error(
        "several artifacts are one program for several platforms, and `{name}` is no executable but a {is}"
    )]
    NotExecutable { name: String, is: String },
    #[error("`{}` and `{}` are both built for {platform}; an index has one image for each platform", names[0], names[1])]
    TwoForOnePlatform { names: [String; 2], platform: Platform },
    #[error("{one} and {other} are asked for, and an image for one of them is one for the other")]
    SamePlatform { one: Platform, other: Platform },
    #[error("{} is asked for, and {}", enumerate(missing), built(found))]
    MissingExecutables { found: Vec<(String, Platform)>, missing: Vec<Platform> },
    #[error("`{name}` is built for {built_for}, and asked for is {}", enumerate(platforms))]
    NotAskedFor { name: String, built_for: Platform, platforms: Vec<Platform> },
    #[error(
        "`{output}` keeps one platform, {runs} runs {native}, and the images are for {}",
        enumerate(platforms)
    )]
    NoNativeImage { output: String, runs: String, native: Platform, platforms: Vec<Platform> },
    #[error("no image name can be made of {}", enumerate(names))]
    NoCommonName { names: Vec<String> },
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
