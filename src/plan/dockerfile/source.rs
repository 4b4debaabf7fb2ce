//! Owns a source stage as a Dockerfile, in which `docker build` runs the builder's scripts.
//!
//! Must not put secrets into a layer or the history: secret files are mounts, and everything else is an error.

use super::text::{assignments, comment, json_words, word};
use super::{
    DockerfileError, DockerfileInputs, FIRST_LINE, environment, from_shell, labels, line, owner,
    reject_on_build, settings,
};
use crate::image::{ConfigEdits, ImageConfig, ImageReference, shell_words};
use crate::plan::{PlannedProduct, PlannedScript, ScriptOrigin, SourceStage, Stage};

/// The directory of the sources, in the build context.
pub const UPLOADED_SOURCES: &str = "upload/src";

/// The directory of the scripts that are not the builder's own, in the build context.
pub const UPLOADED_SCRIPTS: &str = "upload/scripts";

/// The name of the file that `docker build` reads.
const DEFAULT_NAME: &str = "Dockerfile";

/// The directory for saved artifacts in the previous image. Images do not have it.
const SAVED: &str = "/tmp/b2i-saved";

/// The values of a source stage that the plan does not have.
#[derive(Debug)]
pub struct SourceInputs<'a> {
    /// The template's base, or the builder image.
    pub builder: DockerfileInputs<'a>,
    /// The archive with the template's files.
    pub root_archive: Option<&'static str>,
    pub has_scripts: bool,
    /// The name of the Dockerfile.
    pub file_name: &'a str,
    pub runtime: Option<RuntimeInputs<'a>>,
}

/// The values of the second stage of an extended build.
#[derive(Debug)]
pub struct RuntimeInputs<'a> {
    /// The runtime image in `FROM`.
    pub from: String,
    pub base: &'a ImageConfig,
}

/// Renders a source stage whose assembled builder is the image, or that fills a runtime image.
///
/// # Errors
/// [`DockerfileError`] if a Dockerfile cannot express it.
pub fn render_source_dockerfile(
    source: &SourceStage,
    stage: &Stage,
    tags: &[ImageReference],
    inputs: &SourceInputs<'_>,
) -> Result<String, DockerfileError> {
    reject_on_build(&inputs.builder)?;
    reject_traces(source)?;
    let edits = stage.image.resolve(inputs.builder.known);
    let mut out = String::new();
    header(source, tags, inputs.file_name, &mut out);
    let in_assemble = |name: &str| source.environment.iter().any(|(seen, _)| seen == name);
    assembled(source, &edits, in_assemble, inputs, &mut out)?;
    match (&source.runtime, &inputs.runtime) {
        (Some(runtime), Some(image)) => {
            runtime_image(source, runtime, image, inputs, &mut out)?;
            environment(&edits, image.base, |name| !in_assemble(name), &mut out)?;
        }
        _ => environment(&edits, inputs.builder.base, |name| !in_assemble(name), &mut out)?,
    }
    labels(&edits, inputs.runtime.as_ref().map_or(inputs.builder.base, |image| image.base), &mut out)?;
    user_behind(source, &edits, inputs, &mut out)?;
    settings(&edits, &mut out)?;
    Ok(out)
}

/// The builder in which the sources were assembled.
pub(super) fn assembled(
    source: &SourceStage,
    edits: &ConfigEdits,
    in_assemble: impl Fn(&str) -> bool,
    inputs: &SourceInputs<'_>,
    out: &mut String,
) -> Result<(), DockerfileError> {
    if let Some(previous) = &source.incremental {
        previous_build(source, previous, out)?;
    }
    builder(source, inputs, out);
    if let Some(archive) = inputs.root_archive {
        line(out, "");
        line(out, "# The template's own files, with their modes and owners.");
        line(out, &format!("ADD {archive} /"));
    }
    environment(edits, inputs.builder.base, in_assemble, out)?;
    uploads(source, inputs, out)?;
    assemble(source, out)
}

