//! Owns the plan as a Dockerfile, for platforms that only build Dockerfiles. Must not write a file.
//!
//! What a Dockerfile cannot express is an error. Files come in an archive for `ADD`: `docker build`, BuildKit and buildah
//! preserve its modes, owners and hard links, while only BuildKit has `COPY --chmod`.

mod artifact;
mod source;
mod text;

use std::fmt::Write as _;

use super::source::SHELL;
use super::{Assembly, EntrySource, KnownValues, PlannedEntry, PlannedRun, Stage};
use crate::builder::S2iContract;
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::image::{ConfigEdits, ImageConfig, ImagePath, ImageReference, Platform, shell_words};
pub use artifact::{ArtifactInputs, declared_entries, render_artifact_dockerfile};
pub use source::{RuntimeInputs, SourceInputs, UPLOADED_SCRIPTS, UPLOADED_SOURCES, render_source_dockerfile};
use text::{assignments, comment, json_words, word};

/// The first line of b2i's Dockerfiles. b2i may replace a directory whose Dockerfile has it.
pub const FIRST_LINE: &str =
    "# Written by b2i, which replaces this directory when it is told to write here again.";

/// The archive with the planned entries.
pub const ROOT_ARCHIVE: &str = "rootfs.tar";

/// The archive with the built-in base.
pub const BASE_ARCHIVE: &str = "base.tar";

/// The archive with the files of the source builder's template, if the image has a template too.
pub const BUILDER_ARCHIVE: &str = "builder.tar";

/// The directory with the files for the script.
pub const SOURCE_DIRECTORY: &str = "src";

/// Limit for entries in the comment above an archive.
const LISTED: usize = 40;

/// The values of a Dockerfile that the plan does not have.
#[derive(Debug)]
pub struct DockerfileInputs<'a> {
    /// The base in `FROM`; none for the built-in one.
    pub from: Option<String>,
    pub base: &'a ImageConfig,
    pub known: &'a KnownValues,
    /// The builder's contract, if a script runs.
    pub contract: Option<&'a S2iContract>,
    /// The default platform of a build on this machine.
    pub native_platform: &'a Platform,
}

/// Why a plan cannot be a Dockerfile.
#[derive(Debug, thiserror::Error)]
pub enum DockerfileError {
    #[error("a Dockerfile cannot contain the value of {what}: it has {character}")]
    Unwritable {
        /// The owner of the value. The value itself may be a secret.
        what: String,
        character: &'static str,
    },
    #[error(
        "a Dockerfile cannot contain the health check `{command}`: it would be a list of words, not a shell command"
    )]
    HealthCheck { command: String },
    #[error("a Dockerfile cannot have {what}: {reason}")]
    Trace { what: String, reason: &'static str },
    #[error("a Dockerfile cannot name the builder of `{artifact}`: it is known only after the build")]
    UnknownArtifact { artifact: String },
    #[error("a Dockerfile makes one image, but the request makes {count}")]
    Several { count: usize },
    #[error(
        "`docker build` would run {count} ONBUILD instructions of the base image `{base}`, which b2i does not run"
    )]
    OnBuild { base: String, count: usize },
    #[error("a Dockerfile cannot name the base `{base}`: FROM takes images of registries and daemons only")]
    BaseInFile { base: String },
}

impl Diagnostic for DockerfileError {
    fn kind(&self) -> FailureKind {
        match self {
            Self::Unwritable { .. }
            | Self::HealthCheck { .. }
            | Self::Several { .. }
            | Self::UnknownArtifact { .. }
            | Self::BaseInFile { .. }
            | Self::Trace { .. } => FailureKind::Usage,
            Self::OnBuild { .. } => FailureKind::Builder,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::Unwritable { .. } => "remove it, and set it when the image starts".into(),
            Self::HealthCheck { .. } => "start it with the name of a program".into(),
            Self::BaseInFile { base } => format!(
                "load it first: `b2i copy {base} docker-daemon:NAME`, then pass `--base docker-daemon:NAME`"
            ),
            Self::Several { .. } => "name one artifact and one platform".into(),
            Self::Trace { .. } => "remove it, or build the image without `--dockerfile`".into(),
            Self::UnknownArtifact { .. } => {
                "set its builder: `--builder binary`, `--builder java:17`, `--builder tomcat:10.1`".into()
            }
            Self::OnBuild { .. } => "build the image without `--dockerfile`".into(),
        }]
    }
}

fn reject_on_build(inputs: &DockerfileInputs<'_>) -> Result<(), DockerfileError> {
    match inputs.base.list("OnBuild").len() {
        0 => Ok(()),
        count => Err(DockerfileError::OnBuild { base: inputs.from.clone().unwrap_or_default(), count }),
    }
}

