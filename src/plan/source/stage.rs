//! Owns planning a source stage from request, sources, builder and scripts.
//!
//! Must not read sources or images; [`SourceFacts`] has their facts.

use super::on_build::{self, OnBuildFacts};
use super::scripts::planned_script;
use super::users::check_user;
use super::{
    PlannedCache, PlannedInjection, PlannedProduct, PlannedScripts, PlannedSources, SourcePlanError,
    SourceStage, runtime,
};
use crate::builder::metadata::SourceCache;
use crate::builder::{BuilderError, Product, S2iContract, SourceSelection};
use crate::detect::Facts;
use crate::diagnostic::Warning;
use crate::image::config::set_env;
use crate::image::{ImageConfig, ImagePath, ImageReference};
use crate::plan::engine::{base_source, engine_source};
use crate::plan::{EngineChoice, EngineKind, Machine, PlannedBuilder};
use crate::request::{DEFAULT_NETWORK, Injection, Request, ScriptsSource, SourceBuildRequest};
use crate::sources::SourceTree;
use crate::sources::scripts::ScriptFiles;

/// The input of planning a source stage.
#[derive(Clone, Copy)]
pub struct SourceFacts<'a> {
    pub request: &'a Request,
    pub options: &'a SourceBuildRequest,
    /// The sources without their scripts.
    pub tree: &'a SourceTree,
    /// The variables of the sources.
    pub variables: &'a [(String, String)],
    pub selection: &'a SourceSelection,
    /// The template's base, or the builder image.
    pub builder: BuilderImage<'a>,
    pub runtime: Option<BuilderImage<'a>>,
    /// The builder's ONBUILD instructions, if they are executed.
    pub on_build: Option<OnBuildFacts<'a>>,
    /// The scripts that are not the builder's own.
    pub scripts: &'a ScriptFiles,
    pub engine: EngineChoice,
    pub machine: &'a Machine,
}

/// An image that scripts run on.
#[derive(Clone, Copy, Debug)]
pub struct BuilderImage<'a> {
    pub name: &'a str,
    pub config: &'a ImageConfig,
}

/// A builder's directory for files, and the user of its `assemble`.
pub(super) struct Contract {
    pub(super) destination: ImagePath,
    pub(super) user: String,
}

/// Plans the source stage.
///
/// # Errors
/// [`SourcePlanError`] if the request contradicts itself, the sources or the builder.
pub fn make_source_stage(facts: &SourceFacts<'_>) -> Result<SourceStage, SourcePlanError> {
    let SourceFacts { request, options, tree, engine, .. } = facts;
    let (contract, scripts) = match &facts.on_build {
        Some(on_build) => on_build::contract_and_scripts(facts, on_build)?,
        None => {
            let contract = contract(facts)?;
            let scripts = scripts(facts, &contract)?;
            (contract, scripts)
        }
    };
    check_users(facts, &contract.user)?;
    let working_directory = working_directory(facts)?;
    let product = product(facts, &working_directory)?;
    let mut warnings = warnings(facts);
    warnings.extend(base_without_effect(facts, &product));
    Ok(SourceStage {
        source: PlannedSources {
            name: tree.name.clone(),
            info: tree.info.clone(),
            build_file: tree.build_file().map(|file| file.name),
            entries: tree.entries.len(),
        },
        builder: builder(facts),
        platform: facts.builder.config.platform(),
        engine: engine.kind,
        engine_reason: engine.reason.to_owned(),
        product,
        destination: contract.destination,
        user: contract.user,
        scripts,
        environment: variables(options, facts.variables),
        build_environment: options.build_environment.iter().map(|variable| variable.name.clone()).collect(),
        secrets: options.secrets.iter().map(|secret| secret.id.clone()).collect(),
        injections: injections(options, &working_directory)?,
        volumes: options.volumes.clone(),
        caches: caches(facts),
        limits: request.limits.clone(),
        add_hosts: options.add_hosts.clone(),
        drop_capabilities: options.drop_capabilities.clone(),
        on_build: facts.on_build.map(|_| facts.builder.config.list("OnBuild")).unwrap_or_default(),
        cache_key: options.cache_key.clone(),
        incremental: previous(facts).filter(|_| facts.on_build.is_none()),
        runtime: runtime::planned_runtime(facts)?,
        warnings,
    })
}

/// Checks the user of `assemble`, and the user of a builder image, which starts the image.
fn check_users(facts: &SourceFacts<'_>, user: &str) -> Result<(), SourcePlanError> {
    let allowed = &facts.options.allowed_uids;
    check_user(allowed, user, &format!("`assemble` of the builder `{}`", facts.builder.name))?;
    if let SourceSelection::Image(image) = facts.selection {
        let shown = format!("the builder image `{}`", image.reference.familiar());
        check_user(allowed, facts.builder.config.user(), &shown)?;
    }
    Ok(())
}

