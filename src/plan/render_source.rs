//! Owns the source stage of a plan as text. Must not decide anything.

use super::render::line;
use super::{PlannedProduct, PlannedScript, SourceStage};

/// Adds the lines of a source stage.
pub(super) fn source_lines(stage: &SourceStage, text: &mut String) {
    let mut line = |name: &str, value: &str| line(text, name, value);
    let build_file = stage.source.build_file.as_ref().map(|file| format!(" with `{file}`"));
    let from = stage.source.info.location.as_ref().map(|location| format!(" from {location}"));
    line(
        "sources",
        &format!("{}{}{}", stage.source.name, build_file.unwrap_or_default(), from.unwrap_or_default()),
    );
    if let Some(directory) = &stage.source.info.context_directory {
        line("", &format!("directory {directory}"));
    }
    if let Some(commit) = &stage.source.info.commit {
        line("", &format!("commit {} ({})", commit.id, commit.reference));
    }
    line("built by", &format!("{} — {}", stage.builder.name, stage.builder.reason));
    line("", &format!("on {} for {}", stage.builder.base, stage.platform));
    line("engine", &format!("{} — {}", stage.engine, stage.engine_reason));
    scripts(stage, &mut line);
    line("upload to", stage.destination.as_str());
    line("runs as", if stage.user.is_empty() { "root" } else { &stage.user });
    line("network", stage.limits.network.as_deref().unwrap_or("none"));
    for (name, value) in &stage.environment {
        line("variable", &format!("{name}={value}"));
    }
    for name in &stage.build_environment {
        line("variable", &format!("{name}, which leaves no trace"));
    }
    for name in &stage.secrets {
        line("secret", &format!("/run/secrets/{name}"));
    }
    for injection in &stage.injections {
        line("inject", &format!("{} at {}", injection.source.display(), injection.destination));
    }
    for volume in &stage.volumes {
        let rights = if volume.read_only { ", read-only" } else { "" };
        line("volume", &format!("{} at {}{rights}", volume.source, volume.target));
    }
    for cache in &stage.caches {
        let key = stage.cache_key.as_ref().map(|key| format!(", of the key `{key}`"));
        line("cache", &format!("{} at {}{}", cache.name, cache.path, key.unwrap_or_default()));
    }
    for host in &stage.add_hosts {
        line("host", host);
    }
    for instruction in &stage.on_build {
        line("on build", instruction);
    }
    extended(stage, &mut line);
    product(stage, &mut line);
}

fn scripts(stage: &SourceStage, line: &mut impl FnMut(&str, &str)) {
    script_line("assemble", stage.scripts.assemble.as_ref(), line);
    script_line("run", stage.scripts.run.as_ref(), line);
    let keeps = stage.runtime.as_ref().is_some_and(|runtime| runtime.keeps_artifacts);
    if stage.incremental.is_some() || keeps {
        script_line("save", stage.scripts.save_artifacts.as_ref(), line);
    }
}

fn script_line(name: &str, script: Option<&PlannedScript>, line: &mut impl FnMut(&str, &str)) {
    if let Some(script) = script {
        line(name, &format!("{} — of {}", script.path, script.origin));
    }
}

fn extended(stage: &SourceStage, line: &mut impl FnMut(&str, &str)) {
    if let Some(previous) = &stage.incremental {
        line("previous", &previous.familiar());
    }
    let Some(runtime) = &stage.runtime else { return };
    if runtime.keeps_artifacts {
        let whose = stage.cache_key.as_ref().map_or("this project".into(), |key| format!("the key `{key}`"));
        line("previous", &format!("what the last build of {whose} kept"));
    }
    line("runtime", &runtime.image.familiar());
    for (from, to) in &runtime.artifacts {
        line("", &format!("{from} into {to}"));
    }
    script_line("assemble", runtime.assemble.as_ref(), line);
    script_line("run", runtime.run.as_ref(), line);
    line("runs as", if runtime.user.is_empty() { "root" } else { &runtime.user });
}

fn product(stage: &SourceStage, line: &mut impl FnMut(&str, &str)) {
    match &stage.product {
        PlannedProduct::Image if stage.runtime.is_some() => {
            line("makes", "the image: the runtime image with what was built");
        }
        PlannedProduct::Image => line("makes", "the image: the assembled builder"),
        PlannedProduct::Artifact { kind, places } => {
            let kind = kind.map_or("an artifact".to_owned(), |kind| kind.to_string());
            let places: Vec<&str> = places.iter().map(|place| place.as_str()).collect();
            line("makes", &format!("{kind} in {}", places.join(", ")));
        }
    }
}