/// Renders one stage.
///
/// # Errors
/// [`DockerfileError`] if a Dockerfile cannot express it.
pub fn render_dockerfile(
    stage: &Stage,
    tags: &[ImageReference],
    inputs: &DockerfileInputs<'_>,
) -> Result<String, DockerfileError> {
    reject_on_build(inputs)?;
    let edits = stage.image.resolve(inputs.known);
    let mut out = String::new();
    header(stage, tags, &mut out);
    from(stage, inputs, "", &mut out)?;
    match &stage.assembly {
        Assembly::Place { entries } => {
            root_archive(entries, &mut out);
            environment(&edits, inputs.base, |_| true, &mut out)?;
        }
        Assembly::Sources => unreachable!("`render_source_dockerfile` renders what comes of sources"),
        Assembly::Run(run) => {
            let contract = inputs.contract.expect("whoever renders a run has read the builder's contract");
            if contract.fetched.is_some() {
                let what = "scripts from a URL in the builder's label".into();
                return Err(DockerfileError::Trace { what, reason: "they are not in the builder image" });
            }
            let files = [Copied { from: "", path: format!("{SOURCE_DIRECTORY}/") }];
            script(run, contract, &edits, inputs.base, &files, &mut out)?;
        }
    }
    labels(&edits, inputs.base, &mut out)?;
    settings(&edits, &mut out)?;
    Ok(out)
}

fn header(stage: &Stage, tags: &[ImageReference], out: &mut String) {
    line(out, FIRST_LINE);
    line(out, "#");
    if let Some(artifact) = &stage.artifact {
        let facts = artifact.facts.describe();
        line(out, &comment(&format!("{}: {facts}; {}", artifact.name, stage.builder.describe())));
    }
    if let Some(tag) = tags.first() {
        line(out, &comment(&format!("Build it here with: docker build -t {} .", tag.familiar())));
    }
}

/// Writes `FROM`; `name` is ` AS NAME` or empty.
fn from(
    stage: &Stage,
    inputs: &DockerfileInputs<'_>,
    name: &str,
    out: &mut String,
) -> Result<(), DockerfileError> {
    line(out, "");
    // An executable is for one platform, wherever the Dockerfile is built.
    let is_bound = stage.artifact.as_ref().is_some_and(|one| one.facts.is_executable())
        || stage.platform != *inputs.native_platform;
    let platform = if is_bound { format!("--platform={} ", stage.platform) } else { String::new() };
    if let Some(from) = &inputs.from {
        if from.contains('@') {
            line(out, &comment(&stage.builder.base));
        }
        line(out, &format!("FROM {platform}{from}{name}"));
        return Ok(());
    }
    line(out, "# The built-in base: users, /tmp, name services, CA certificates and time zones.");
    line(out, &format!("FROM {platform}scratch{name}"));
    line(out, &format!("ADD {BASE_ARCHIVE} /"));
    let environment: Vec<(String, String)> = inputs
        .base
        .list("Env")
        .iter()
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    out.push_str(&assignments("ENV", &environment)?);
    Ok(())
}

/// The archive of the planned entries, with a list in a comment.
fn root_archive(entries: &[PlannedEntry], out: &mut String) {
    line(out, "");
    line(out, &format!("# In {ROOT_ARCHIVE}, with the modes and owners that the image needs:"));
    for entry in entries.iter().take(LISTED) {
        let what = match &entry.what {
            EntrySource::Directory => "/".into(),
            EntrySource::Artifact => "  (the artifact)".into(),
            EntrySource::Added { .. } | EntrySource::Template { .. } | EntrySource::Certificates => {
                String::new()
            }
            EntrySource::TimeZones => "/  (and all files in it)".into(),
            EntrySource::HardLink { target } => format!("  = {target}"),
            EntrySource::Symlink { target } => format!("  -> {target}"),
        };
        line(out, &comment(&format!("  {:04o} {} {}{what}", entry.mode, entry.owner, entry.path)));
    }
    if let Some(more) = entries.len().checked_sub(LISTED).filter(|more| *more > 0) {
        line(out, &format!("#   and {more} more; `tar -tvf {ROOT_ARCHIVE}` lists all."));
    }
    line(out, &format!("ADD {ROOT_ARCHIVE} /"));
}

/// A source of `COPY`.
struct Copied<'a> {
    /// `--from=STAGE `, or empty for the build context.
    from: &'a str,
    path: String,
}

