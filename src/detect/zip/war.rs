//! Owns the facts of web applications, above all their servlet API.
//! Must not read every class.
//!
//! The evidence, best first: references in the application's own classes, in its libraries, service files, the
//! descriptor's namespace, JSPs and tag libraries. References of classes have precedence over the descriptor, because they
//! decide whether the application loads. If the two disagree, the evidence states it.

use std::io;

use super::super::bounded_reader::{holds, text};
use super::super::facts::{ServletApi, WarFacts};
use super::class_file::ConstantPool;
use super::{Archive, Contents, sample, spring_boot};

const LONGEST_CLASS: u64 = 128 * 1024;
const LONGEST_DESCRIPTOR: u64 = 256 * 1024;
const LONGEST_PAGE: u64 = 64 * 1024;
const MOST_CLASSES: usize = 96;
const CLASSES_A_LIBRARY: usize = 16;
/// The limit of libraries that are searched: enough for a verdict, and fast.
const MOST_LIBRARIES: usize = 12;
const ENOUGH_VOTES: usize = 3;

/// Words in names of classes and libraries that often use servlets.
const LIKELY: &[&str] = &[
    "servlet",
    "filter",
    "controller",
    "web",
    "mvc",
    "http",
    "struts",
    "faces",
    "jsp",
    "jstl",
    "jersey",
    "wicket",
];

pub(super) fn detect(contents: &mut Contents<'_>, main_class: Option<String>) -> io::Result<WarFacts> {
    let Contents { archive, manifest, self_executing } = contents;
    let start_class = manifest.get("Start-Class").map(str::to_owned);
    let named: Vec<&str> = [main_class.as_deref(), start_class.as_deref()].into_iter().flatten().collect();
    let mut java = sample::own_release(archive, &named)?;

    let by_classes = count_references(archive, MOST_CLASSES)?.verdict("class");
    let mut votes = Votes::default();
    let mut libraries = sample::Libraries::new();
    for (turn, position) in likely_first(archive, sample::Libraries::choose(archive)).into_iter().enumerate()
    {
        let name = archive.directory.entry(position).map(|entry| file_name(entry.name)).unwrap_or_default();
        let counts = by_classes.is_none() && turn < MOST_LIBRARIES && votes.total() < ENOUGH_VOTES;
        libraries.open(archive, position, &mut |library| {
            java = java.max(sample::library_release(library)?);
            // The API itself, packed by mistake, is not evidence.
            if counts && !library.survey.defines_servlet {
                votes.add(count_references(library, CLASSES_A_LIBRARY)?.majority(), name.clone());
            }
            Ok(())
        })?;
    }
    let verdict = by_classes.or_else(|| votes.verdict("library"));
    let (servlet_api, servlet_evidence) = combine(verdict, archive)?.unzip();
    let entries = archive.directory.entries_at(&archive.survey.libraries);
    let libraries = entries.filter(|entry| entry.name.starts_with(b"WEB-INF/lib/"));
    Ok(WarFacts {
        servlet_api,
        servlet_evidence,
        java,
        libraries: libraries.map(|entry| file_name(entry.name)).collect(),
        spring_boot: spring_boot::detect(archive, manifest)?,
        self_executing: *self_executing,
        main_class,
        start_class,
    })
}

/// The API and its evidence.
type Verdict = (ServletApi, String);

/// The names of classes or libraries that refer to each API.
#[derive(Default)]
struct Votes {
    javax: Vec<String>,
    jakarta: Vec<String>,
}

impl Votes {
    fn add(&mut self, api: Option<ServletApi>, voter: String) {
        match api {
            Some(ServletApi::Javax) => self.javax.push(voter),
            Some(ServletApi::Jakarta) => self.jakarta.push(voter),
            None => {}
        }
    }

    fn total(&self) -> usize {
        self.javax.len() + self.jakarta.len()
    }

    /// The API with more votes; `None` if both have as many.
    fn majority(&self) -> Option<ServletApi> {
        match self.javax.len().cmp(&self.jakarta.len()) {
            std::cmp::Ordering::Less => Some(ServletApi::Jakarta),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(ServletApi::Javax),
        }
    }

    /// The majority with its evidence. `voter` is `class` or `library`.
    fn verdict(&self, voter: &str) -> Option<Verdict> {
        let api = self.majority()?;
        let (winners, losers) = match api {
            ServletApi::Javax => (&self.javax, &self.jakarta),
            ServletApi::Jakarta => (&self.jakarta, &self.javax),
        };
        let more = match winners.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more of those sampled)", count - 1),
        };
        let against =
            losers.first().map(|loser| format!("; fewer, such as `{loser}`, refer to the other API"));
        let (winner, against) = (&winners[0], against.unwrap_or_default());
        Some((api, format!("{voter} `{winner}`{more} refers to {}{against}", package_name(api))))
    }
}

fn package_name(api: ServletApi) -> &'static str {
    match api {
        ServletApi::Javax => "javax.servlet",
        ServletApi::Jakarta => "jakarta.servlet",
    }
}

/// The API if only one of the two is used.
fn only(javax: bool, jakarta: bool) -> Option<ServletApi> {
    match (javax, jakarta) {
        (true, false) => Some(ServletApi::Javax),
        (false, true) => Some(ServletApi::Jakarta),
        _ => None,
    }
}