/// The variables in the image: those of the sources, then the user's.
pub fn variables(options: &SourceBuildRequest, of_sources: &[(String, String)]) -> Vec<(String, String)> {
    let mut variables = of_sources.to_vec();
    for variable in &options.environment {
        set_env(&mut variables, &[(variable.name.clone(), variable.value.clone())]);
    }
    variables
}

/// The name of a source builder in errors.
pub fn describe_source_builder(selection: &SourceSelection) -> String {
    match selection {
        SourceSelection::Template(choice) => {
            format!("the template `{}:{}`", choice.template.name(), choice.version.version)
        }
        SourceSelection::Image(image) => format!("the builder image `{}`", image.reference.familiar()),
    }
}

fn builder(facts: &SourceFacts<'_>) -> PlannedBuilder {
    let source = match facts.selection {
        SourceSelection::Template(choice) => {
            base_source(&choice.base.image, Some(facts.engine.kind), &[], facts.machine)
        }
        SourceSelection::Image(_) => engine_source(facts.engine.kind),
    };
    match facts.selection {
        SourceSelection::Template(choice) => PlannedBuilder {
            name: format!("{}:{}", choice.template.name(), choice.version.version),
            base: choice.base.image.to_string(),
            base_source: source,
            template_digest: Some(choice.template.digest()),
            reason: choice.reason.clone(),
        },
        SourceSelection::Image(image) => PlannedBuilder {
            name: image.reference.recorded(),
            base: image.reference.to_string(),
            base_source: source,
            template_digest: None,
            reason: image.reason.clone(),
        },
    }
}

fn contract(facts: &SourceFacts<'_>) -> Result<Contract, SourcePlanError> {
    let SourceFacts { request, options, builder, .. } = facts;
    let limits = &request.limits;
    let destination = match (&options.destination, facts.selection) {
        (Some(destination), _) => destination.clone(),
        (None, SourceSelection::Template(_)) => ImagePath::new("/tmp").expect("absolute and normal"),
        (None, SourceSelection::Image(_)) => S2iContract::destination_of(builder.name, builder.config)?,
    };
    let requested = limits.assemble_user.as_deref();
    let user = match facts.selection {
        // Labels of the base are about the base's scripts, not the template's.
        SourceSelection::Template(choice) => {
            requested.map_or_else(|| choice.template.metadata.image.user.to_string(), str::to_owned)
        }
        SourceSelection::Image(_) => {
            S2iContract::user_of(builder.name, builder.config, requested, limits.allow_root)?
        }
    };
    Ok(Contract { destination, user })
}

fn scripts(facts: &SourceFacts<'_>, contract: &Contract) -> Result<PlannedScripts, SourcePlanError> {
    let builder = &facts.builder;
    let script = |name| {
        let own = || match facts.selection {
            SourceSelection::Template(choice) => Ok(Some(choice.template.metadata.scripts_directory.clone())),
            SourceSelection::Image(_) => {
                let own = S2iContract::scripts_source(builder.name, builder.config)?;
                Ok(match own.or_else(|| facts.options.image_scripts.clone()) {
                    Some(ScriptsSource::Image(directory)) => Some(directory),
                    Some(ScriptsSource::Url(_) | ScriptsSource::Directory(_)) | None => None,
                })
            }
        };
        planned_script(facts.scripts, name, &contract.destination, own)
    };
    let missing = || BuilderError::NoScripts { image: builder.name.to_owned() };
    Ok(PlannedScripts {
        assemble: Some(script("assemble")?.ok_or_else(missing)?),
        run: Some(script("run")?.ok_or_else(missing)?),
        save_artifacts: script("save-artifacts")?,
    })
}

/// The image of the previous build.
fn previous(facts: &SourceFacts<'_>) -> Option<ImageReference> {
    let previous = facts.options.incremental.as_ref()?;
    // A runtime image has no files of the builder.
    let tag = || facts.request.tags.first().filter(|_| facts.runtime.is_none()).cloned();
    previous.image.clone().or_else(tag)
}

/// The builder's working directory, for relative paths.
fn working_directory(facts: &SourceFacts<'_>) -> Result<ImagePath, SourcePlanError> {
    match facts.selection {
        SourceSelection::Template(choice) => Ok(choice.template.metadata.image.working_directory.clone()),
        SourceSelection::Image(_) => absolute(facts.builder.config.working_dir(), "the working directory"),
    }
}

