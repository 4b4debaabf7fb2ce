//! Owns the work in one container: owners, uploads, the command and its labels. Must not know what is uploaded and
//! why.

use std::collections::BTreeSet;

use super::error::RunError;
use super::upload::upload;
use crate::builder::image_metadata::{IMAGE_METADATA_LIMIT, IMAGE_METADATA_PATH, parse_image_metadata};
use crate::engine::{Container, ContainerSpec, Engine, EngineError, ExitStatus};
use crate::events::{Events, Step};
use crate::image::layer::{Entry, EntryKind, Layer, Owner};
use crate::image::{Digest, ImagePath};
use crate::sources::scripts::needs_shell;

pub(crate) struct ContainerRun<'a> {
    pub(crate) container: Box<dyn Container>,
    /// Name of the image, for messages.
    image: String,
    /// Date of uploaded files, in seconds since 1970.
    date: u64,
    /// The first word of the command.
    program: Option<String>,
    events: &'a Events,
}

#[derive(Debug)]
pub struct AssembledContainer {
    /// The caller removes it.
    pub container: Box<dyn Container>,
    pub labels: Vec<(String, String)>,
    /// The script that starts the image, if it is known that only a shell can start it.
    pub shell_script: Option<ImagePath>,
}

/// The results that a container has after its script ran.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) labels: Vec<(String, String)>,
    /// See [`AssembledContainer::shell_script`].
    pub(crate) shell_script: Option<ImagePath>,
}

/// Largest script whose first line is read, in bytes.
const LARGEST_SCRIPT: u64 = 1 << 20;

impl<'a> ContainerRun<'a> {
    pub(crate) async fn create(
        engine: &dyn Engine,
        spec: ContainerSpec,
        image: &str,
        date: u64,
        events: &'a Events,
    ) -> Result<Self, RunError> {
        let program = spec.command.first().cloned();
        let container = engine.create(spec).await?;
        Ok(Self { container, image: image.to_owned(), date, program, events })
    }

    /// Continues in a container with the files of `container`.
    pub(crate) async fn restart(
        container: Box<dyn Container>,
        spec: ContainerSpec,
        image: &str,
        date: u64,
        events: &'a Events,
    ) -> Result<Self, RunError> {
        let program = spec.command.first().cloned();
        let container = container.restart(spec, events).await?;
        Ok(Self { container, image: image.to_owned(), date, program, events })
    }

    pub(crate) async fn has(&self, path: &ImagePath) -> Result<bool, RunError> {
        Ok(self.container.has(path).await?)
    }

    pub(crate) async fn require(&self, script: &ImagePath) -> Result<(), RunError> {
        match self.has(script).await? {
            true => Ok(()),
            false => Err(self.no_script(script)),
        }
    }

