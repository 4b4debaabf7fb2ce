//! Owns the Dockerfile of an artifact that is built from sources: one image builds it, another runs it.
//!
//! Name and content of the artifact are known only after the build. So the template's script places it in a separate image,
//! and one `COPY` moves it into the result with mode, owner and hard links. Must not write a file.

use super::source::{assembled, header, reject_traces};
use super::text::{comment, json_words, word};
use super::{
    Copied, DockerfileError, DockerfileInputs, ROOT_ARCHIVE, SOURCE_DIRECTORY, SourceInputs, environment,
    from, labels, line, owner, reject_on_build, root_archive, script, settings,
};
use crate::builder::S2iContract;
use crate::image::{ConfigEdits, ImagePath, ImageReference};
use crate::plan::{
    Assembly, EntrySource, PlannedEntry, PlannedProduct, PlannedRun, PlannedSource, SourceStage, Stage,
};

/// The variable with the name of the artifact, which is not known here.
const ARTIFACT_NAME: &str = "B2I_ARTIFACT";

/// The values of the Dockerfile that the plan does not have.
#[derive(Debug)]
pub struct ArtifactInputs<'a> {
    pub source: SourceInputs<'a>,
    /// Variables that the source builder's template gives its image.
    pub builder_environment: &'a [(String, String)],
    pub image: DockerfileInputs<'a>,
    /// The environment of the template's script, for a placed artifact.
    pub script_environment: &'a [(String, String)],
}

/// The entries of the second image without the artifact.
pub fn declared_entries(entries: &[PlannedEntry]) -> Vec<PlannedEntry> {
    entries.iter().filter(|entry| !is_of_artifact(entry, entries)).cloned().collect()
}

/// Whether an entry is the artifact or a hard link to it.
fn is_of_artifact(entry: &PlannedEntry, entries: &[PlannedEntry]) -> bool {
    let is_artifact = |entry: &PlannedEntry| entry.what == EntrySource::Artifact;
    match &entry.what {
        EntrySource::HardLink { target } => {
            entries.iter().any(|other| is_artifact(other) && other.path == *target)
        }
        _ => is_artifact(entry),
    }
}

/// Renders a source stage that makes an artifact, and the stage of the declared artifact.
///
/// # Errors
/// [`DockerfileError`] if a Dockerfile cannot express it.
pub fn render_artifact_dockerfile(
    source: &SourceStage,
    stage: &Stage,
    tags: &[ImageReference],
    inputs: &ArtifactInputs<'_>,
) -> Result<String, DockerfileError> {
    reject_on_build(&inputs.source.builder)?;
    reject_on_build(&inputs.image)?;
    reject_traces(source)?;
    let PlannedProduct::Artifact { places, .. } = &source.product else {
        unreachable!("whoever renders an artifact's Dockerfile has a source stage that makes one")
    };
    let contract =
        inputs.image.contract.expect("whoever renders an artifact's Dockerfile has read the contract");
    let edits = stage.image.resolve(inputs.image.known);
    let mut out = String::new();
    header(source, tags, inputs.source.file_name, &mut out);
    assembled(source, &builder_edits(source, inputs), |_| true, &inputs.source, &mut out)?;
    if let Some(artifact) = &stage.artifact {
        let declared = format!(
            "The image of the build result (expected: {}): {}",
            artifact.facts.describe(),
            stage.builder.describe()
        );
        line(&mut out, "");
        line(&mut out, &comment(&declared));
    }
    let built = places.iter().map(|place| Copied { from: "--from=build ", path: place.to_string() });
    match &stage.assembly {
        Assembly::Place { entries } => {
            let placed = Placed { entries, contract, built: built.collect(), inputs };
            placed.render(stage, &mut out)?;
            environment(&edits, inputs.image.base, |_| true, &mut out)?;
        }
        Assembly::Run(run) => {
            let mut files: Vec<_> = built.collect();
            if run.sources.iter().any(is_added) {
                files.push(Copied { from: "", path: format!("{SOURCE_DIRECTORY}/") });
            }
            from(stage, &inputs.image, "", &mut out)?;
            let run = without_name(run);
            script(&run, contract, &edits, inputs.image.base, &files, &mut out)?;
        }
        Assembly::Sources => unreachable!("an artifact is placed, or a script runs"),
    }
    labels(&edits, inputs.image.base, &mut out)?;
    settings(&edits, &mut out)?;
    Ok(out)
}

