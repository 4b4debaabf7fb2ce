//! Owns why a request makes no plan, and what to do then.

use crate::builder::BuilderError;
use crate::failure::{Failure, FailureKind};
use crate::image::ImagePath;
use crate::image::path::InvalidImagePath;
use crate::image::reference::InvalidReference;

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
}

impl PlanError {
    /// Says whether a daemon that answers would have made the plan possible.
    pub fn needs_daemon(&self) -> bool {
        matches!(self, Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon)
    }
}

impl Failure for PlanError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::ArgsTwice
            | Self::Date(_)
            | Self::Tag { .. }
            | Self::Path(_)
            | Self::BehindLink { .. }
            | Self::NotPlaceable { .. } => FailureKind::Usage,
            Self::Builder(error) => error.kind(),
            Self::ProjectRoot { .. } => FailureKind::Builder,
            Self::NoEngine { .. } | Self::NoDaemonToRun { .. } | Self::NoDaemon => FailureKind::Engine,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::ArgsTwice => vec!["give the arguments after `--` and drop `--env ARGS`".into()],
            Self::Date(_) => vec!["set SOURCE_DATE_EPOCH to a number of seconds since 1970".into()],
            Self::Tag { .. } => vec!["name the image with `-t NAME:TAG`".into()],
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
