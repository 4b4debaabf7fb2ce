//! Owns the errors of planning. Must not know source stages.

use super::names::enumerate;
use crate::builder::BuilderError;
use crate::builder::base::BUILT_IN_USERS;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::path::InvalidImagePath;
use crate::image::reference::InvalidReference;
use crate::image::{ImagePath, Platform};

/// Why planning failed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("the arguments are set twice: as `ARGS` in the environment and after `--`")]
    ArgsTwice,
    #[error("the date {0} (seconds since 1970) is out of range")]
    Date(u64),
    #[error("cannot derive an image name from `{name}`")]
    Tag { name: String, source: InvalidReference },
    #[error(transparent)]
    Path(#[from] InvalidImagePath),
    #[error("cannot place `{path}`: `{link}` is a link in most base images, and the layer would replace it")]
    BehindLink { path: ImagePath, link: &'static str, instead: String },
    #[error(transparent)]
    Builder(#[from] BuilderError),
    #[error("`--assemble place` cannot be used with {builder}: {reason}")]
    NotPlaceable { builder: String, reason: &'static str },
    #[error("the project's template `{builder}` runs as root")]
    ProjectRoot { builder: String },
    #[error(
        "cannot run the `assemble` script of {builder}: no daemon answers, and the sandbox does not work here"
    )]
    NoEngine { builder: String },
    #[error("cannot run the `assemble` script of {builder} on a daemon: no daemon answers")]
    NoDaemonToRun { builder: String },
    #[error("cannot read the base `{base}`: no daemon answers")]
    NoDaemonForBase { base: String },
    #[error("cannot write the image to a daemon: no daemon answers")]
    NoDaemon,
    #[error(
        "the artifacts must be one program built for several platforms, but `{name}` is a {is}, not an executable"
    )]
    NotExecutable { name: String, is: String },
    #[error("`{}` and `{}` are both built for {platform}; an index has one image for each platform", names[0], names[1])]
    TwoForOnePlatform { names: [String; 2], platform: Platform },
    #[error("{one} and {other} mean the same image")]
    SamePlatform { one: Platform, other: Platform },
    #[error("no executable for {}; {}", enumerate(missing), built(found))]
    MissingExecutables { found: Vec<(String, Platform)>, missing: Vec<Platform> },
    #[error("`{name}` is built for {built_for}, but `--platform` names {}", enumerate(platforms))]
    ExtraExecutable { name: String, built_for: Platform, platforms: Vec<Platform> },
    #[error(
        "`{output}` stores one platform: {runs} runs {native}, but the images are for {}",
        enumerate(platforms)
    )]
    NoNativeImage { output: String, runs: String, native: Platform, platforms: Vec<Platform> },
    #[error("`--health-cmd` cannot run in the image: the base `{base}` has no shell")]
    HealthCommand { base: String },
    #[error("the image cannot start as `{user}`: the built-in base has only the accounts {}", enumerate(&BUILT_IN_USERS))]
    UnknownUser { user: String },
    #[error("cannot derive one image name from {}", enumerate(names))]
    NoCommonName { names: Vec<String> },
}

impl PlanError {
    /// Whether a daemon would make the plan possible.
    pub fn needs_daemon(&self) -> bool {
        matches!(
            self,
            Self::NoEngine { .. }
                | Self::NoDaemonToRun { .. }
                | Self::NoDaemonForBase { .. }
                | Self::NoDaemon
        )
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
            | Self::ExtraExecutable { .. }
            | Self::NoNativeImage { .. }
            | Self::HealthCommand { .. }
            | Self::UnknownUser { .. }
            | Self::NoCommonName { .. } => FailureKind::Usage,
            Self::Builder(error) => error.kind(),
            Self::ProjectRoot { .. } => FailureKind::Builder,
            Self::NoEngine { .. }
            | Self::NoDaemonToRun { .. }
            | Self::NoDaemonForBase { .. }
            | Self::NoDaemon => FailureKind::Engine,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ArgsTwice => vec!["pass the arguments after `--` and drop `--env ARGS`".into()],
            Self::Date(_) => vec!["set SOURCE_DATE_EPOCH to a number of seconds since 1970".into()],
            Self::Tag { .. } | Self::NoCommonName { .. } => vec!["name the image with `-t NAME:TAG`".into()],
            Self::NotExecutable { .. } => vec![
                "build each artifact by itself; add files that belong to one with `--add FILE`".into(),
                "build a JAR, WAR or script for several platforms with `--platform linux/amd64,linux/arm64`"
                    .into(),
            ],
            Self::TwoForOnePlatform { platform, .. } => {
                let mut hints = vec!["remove one of them".to_owned()];
                if platform.architecture == "arm" && platform.variant.is_none() {
                    hints.push(
                        "if they differ in the variant, name both: `--platform linux/arm/v6,linux/arm/v7`"
                            .into(),
                    );
                }
                hints
            }
            Self::SamePlatform { .. } => vec!["remove one of them, or name the variant of both".into()],
            Self::MissingExecutables { .. } => vec![
                "name an executable for each platform: `b2i build app-amd64 app-arm64`".into(),
                "or remove `--platform`: b2i reads the platforms from the executables".into(),
            ],
            Self::ExtraExecutable { .. } => {
                vec!["remove the executable, or add its platform to `--platform`".into()]
            }
            Self::NoNativeImage { .. } => vec![
                "write an index with `--push`, `-o oci:DIR` or `-o oci-archive:FILE`".into(),
                "or build the image for one platform".into(),
            ],
            Self::HealthCommand { .. } => vec![
                "remove `--health-cmd`; in Kubernetes, a probe of the pod needs no shell in the image".into(),
                "or choose a builder whose base has a shell, such as `--builder binary:debian12`".into(),
            ],
            Self::UnknownUser { .. } => vec!["pass a number, such as `--user 1001:0`".into()],
            Self::Path(_) => {
                vec!["use `--add SRC:DEST` with an absolute or a plain relative destination".into()]
            }
            Self::BehindLink { instead, .. } => vec![
                format!("name the target of the link: `--add SRC:{instead}`"),
                "or run the script, which follows links: `--assemble docker` or `--assemble sandbox`".into(),
            ],
            Self::Builder(error) => error.hints(),
            Self::NotPlaceable { .. } => {
                vec!["use `--assemble docker` or `--assemble sandbox`, or remove the option".into()]
            }
            Self::ProjectRoot { .. } => vec![
                "set another `user` in its `builder.toml`".into(),
                "or use `--allow-root` if you trust the project".into(),
            ],
            Self::NoDaemonToRun { .. } => vec![
                "start Docker or Podman, or name its socket with DOCKER_HOST".into(),
                "or run the script without a daemon: `--assemble sandbox`".into(),
            ],
            Self::NoEngine { .. } => vec![
                "run `b2i doctor` to see what the sandbox needs".into(),
                "or start Docker or Podman, or name its socket with DOCKER_HOST".into(),
            ],
            Self::NoDaemon | Self::NoDaemonForBase { .. } => {
                vec!["start Docker or Podman, or name its socket with DOCKER_HOST".into()]
            }
        }
    }
}

/// The platforms that the executables are built for, as text.
fn built(found: &[(String, Platform)]) -> String {
    let one = |(name, platform): &(String, Platform)| format!("`{name}` is built for {platform}");
    enumerate(&found.iter().map(one).collect::<Vec<_>>())
}
