//! Owns the making of a source stage: request, sources, builder and scripts become the plan of what is done.

use super::base::base_source;
use super::prepare::Engine;
use crate::builder::{BuilderError, Product, S2iContract, SourceSelection};
use crate::image::{ImagePath, ImageReference};
use crate::plan::{
    EngineKind, PlanWarning, PlannedBuilder, PlannedCache, PlannedInjection, PlannedProduct, PlannedScripts,
    PlannedSources, SourceStage,
};
use crate::request::{DEFAULT_NETWORK, Request};
use crate::road::Error;
use crate::source_build::scripts::GivenScripts;
use crate::source_build::uids::check_user;
use crate::source_build::{SourceBuildRequest, SourceTree, environment};
use crate::store::BaseImage;

/// What was found out before.
pub(super) struct Decided<'a> {
    pub(super) request: &'a Request,
    pub(super) wanted: &'a SourceBuildRequest,
    pub(super) tree: &'a SourceTree,
    pub(super) selection: &'a SourceSelection,
    pub(super) base: &'a BaseImage,
    /// The image that gets the artifacts, in an extended build.
    pub(super) runtime: Option<&'a BaseImage>,
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
    let shown = format!("`assemble` of the builder `{}`", base.name);
    check_user(&wanted.allowed_uids, &contract.user, &shown)?;
    if let SourceSelection::Image(image) = decided.selection {
        // What starts later runs as the image's own user.
        let shown = format!("the builder image `{}`", image.reference.familiar());
        check_user(&wanted.allowed_uids, base.config.user(), &shown)?;
    }
    check_on_build(decided)?;
    let scripts = scripts(decided, &contract)?;
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
        on_build: Vec::new(),
        incremental: previous(decided),
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

/// Refuses what ONBUILD instructions ask for and may not, and what b2i cannot do.
fn check_on_build(decided: &Decided<'_>) -> Result<(), Error> {
    let Decided { wanted, base, .. } = decided;
    let instructions = base.config.list("OnBuild");
    if wanted.block_on_build && !instructions.is_empty() {
        return Err(Error::OnBuildBlocked { image: base.name.clone(), count: instructions.len() });
    }
    for instruction in &instructions {
        let Some((word, user)) = instruction.trim().split_once(char::is_whitespace) else { continue };
        if word.eq_ignore_ascii_case("USER") {
            let shown = format!("an ONBUILD instruction of `{}`", base.name);
            check_user(&wanted.allowed_uids, user.trim(), &shown)?;
        }
    }
    let removes = wanted.incremental.as_ref().is_some_and(|previous| previous.remove);
    let keeps = wanted.runtime.is_some() && wanted.incremental.is_some();
    let unsupported =
        [(keeps, "incremental builds with a runtime image"), (removes, "removals of the image before")];
    match unsupported.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, what)) => Err(Error::NotSupported { what }),
        None => Ok(()),
    }
}

/// The image of the build before.
fn previous(decided: &Decided<'_>) -> Option<ImageReference> {
    let previous = decided.wanted.incremental.as_ref()?;
    previous.image.clone().or_else(|| decided.request.tags.first().cloned())
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
        Some(Product::Artifact { kind, places }) => (Some((*kind).into()), places.clone()),
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
    choice.section.caches.iter().filter(|_| decided.wanted.use_caches).map(cache).collect()
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
    let count = decided.base.config.list("OnBuild").len();
    let on_build = (count > 0).then(|| PlanWarning {
        message: format!(
            "the builder's {count} ONBUILD instructions are not carried out: its scripts are run"
        ),
        hint: None,
    });
    let mut warnings = template_warnings(decided);
    warnings.extend(on_build);
    warnings.extend(network_of_the_machine(decided));
    warnings.extend(decided.runtime.and_then(super::runtime::warning));
    warnings
}

/// Says that what a daemon gives from a network of its own is this machine's in the sandbox.
fn network_of_the_machine(decided: &Decided<'_>) -> Option<PlanWarning> {
    let is_default = decided.request.limits.network.as_deref() == Some(DEFAULT_NETWORK);
    (is_default && decided.engine.kind == EngineKind::Sandbox).then(|| PlanWarning {
        message: "the scripts have the network of this machine, and reach what listens on its loopback"
            .into(),
        hint: Some("`--network none` gives them none".into()),
    })
}

fn template_warnings(decided: &Decided<'_>) -> Vec<PlanWarning> {
    match decided.selection {
        SourceSelection::Template(choice) => choice
            .warnings
            .iter()
            .map(|warning| PlanWarning { message: warning.message.clone(), hint: warning.hint.clone() })
            .collect(),
        SourceSelection::Image(_) => Vec::new(),
    }
}
