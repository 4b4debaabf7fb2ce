//! Owns the making of a source stage: request, sources, builder and scripts become the plan of what is done.

use super::base::base_source;
use super::on_build::DecidedOnBuild;
use super::prepare::Engine;
use crate::builder::{BuilderError, Product, S2iContract, SourceSelection};
use crate::diagnostic::Warning;
use crate::error::Error;
use crate::image::{BaseImage, ImagePath, ImageReference};
use crate::plan::{
    EngineKind, PlannedBuilder, PlannedCache, PlannedInjection, PlannedProduct, PlannedScripts,
    PlannedSources, SourceStage,
};
use crate::request::{DEFAULT_NETWORK, Request, SourceBuildRequest};
use crate::source_build::scripts::GivenScripts;
use crate::source_build::uids::check_user;
use crate::sources::{SourceTree, environment};

/// What was found out before.
pub(super) struct Decided<'a> {
    pub(super) request: &'a Request,
    pub(super) wanted: &'a SourceBuildRequest,
    pub(super) tree: &'a SourceTree,
    pub(super) selection: &'a SourceSelection,
    pub(super) base: &'a BaseImage,
    /// The image that gets the artifacts, in an extended build.
    pub(super) runtime: Option<&'a BaseImage>,
    /// What the builder's ONBUILD instructions come to, if they are carried out.
    pub(super) on_build: Option<&'a DecidedOnBuild>,
    pub(super) scripts: &'a GivenScripts,
    pub(super) engine: &'a Engine,
}

/// What the builder is, whether its image says so or the template.
#[derive(Clone)]
pub(super) struct Contract {
    pub(super) destination: ImagePath,
    pub(super) user: String,
}

pub(super) fn make(decided: &Decided<'_>) -> Result<SourceStage, Error> {
    let Decided { request, wanted, tree, base, engine, .. } = decided;
    let contract = contract(decided)?;
    let shown = format!("`assemble` of the builder `{}`", base.name);
    check_user(&wanted.allowed_uids, &contract.user, &shown)?;
    if let SourceSelection::Image(image) = decided.selection {
        // What starts later runs as the image's own user.
        let shown = format!("the builder image `{}`", image.reference.familiar());
        check_user(&wanted.allowed_uids, base.config.user(), &shown)?;
    }
    let scripts = match decided.on_build {
        Some(on_build) => on_build.scripts.clone(),
        None => scripts(decided, &contract)?,
    };
    let mut variables = environment::of_sources(tree)?;
    for variable in &wanted.environment {
        environment::set(&mut variables, variable.clone());
    }
    let working_directory = working_directory(decided)?;
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
        caches: caches(decided),
        limits: request.limits.clone(),
        add_hosts: wanted.add_hosts.clone(),
        drop_capabilities: wanted.drop_capabilities.clone(),
        on_build: decided.on_build.map(|on_build| on_build.instructions.clone()).unwrap_or_default(),
        cache_key: wanted.cache_key.clone(),
        incremental: previous(decided).filter(|_| decided.on_build.is_none()),
        runtime: super::runtime::plan(decided)?,
        warnings: warnings(decided),
    })
}

