//! Owns the first pass over an archive: the members that could be the artifact, and a summary of the others.
//! Must not use memory in proportion to the archive.

use std::collections::BTreeSet;
use std::io::Read;

use super::super::candidates::{HEAD_BYTES, candidate, is_start_script, names_release};
use super::super::checksums::is_checksum_file;
use super::super::documents::is_document;
use super::super::neighbours::needs;
use super::error::ArchiveError;
use super::format::is_archive_head;
use super::members::{Archive, Flow, MemberKind};
use crate::detect::{BuildFile, Strength, program_architecture, source_tree};
use crate::fs::unpack::UnpackError;
use crate::image::Platform;

const MAX_NAMES: usize = 10_000;
const MAX_SHOWN: usize = 10;

/// The manifest of a package of npm, and the directory in which `npm pack` puts everything.
pub(in crate::input) const NPM_MANIFEST: &str = "package.json";
const NPM_ROOT: &str = "package";

#[derive(Debug, Default)]
pub(in crate::input) struct Listing {
    /// The platform of the wanted program.
    platform: Option<Platform>,
    /// The architectures of programs that could be the artifact.
    architectures: BTreeSet<&'static str>,
    /// The number of programs that are not for the wanted platform, and their architectures.
    other_programs: u64,
    other_architectures: BTreeSet<&'static str>,
    /// The name of a listed directory; of an archive, the one directory in it has the name of the release.
    name: Option<String>,
    artifacts: Candidates,
    companions: Candidates,
    scripts: Candidates,
    /// Scripts in `bin`, which are also among `scripts`.
    start_scripts: Candidates,
    first_files: Vec<String>,
    files: u64,
    /// Files that are not documents.
    programs_files: u64,
    /// Whether a format that is always spread over several files left its mark.
    has_mark: bool,
    /// The directory of the runner of a Quarkus fast-jar.
    fast_jar: Option<String>,
    /// A program of another system, and the system.
    foreign: Option<(String, &'static str)>,
    nested: Option<String>,
    root: Root,
}

#[derive(Debug, Default)]
struct Candidates {
    first: Vec<(String, u64)>,
    total: u64,
}

impl Candidates {
    fn add(&mut self, path: &str, size: u64) {
        self.total += 1;
        if self.first.len() < MAX_SHOWN {
            self.first.push((path.to_owned(), size));
        }
    }
}

/// The names in the root, and in the one directory in it if there is nothing else.
#[derive(Debug, Default)]
struct Root {
    names: BTreeSet<String>,
    names_below: BTreeSet<String>,
}

impl Root {
    fn add(&mut self, path: &str, is_directory: bool) {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        if first.is_empty() {
            return;
        }
        if self.names.len() < MAX_NAMES {
            self.names.insert(first.to_owned());
        }
        if rest.is_empty() && !is_directory {
            // With a file in the root, no directory contains everything.
            self.names.insert(String::new());
        }
        let below = rest.split('/').next().unwrap_or_default();
        if self.names.len() == 1 && !below.is_empty() && self.names_below.len() < MAX_NAMES {
            self.names_below.insert(below.to_owned());
        }
    }
}

impl Listing {
    /// An empty listing of the directory `name`.
    pub(in crate::input) fn of_directory(name: &str, platform: Option<&Platform>) -> Self {
        Self { name: Some(name.to_owned()), platform: platform.cloned(), ..Self::default() }
    }

    /// Adds the name of a file or directory.
    pub(in crate::input) fn add_name(&mut self, path: &str, is_directory: bool) {
        self.root.add(path, is_directory);
    }

    pub(super) fn of(archive: &Archive, platform: Option<&Platform>) -> Result<Self, ArchiveError> {
        let mut listing = Self { platform: platform.cloned(), ..Self::default() };
        archive.visit(&mut |member, reader| {
            listing.add_name(&member.path, member.kind == MemberKind::Directory);
            if member.kind == MemberKind::File {
                let mut head = Vec::with_capacity(HEAD_BYTES);
                let result = reader.take(HEAD_BYTES as u64).read_to_end(&mut head);
                result.map_err(|error| archive.read_error(&error))?;
                listing.add_file(&archive.shown, &member.path, member.size, &head)?;
            }
            Ok(Flow::Continue)
        })?;
        Ok(listing)
    }

