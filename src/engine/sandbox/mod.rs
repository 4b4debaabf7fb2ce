//! Owns the engine without daemon and root: user namespace, overlay over cached layers, and the change as a layer.
//!
//! The child `b2i __sandbox` (`child/`) has the namespaces of one container; the other files are b2i's side. Must not
//! know registries or daemons.

mod changes;
mod child;
mod container;
mod descriptors;
mod detached;
mod diagnosis;
mod error;
mod hosts;
mod layers;
mod limits;
mod mapping;
mod mounts;
mod program;
mod protocol;
mod supervisor;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(fuzzing)]
#[doc(hidden)]
pub use child::fuzzing;
pub use child::{CHILD_ARGUMENT, run_if_child};
pub use container::SandboxContainer;
pub use error::SandboxError;
pub use program::SandboxProgram;

pub use super::sandbox_settings::{SandboxSettings, SandboxSupport};

use self::layers::Unpacking;
use self::limits::ControlGroup;
use self::mapping::Mapping;
use self::mounts::Mounting;
use self::protocol::{Answer, Command, Identity, Purpose, Request, Streams};
use self::supervisor::Supervisor;
use super::{Container, ContainerLimits, ContainerSpec, Engine, EngineError, Reply};
use crate::diagnostic::Diagnostic;
use crate::events::Events;
use crate::fs::cache_directory::CacheDirectory;
use crate::image::{BaseImage, ImageConfig};

/// Docker's default.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const NEW_LAYER: &str = "new";

#[derive(Clone)]
pub struct SandboxEngine {
    settings: SandboxSettings,
    image: BaseImage,
    events: Events,
    /// The mapping that works here, after the first use.
    mapping: Arc<Mutex<Option<Mapping>>>,
}

impl SandboxEngine {
    /// An engine for containers of `image`. `events` gets notes while layers are unpacked.
    pub fn new(settings: SandboxSettings, image: BaseImage, events: Events) -> Self {
        Self { settings, image, events, mapping: Arc::default() }
    }

    /// Creates a container. With `owns_top_layer`, the top layer is not cached.
    async fn create_container(
        &self,
        spec: ContainerSpec,
        owns_top_layer: bool,
    ) -> Result<SandboxContainer, SandboxError> {
        let engine = self.clone();
        let created = tokio::task::spawn_blocking(move || engine.create_blocking(spec, owns_top_layer));
        let lost = |reason: String| SandboxError::Lost { action: "start", reason };
        created.await.unwrap_or_else(|panic| Err(lost(panic.to_string())))
    }

    fn create_blocking(
        &self,
        spec: ContainerSpec,
        owns_top_layer: bool,
    ) -> Result<SandboxContainer, SandboxError> {
        check_network(spec.network.as_deref())?;
        let hosts = hosts::lines(&spec.add_hosts, spec.network.as_deref())?;
        mounts::check(&spec, &self.settings.cache)?;
        let mapping = self.mapping()?;
        let group = control_group(&spec.limits, &mapping, &self.settings.temporary)?.map(Arc::new);
        let (settings, image) = (&self.settings, &self.image);
        let unpacking = Unpacking { settings, mapping: &mapping, image: &image.name, events: &self.events };
        let mut sources = image.layers()?;
        let own = if owns_top_layer { sources.pop() } else { None };
        let layers = unpacking.layers(&sources)?;
        let partial = unpacking.new_directory("container")?;
        let mut trees: Vec<PathBuf> = layers.iter().rev().map(|layer| layer.tree.clone()).collect();
        let mut root = layers.iter().rev().find_map(|layer| layer.root);
        if let Some(layer) = own {
            // Removed with the container's directory.
            let tree = partial.path.join(NEW_LAYER);
            root = unpacking.unpack(&layer, &tree)?.or(root);
            trees.insert(0, tree);
        }
        let files = group.as_ref().map(|group| group.files()).unwrap_or_default();
        let directory = partial.path.clone();
        let supervisor = start_container(settings, &mapping, &directory, trees, root, files)?;
        partial.keep();
        let runtime = &self.image.config;
        let user = spec.user.clone().unwrap_or_else(|| runtime.user().to_owned());
        let mounting =
            Mounting { supervisor: &supervisor, mapping: &mapping, user: &user, events: &self.events };
        mounting.mount_all(&spec.mounts)?;
        let environment = environment(&self.image.config, &spec.environment);
        let working_directory = working_directory(runtime, &spec);
        Ok(SandboxContainer {
            supervisor: Arc::new(supervisor),
            group,
            directory,
            spec,
            config: self.image.config.clone(),
            environment,
            user,
            working_directory,
            hosts,
            date: settings.date,
            is_taken: AtomicBool::new(false),
            _layers: layers,
        })
    }