/// The files for the script, and the script. Its own variables are `ARG`s, which leave no variable in the image and need
/// no shell.
fn script(
    run: &PlannedRun,
    contract: &S2iContract,
    edits: &ConfigEdits,
    base: &ImageConfig,
    files: &[Copied<'_>],
    out: &mut String,
) -> Result<(), DockerfileError> {
    if !run.entries.is_empty() {
        root_archive(&run.entries, out);
    }
    let stays = |name: &str| edits.env.iter().any(|(kept, _)| kept == name);
    let sees = |name: &str| run.environment.iter().any(|(seen, _)| seen == name);
    environment(edits, base, sees, out)?;
    let mut arguments: Vec<(String, String)> =
        run.environment.iter().filter(|(name, _)| !stays(name)).cloned().collect();
    arguments.push(("S2I_DESTINATION".into(), contract.destination.to_string()));
    let user = contract.assemble_user.clone().unwrap_or_else(|| base.user().to_owned());
    let user = if user.is_empty() { "root".to_owned() } else { user };
    let owner = owner(&user)?;
    line(out, "");
    line(out, "# What the builder's script finds.");
    let source = contract.destination.join("src").expect("an absolute, normal path with one name more");
    let source = word("the builder's destination", source.as_str())?;
    for Copied { from, path } in files {
        let path = word("a path", path)?;
        line(out, &format!("COPY {from}--chown={owner} {path} {source}/"));
    }
    for argument in &arguments {
        out.push_str(&assignments("ARG", std::slice::from_ref(argument))?);
    }
    line(out, "");
    line(out, "# b2i gives it no network; `docker build --network none` does the same.");
    let final_user = edits.user.as_deref().unwrap_or(base.user());
    let changes_user = user != final_user;
    if changes_user || edits.user.is_some() {
        line(out, &format!("USER {}", word("the user", &user)?));
    }
    let script = contract.scripts.join("assemble").expect("an absolute, normal path with one name more");
    let command = match &run.scripts {
        Some(_) => vec![script.to_string()],
        None => from_shell(&script),
    };
    line(out, &format!("RUN {}", json_words(&command)));
    if changes_user && edits.user.is_none() {
        let back = if final_user.is_empty() { "root" } else { final_user };
        line(out, &format!("USER {}", word("the user", back)?));
    }
    environment(edits, base, |name| !sees(name), out)
}

/// The variables that `chosen` accepts. A Dockerfile cannot remove a variable of the base, only empty it.
fn environment(
    edits: &ConfigEdits,
    base: &ImageConfig,
    chosen: impl Fn(&str) -> bool,
    out: &mut String,
) -> Result<(), DockerfileError> {
    let is_set = |name: &str| edits.env.iter().any(|(set, _)| set == name);
    let emptied = edits
        .removed_env
        .iter()
        .filter(|name| !is_set(name) && base.env(name).is_some_and(|old| !old.is_empty()));
    let mut variables: Vec<(String, String)> = emptied.map(|name| (name.clone(), String::new())).collect();
    variables.extend(edits.env.iter().cloned());
    variables.retain(|(name, _)| chosen(name));
    if !variables.is_empty() {
        line(out, "");
        out.push_str(&assignments("ENV", &variables)?);
    }
    Ok(())
}

fn labels(edits: &ConfigEdits, base: &ImageConfig, out: &mut String) -> Result<(), DockerfileError> {
    let emptied = edits.removed_labels.iter().filter(|name| {
        !edits.labels.contains_key(*name) && base.label(name).is_some_and(|old| !old.is_empty())
    });
    let mut labels: Vec<(String, String)> = emptied.map(|name| (name.clone(), String::new())).collect();
    labels.extend(edits.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    if !labels.is_empty() {
        line(out, "");
        out.push_str(&assignments("LABEL", &labels)?);
    }
    Ok(())
}

fn settings(edits: &ConfigEdits, out: &mut String) -> Result<(), DockerfileError> {
    line(out, "");
    for port in &edits.exposed_ports {
        line(out, &format!("EXPOSE {}", word("a port", port)?));
    }
    let single = [
        ("USER", "the user", &edits.user),
        ("WORKDIR", "the working directory", &edits.working_dir),
        ("STOPSIGNAL", "the stop signal", &edits.stop_signal),
    ];
    for (instruction, what, value) in single {
        if let Some(value) = value {
            line(out, &format!("{instruction} {}", word(what, value)?));
        }
    }
    match edits.health_cmd.as_deref() {
        None => {}
        Some("") => line(out, "HEALTHCHECK NONE"),
        Some(command) => line(out, &format!("HEALTHCHECK CMD {}", text::shell_command(command)?)),
    }
    for (instruction, words) in [("ENTRYPOINT", &edits.entrypoint), ("CMD", &edits.cmd)] {
        if let Some(words) = words {
            line(out, &format!("{instruction} {}", json_words(words)));
        }
    }
    Ok(())
}

/// The command that starts a script of an image from a shell, as S2I does: nobody has looked whether it has a `#!` line.
fn from_shell(script: &ImagePath) -> Vec<String> {
    vec![SHELL.to_owned(), "-c".to_owned(), shell_words::quote(&[script.as_str()])]
}

/// The owner in `--chown`. A user without a group gets root's group.
fn owner(user: &str) -> Result<String, DockerfileError> {
    match user.contains(':') {
        true => word("the user", user),
        false => word("the user", &format!("{user}:0")),
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
