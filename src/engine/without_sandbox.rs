//! Owns the names of `sandbox` in a build without it, so that callers are the same. Must not do anything but fail.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use tokio::sync::mpsc;

pub use super::sandbox_settings::{SandboxSettings, SandboxSupport};
use super::{Container, ContainerLimits, ContainerSpec, Engine, EngineError, ProgramStreams, Reply};
use crate::diagnostic::{Diagnostic, FailureKind};
use crate::events::Events;
use crate::fs::cache_directory::CacheDirectory;
use crate::image::BaseImage;

#[derive(Debug, thiserror::Error)]
#[error("this build of b2i has no sandbox")]
pub struct SandboxError;

impl SandboxError {
    pub fn hints_of_settings(&self) -> Vec<String> {
        vec!["the sandbox needs Linux, and b2i built with the feature `sandbox`".into()]
    }
}

impl Diagnostic for SandboxError {
    fn kind(&self) -> FailureKind {
        FailureKind::Engine
    }

    fn hints(&self) -> Vec<String> {
        let mut hints = self.hints_of_settings();
        hints.push("assemble on a daemon with `--assemble docker`".into());
        hints
    }
}

pub fn remove_cgroups(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[derive(Clone, Debug)]
pub struct SandboxEngine;

impl SandboxEngine {
    pub fn new(_: SandboxSettings, _: BaseImage, _: Events) -> Self {
        Self
    }
}

impl Engine for SandboxEngine {
    fn check<'a>(&'a self, _: &'a ContainerLimits, _: Option<&'a str>) -> Reply<'a, ()> {
        Box::pin(async move { Err(SandboxError.into()) })
    }

    fn create(&self, _: ContainerSpec) -> Reply<'_, Box<dyn Container>> {
        Box::pin(async move { Err(SandboxError.into()) })
    }

    fn file_owners(&self) -> Result<String, EngineError> {
        Err(SandboxError.into())
    }
}

#[derive(Debug)]
pub struct SandboxProgram(Infallible);

impl SandboxProgram {
    pub async fn create(_: &SandboxEngine, _: Option<String>, _: &str) -> Result<Self, SandboxError> {
        Err(SandboxError)
    }

    pub async fn run(
        self,
        _: ProgramStreams,
        _: mpsc::UnboundedReceiver<&'static str>,
        _: &Events,
    ) -> Result<i64, EngineError> {
        match self.0 {}
    }
}

pub fn run_if_child(_: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    None
}

pub fn check_network(_: Option<&str>) -> Result<(), SandboxError> {
    Err(SandboxError)
}

pub fn probe(_: &SandboxSettings) -> Result<SandboxSupport, SandboxError> {
    Err(SandboxError)
}

/// Does nothing: only a sandbox creates files of other ids.
pub fn remove_pruned(_: &Path, _: &CacheDirectory) -> Result<(), SandboxError> {
    Ok(())
}

pub fn remove_directory(_: &Path, _: &Path) -> Result<(), SandboxError> {
    Ok(())
}