/// Rejects what would stay in the image, and what no instruction does.
pub(super) fn reject_traces(source: &SourceStage) -> Result<(), DockerfileError> {
    let rejected = |what: String, reason| Err(DockerfileError::Trace { what, reason });
    if let Some(name) = source.build_environment.first() {
        let reason = "the history of the image would contain its value; use a file of `--secret`";
        return rejected(format!("the variable `{name}` of `--build-env`"), reason);
    }
    if let Some(injection) = source.injections.first() {
        let reason = "a layer would contain its files; use a file of `--secret`";
        return rejected(format!("the injection of `{}`", injection.source.display()), reason);
    }
    if let Some(volume) = source.volumes.first() {
        return rejected(
            format!("the mount of `{}`", volume.source),
            "no instruction mounts a directory of a machine",
        );
    }
    if !source.on_build.is_empty() {
        return rejected(
            "the builder's ONBUILD instructions".into(),
            "they need another directory of the context",
        );
    }
    Ok(())
}

pub(super) fn header(source: &SourceStage, tags: &[ImageReference], file_name: &str, out: &mut String) {
    line(out, FIRST_LINE);
    line(out, "#");
    line(out, &comment(&format!("{}, built by {}", source.source.name, source.builder.describe())));
    let mut options = String::new();
    if file_name != DEFAULT_NAME {
        options.push_str(&format!("-f {} ", shell_words::quote(&[file_name])));
    }
    for host in &source.add_hosts {
        options.push_str(&format!("--add-host {host} "));
    }
    for secret in &source.secrets {
        options.push_str(&format!("--secret id={secret},src=FILE "));
    }
    if source.limits.network.is_none() {
        options.push_str("--network none ");
    }
    if let Some(tag) = tags.first() {
        options.push_str(&format!("-t {} ", tag.familiar()));
    }
    line(out, &comment(&format!("Build it here with: docker build {options}.")));
    if !source.secrets.is_empty() {
        line(out, "# Secrets are mounted: that takes BuildKit or buildah.");
    }
}

/// Unpacks the artifacts of the previous image in a separate stage.
fn previous_build(
    source: &SourceStage,
    previous: &ImageReference,
    out: &mut String,
) -> Result<(), DockerfileError> {
    let Some(script) = &source.scripts.save_artifacts else { return Ok(()) };
    line(out, "");
    line(out, "# What the image before has saved.");
    line(out, &format!("FROM {previous} AS previous"));
    if script.origin != ScriptOrigin::Image {
        let script = word("a script", script.path.as_str())?;
        let owner = owner(user(source))?;
        line(out, &format!("COPY --chown={owner} {UPLOADED_SCRIPTS}/save-artifacts {script}"));
    }
    if !source.user.is_empty() {
        line(out, &format!("USER {}", word("the user", &source.user)?));
    }
    // A failed script or an invalid tar restores nothing.
    let script = shell_words::quote(&script.command());
    let shell = format!(
        "mkdir {SAVED} && {{ {script} >{SAVED}.tar && tar -C {SAVED} -xf {SAVED}.tar || \
         {{ rm -rf {SAVED} && mkdir {SAVED}; }}; }}"
    );
    line(out, &format!("RUN {}", json_words(&["/bin/sh".into(), "-c".into(), shell])));
    Ok(())
}

fn builder(source: &SourceStage, inputs: &SourceInputs<'_>, out: &mut String) {
    line(out, "");
    let from = inputs.builder.from.clone().unwrap_or_else(|| "scratch".into());
    if from.contains('@') {
        line(out, &comment(&source.builder.base));
    }
    let platform = platform(source, inputs);
    let is_last = source.runtime.is_none() && source.product == PlannedProduct::Image;
    let name = if is_last { "" } else { " AS build" };
    line(out, &format!("FROM {platform}{from}{name}"));
    if inputs.builder.from.is_none() {
        line(out, &format!("ADD {} /", super::BASE_ARCHIVE));
    }
}

/// The option of `FROM` for another platform than this machine's.
fn platform(source: &SourceStage, inputs: &SourceInputs<'_>) -> String {
    let is_bound = source.platform != *inputs.builder.native_platform;
    if is_bound { format!("--platform={} ", source.platform) } else { String::new() }
}

fn uploads(source: &SourceStage, inputs: &SourceInputs<'_>, out: &mut String) -> Result<(), DockerfileError> {
    let owner = owner(user(source))?;
    let below = |name: &str| {
        let path = source.destination.join(name).expect("an absolute, normal path with one name more");
        word("the builder's destination", path.as_str())
    };
    line(out, "");
    if inputs.has_scripts {
        line(out, &format!("COPY --chown={owner} {UPLOADED_SCRIPTS}/ {}/", below("scripts")?));
    }
    if source.incremental.is_some() && source.scripts.save_artifacts.is_some() {
        line(out, &format!("COPY --from=previous --chown={owner} {SAVED}/ {}/", below("artifacts")?));
    }
    line(out, &format!("COPY --chown={owner} {UPLOADED_SOURCES}/ {}/", below("src")?));
    Ok(())
}