fn builder(decided: &Decided<'_>) -> PlannedBuilder {
    let source = base_source(decided.engine.kind);
    match decided.selection {
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

fn contract(decided: &Decided<'_>) -> Result<Contract, BuilderError> {
    let Decided { request, wanted, base, .. } = decided;
    if let Some(on_build) = decided.on_build {
        return Ok(on_build.contract.clone());
    }
    let limits = &request.limits;
    let destination = match (&wanted.destination, decided.selection) {
        (Some(destination), _) => destination.clone(),
        (None, SourceSelection::Template(_)) => ImagePath::new("/tmp").expect("absolute and normal"),
        (None, SourceSelection::Image(_)) => S2iContract::destination_of(&base.name, &base.config)?,
    };
    let asked = limits.assemble_user.as_deref();
    let user = match decided.selection {
        // What a base says that is a builder itself is said of its own scripts.
        SourceSelection::Template(choice) => {
            asked.map_or_else(|| choice.template.metadata.image.user.to_string(), str::to_owned)
        }
        SourceSelection::Image(_) => {
            S2iContract::user_of(&base.name, &base.config, asked, limits.allow_root)?
        }
    };
    Ok(Contract { destination, user })
}

fn scripts(decided: &Decided<'_>, contract: &Contract) -> Result<PlannedScripts, Error> {
    let Decided { base, scripts, .. } = decided;
    let own = || match decided.selection {
        SourceSelection::Template(choice) => Ok(Some(choice.template.metadata.scripts_directory.clone())),
        SourceSelection::Image(_) => S2iContract::scripts_of(&base.name, &base.config),
    };
    let place = |name| scripts.place(name, &contract.destination, own);
    let missing = || BuilderError::NoScripts { image: base.name.clone() };
    Ok(PlannedScripts {
        assemble: Some(place("assemble")?.ok_or_else(missing)?),
        run: Some(place("run")?.ok_or_else(missing)?),
        save_artifacts: place("save-artifacts")?,
    })
}

/// The image of the build before.
fn previous(decided: &Decided<'_>) -> Option<ImageReference> {
    let previous = decided.wanted.incremental.as_ref()?;
    // A runtime image has nothing of the builder in it.
    let tag = || decided.request.tags.first().filter(|_| decided.runtime.is_none()).cloned();
    previous.image.clone().or_else(tag)
}

/// The builder image's working directory; relative places in the container are below it.
fn working_directory(decided: &Decided<'_>) -> Result<ImagePath, Error> {
    if let SourceSelection::Template(choice) = decided.selection {
        return Ok(choice.template.metadata.image.working_directory.clone());
    }
    let stated = decided.base.config.working_dir();
    let absolute = if stated.is_empty() { "/" } else { stated };
    ImagePath::new(absolute).map_err(|source| Error::SourcePlace { what: "the working directory", source })
}

pub(super) fn below(directory: &ImagePath, path: &str, what: &'static str) -> Result<ImagePath, Error> {
    let path = path.trim_start_matches("./");
    let joined = if path.starts_with('/') { ImagePath::new(path) } else { directory.join(path) };
    joined.map_err(|source| Error::SourcePlace { what, source })
}

fn product(decided: &Decided<'_>, working_directory: &ImagePath) -> Result<PlannedProduct, Error> {
    if decided.wanted.keep_builder || decided.wanted.runtime.is_some() {
        return Ok(PlannedProduct::Image);
    }
    let declared = match decided.selection {
        SourceSelection::Template(choice) => Some(&choice.section.product),
        SourceSelection::Image(_) => None,
    };
    let (kind, places) = match declared {
        Some(Product::Artifact { kind, places }) => (Some(*kind), places.clone()),
        Some(Product::Image) | None => (None, Vec::new()),
    };
    Ok(match &decided.wanted.artifact {
        Some(path) => {
            let place = below(working_directory, path, "`--artifact`")?;
            PlannedProduct::Artifact { kind, places: vec![place] }
        }
        None if places.is_empty() => PlannedProduct::Image,
        None => PlannedProduct::Artifact { kind, places },
    })
}

fn caches(decided: &Decided<'_>) -> Vec<PlannedCache> {
    let SourceSelection::Template(choice) = decided.selection else { return Vec::new() };
    let cache = |cache: &crate::builder::metadata::SourceCache| PlannedCache {
        name: cache.name.clone(),
        path: cache.path.clone(),
    };
    choice.section.caches.iter().filter(|_| !decided.wanted.skip_caches).map(cache).collect()
}

fn injections(
    wanted: &SourceBuildRequest,
    working_directory: &ImagePath,
) -> Result<Vec<PlannedInjection>, Error> {
    let injection = |injection: &crate::request::Injection| {
        let destination = match injection.destination.as_deref().filter(|path| !path.is_empty()) {
            Some(path) => below(working_directory, path, "`--inject`")?,
            None => working_directory.clone(),
        };
        Ok(PlannedInjection { source: injection.source.clone(), destination })
    };
    wanted.injections.iter().map(injection).collect()
}

fn warnings(decided: &Decided<'_>) -> Vec<Warning> {
    let mut warnings = template_warnings(decided);
    match decided.on_build {
        Some(_) => warnings.extend(super::on_build::warnings(decided.request, decided.wanted)),
        None => warnings.extend(super::on_build::left_out(decided.base)),
    }
    warnings.extend(network_of_the_machine(decided));
    warnings.extend(decided.runtime.and_then(super::runtime::warning));
    warnings
}

/// Says that what a daemon gives from a network of its own is this machine's in the sandbox.
fn network_of_the_machine(decided: &Decided<'_>) -> Option<Warning> {
    let is_default = decided.request.limits.network.as_deref() == Some(DEFAULT_NETWORK);
    (is_default && decided.engine.kind == EngineKind::Sandbox).then(|| Warning {
        message: "the scripts have the network of this machine, and reach what listens on its loopback"
            .into(),
        hint: Some("`--network none` gives them none".into()),
    })
}

fn template_warnings(decided: &Decided<'_>) -> Vec<Warning> {
    match decided.selection {
        SourceSelection::Template(choice) => choice.warnings.clone(),
        SourceSelection::Image(_) => Vec::new(),
    }
}
