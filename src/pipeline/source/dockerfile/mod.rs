//! Owns writing a source build as a Dockerfile, with the sources and scripts that it uploads.

use std::fs;
use std::path::{Path, PathBuf};

mod artifact;

use artifact::ArtifactStage;

use super::image_plan;
use super::prepare::{PreparedSource, Purpose, prepare_for};
use crate::blocking::blocking;
use crate::error::Error;
use crate::fs::{AtomicDirectory, AtomicFile, FileError};
use crate::image::layer::{EntryKind, Layer};
use crate::image::{BaseImage, ImageReference, Platform};
use crate::pipeline::WrittenContext;
use crate::pipeline::dockerfile::{
    DOCKERFILE, UPLOADS, check_replaceable, set_mode, write_archive, write_source,
};
use crate::plan::dockerfile::{
    BASE_ARCHIVE, BUILDER_ARCHIVE, DockerfileError, DockerfileInputs, FIRST_LINE, ROOT_ARCHIVE,
    RuntimeInputs, SourceInputs, UPLOADED_SCRIPTS, UPLOADED_SOURCES, render_source_dockerfile,
};
use crate::plan::{Assembly, KnownValues, Plan, PlannedProduct};
use crate::request::{Request, SourceBuildRequest};
use crate::session::Session;
use crate::sources::TreeEntryKind;

/// Scripts that may replace the builder's own.
const SCRIPTS: [&str; 4] = ["assemble", "run", "save-artifacts", "assemble-runtime"];

/// Writes a source build as a Dockerfile and builds nothing.
///
/// With `name`, the Dockerfile has that name, and the directory may hold other files. Only an `upload` that b2i wrote is
/// replaced.
///
/// # Errors
/// [`Error`] of the step that failed; the directory is unchanged then.
pub async fn write_dockerfile(
    request: &Request,
    options: &SourceBuildRequest,
    directory: &Path,
    name: Option<&str>,
    session: &Session,
) -> Result<WrittenContext, Error> {
    let is_among_others = name.is_some();
    let name = name.unwrap_or(DOCKERFILE);
    let check = || match is_among_others {
        true => check_among_others(directory, name),
        false => check_replaceable(directory),
    };
    check()?;
    let prepared = prepare_for(Purpose::Dockerfile, request, options, session).await?;
    let (image, own_plan) = match &prepared.stage.product {
        PlannedProduct::Artifact { .. } => {
            (Some(ArtifactStage::prepare(request, &prepared, session).await?), None)
        }
        PlannedProduct::Image => (None, Some(image_plan(request, options, &prepared)?)),
    };
    let plan = image.as_ref().map(ArtifactStage::plan).or(own_plan.as_ref());
    let plan = plan.expect("the product is an artifact or an image");
    let lease = prepared.lease.clone();
    // The new directory replaces the old one, or its parts move into the old one.
    let assembled = match is_among_others {
        true => AtomicDirectory::create(&lease.temporary_directory().join("context"), None, &lease)?,
        false => session.new_directory(directory)?,
    };
    let context =
        SourceContext { request, prepared: &prepared, image: image.as_ref(), directory: assembled.path() };
    let files = context.write(plan, name).await?;
    check()?;
    if is_among_others {
        put_among_others(assembled.path(), directory, name, &files, session)?;
    } else {
        assembled.commit().map_err(Error::Output)?;
    }
    let stage = plan.stages.first();
    Ok(WrittenContext {
        directory: directory.to_owned(),
        files,
        tags: plan.tags.clone(),
        builder: prepared.stage.builder.name.clone(),
        assembly: stage.map_or(Assembly::Sources.kind(), |stage| stage.assembly.kind()),
        artifact_digest: None,
    })
}

/// A build context of sources.
struct SourceContext<'a> {
    request: &'a Request,
    prepared: &'a PreparedSource,
    /// None if the assembled builder is the image.
    image: Option<&'a ArtifactStage>,
    directory: &'a Path,
}