    /// Adds a regular file of the input `shown`, by its first bytes.
    pub(in crate::input) fn add_file(
        &mut self,
        shown: &str,
        path: &str,
        size: u64,
        head: &[u8],
    ) -> Result<(), ArchiveError> {
        self.files += 1;
        let is_checksums = path.rsplit('/').next().is_some_and(is_checksum_file);
        self.programs_files += u64::from(!is_document(path) && !is_checksums);
        self.has_mark |= needs::is_mark(path);
        if let Some(directory) = needs::fast_jar(path) {
            self.fast_jar.get_or_insert_with(|| directory.to_owned());
        }
        if self.first_files.len() < MAX_SHOWN {
            self.first_files.push(path.to_owned());
        }
        let candidates = match candidate(path, head) {
            Some(Strength::Artifact) if self.is_for_other_platform(head) => return Ok(()),
            Some(Strength::Artifact) => &mut self.artifacts,
            Some(Strength::Companion) => &mut self.companions,
            Some(Strength::Script) => &mut self.scripts,
            Some(Strength::Foreign) => {
                self.foreign.get_or_insert_with(|| (path.to_owned(), system(head)));
                return Ok(());
            }
            None => {
                if self.nested.is_none() && is_archive_head(path, head) {
                    self.nested = Some(path.to_owned());
                }
                return Ok(());
            }
        };
        if candidates.first.iter().any(|(earlier, _)| earlier == path) {
            let reason = "an earlier member has the same name";
            let refused = UnpackError::Refused { member: path.to_owned(), reason };
            return Err(ArchiveError::member(shown, refused));
        }
        candidates.add(path, size);
        if is_start_script(path, head) {
            self.start_scripts.add(path, size);
        }
        Ok(())
    }

    /// Notes the architecture of a program. Returns whether another one is wanted.
    fn is_for_other_platform(&mut self, head: &[u8]) -> bool {
        let Some(architecture) = program_architecture(head) else { return false };
        let is_other = self.platform.as_ref().is_some_and(|wanted| wanted.architecture != architecture);
        let known = if is_other { &mut self.other_architectures } else { &mut self.architectures };
        known.insert(architecture);
        self.other_programs += u64::from(is_other);
        is_other
    }

    /// Whether it has programs for other platforms than the wanted one.
    pub(in crate::input) fn has_other_platforms(&self) -> bool {
        !self.other_architectures.is_empty()
    }

    /// Whether the archive may have a program that is always spread over several files.
    pub(in crate::input) fn has_mark(&self) -> bool {
        self.has_mark
    }

    /// The number of files without documents, programs for other platforms and the file at `artifact`.
    pub(in crate::input) fn programs_files(&self, artifact: &str) -> u64 {
        self.programs_files.saturating_sub(u64::from(!is_document(artifact)) + self.other_programs)
    }

    /// The one directory that contains everything.
    pub(super) fn common_root(&self) -> Option<&str> {
        self.root.names.first().filter(|_| self.root.names.len() == 1).map(String::as_str)
    }

    /// The names in the directory where a source tree has its build file.
    fn top_level_names(&self) -> impl Iterator<Item = &str> {
        let names = if self.name.is_none() && self.common_root().is_some() {
            &self.root.names_below
        } else {
            &self.root.names
        };
        names.iter().map(String::as_str)
    }

    /// Whether it is a distribution of a Java program: start scripts, and JARs that only accompany them.
    fn is_distribution(&self) -> bool {
        self.artifacts.total == 0 && self.companions.total > 0 && self.start_scripts.total > 0
    }

    /// Whether the member is a start script, which needs the whole distribution.
    pub(in crate::input) fn starts_distribution(&self, path: &str) -> bool {
        self.is_distribution() && self.start_scripts.first.iter().any(|(script, _)| script == path)
    }

    /// Whether a program or a JAR is in it.
    pub(in crate::input) fn has_program(&self) -> bool {
        self.artifacts.total + self.companions.total > 0 || self.has_other_platforms()
    }

    /// The build file that makes it a source tree. Packages of npm have a manifest of the same name: one is finished if it
    /// contains a program and has the directory of `npm pack`, or if it contains nothing but programs and documents.
    pub(in crate::input) fn source_tree(&self) -> Option<BuildFile> {
        let file = source_tree(self.top_level_names())?;
        let is_packed = self.name.as_deref().or_else(|| self.common_root()) == Some(NPM_ROOT);
        let programs = self.artifacts.total + self.companions.total;
        let is_finished = programs > 0 && (is_packed || self.programs_files <= programs);
        (file.name != NPM_MANIFEST || !is_finished).then_some(file)
    }