/// The variables of the image that builds.
fn builder_edits(source: &SourceStage, inputs: &ArtifactInputs<'_>) -> ConfigEdits {
    let mut env = inputs.builder_environment.to_vec();
    env.retain(|(name, _)| !source.environment.iter().any(|(given, _)| given == name));
    env.extend(source.environment.iter().cloned());
    ConfigEdits { env, ..ConfigEdits::default() }
}

fn is_added(source: &PlannedSource) -> bool {
    source.what != EntrySource::Artifact
}

fn without_name(run: &PlannedRun) -> PlannedRun {
    let mut run = run.clone();
    run.environment.retain(|(name, _)| name != ARTIFACT_NAME);
    run
}

/// An artifact that b2i would place.
struct Placed<'a> {
    entries: &'a [PlannedEntry],
    contract: &'a S2iContract,
    built: Vec<Copied<'a>>,
    inputs: &'a ArtifactInputs<'a>,
}

impl Placed<'_> {
    /// The known entries come first: the artifact would create its directories with its own owner. They come again after a
    /// copied directory, because the copy changes the owner of everything in it.
    fn render(&self, stage: &Stage, out: &mut String) -> Result<(), DockerfileError> {
        from(stage, &self.inputs.image, " AS base", out)?;
        self.take_to_its_place(out)?;
        line(out, "");
        line(out, "FROM base");
        root_archive(&declared_entries(self.entries), out);
        let (path, owner) = self.copied();
        let owner = word("the owner", &owner)?;
        let path = word("a path", &path)?;
        line(out, &format!("COPY --from=placed --chown={owner} {path} {path}"));
        if path.ends_with('/') {
            line(out, "# Again, as the copy took over everything in that directory.");
            line(out, &format!("ADD {ROOT_ARCHIVE} /"));
        }
        Ok(())
    }

    /// The template's script places the artifact, as in a builder image.
    fn take_to_its_place(&self, out: &mut String) -> Result<(), DockerfileError> {
        let contract = self.contract;
        let below = |directory: &ImagePath, name: &str| {
            directory.join(name).expect("an absolute, normal path with one name more")
        };
        let user = contract.assemble_user.as_deref().unwrap_or("root");
        let owner = owner(user)?;
        let source = below(&contract.destination, "src");
        let source = word("the builder's destination", source.as_str())?;
        line(out, "");
        line(out, "# The template's script takes the artifact to its place.");
        line(out, "FROM base AS placed");
        line(out, &format!("ADD {ROOT_ARCHIVE} /"));
        let env = self.inputs.script_environment.to_vec();
        environment(&ConfigEdits { env, ..ConfigEdits::default() }, self.inputs.image.base, |_| true, out)?;
        for Copied { from, path } in &self.built {
            let path = word("a path", path)?;
            line(out, &format!("COPY {from}--chown={owner} {path} {source}/"));
        }
        line(out, &format!("USER {}", word("the user", user)?));
        let assemble = below(&contract.scripts, "assemble").to_string();
        line(out, &format!("RUN {}", json_words(&[assemble])));
        Ok(())
    }

    /// Path and owner of the copy: the artifact, or the directory with all its hard links.
    fn copied(&self) -> (String, String) {
        let own: Vec<&PlannedEntry> =
            self.entries.iter().filter(|entry| is_of_artifact(entry, self.entries)).collect();
        let owner = own.first().map(|entry| entry.owner.to_string()).unwrap_or_default();
        match &own[..] {
            [artifact] => (artifact.path.to_string(), owner),
            several => {
                let paths = several.iter().map(|entry| entry.path.as_str());
                (format!("{}/", common_directory(paths)), owner)
            }
        }
    }
}

/// The deepest directory that all paths are below.
fn common_directory<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut common: Option<Vec<&str>> = None;
    for path in paths {
        let mut parts: Vec<&str> = path.split('/').collect();
        parts.pop();
        common = Some(match common {
            None => parts,
            Some(known) => {
                known.iter().zip(&parts).take_while(|(one, two)| one == two).map(|(one, _)| *one).collect()
            }
        });
    }
    common.unwrap_or_default().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_file_have_a_directory_in_common() {
        let common = |paths: &[&str]| common_directory(paths.iter().copied());
        assert_eq!(
            common(&["/opt/app-root/bin/binary", "/opt/app-root/tomcat/webapps/ROOT.war"]),
            "/opt/app-root"
        );
        assert_eq!(common(&["/opt/app/a", "/opt/app/b"]), "/opt/app");
        assert_eq!(common(&["/opt/a", "/srv/a"]), "");
    }
}