    /// The mapping that works here. The first call finds it and sends the note.
    fn mapping(&self) -> Result<Mapping, SandboxError> {
        let mut known = self.mapping.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mapping) = &*known {
            return Ok(mapping.clone());
        }
        let (mapping, remark) = choose_mapping(&self.settings)?;
        if let Some(remark) = remark {
            self.events.note(remark);
        }
        *known = Some(mapping.clone());
        Ok(mapping)
    }
}

impl Engine for SandboxEngine {
    fn check<'a>(&'a self, limits: &'a ContainerLimits, network: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move {
            check_network(network)?;
            control_group(limits, &self.mapping()?, &self.settings.temporary)?;
            Ok(())
        })
    }

    fn create(&self, spec: ContainerSpec) -> Reply<'_, Box<dyn Container>> {
        Box::pin(async move { Ok(Box::new(self.create_container(spec, false).await?) as Box<dyn Container>) })
    }

    fn file_owners(&self) -> Result<String, EngineError> {
        Ok(format!("sandbox {}", self.mapping()?.key()))
    }
}

/// Fails for networks of daemons. `default` is the host's network, as everywhere without a daemon.
pub fn check_network(network: Option<&str>) -> Result<(), SandboxError> {
    match network.filter(|network| !["host", "default"].contains(network)) {
        None => Ok(()),
        Some(network) => Err(SandboxError::NoNetwork { network: network.to_owned() }),
    }
}

/// Creates a sandbox without a program. The error names the setting that may be the cause.
pub fn probe(settings: &SandboxSettings) -> Result<SandboxSupport, SandboxError> {
    let (mapping, remark) = choose_mapping(settings)?;
    try_out(settings, &mapping)?;
    Ok(SandboxSupport {
        users: mapping.describe(),
        has_owners: mapping.identity() != Identity::Single,
        missing_limits: missing_limits(&mapping, &settings.temporary),
        remark,
    })
}

/// Memory and processors have separate controllers, of which one may be missing.
fn missing_limits(mapping: &Mapping, temporary: &Path) -> Option<(&'static str, String)> {
    let memory = ContainerLimits { memory: Some(64 << 20), ..ContainerLimits::default() };
    let both = ContainerLimits { nano_cpus: Some(1_000_000_000), ..memory.clone() };
    let error = control_group(&both, mapping, temporary).err()?;
    Some(match control_group(&memory, mapping, temporary) {
        Ok(_) => ("processors", error.to_string()),
        Err(error) => ("memory and processors", error.to_string()),
    })
}

/// Removes unpacked layers that pruning could not remove, because they belong to other ids.
pub fn remove_pruned(program: &Path, cache: &CacheDirectory) -> Result<(), SandboxError> {
    layers::remove_halves(program, cache, &Mapping::best())
}

/// Removes the cgroups that a killed run recorded in its temporary directory. Fails if one still has processes.
pub fn remove_cgroups(temporary: &Path) -> std::io::Result<()> {
    limits::remove_leftovers(temporary)
}

/// Removes a directory whose files may belong to other ids.
pub fn remove_directory(program: &Path, directory: &Path) -> Result<(), SandboxError> {
    layers::remove_tree(program, directory, &Mapping::best())
}

