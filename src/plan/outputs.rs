//! Owns the decision what each output receives: an index of all images, or the one image for its platform.
//!
//! Must not write an output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::common_stem;
use super::{Machine, Placeholder, PlanError, PlannedText};
use crate::image::Platform;
use crate::request::Request;
use crate::transport::Transport;

/// An output with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedOutput {
    #[serde(flatten)]
    pub output: Transport,
    #[serde(flatten)]
    pub takes: Takes,
}

/// The content of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "takes", rename_all = "kebab-case")]
pub enum Takes {
    Index,
    Image { stage: usize },
}

/// The outputs of the request, or the default: a daemon, else none for `--run` in the sandbox, else an archive.
pub(super) fn outputs(request: &Request, machine: &Machine, names: &[&str]) -> Vec<Transport> {
    if !request.outputs.is_empty() {
        return request.outputs.clone();
    }
    if machine.daemon {
        return vec![Transport::Docker];
    }
    if request.run && machine.sandbox {
        // The sandbox starts the image from its layers. A file would only be left behind.
        return Vec::new();
    }
    let stem = match names {
        // The build replaces this plan once the artifact has a name.
        [] => PlannedText::from(Placeholder::ArtifactStem).to_string(),
        names => common_stem(names).unwrap_or_else(|| "image".into()),
    };
    vec![Transport::DockerArchive { path: format!("{stem}.tar").into() }]
}

/// Decides what each output receives of images for `platforms`.
pub(super) fn planned_outputs(
    request: &Request,
    machine: &Machine,
    names: &[&str],
    platforms: &[Platform],
) -> Result<Vec<PlannedOutput>, PlanError> {
    let outputs = outputs(request, machine, names);
    if !machine.daemon && outputs.iter().any(Transport::is_daemon) {
        return Err(PlanError::NoDaemon);
    }
    let planned = outputs.into_iter().map(|output| {
        let takes = match platforms {
            [_] => Takes::Image { stage: 0 },
            _ if output.accepts_index() => Takes::Index,
            _ => Takes::Image { stage: native(&output, machine, platforms)? },
        };
        Ok(PlannedOutput { output, takes })
    });
    planned.collect()
}

/// The position of the platform that an output without indexes runs.
pub(super) fn native(
    output: &Transport,
    machine: &Machine,
    platforms: &[Platform],
) -> Result<usize, PlanError> {
    let found = platforms.iter().position(|platform| machine.native_platform.matches(platform));
    found.ok_or_else(|| PlanError::NoNativeImage {
        output: output.to_string(),
        runs: (if machine.daemon { "the daemon" } else { "this machine" }).into(),
        native: machine.native_platform.clone(),
        platforms: platforms.to_vec(),
    })
}