impl SourceContext<'_> {
    async fn write(&self, plan: &Plan, name: &str) -> Result<Vec<String>, Error> {
        let prepared = self.prepared;
        let mut files = vec![name.to_owned(), format!("{UPLOADS}/")];
        if let Some(layer) = prepared.base.built_in() {
            write_archive(layer, self.directory.join(BASE_ARCHIVE)).await?;
            files.push(BASE_ARCHIVE.into());
        }
        let root_archive = (!prepared.template_entries.is_empty()).then_some(match self.image {
            Some(_) => BUILDER_ARCHIVE,
            None => ROOT_ARCHIVE,
        });
        if let Some(archive) = root_archive {
            let date = self.request.date.unwrap_or(crate::plan::FIXED_DATE);
            let layer = Layer::new(prepared.template_entries.clone(), date)?;
            write_archive(&layer, self.directory.join(archive)).await?;
            files.push(archive.into());
        }
        if let Some(image) = self.image {
            let more = image.write(self.directory).await?;
            files.extend(more.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
        }
        self.write_sources().await?;
        let has_scripts = self.write_scripts().await?;
        let text = self.render(plan, name, root_archive, has_scripts)?;
        let path = self.directory.join(name);
        fs::write(&path, text).map_err(|error| Error::Output(FileError::new("write", &path, error)))?;
        Ok(files)
    }

    fn render(
        &self,
        plan: &Plan,
        name: &str,
        root_archive: Option<&'static str>,
        has_scripts: bool,
    ) -> Result<String, Error> {
        let prepared = self.prepared;
        let base = &prepared.base;
        let known = KnownValues::of_base(base);
        let runtime = &prepared.stage.runtime;
        let builder_base = prepared.selection.base();
        if builder_base.file().is_some() {
            return Err(DockerfileError::BaseInFile { base: builder_base.to_string() }.into());
        }
        let builder_from = builder_base.reference().map(|reference| from(reference, base));
        let inputs = SourceInputs {
            builder: DockerfileInputs {
                from: builder_from,
                base: &base.config,
                known: &known,
                contract: None,
                native_platform: &Platform::host(),
            },
            root_archive,
            has_scripts,
            file_name: name,
            runtime: prepared.runtime.as_ref().zip(runtime.as_ref()).map(|(image, runtime)| RuntimeInputs {
                from: from(&runtime.image, image),
                base: &image.config,
            }),
        };
        if let Some(image) = self.image {
            return image.render(&prepared.stage, inputs, &prepared.template_environment);
        }
        let stage = plan.stages.first().expect("an image of sources has a stage");
        Ok(render_source_dockerfile(&prepared.stage, stage, &plan.tags, &inputs)?)
    }

    async fn write_sources(&self) -> Result<(), Error> {
        let directory = self.directory.join(UPLOADED_SOURCES);
        let entries = self.prepared.tree.entries.clone();
        blocking(move || {
            make_directory(&directory)?;
            for entry in entries {
                let path = directory.join(&entry.path);
                let kind = match entry.kind {
                    TreeEntryKind::Directory => EntryKind::Directory,
                    TreeEntryKind::File { size, content } => EntryKind::File { size, content },
                    TreeEntryKind::Symlink { target } => EntryKind::Symlink { target },
                };
                write_source(&path, &kind, entry.mode)
                    .map_err(|error| Error::Output(FileError::new("write", &path, error)))?;
            }
            Ok(())
        })
        .await
    }

    /// Writes the scripts that are not the builder's own; returns whether there are any.
    async fn write_scripts(&self) -> Result<bool, Error> {
        let scripts: Vec<_> =
            SCRIPTS.iter().filter_map(|name| self.prepared.scripts.file(name)).cloned().collect();
        let directory = self.directory.join(UPLOADED_SCRIPTS);
        blocking(move || {
            if scripts.is_empty() {
                return Ok(false);
            }
            make_directory(&directory)?;
            for script in scripts {
                let path = directory.join(&script.name);
                let kind = EntryKind::File { size: script.size, content: script.content };
                write_source(&path, &kind, 0o755)
                    .map_err(|error| Error::Output(FileError::new("write", &path, error)))?;
            }
            Ok(true)
        })
        .await
    }
}

/// The exact image of the plan, as `FROM` names it.
fn from(reference: &ImageReference, image: &BaseImage) -> String {
    match image.manifest_digest {
        Some(digest) => format!("{}@{digest}", reference.name()),
        None if reference.is_short() => reference.familiar(),
        None => reference.to_string(),
    }
}

fn make_directory(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory)
        .and_then(|()| set_mode(directory, 0o755))
        .map_err(|error| Error::Output(FileError::new("create", directory, error)))
}

/// Rejects a directory in which b2i would replace a file that it did not write.
fn check_among_others(directory: &Path, name: &str) -> Result<(), Error> {
    let is_ours = fs::read(directory.join(name))
        .is_ok_and(|text| text.split(|byte| *byte == b'\n').next() == Some(FIRST_LINE.as_bytes()));
    let taken = [name, UPLOADS, BASE_ARCHIVE, ROOT_ARCHIVE].map(|name| directory.join(name));
    match taken.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) if !is_ours => Err(Error::NotEmpty { directory: path.display().to_string() }),
        _ => Ok(()),
    }
}

/// Moves the context into a directory with other files. The Dockerfile is last.
fn put_among_others(
    written: &Path,
    directory: &Path,
    name: &str,
    files: &[String],
    session: &Session,
) -> Result<(), Error> {
    let uploads: PathBuf = directory.join(UPLOADS);
    let lease = &session.lease()?;
    let out = session.new_directory(&uploads)?;
    let failed = |action, path: &Path, error| Error::Output(FileError::new(action, path, error));
    copy_tree(&written.join(UPLOADS), out.path()).map_err(|error| failed("write", &uploads, error))?;
    out.commit().map_err(Error::Output)?;
    for file in files.iter().filter(|file| !file.ends_with('/')).rev() {
        let (from, to) = (written.join(file), directory.join(file));
        let mut source = fs::File::open(&from).map_err(|error| failed("read", &from, error))?;
        let mut out = AtomicFile::create(&to, None, lease).map_err(Error::Output)?;
        if let Err(error) = std::io::copy(&mut source, &mut out) {
            return Err(Error::Output(out.error(error)));
        }
        out.commit().map_err(Error::Output)?;
    }
    debug_assert!(files.iter().any(|file| file == name), "the Dockerfile is one of the files");
    Ok(())
}

/// Copies a tree with its modes.
fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            fs::create_dir(&target)?;
            copy_tree(&source, &target)?;
            fs::set_permissions(&target, metadata.permissions())?;
        } else if metadata.is_symlink() {
            let link = fs::read_link(&source)?;
            write_source(
                &target,
                &EntryKind::Symlink { target: link.to_string_lossy().into_owned() },
                0o777,
            )?;
        } else {
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
