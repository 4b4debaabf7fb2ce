//! Owns the libraries of a program that neither its base nor the files that come along have.
//!
//! The test of whether a file is where the dynamic linker looks is [`crate::input::Neighbours::missing_libraries`]. Must
//! not look at an image.

use super::native::is_runtime;
use super::{Candidate, Search, Warning};
use crate::builder::Places;
use crate::builder::error::{BuilderError, shown};
use crate::detect::facts::ExecutableFacts;
use crate::image::shell_words;
use crate::input::MissingLibrary;

/// Libraries of the GNU C library (glibc manual, "Installed libraries"), without the part after `.so`.
const GLIBC_LIBRARIES: [&str; 15] = [
    "libc",
    "libm",
    "libmvec",
    "libdl",
    "libpthread",
    "librt",
    "libresolv",
    "libutil",
    "libanl",
    "libnsl",
    "libBrokenLocale",
    "libthread_db",
    "libnss_files",
    "libnss_dns",
    "libc_malloc_debug",
];

/// The limit of libraries in a message. A file may need thousands.
const MOST_SHOWN: usize = 10;

/// The libraries that are not among the files that come along, of a program and of its libraries.
pub(super) struct Libraries {
    program: String,
    /// The program's directory in the image.
    directory: String,
    missing: Vec<MissingLibrary>,
}

impl Libraries {
    pub(super) fn of(search: &Search<'_>, facts: &ExecutableFacts) -> Self {
        let placement = &search.artifacts.placement;
        let request = search.request;
        let places = Places::new(&placement.artifact, &placement.beside, request.tree_path);
        // The plan reports a path that no image can have.
        let Ok(places) = places else {
            return Self { program: String::new(), directory: String::new(), missing: Vec::new() };
        };
        let program = (&places.artifact, &places.top);
        let missing = request.neighbours.missing_libraries(facts, program, request.environment);
        let directory = places.artifact.parent().map(|parent| parent.to_string()).unwrap_or_default();
        Self { program: places.artifact.to_string(), directory, missing }
    }

    /// The libraries that the base lacks, too. None if the libraries of the base are unknown.
    pub(super) fn missing(&self, candidate: &Candidate<'_>) -> Vec<&MissingLibrary> {
        let Some(present) = &candidate.base.assumptions.libraries else { return Vec::new() };
        let absent =
            |library: &&MissingLibrary| !belongs_to_libc(&library.name) && !present.contains(&library.name);
        self.missing.iter().filter(absent).collect()
    }

    /// Whether the base is known to have all of them. A base for one language counts only if its libraries are listed.
    pub(super) fn has_all(&self, candidate: &Candidate<'_>) -> bool {
        let is_known = candidate.base.assumptions.libraries.is_some() || !is_runtime(candidate);
        is_known && self.missing(candidate).is_empty()
    }

    /// Checks that nothing is missing on the base. `complete` finds another base that has everything.
    ///
    /// # Errors
    /// [`BuilderError::MissingLibraries`], because the program could not start. A warning if the user goes on.
    pub(super) fn check<'b>(
        &self,
        search: &Search<'_>,
        candidate: &Candidate<'_>,
        complete: impl FnOnce() -> Option<&'b Candidate<'b>>,
    ) -> Result<Option<Warning>, BuilderError> {
        let missing = self.missing(candidate);
        if missing.is_empty() {
            return Ok(None);
        }
        let by_library = missing.iter().all(|library| library.needed_by != self.program);
        let subject = match by_library {
            true => shown(&missing[0].needed_by),
            false => search.request.artifact.to_owned(),
        };
        let place = missing.iter().find_map(|library| library.elsewhere.as_deref());
        let elsewhere =
            place.map(|place| format!("; `{}` is not where the dynamic linker looks", shown(place)));
        let base = match complete() {
            Some(other) => {
                let name = format!("{}:{}", search.template.name(), other.version.version);
                format!("or pass `--builder {name}`, which has everything")
            }
            None => "or pass an image that has everything, and S2I scripts: `--builder IMAGE`".to_owned(),
        };
        let error = BuilderError::MissingLibraries {
            subject,
            libraries: listed(&missing),
            base: candidate.base.image.to_string(),
            elsewhere: elsewhere.unwrap_or_default(),
            hints: vec![
                self.way_out(&missing),
                base,
                "or pass `--allow-missing` if the program starts without".to_owned(),
            ],
        };
        match search.request.allow_missing {
            true => Ok(Some(Warning { message: error.to_string(), hint: None })),
            false => Err(error),
        }
    }

    /// The options that bring the libraries to where the dynamic linker looks.
    fn way_out(&self, missing: &[&MissingLibrary]) -> String {
        let (mut options, mut needs_variable) = (Vec::new(), None);
        for library in missing.iter().take(MOST_SHOWN) {
            let name = shown(&library.name);
            let source = match &library.on_disk {
                Some(path) => shown(&shell_words::quote(&[path.display().to_string()])),
                None => format!("DIR/{name}"),
            };
            match (library.directories.first(), &library.elsewhere) {
                (Some(directory), _) => options.push(format!("--add {source}:{}/{name}", shown(directory))),
                (None, Some(place)) => {
                    needs_variable = place.rsplit_once('/').map(|(directory, _)| shown(directory));
                }
                (None, None) => {
                    options.push(format!("--add {source}:{}/{name}", self.directory));
                    needs_variable.get_or_insert_with(|| self.directory.clone());
                }
            }
        }
        if let Some(directory) = needs_variable {
            options.push(format!("--env LD_LIBRARY_PATH={directory}"));
        }
        let from = if options.iter().any(|option| option.contains(" DIR/")) { "from DIR, " } else { "" };
        format!("add what is missing, {from}to where the dynamic linker looks: `{}`", options.join(" "))
    }
}

fn belongs_to_libc(soname: &str) -> bool {
    let stem = soname.split(".so").next().unwrap_or_default();
    GLIBC_LIBRARIES.contains(&stem)
        || stem.starts_with("ld-")
        || stem.starts_with("ld64")
        || stem.starts_with("libc.musl-")
}

/// Lists up to ten names.
pub(super) fn listed(libraries: &[&MissingLibrary]) -> String {
    let names = libraries.iter().take(MOST_SHOWN).map(|library| format!("`{}`", shown(&library.name)));
    let names = names.collect::<Vec<_>>().join(", ");
    match libraries.len().checked_sub(MOST_SHOWN) {
        Some(more) if more > 0 => format!("{names} and {more} more"),
        _ => names,
    }
}