/// The working directory of a config; the default is the root.
pub(super) fn absolute(directory: &str, what: &'static str) -> Result<ImagePath, SourcePlanError> {
    let path = ImagePath::new(if directory.is_empty() { "/" } else { directory });
    path.map_err(|source| SourcePlanError::Path { what, source })
}

pub(super) fn below(
    directory: &ImagePath,
    path: &str,
    what: &'static str,
) -> Result<ImagePath, SourcePlanError> {
    let path = path.trim_start_matches("./");
    let joined = if path.starts_with('/') { ImagePath::new(path) } else { directory.join(path) };
    joined.map_err(|source| SourcePlanError::Path { what, source })
}

fn product(
    facts: &SourceFacts<'_>,
    working_directory: &ImagePath,
) -> Result<PlannedProduct, SourcePlanError> {
    if facts.options.keep_builder || facts.options.runtime.is_some() {
        return Ok(PlannedProduct::Image);
    }
    let declared = match facts.selection {
        SourceSelection::Template(choice) => Some(&choice.section.product),
        SourceSelection::Image(_) => None,
    };
    let (kind, places) = match declared {
        Some(Product::Artifact { kind, places }) => (Some(*kind), places.clone()),
        Some(Product::Image) | None => (None, Vec::new()),
    };
    Ok(match &facts.options.artifact {
        Some(path) => {
            let place = below(working_directory, path, "`--artifact`")?;
            PlannedProduct::Artifact { kind, places: vec![place] }
        }
        None if places.is_empty() => PlannedProduct::Image,
        None => PlannedProduct::Artifact { kind, places },
    })
}

fn caches(facts: &SourceFacts<'_>) -> Vec<PlannedCache> {
    let SourceSelection::Template(choice) = facts.selection else { return Vec::new() };
    let cache = |cache: &SourceCache| PlannedCache { name: cache.name.clone(), path: cache.path.clone() };
    choice.section.caches.iter().filter(|_| !facts.options.skip_caches).map(cache).collect()
}

fn injections(
    options: &SourceBuildRequest,
    working_directory: &ImagePath,
) -> Result<Vec<PlannedInjection>, SourcePlanError> {
    let injection = |injection: &Injection| {
        let destination = match injection.destination.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => below(working_directory, path, "`--inject`")?,
            None => working_directory.clone(),
        };
        Ok(PlannedInjection { source: injection.source.clone(), destination })
    };
    options.injections.iter().map(injection).collect()
}

fn warnings(facts: &SourceFacts<'_>) -> Vec<Warning> {
    let mut warnings = match facts.selection {
        SourceSelection::Template(choice) => choice.warnings.clone(),
        SourceSelection::Image(_) => Vec::new(),
    };
    match facts.on_build {
        Some(_) => warnings.extend(on_build::warnings(facts.request, facts.options)),
        None => warnings.extend(on_build::without_effect(&facts.builder)),
    }
    warnings.extend(host_network(facts));
    warnings.extend(facts.runtime.as_ref().and_then(runtime::warning));
    warnings
}

/// Warns that a base is that of an artifact's image. The image of sources is the builder's, or the runtime image's.
fn base_without_effect(facts: &SourceFacts<'_>, product: &PlannedProduct) -> Option<Warning> {
    let base = facts.request.base.as_ref().filter(|_| *product == PlannedProduct::Image)?;
    let builder = describe_source_builder(facts.selection);
    let hint = "Choose another image with `--source-builder IMAGE` or `--runtime-image IMAGE`.";
    Some(Warning {
        message: format!("the base `{base}` has no effect: {builder} makes the image of the sources"),
        hint: Some(hint.into()),
    })
}

/// Warns that the sandbox's default network is the host's; a daemon has its own.
fn host_network(facts: &SourceFacts<'_>) -> Option<Warning> {
    let is_default = facts.request.limits.network.as_deref() == Some(DEFAULT_NETWORK);
    (is_default && facts.engine.kind == EngineKind::Sandbox).then(|| Warning {
        message: "the scripts use this machine's network, including its loopback interface".into(),
        hint: Some("`--network none` disables the network".into()),
    })
}

impl SourceStage {
    /// Compares the artifact with its declaration.
    ///
    /// # Errors
    /// [`SourcePlanError::OtherProduct`] if the artifact is of another kind.
    pub fn check(&self, artifact: &str, facts: &Facts) -> Result<(), SourcePlanError> {
        match &self.product {
            PlannedProduct::Artifact { kind: Some(declared), .. } if !declared.accepts(&facts.kind) => {
                Err(SourcePlanError::OtherProduct {
                    builder: self.builder.name.clone(),
                    declared: declared.to_string(),
                    artifact: artifact.to_owned(),
                    found: facts.describe(),
                })
            }
            _ => Ok(()),
        }
    }
}