    /// The main one of several start scripts: it has the name of the release, or the names of the others begin with
    /// its name, as `mvnDebug` begins with `mvn`.
    fn main_start_script(&self) -> Option<&str> {
        let root = self.name.as_deref().or_else(|| self.common_root()).unwrap_or_default();
        let scripts = || self.start_scripts.first.iter().map(|(path, _)| path.as_str());
        scripts().find(|path| names_release(path, root)).or_else(|| {
            let all_are_listed = self.start_scripts.total == self.start_scripts.first.len() as u64;
            let shortest = scripts().min_by_key(|path| path.len()).filter(|_| all_are_listed)?;
            scripts().all(|path| path.starts_with(shortest)).then_some(shortest)
        })
    }

    /// The one member that is the artifact.
    pub(in crate::input) fn choose(&self, shown: &str) -> Result<&str, ArchiveError> {
        if self.is_distribution()
            && let Some(script) = self.main_start_script()
        {
            return Ok(script);
        }
        if let Some(runner) = self.fast_jar_runner() {
            return Ok(runner);
        }
        let distribution = self.is_distribution().then_some(&self.start_scripts);
        let strongest_first = [&self.artifacts, &self.companions, &self.scripts];
        let present =
            distribution.or_else(|| strongest_first.into_iter().find(|candidates| candidates.total > 0));
        let Some(candidates) = present.filter(|_| self.artifacts.total > 0 || !self.has_other_platforms())
        else {
            return Err(self.no_artifact(shown));
        };
        match candidates.first.as_slice() {
            [(path, _)] => Ok(path),
            several => Err(ArchiveError::Several {
                shown: shown.to_owned(),
                candidates: several.to_vec(),
                total: candidates.total,
                platforms: self.platforms_of_candidates(),
            }),
        }
    }

    /// The one candidate beside the directories of a Quarkus fast-jar, of which `app` has another.
    fn fast_jar_runner(&self) -> Option<&str> {
        let directory = self.fast_jar.as_deref()?;
        let is_beside = |path: &&str| path.strip_prefix(directory).is_some_and(|name| !name.contains('/'));
        let mut beside = self.artifacts.first.iter().map(|(path, _)| path.as_str()).filter(is_beside);
        beside.next().filter(|_| beside.next().is_none())
    }

    /// The platforms of the candidates, if each is a program for another one.
    fn platforms_of_candidates(&self) -> Vec<String> {
        let is_distinct = self.architectures.len() as u64 == self.artifacts.total;
        let platforms = self.architectures.iter().map(|architecture| format!("linux/{architecture}"));
        if is_distinct { platforms.collect() } else { Vec::new() }
    }

    /// The content of the archive, for an error.
    pub(in crate::input) fn inside(&self) -> String {
        let shown: Vec<String> =
            self.first_files.iter().map(|path| format!("`{}`", path.escape_debug())).collect();
        let more = self.files.saturating_sub(shown.len() as u64);
        match (shown.is_empty(), more) {
            (true, _) => "it contains no files".to_owned(),
            (false, 0) => format!("it contains {}", shown.join(", ")),
            (false, more) => format!("it contains {} and {more} more", shown.join(", ")),
        }
    }

    fn no_artifact(&self, shown: &str) -> ArchiveError {
        let (reason, hint) = if let (Some(wanted), true) = (&self.platform, self.has_other_platforms()) {
            let others: Vec<String> =
                self.other_architectures.iter().map(|architecture| format!("linux/{architecture}")).collect();
            let reason = format!("its programs are for {}, not for {wanted}", others.join(", "));
            (reason, Some(format!("pass one of these: `--platform {}`", others[0])))
        } else if let Some((path, system)) = &self.foreign {
            let reason = format!("`{}` is a {system} program", path.escape_debug());
            (reason, Some("use the archive for Linux".to_owned()))
        } else if let Some(path) = &self.nested {
            let reason =
                format!("it contains another archive, `{}`, which is not unpacked", path.escape_debug());
            (reason, Some("unpack the outer archive and pass the inner one".to_owned()))
        } else {
            (self.inside(), Some("if one of the files is the artifact, pass it with `--path`".to_owned()))
        };
        ArchiveError::Nothing { shown: shown.to_owned(), reason, hint }
    }
}

/// The system of a program that is not for Linux.
fn system(head: &[u8]) -> &'static str {
    if head.starts_with(b"MZ") { "Windows" } else { "macOS" }
}