    /// Whether only a shell can start the script, which has to exist. A link, and what is too large for a script, count as
    /// programs.
    pub(crate) async fn require_start(&self, script: &ImagePath) -> Result<bool, RunError> {
        match self.container.download(script, LARGEST_SCRIPT).await {
            Ok(Some(bytes)) => Ok(needs_shell(&bytes)),
            Ok(None) => Err(self.no_script(script)),
            Err(EngineError::TooLarge { .. } | EngineError::NotAFile { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The error of a script that did not start because it has no `#!` line, or else `error`. Asked only after a failure: the
    /// engines report it in different ways, and nearly every script has the line.
    async fn explained(&self, script: &ImagePath, error: RunError) -> RunError {
        let is_direct = self.program.as_deref() == Some(script.as_str());
        if is_direct && self.require_start(script).await.unwrap_or(false) {
            let script = script.clone();
            self.events.note(format!("`{script}` has no `#!` line: starting it with `sh`"));
            return RunError::NeedsShell { script };
        }
        error
    }

    fn no_script(&self, script: &ImagePath) -> RunError {
        RunError::NoScript { builder: self.image.clone(), script: script.clone() }
    }

    /// The numbers of `USER[:GROUP]`; names are looked up in the image's passwd file.
    pub(crate) async fn owner(&self, user: &str) -> Result<Owner, RunError> {
        let (name, group) = user.split_once(':').map_or((user, None), |(name, group)| (name, Some(group)));
        if name.is_empty() {
            return Ok(Owner::ROOT);
        }
        let group_number = group.and_then(|group| group.parse().ok());
        if let Ok(uid) = name.parse() {
            // As in all containers, a number without an entry has group 0.
            return Ok(Owner { uid, gid: group_number.unwrap_or(0) });
        }
        if name == "root" {
            return Ok(Owner { uid: 0, gid: group_number.unwrap_or(0) });
        }
        let passwd = ImagePath::new("/etc/passwd")?;
        let unknown = || RunError::UnknownUser { builder: self.image.clone(), user: user.to_owned() };
        let bytes = match self.container.download(&passwd, 1 << 20).await {
            Ok(bytes) => bytes.unwrap_or_default(),
            // Podman looks the container's user up before it copies files.
            Err(error) if error.to_string().contains("unknown user") => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        let owner = passwd_owner(&String::from_utf8_lossy(&bytes), name).ok_or_else(unknown)?;
        Ok(Owner { gid: group_number.unwrap_or(owner.gid), ..owner })
    }

    /// Entries for the missing directories in `paths`, and for their missing parents.
    pub(crate) async fn missing_directories(
        &self,
        paths: impl IntoIterator<Item = ImagePath>,
        owner: Owner,
    ) -> Result<Vec<Entry>, RunError> {
        let with_parents = |path| std::iter::successors(Some(path), ImagePath::parent);
        let paths: BTreeSet<ImagePath> =
            paths.into_iter().flat_map(with_parents).filter(|path| path.as_str() != "/").collect();
        let mut missing = Vec::new();
        for path in paths {
            if !self.has(&path).await? {
                missing.push(Entry { path, kind: EntryKind::Directory, mode: 0o755, owner });
            }
        }
        Ok(missing)
    }

    /// Uploads `entries`, which events call `subject`.
    pub(crate) async fn upload(&self, entries: Vec<Entry>, subject: &str) -> Result<(), RunError> {
        self.upload_layer(Layer::new(entries, self.date)?, subject).await.map(drop)
    }

    /// Uploads a layer. Returns the digest of the file that the layer watches.
    pub(crate) async fn upload_layer(&self, files: Layer, subject: &str) -> Result<Option<Digest>, RunError> {
        upload(&*self.container, files, subject, self.events).await
    }

    /// Runs the command to its end. `failed` makes the error for an exit code other than zero.
    pub(crate) async fn run(&self, failed: impl FnOnce(ExitStatus) -> RunError) -> Result<(), RunError> {
        let status = self.container.run(self.events).await?;
        match status.exit_code {
            0 => Ok(()),
            _ => Err(failed(status)),
        }
    }

    /// Runs the command, which is `script`.
    pub(crate) async fn run_script(&self, script: &ImagePath) -> Result<(), RunError> {
        match self.run(|status| RunError::Script { script: script.clone(), status }).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.explained(script, error).await),
        }
    }

    pub(crate) async fn run_step(
        &self,
        shown: &str,
        failed: impl FnOnce(ExitStatus) -> RunError,
    ) -> Result<(), RunError> {
        let step = self.events.start(Step::Assemble, shown, None);
        self.run(failed).await?;
        step.made(format!("by {shown}")).finish("");
        Ok(())
    }

    /// Runs the script `script` and reads the labels that it wrote.
    pub(crate) async fn assemble(&self, script: &ImagePath) -> Result<Vec<(String, String)>, RunError> {
        let failed = |status| RunError::Script { script: script.clone(), status };
        match self.run_step(script.as_str(), failed).await {
            Ok(()) => self.labels().await,
            // Checked only now, because the script is nearly always there. If the check fails too, the first
            // error counts.
            Err(RunError::Engine(error)) if !self.container.has(script).await.unwrap_or(true) => {
                tracing::debug!(%error, "the script did not start");
                Err(self.no_script(script))
            }
            Err(error) => Err(self.explained(script, error).await),
        }
    }

    pub(crate) async fn labels(&self) -> Result<Vec<(String, String)>, RunError> {
        let path = ImagePath::new(IMAGE_METADATA_PATH)?;
        match self.container.download(&path, IMAGE_METADATA_LIMIT).await? {
            Some(bytes) => Ok(parse_image_metadata(&bytes)?),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the container with the value. After an error, removes the container.
    pub(crate) async fn keep<T>(self, outcome: Result<T, RunError>) -> Result<(Self, T), RunError> {
        match outcome {
            Ok(value) => Ok((self, value)),
            Err(error) => {
                // The first error is the one to report. The lease's clean-up removes the container.
                let _ = self.container.remove().await;
                Err(error)
            }
        }
    }

    pub(crate) async fn keep_assembled(
        self,
        findings: Result<Findings, RunError>,
    ) -> Result<AssembledContainer, RunError> {
        let (run, Findings { labels, shell_script }) = self.keep(findings).await?;
        Ok(AssembledContainer { container: run.container, labels, shell_script })
    }

    pub(crate) async fn remove<T>(self, outcome: Result<T, RunError>) -> Result<T, RunError> {
        let removed = self.container.remove().await;
        let value = outcome?;
        removed?;
        Ok(value)
    }
}

fn passwd_owner(text: &str, name: &str) -> Option<Owner> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (uid, gid) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == name).then_some(Owner { uid, gid })
    })
}