fn count_references(archive: &mut Archive<'_>, most: usize) -> io::Result<Votes> {
    let mut votes = Votes::default();
    for entry in archive.directory.entries_at(&sample_classes(archive, most)) {
        let Some(bytes) = entry.read(&mut archive.view, LONGEST_CLASS)? else { continue };
        let Some(pool) = ConstantPool::parse(&bytes) else { continue };
        let api = only(pool.refers_to(b"javax/servlet/"), pool.refers_to(b"jakarta/servlet/"));
        votes.add(api, class_name(entry.name));
    }
    Ok(votes)
}

/// Chooses classes: half by likely names, half spread. Launcher classes outside WEB-INF are not the application's.
fn sample_classes(archive: &Archive<'_>, most: usize) -> Vec<u32> {
    let entries = || {
        let entries = archive.directory.entries_at(&archive.survey.classes);
        entries.filter(|entry| !archive.survey.web || entry.name.starts_with(b"WEB-INF/"))
    };
    let likely = entries().filter(|entry| is_likely(entry.name)).map(|entry| entry.position);
    let mut chosen: Vec<u32> = sample::spread(&likely.collect::<Vec<_>>(), most / 2).collect();
    let all: Vec<u32> = entries().map(|entry| entry.position).collect();
    chosen.extend(sample::spread(&all, most / 2));
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn likely_first(archive: &Archive<'_>, mut libraries: Vec<u32>) -> Vec<u32> {
    libraries.sort_by_key(|position| {
        let entry = archive.directory.entry(*position);
        !entry.is_some_and(|entry| is_likely(file_name(entry.name).as_bytes()))
    });
    libraries
}

fn is_likely(name: &[u8]) -> bool {
    // `WEB-INF/` is cut off, because it contains the word `web`.
    let name = name.strip_prefix(b"WEB-INF/").unwrap_or(name).to_ascii_lowercase();
    LIKELY.iter().any(|word| holds(&name, word.as_bytes()))
}

fn combine(by_classes: Option<Verdict>, archive: &mut Archive<'_>) -> io::Result<Option<Verdict>> {
    let descriptor = by_descriptor(archive)?;
    if let Some((api, evidence)) = by_classes {
        let contradiction = match descriptor {
            Some((other, _)) if other != api => {
                format!("; WEB-INF/web.xml is of {}, but references of classes count", package_name(other))
            }
            _ => String::new(),
        };
        return Ok(Some((api, evidence + &contradiction)));
    }
    let (javax, jakarta) = archive.survey.servlet_services;
    let service = only(javax, jakarta).map(|api| (api, format!("a service file for {}", package_name(api))));
    match service.or(descriptor) {
        Some(verdict) => Ok(Some(verdict)),
        None => by_pages(archive),
    }
}

fn by_descriptor(archive: &mut Archive<'_>) -> io::Result<Option<Verdict>> {
    let entry = archive.survey.web_descriptor.and_then(|position| archive.directory.entry(position));
    let Some(entry) = entry else { return Ok(None) };
    let Some(bytes) = entry.read(&mut archive.view, LONGEST_DESCRIPTOR)? else { return Ok(None) };
    let evidence = |api| (api, format!("the namespace of WEB-INF/web.xml is of {}", package_name(api)));
    Ok(namespace(&bytes).map(evidence))
}

/// The API by the XML namespace or document type of a descriptor.
fn namespace(xml: &[u8]) -> Option<ServletApi> {
    let javax = [
        &b"http://java.sun.com/xml/ns/"[..],
        b"http://xmlns.jcp.org/xml/ns/",
        b"http://java.sun.com/dtd/web-",
        b"http://java.sun.com/j2ee/dtds/",
        b"-//Sun Microsystems, Inc.//DTD ",
    ];
    if holds(xml, b"https://jakarta.ee/xml/ns/jakartaee") {
        Some(ServletApi::Jakarta)
    } else if javax.iter().any(|namespace| holds(xml, namespace)) {
        Some(ServletApi::Javax)
    } else {
        None
    }
}

fn by_pages(archive: &mut Archive<'_>) -> io::Result<Option<Verdict>> {
    for entry in archive.directory.entries_at(&archive.survey.pages) {
        let Some(bytes) = entry.read(&mut archive.view, LONGEST_PAGE)? else { continue };
        let jakarta = holds(&bytes, b"jakarta.servlet.") || holds(&bytes, b"jakarta.tags.");
        let by_words = only(holds(&bytes, b"javax.servlet."), jakarta);
        let api = by_words.or_else(|| entry.name.ends_with(b".tld").then(|| namespace(&bytes)).flatten());
        if let Some(api) = api {
            return Ok(Some((api, format!("`{}` uses {}", entry.shown_name(), package_name(api)))));
        }
    }
    Ok(None)
}

fn file_name(path: &[u8]) -> String {
    text(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path))
}

fn class_name(path: &[u8]) -> String {
    let path = path.strip_prefix(b"WEB-INF/classes/").unwrap_or(path);
    text(path.strip_suffix(b".class").unwrap_or(path)).replace('/', ".")
}
