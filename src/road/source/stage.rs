//! Owns the making of a source stage: request, sources, builder and scripts become the plan of what is done.

use super::base::base_source;
use super::prepare::Engine;
use crate::builder::{BuilderError, S2iContract, Selection};
use crate::image::ImagePath;
use crate::plan::{
    PlanWarning, PlannedBuilder, PlannedInjection, PlannedProduct, PlannedScripts, PlannedSources,
    SourceStage,
};
use crate::request::Request;
use crate::road::Error;
use crate::source_build::scripts::GivenScripts;
use crate::source_build::{SourceBuildRequest, SourceTree, environment};
use crate::store::BaseImage;

/// What was found out before.
pub(super) struct Decided<'a> {
    pub(super) request: &'a Request,
    pub(super) wanted: &'a SourceBuildRequest,
    pub(super) tree: &'a SourceTree,
    pub(super) selection: &'a Selection,
    pub(super) base: &'a BaseImage,
    pub(super) scripts: &'a GivenScripts,
    pub(super) engine: &'a Engine,
}

/// What the builder is, whether its image says so or the template.
struct Contract {
    destination: ImagePath,
    user: String,
}

pub(super) fn make(decided: &Decided<'_>) -> Result<SourceStage, Error> {
    let Decided { request, wanted, tree, base, engine, .. } = decided;
    let contract = contract(decided)?;
    let scripts = scripts(decided, &contract)?;
    let mut variables = environment::of_sources(tree)?;
    for variable in &wanted.environment {
        environment::set(&mut variables, variable.clone());
    }
    let working_directory = working_directory(base)?;
    Ok(SourceStage {
        source: PlannedSources {
            name: tree.name.clone(),
            info: tree.info.clone(),
            build_file: tree.build_file().map(|file| file.name),
            entries: tree.entries.len(),
        },
        builder: builder(decided),
        platform: base.config.platform(),
        engine: engine.kind,
        engine_reason: engine.reason.to_owned(),
        product: product(decided, &working_directory)?,
        destination: contract.destination,
        user: contract.user,
        scripts,
        environment: variables.into_iter().map(|variable| (variable.name, variable.value)).collect(),
        build_environment: wanted.build_environment.iter().map(|variable| variable.name.clone()).collect(),
        secrets: wanted.secrets.iter().map(|secret| secret.id.clone()).collect(),
        injections: injections(wanted, &working_directory)?,
        volumes: wanted.volumes.clone(),
        caches: Vec::new(),
        limits: request.limits.clone(),
        add_hosts: wanted.add_hosts.clone(),
        drop_capabilities: wanted.drop_capabilities.clone(),
        on_build: Vec::new(),
        incremental: None,
        runtime: None,
        warnings: warnings(decided),
    })
}

fn builder(decided: &Decided<'_>) -> PlannedBuilder {
    let source = base_source(decided.engine.kind);
    match decided.selection {
        Selection::Template(choice) => PlannedBuilder {
            name: format!("{}:{}", choice.template.name(), choice.version.version),
            base: choice.base.image.to_string(),
            base_source: source,
            template_digest: Some(choice.template.digest()),
            reason: choice.reason.clone(),
        },
        Selection::Image(image) => PlannedBuilder {
            name: image.reference.to_string(),
            base: image.reference.to_string(),
            base_source: source,
            template_digest: None,
            reason: image.reason.clone(),
        },
    }
}

fn contract(decided: &Decided<'_>) -> Result<Contract, BuilderError> {
    let Decided { request, wanted, base, .. } = decided;
    let limits = &request.limits;
    let destination = match &wanted.destination {
        Some(destination) => destination.clone(),
        None => S2iContract::destination_of(&base.name, &base.config)?,
    };
    let user =
        S2iContract::user_of(&base.name, &base.config, limits.assemble_user.as_deref(), limits.allow_root)?;
    Ok(Contract { destination, user })
}

fn scripts(decided: &Decided<'_>, contract: &Contract) -> Result<PlannedScripts, Error> {
    let Decided { base, scripts, .. } = decided;
    let own = || S2iContract::scripts_of(&base.name, &base.config);
    let place = |name| scripts.place(name, &contract.destination, own);
    let missing = || BuilderError::NoScripts { image: base.name.clone() };
    Ok(PlannedScripts {
        assemble: Some(place("assemble")?.ok_or_else(missing)?),
        run: Some(place("run")?.ok_or_else(missing)?),
        save_artifacts: place("save-artifacts")?,
    })
}

/// The builder image's working directory; relative places in the container are below it.
fn working_directory(base: &BaseImage) -> Result<ImagePath, Error> {
    let stated = base.config.working_dir();
    let absolute = if stated.is_empty() { "/" } else { stated };
    ImagePath::new(absolute).map_err(|source| Error::SourcePlace { what: "the working directory", source })
}

fn below(directory: &ImagePath, path: &str, what: &'static str) -> Result<ImagePath, Error> {
    let path = path.trim_start_matches("./");
    let joined = if path.starts_with('/') { ImagePath::new(path) } else { directory.join(path) };
    joined.map_err(|source| Error::SourcePlace { what, source })
}

fn product(decided: &Decided<'_>, working_directory: &ImagePath) -> Result<PlannedProduct, Error> {
    let asked = decided.wanted.artifact.as_ref().filter(|_| !decided.wanted.keep_builder);
    Ok(match asked {
        Some(path) => {
            let place = below(working_directory, path, "`--artifact`")?;
            PlannedProduct::Artifact { kind: None, places: vec![place] }
        }
        None => PlannedProduct::Image,
    })
}

fn injections(
    wanted: &SourceBuildRequest,
    working_directory: &ImagePath,
) -> Result<Vec<PlannedInjection>, Error> {
    let injection = |injection: &crate::source_build::Injection| {
        let destination = match injection.destination.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => below(working_directory, path, "`--inject`")?,
            None => working_directory.clone(),
        };
        Ok(PlannedInjection { source: injection.source.clone(), destination })
    };
    wanted.injections.iter().map(injection).collect()
}

fn warnings(decided: &Decided<'_>) -> Vec<PlanWarning> {
    match decided.selection {
        Selection::Template(choice) => choice
            .warnings
            .iter()
            .map(|warning| PlanWarning { message: warning.message.clone(), hint: warning.hint.clone() })
            .collect(),
        Selection::Image(_) => Vec::new(),
    }
}
