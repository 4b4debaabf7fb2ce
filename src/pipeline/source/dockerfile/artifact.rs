//! Owns the second image of a source build's Dockerfile, in which the artifact runs. Must not plan it.

use std::path::Path;

use crate::assemble;
use crate::builder::{S2iContract, Selection};
use crate::error::Error;
use crate::image::layer::Owner;
use crate::image::{BaseImage, ImagePath, Platform};
use crate::pipeline::build::Work;
use crate::pipeline::dockerfile::{from, write_archive, write_files};
use crate::pipeline::prepare::{Prepared, StageInputs, prepare_declared};
use crate::pipeline::script::contract;
use crate::pipeline::source::declared::declared;
use crate::pipeline::source::prepare::PreparedSource;
use crate::pipeline::stage::StageWork;
use crate::plan::dockerfile::{
    ArtifactInputs, BASE_ARCHIVE, DockerfileError, DockerfileInputs, ROOT_ARCHIVE, SOURCE_DIRECTORY,
    SourceInputs, declared_entries, render_artifact_dockerfile,
};
use crate::plan::{Assembly, EntrySource, KnownValues, Plan, PlannedSource, SourceStage};
use crate::request::Request;
use crate::session::Session;

/// The label with the artifact's name, which is known only after the build.
const NAME_LABEL: &str = "io.b2i.artifact.name";

/// S2I's directory for sources, which b2i's templates use.
const DESTINATION: &str = "/tmp";

/// The second stage, planned for the declared artifact.
pub(super) struct ArtifactStage {
    prepared: Prepared,
    base: BaseImage,
    from: Option<String>,
    contract: S2iContract,
    /// The environment of the template's script.
    script_environment: Vec<(String, String)>,
}

impl ArtifactStage {
    pub(super) async fn prepare(
        request: &Request,
        source: &PreparedSource,
        session: &Session,
    ) -> Result<Self, Error> {
        let declared = declared(request, source, session).await?;
        let declared = declared.map_err(|artifact| DockerfileError::UnknownArtifact { artifact })?;
        let mut prepared = prepare_declared(request, declared, session).await?;
        for stage in &mut prepared.plan.stages {
            stage.image.later_labels.retain(|(name, _)| name != NAME_LABEL);
        }
        let (base, from) = {
            let all = Work::new(request, session, &prepared);
            let (stage, image) = only(&prepared);
            let work = StageWork::new(&all, 0, stage, image);
            let base = work.base(&[]).await?;
            let from = from(&work, &base)?;
            (base, from)
        };
        let (stage, image) = only(&prepared);
        let (contract, script_environment) = match (&stage.assembly, &image.selection) {
            (Assembly::Run(run), _) => (contract(run, &base)?, Vec::new()),
            (_, Selection::Template(choice)) => {
                let metadata = &choice.template.metadata;
                let mut environment: Vec<_> = metadata.image.env.clone().into_iter().collect();
                let context = request.image.context_path.as_ref().map(ToString::to_string);
                environment.extend(context.map(|path| ("B2I_CONTEXT_PATH".to_owned(), path)));
                let owner = choice.template.placement(None)?.owner;
                (template_contract(&metadata.scripts_directory, owner), environment)
            }
            (_, Selection::Image(_)) => {
                unreachable!("what a builder image does is not known, so its script runs")
            }
        };
        Ok(Self { prepared, base, from, contract, script_environment })
    }

    /// Writes the files of the image into the build context; returns their names.
    pub(super) async fn write(&self, directory: &Path) -> Result<Vec<String>, Error> {
        let (stage, image) = only(&self.prepared);
        let mut files = Vec::new();
        if let Some(layer) = self.base.built_in() {
            write_archive(layer, directory.join(BASE_ARCHIVE)).await?;
            files.push(BASE_ARCHIVE.to_owned());
        }
        let (entries, added) = match &stage.assembly {
            Assembly::Place { entries } => (declared_entries(entries), Vec::new()),
            Assembly::Run(run) => (run.entries.clone(), added(&run.sources)),
            Assembly::Sources => (Vec::new(), Vec::new()),
        };
        if !entries.is_empty() {
            let layer = assemble::layer(&entries, image.inputs(), stage.date)?;
            write_archive(&layer, directory.join(ROOT_ARCHIVE)).await?;
            files.push(ROOT_ARCHIVE.to_owned());
        }
        if !added.is_empty() {
            write_files(directory.join(SOURCE_DIRECTORY), &added, image).await?;
            files.push(format!("{SOURCE_DIRECTORY}/"));
        }
        Ok(files)
    }

    /// The plan of the image: its tags and its assembly.
    pub(super) fn plan(&self) -> &Plan {
        &self.prepared.plan
    }

    pub(super) fn render(
        &self,
        source: &SourceStage,
        inputs: SourceInputs<'_>,
        builder_environment: &[(String, String)],
    ) -> Result<String, Error> {
        let (stage, _) = only(&self.prepared);
        let known = KnownValues {
            // The name of the image follows from its sources.
            artifact_name: Some(source.source.name.clone()),
            base_digest: self.base.manifest_digest.map(|digest| digest.to_string()),
            builder_scripts: Some(self.contract.scripts.to_string()),
            ..KnownValues::default()
        };
        let image = DockerfileInputs {
            from: self.from.clone(),
            base: &self.base.config,
            known: &known,
            contract: Some(&self.contract),
            native_platform: &Platform::host(),
        };
        let script_environment = &self.script_environment;
        let inputs = ArtifactInputs { source: inputs, builder_environment, image, script_environment };
        Ok(render_artifact_dockerfile(source, stage, &self.prepared.plan.tags, &inputs)?)
    }
}

/// The one stage: sources make one artifact, and so one image.
fn only(prepared: &Prepared) -> (&crate::plan::Stage, &StageInputs) {
    match (&prepared.plan.stages[..], &prepared.images[..]) {
        ([stage], [image]) => (stage, image),
        _ => unreachable!("an artifact of sources is planned for one platform"),
    }
}

fn template_contract(scripts: &ImagePath, user: Owner) -> S2iContract {
    S2iContract {
        scripts: scripts.clone(),
        fetched: None,
        destination: ImagePath::new(DESTINATION).expect("absolute and normal"),
        assemble_user: Some(user.to_string()),
        assemble_input_files: Vec::new(),
        on_build: Vec::new(),
    }
}

/// The files beside the artifact.
fn added(sources: &[PlannedSource]) -> Vec<PlannedSource> {
    sources.iter().filter(|source| source.what != EntrySource::Artifact).cloned().collect()
}
