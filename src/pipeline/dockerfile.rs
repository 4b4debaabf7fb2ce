//! Owns writing a plan as a build context for `docker build` and buildah. Must not build an image.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use super::build::Work;
use super::prepare::{Purpose, StageInputs, prepare};
use super::script::contract;
use super::stage::StageWork;
use crate::assemble;
use crate::blocking::blocking;
use crate::error::Error;
use crate::fs::FileError;
use crate::image::digest::DigestReader;
use crate::image::layer::{EntryKind, Layer};
use crate::image::{BaseImage, Digest, ImageReference, Platform};
use crate::plan::dockerfile::{
    BASE_ARCHIVE, BUILDER_ARCHIVE, DockerfileError, DockerfileInputs, FIRST_LINE, ROOT_ARCHIVE,
    SOURCE_DIRECTORY, render_dockerfile,
};
use crate::plan::{Assembly, AssemblyKind, KnownValues, PlannedSource};
use crate::request::Request;
use crate::session::Session;
use serde::{Deserialize, Serialize};

/// The directory of a source build's uploads.
pub(crate) const UPLOADS: &str = "upload";

pub(crate) const DOCKERFILE: &str = "Dockerfile";

/// A build context that was written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WrittenContext {
    /// The directory of the context.
    pub directory: PathBuf,
    /// Its files, the Dockerfile first.
    pub files: Vec<String>,
    /// Names for the image.
    pub tags: Vec<ImageReference>,
    /// The builder that was used.
    pub builder: String,
    /// How the artifact gets into the image.
    pub assembly: AssemblyKind,
    /// Digest of the artifact.
    pub artifact_digest: Option<Digest>,
}

/// Writes a plan as a Dockerfile with its files, and builds nothing.
///
/// # Errors
/// [`Error`] of the step that failed; `directory` is unchanged then.
pub async fn write_dockerfile(
    request: &Request,
    directory: &Path,
    session: &Session,
) -> Result<WrittenContext, Error> {
    if let Some(options) = &request.source_build {
        return super::source::write_dockerfile(request, options, directory, None, session).await;
    }
    check_replaceable(directory)?;
    let prepared = prepare(request, Purpose::Dockerfile, session).await?;
    let ([stage], [image]) = (&prepared.plan.stages[..], &prepared.images[..]) else {
        return Err(DockerfileError::Several { count: prepared.plan.stages.len() }.into());
    };
    let all = Work::new(request, session, &prepared);
    let work = StageWork::new(&all, 0, stage, image);
    let base = work.base(&[]).await?;
    let out = session.new_directory(directory)?;
    let context = Context { directory: out.path() };
    let mut files = vec![DOCKERFILE.to_owned()];
    let mut known = KnownValues::of_base(&base);
    if let Some(layer) = base.built_in() {
        context.archive(layer, BASE_ARCHIVE).await?;
        files.push(BASE_ARCHIVE.into());
    }
    let mut s2i_contract = None;
    let artifact_digest = match &stage.assembly {
        Assembly::Sources => unreachable!("source builds returned above"),
        Assembly::Place { entries } => {
            let layer = assemble::layer(entries, image.inputs(), stage.date)?;
            files.push(ROOT_ARCHIVE.into());
            context.archive(&layer, ROOT_ARCHIVE).await?
        }
        Assembly::Run(run) => {
            let contract = s2i_contract.insert(contract(run, &base)?);
            known.builder_scripts = Some(contract.scripts.to_string());
            if !run.entries.is_empty() {
                let layer = assemble::layer(&run.entries, image.inputs(), stage.date)?;
                context.archive(&layer, ROOT_ARCHIVE).await?;
                files.push(ROOT_ARCHIVE.into());
            }
            files.push(format!("{SOURCE_DIRECTORY}/"));
            write_files(context.directory.join(SOURCE_DIRECTORY), &run.sources, image).await?
        }
    };
    let artifact_digest = artifact_digest.or(image.artifact.as_ref().and_then(|artifact| artifact.sha256));
    work.check_unchanged()?;
    known.artifact_digest = artifact_digest.map(|digest| digest.to_string());
    let inputs = DockerfileInputs {
        from: from(&work, &base)?,
        base: &base.config,
        known: &known,
        contract: s2i_contract.as_ref(),
        native_platform: &Platform::host(),
    };
    let text = render_dockerfile(stage, &prepared.plan.tags, &inputs)?;
    context.write(DOCKERFILE, text.as_bytes())?;
    // Another program may have written into the directory meanwhile.
    check_replaceable(directory)?;
    out.commit().map_err(Error::Output)?;
    Ok(WrittenContext {
        directory: directory.to_owned(),
        files,
        tags: prepared.plan.tags.clone(),
        builder: stage.builder.name.clone(),
        assembly: stage.assembly.kind(),
        artifact_digest,
    })
}