/// The best mapping that works, with a note. In many containers, the helpers have no rights.
fn choose_mapping(settings: &SandboxSettings) -> Result<(Mapping, Option<String>), SandboxError> {
    let best = Mapping::best();
    let is_real_root = Mapping::is_real_root();
    if !best.needs_rights() && !is_real_root {
        return Ok((best, None));
    }
    match try_ids(settings, &best) {
        Ok(()) => Ok((best, None)),
        Err(_) if is_real_root && settings.allow_root => {
            Ok((Mapping::host(), Some("the sandbox runs as real root".to_owned())))
        }
        Err(error) if is_real_root => {
            Err(SandboxError::RealRoot { reason: error.to_string(), hints: error.hints() })
        }
        // One id needs no rights.
        Err(error) => Ok((Mapping::single(), Some(format!("the sandbox has only one id: {error}")))),
    }
}

/// Creates the cgroup for the limits. Without a user namespace, nothing else limits the number of processes.
fn control_group(
    limits: &ContainerLimits,
    mapping: &Mapping,
    temporary: &Path,
) -> Result<Option<ControlGroup>, SandboxError> {
    let processes = limits.pids.unwrap_or(container::PROCESSES);
    ControlGroup::make(limits, (mapping.identity() == Identity::Host).then_some(processes), temporary)
}

fn try_ids(settings: &SandboxSettings, mapping: &Mapping) -> Result<(), SandboxError> {
    let directory = layers::new_directory(&settings.temporary, "probe")?;
    let purpose = Purpose::Remove { directory: directory.clone() };
    let started = Supervisor::start(&settings.program, purpose, mapping, Vec::new());
    let answered = started.and_then(|supervisor| supervisor.answer("try the ids"));
    // The directory is empty.
    let _ = std::fs::remove_dir(&directory);
    answered.map(|_| ())
}

/// Creates an empty container and starts a missing program.
fn try_out(settings: &SandboxSettings, mapping: &Mapping) -> Result<(), SandboxError> {
    let directory = layers::new_directory(&settings.temporary, "container")?;
    let supervisor = start_container(settings, mapping, &directory, Vec::new(), None, Vec::new())?;
    let command = Command {
        arguments: vec!["/nothing".into()],
        environment: Vec::new(),
        user: "0:0".into(),
        directory: "/".into(),
        host_network: false,
        hosts: Vec::new(),
        capabilities: 0,
        processes: Some(16),
        milliseconds: Some(60_000),
        streams: Streams::Framed,
    };
    let action = "try a container";
    supervisor.send(&Request::Run(Box::new(command)), action)?;
    match supervisor.answer(action)? {
        Answer::NotStarted(errno) if errno == libc::ENOENT => Ok(()),
        answer => Err(supervisor::unexpected(action, &answer)),
    }
}

fn start_container(
    settings: &SandboxSettings,
    mapping: &Mapping,
    directory: &Path,
    layers: Vec<PathBuf>,
    root: Option<protocol::Permissions>,
    cgroups: Vec<PathBuf>,
) -> Result<Supervisor, SandboxError> {
    let purpose = Purpose::Container { directory: directory.to_owned(), layers, root };
    let supervisor = Supervisor::start(&settings.program, purpose, mapping, cgroups)?;
    supervisor.wait_until_ready()?;
    Ok(supervisor)
}

fn working_directory(config: &ImageConfig, spec: &ContainerSpec) -> String {
    match (&spec.directory, config.working_dir()) {
        (Some(directory), _) => directory.to_string(),
        (None, "") => "/".to_owned(),
        (None, directory) => directory.to_owned(),
    }
}

/// The variables of every container, then the image's, then the added ones.
fn environment(config: &ImageConfig, added: &[(String, String)]) -> Vec<(String, String)> {
    let mut environment =
        vec![("PATH".to_owned(), PATH.to_owned()), ("HOSTNAME".to_owned(), child::HOST_NAME.to_owned())];
    let own = config.list("Env").into_iter().filter_map(|variable| {
        variable.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    for (name, value) in own.chain(added.iter().cloned()) {
        match environment.iter_mut().find(|(known, _)| *known == name) {
            Some(known) => known.1 = value,
            None => environment.push((name, value)),
        }
    }
    environment
}