fn assemble(source: &SourceStage, out: &mut String) -> Result<(), DockerfileError> {
    let Some(script) = &source.scripts.assemble else { return Ok(()) };
    line(out, &format!("USER {}", word("the user", user(source))?));
    let mut mounts = String::new();
    for secret in &source.secrets {
        let secret = word("a secret", secret)?;
        let readable = readable_by(user(source));
        let mount = format!("type=secret,id={secret},target=/run/secrets/{secret},required=true{readable}");
        mounts.push_str(&format!("--mount={mount} "));
    }
    let is_of_template = source.builder.template_digest.is_some();
    line(out, &format!("RUN {mounts}{}", exec(script, is_of_template)));
    Ok(())
}

/// The option that lets the script's user read a secret: by number if it is known. The default is root alone.
fn readable_by(user: &str) -> String {
    let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
    match (uid.parse::<u32>(), gid.parse::<u32>()) {
        _ if uid == "root" || uid == "0" => String::new(),
        (Ok(uid), Ok(gid)) => format!(",uid={uid},gid={gid}"),
        _ => ",mode=0444".to_owned(),
    }
}

/// The runtime image: artifacts of the builder, and its own script.
fn runtime_image(
    source: &SourceStage,
    runtime: &crate::plan::PlannedRuntime,
    image: &RuntimeInputs<'_>,
    inputs: &SourceInputs<'_>,
    out: &mut String,
) -> Result<(), DockerfileError> {
    let user = if runtime.user.is_empty() { "root" } else { &runtime.user };
    let owner = owner(user)?;
    match image.base.list("OnBuild").len() {
        0 => {}
        count => return Err(DockerfileError::OnBuild { base: image.from.clone(), count }),
    }
    line(out, "");
    if image.from.contains('@') {
        line(out, &comment(&runtime.image.to_string()));
    }
    line(out, &format!("FROM {}{}", platform(source, inputs), image.from));
    if !source.environment.is_empty() {
        out.push_str(&assignments("ENV", &source.environment)?);
    }
    for script in [&runtime.assemble, &runtime.run].into_iter().flatten() {
        if script.origin != ScriptOrigin::Image {
            let path = word("a script", script.path.as_str())?;
            let name = script.path.file_name();
            line(out, &format!("COPY --chown={owner} {UPLOADED_SCRIPTS}/{name} {path}"));
        }
    }
    for (artifact, directory) in &runtime.artifacts {
        // The target is the full path: `COPY` of a directory copies only its content.
        let target = directory.join(artifact.file_name()).expect("a name of a normal path");
        let artifact = word("an artifact", artifact.as_str())?;
        let target = word("a path", target.as_str())?;
        line(out, &format!("COPY --from=build --chown={owner} {artifact} {target}"));
    }
    if let Some(script) = &runtime.assemble {
        line(out, &format!("USER {}", word("the user", user)?));
        line(out, &format!("RUN {}", exec(script, false)));
    }
    Ok(())
}

/// Restores the image's user after a script of another user.
fn user_behind(
    source: &SourceStage,
    edits: &ConfigEdits,
    inputs: &SourceInputs<'_>,
    out: &mut String,
) -> Result<(), DockerfileError> {
    let own = inputs.runtime.as_ref().map_or(inputs.builder.base, |image| image.base).user();
    let ran = source.runtime.as_ref().map_or(user(source), |runtime| runtime.user.as_str());
    if edits.user.is_none() && ran != own {
        let own = if own.is_empty() { "root" } else { own };
        line(out, &format!("USER {}", word("the user", own)?));
    }
    Ok(())
}

fn user(source: &SourceStage) -> &str {
    if source.user.is_empty() { "root" } else { &source.user }
}

fn exec(script: &PlannedScript, is_of_template: bool) -> String {
    match script.origin {
        ScriptOrigin::Image if !is_of_template => json_words(&from_shell(&script.path)),
        _ => json_words(&script.command()),
    }
}