/// The base in `FROM`: by digest if it has one, because the labels name the digest. None for the built-in base.
pub(crate) fn from(work: &StageWork<'_>, base: &BaseImage) -> Result<Option<String>, DockerfileError> {
    let name = work.image.selection.base();
    if name.file().is_some() {
        return Err(DockerfileError::BaseInFile { base: name.to_string() });
    }
    let Some(reference) = name.reference() else { return Ok(None) };
    Ok(Some(match base.manifest_digest {
        // Older versions of buildah reject a name with both tag and digest.
        Some(digest) => format!("{}@{digest}", reference.name()),
        // Podman may have the image under another full name, which the short name finds.
        None if reference.is_short() && base.image_id.is_some() => reference.familiar(),
        None => reference.to_string(),
    }))
}

/// Rejects a directory with files that b2i did not write.
pub(crate) fn check_replaceable(directory: &Path) -> Result<(), Error> {
    let failed = |error| Error::Output(FileError::new("look into", directory, error));
    let entries = match directory.read_dir() {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(());
        }
        Err(error) => return Err(failed(error)),
    };
    let mut is_empty = true;
    for entry in entries {
        is_empty = false;
        let name = entry.map_err(failed)?.file_name();
        if ![DOCKERFILE, BASE_ARCHIVE, BUILDER_ARCHIVE, ROOT_ARCHIVE, SOURCE_DIRECTORY, UPLOADS]
            .iter()
            .any(|ours| name == *ours)
        {
            return Err(Error::NotEmpty { directory: directory.display().to_string() });
        }
    }
    let is_ours = || {
        let text = fs::read(directory.join(DOCKERFILE)).unwrap_or_default();
        text.split(|byte| *byte == b'\n').next() == Some(FIRST_LINE.as_bytes())
    };
    if is_empty || is_ours() {
        return Ok(());
    }
    Err(Error::NotEmpty { directory: directory.display().to_string() })
}

/// The new directory.
struct Context<'a> {
    directory: &'a Path,
}

impl Context<'_> {
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.directory.join(name);
        fs::write(&path, bytes).map_err(|error| Error::Output(FileError::new("write", &path, error)))
    }

    async fn archive(&self, layer: &Layer, name: &str) -> Result<Option<Digest>, Error> {
        write_archive(layer, self.directory.join(name)).await
    }
}

/// Writes the files for the script; returns the artifact's digest, if it is among them.
pub(crate) async fn write_files(
    directory: PathBuf,
    sources: &[PlannedSource],
    image: &StageInputs,
) -> Result<Option<Digest>, Error> {
    let sources: Vec<_> = sources
        .iter()
        .map(|source| (source.clone(), assemble::source_kind(&source.what, image.inputs())))
        .collect();
    blocking(move || {
        // Independent of the umask: the script's user must read the directory.
        let failed = |error| Error::Output(FileError::new("create", &directory, error));
        fs::create_dir(&directory).and_then(|()| set_mode(&directory, 0o755)).map_err(failed)?;
        let mut digest = None;
        for (source, kind) in sources {
            let path = directory.join(&source.path);
            let read = write_source(&path, &kind, source.mode);
            let read = read.map_err(|error| Error::Output(FileError::new("write", &path, error)))?;
            if source.what == crate::plan::EntrySource::Artifact {
                digest = read;
            }
        }
        Ok(digest)
    })
    .await
}

/// Writes the tar of a layer; returns the digest of its watched file.
pub(crate) async fn write_archive(layer: &Layer, path: PathBuf) -> Result<Option<Digest>, Error> {
    let layer = layer.clone();
    blocking(move || {
        let failed = |error| Error::Output(FileError::new("write", &path, error));
        let file = File::create(&path).map_err(failed)?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        let watched = layer.write_undigested(&mut out).map_err(failed)?;
        out.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
        Ok(watched)
    })
    .await
}

pub(crate) fn write_source(path: &Path, kind: &EntryKind, mode: u32) -> io::Result<Option<Digest>> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let digest = match kind {
        EntryKind::Directory => {
            fs::create_dir_all(path)?;
            None
        }
        EntryKind::File { content, .. } => {
            let mut reader = DigestReader::new(content.open()?);
            io::copy(&mut reader, &mut File::create_new(path)?)?;
            Some(reader.finish().0)
        }
        EntryKind::Symlink { target } => return symlink(target, path).map(|()| None),
        EntryKind::HardLink { .. } | EntryKind::Fifo => {
            unreachable!("a file for a script is neither a hard link nor a pipe")
        }
    };
    set_mode(path, mode)?;
    Ok(digest)
}

#[cfg(unix)]
fn symlink(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
}

#[cfg(not(unix))]
fn symlink(_: &str, _: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "symbolic links are not made on this system"))
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
