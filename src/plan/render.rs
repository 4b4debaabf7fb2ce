//! Owns the plan as text, in the order of execution. Must not decide anything.

use std::fmt::Write as _;

use super::{Assembly, EntrySource, Plan, PlannedEntry, PlannedFacts, Stage, Takes};
use crate::input::Origin;

/// Renders `plan` as lines of text without color. Each ends with a line feed.
pub fn render_text(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(source) = &plan.source {
        super::render_source::source_lines(source, &mut text);
    }
    for stage in &plan.stages {
        stage_lines(stage, &mut text);
        if plan.stages.len() > 1 {
            text.push('\n');
        }
    }
    let mut line = |name: &str, value: &str| line(&mut text, name, value);
    if let Some(reason) = &plan.unplanned {
        line("image", &format!("planned after the build: {reason}"));
    }
    for tag in &plan.tags {
        line("tag", &tag.familiar());
    }
    if let Some(tag) = &plan.later_tag {
        line("tag", &tag.to_string());
    }
    for planned in &plan.outputs {
        let platform = |stage: usize| plan.stages.get(stage).map(|stage| &stage.platform);
        let what = match planned.takes {
            Takes::Index => " — an index of all images".into(),
            Takes::Image { stage } => match platform(stage) {
                Some(platform) if plan.stages.len() > 1 => format!(" — the image for {platform}"),
                _ => String::new(),
            },
        };
        line("output", &format!("{}{what}", planned.output));
    }
    text
}

/// Writes one line, also for a value with line feeds.
pub(super) fn line(text: &mut String, name: &str, value: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{name:<11} {}", value.replace('\n', "\\n"));
}

fn stage_lines(stage: &Stage, text: &mut String) {
    let mut line = |name: &str, value: &str| line(text, name, value);
    if let Some(artifact) = &stage.artifact {
        let origin = match &artifact.origin {
            Origin::File { path } => path.display().to_string(),
            Origin::Stdin => "standard input".into(),
            Origin::Url { url } => url.clone(),
            Origin::Sources { .. } => "the sources".into(),
        };
        let facts = match &artifact.facts {
            PlannedFacts::Read(facts) => facts.kind.word().to_owned(),
            PlannedFacts::Declared { declared, .. } => format!("declared as {declared}"),
        };
        line("artifact", &format!("{} ({facts}) from {origin}", artifact.name));
    }
    line("builder", &format!("{} — {}", stage.builder.name, stage.builder.reason));
    line("base", &stage.builder.base);
    line("platform", &stage.platform.to_string());
    match &stage.assembly {
        Assembly::Place { entries } => {
            line("assemble", &format!("place — {}", stage.assembly_reason));
            for entry in entries {
                line("", &entry_line(entry));
            }
        }
        Assembly::Sources => line("assemble", "by the source stage"),
        Assembly::Run(run) => {
            line("assemble", &format!("run on {} — {}", run.engine, stage.assembly_reason));
            for entry in &run.entries {
                line("", &entry_line(entry));
            }
            for source in &run.sources {
                line("", &format!("{:04o} src/{}", source.mode, source.path));
            }
        }
    }
    image_lines(stage, &mut line);
}

fn image_lines(stage: &Stage, line: &mut impl FnMut(&str, &str)) {
    let image = &stage.image;
    line("created", &image.edits.created);
    if let Some(entrypoint) = &image.edits.entrypoint {
        line("entrypoint", &crate::image::shell_words::quote(entrypoint));
    }
    if let Some(cmd) = &image.later_cmd {
        let words: Vec<String> = cmd.iter().map(ToString::to_string).collect();
        line("command", &words.join(" "));
    }
    for (name, value) in [("user", &image.edits.user), ("workdir", &image.edits.working_dir)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    for (name, value) in &image.edits.env {
        line("env", &format!("{name}={value}"));
    }
    for port in &image.edits.exposed_ports {
        line("port", port);
    }
    for (name, value) in &image.edits.labels {
        line("label", &format!("{name}={value}"));
    }
    for (name, value) in &image.later_labels {
        line("label", &format!("{name}={value}"));
    }
    line("resets", &format!("the base's {}", image.resets.join(", ")));
    for note in &stage.notes {
        line("note", note);
    }
}

fn entry_line(entry: &PlannedEntry) -> String {
    let what = match &entry.what {
        EntrySource::Directory => "/".into(),
        EntrySource::Artifact => "  ← the artifact".into(),
        EntrySource::Added { .. } | EntrySource::Template { .. } => String::new(),
        EntrySource::Certificates => "  ← CA certificates".into(),
        EntrySource::TimeZones => "/  ← time zones".into(),
        EntrySource::HardLink { target } => format!("  = {target}"),
        EntrySource::Symlink { target } => format!("  → {target}"),
    };
    format!("{:04o} {} {}{what}", entry.mode, entry.owner, entry.path)
}
