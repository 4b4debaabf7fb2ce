//! Owns the facts of web applications, above all their servlet API.
//!
//! The evidence, best first: references in the application's own classes, in its libraries, service files, the
//! descriptor's namespace, JSPs and tag libraries. Class references have precedence over the descriptor, because they
//! decide whether the application loads. If the two disagree, the evidence states it. Must not read every class.

use std::collections::BTreeSet;
use std::io;

use super::super::bounded_reader::{BoundedReader, holds, text};
use super::super::facts::{ServletApi, WarFacts};
use super::archive::Directory;
use super::class_file::ConstantPool;
use super::survey::Survey;
use super::{Contents, sample, spring_boot};

const LONGEST_CLASS: usize = 128 * 1024;
const LONGEST_DESCRIPTOR: usize = 256 * 1024;
const LONGEST_PAGE: usize = 64 * 1024;
const MOST_CLASSES: usize = 96;
const CLASSES_A_LIBRARY: usize = 16;
/// The limit of libraries that are searched: enough for a verdict, and fast.
const MOST_LIBRARIES: usize = 12;
const ENOUGH_VOTES: usize = 3;

/// Words in names of classes and libraries that often use servlets.
const TELLING: &[&str] = &[
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

/// Reads the facts of a WAR.
pub(super) fn detect(
    view: &mut BoundedReader<'_>,
    contents: &Contents,
    main_class: Option<String>,
) -> io::Result<WarFacts> {
    let Contents { directory, survey, manifest, self_executing } = contents;
    let start_class = manifest.get("Start-Class").map(str::to_owned);
    let named: Vec<&str> = [main_class.as_deref(), start_class.as_deref()].into_iter().flatten().collect();
    let mut java = sample::own_release(view, directory, survey, &named)?;

    let mut verdict = ask_own_classes(view, directory, survey)?;
    let mut votes = Votes::default();
    let mut opened = sample::Libraries::new();
    for (turn, position) in telling_first(directory, sample::Libraries::choose(directory, survey)).enumerate()
    {
        let wanted = verdict.is_none() && turn < MOST_LIBRARIES && votes.total() < ENOUGH_VOTES;
        opened.open(view, directory, position, &mut |view, inner, survey| {
            java = java.max(sample::library_release(view, inner, survey)?);
            // The API itself, packed by mistake, is no evidence.
            if wanted && !survey.defines_servlet {
                let name = directory.entry(position).map(|entry| file_name(entry.name)).unwrap_or_default();
                votes.count(count_references(view, inner, survey, CLASSES_A_LIBRARY)?.majority(), name);
            }
            Ok(())
        })?;
    }
    verdict = verdict.or_else(|| votes.verdict("library"));
    let (servlet_api, servlet_evidence) = judge(verdict, view, directory, survey)?.unzip();
    Ok(WarFacts {
        servlet_api,
        servlet_evidence,
        java,
        spring_boot: spring_boot::detect(view, directory, survey, manifest)?,
        libraries: library_names(directory, survey),
        self_executing: *self_executing,
        main_class,
        start_class,
    })
}

/// The API and its evidence.
type Verdict = (ServletApi, String);

/// The references of some classes or libraries.
#[derive(Default)]
struct Votes {
    javax: Vec<String>,
    jakarta: Vec<String>,
}

impl Votes {
    fn count(&mut self, api: Option<ServletApi>, who: String) {
        match api {
            Some(ServletApi::Javax) => self.javax.push(who),
            Some(ServletApi::Jakarta) => self.jakarta.push(who),
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

    fn verdict(&self, who: &str) -> Option<Verdict> {
        let api = self.majority()?;
        let (winners, losers) = match api {
            ServletApi::Javax => (&self.javax, &self.jakarta),
            ServletApi::Jakarta => (&self.jakarta, &self.javax),
        };
        let more = match winners.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more of those sampled)", count - 1),
        };
        let against = match losers.first() {
            Some(loser) => format!("; fewer, such as `{loser}`, refer to the other API"),
            None => String::new(),
        };
        Some((api, format!("{who} `{}`{more} refers to {}{against}", winners[0], package_name(api))))
    }
}

fn package_name(api: ServletApi) -> &'static str {
    match api {
        ServletApi::Javax => "javax.servlet",
        ServletApi::Jakarta => "jakarta.servlet",
    }
}

fn ask_own_classes(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
) -> io::Result<Option<Verdict>> {
    let votes = count_references(view, directory, survey, MOST_CLASSES)?;
    Ok(votes.verdict("class"))
}

/// Counts the references of a sample of classes, those with likely names first.
fn count_references(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
    most: usize,
) -> io::Result<Votes> {
    let mut votes = Votes::default();
    for position in sample_classes(directory, survey, most) {
        let Some(entry) = directory.entry(position) else { continue };
        let Some(bytes) = entry.read(view, LONGEST_CLASS)? else { continue };
        let Some(pool) = ConstantPool::parse(&bytes) else { continue };
        let api = match (pool.refers_to(b"javax/servlet/"), pool.refers_to(b"jakarta/servlet/")) {
            (true, false) => Some(ServletApi::Javax),
            (false, true) => Some(ServletApi::Jakarta),
            _ => None,
        };
        votes.count(api, class_name(entry.name));
    }
    Ok(votes)
}

/// Chooses classes: half by likely names, half spread. Launcher classes outside WEB-INF are not the application's.
fn sample_classes(directory: &Directory, survey: &Survey, most: usize) -> Vec<u32> {
    let own = survey.classes.iter().copied().filter(|position| {
        !survey.web || directory.entry(*position).is_some_and(|entry| entry.name.starts_with(b"WEB-INF/"))
    });
    let own: Vec<u32> = own.collect();
    let telling: Vec<u32> = own
        .iter()
        .copied()
        .filter(|position| directory.entry(*position).is_some_and(|entry| is_telling(entry.name)))
        .collect();
    let mut chosen: Vec<u32> = sample::spread(&telling, most / 2).collect();
    chosen.extend(sample::spread(&own, most / 2));
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn telling_first(directory: &Directory, mut libraries: Vec<u32>) -> impl Iterator<Item = u32> {
    libraries.sort_by_key(|position| {
        !directory.entry(*position).is_some_and(|entry| is_telling(file_name(entry.name).as_bytes()))
    });
    libraries.into_iter()
}

fn is_telling(name: &[u8]) -> bool {
    // Without WEB-INF, which contains the word `web`.
    let name = name.strip_prefix(b"WEB-INF/").unwrap_or(name).to_ascii_lowercase();
    TELLING.iter().any(|word| holds(&name, word.as_bytes()))
}

/// Combines all evidence.
fn judge(
    by_classes: Option<Verdict>,
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
) -> io::Result<Option<Verdict>> {
    let descriptor = ask_descriptor(view, directory, survey)?;
    if let Some((api, evidence)) = by_classes {
        let contradiction = match descriptor {
            Some((other, _)) if other != api => {
                format!("; WEB-INF/web.xml is of {}, but what classes refer to counts", package_name(other))
            }
            _ => String::new(),
        };
        return Ok(Some((api, evidence + &contradiction)));
    }
    let service = |api| Some((api, format!("a service file for {}", package_name(api))));
    let services = match survey.servlet_services {
        (true, false) => service(ServletApi::Javax),
        (false, true) => service(ServletApi::Jakarta),
        _ => None,
    };
    match services.or(descriptor) {
        Some(verdict) => Ok(Some(verdict)),
        None => ask_pages(view, directory, survey),
    }
}

fn ask_descriptor(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
) -> io::Result<Option<Verdict>> {
    let Some(entry) = survey.web_descriptor.and_then(|position| directory.entry(position)) else {
        return Ok(None);
    };
    let Some(bytes) = entry.read(view, LONGEST_DESCRIPTOR)? else { return Ok(None) };
    Ok(namespace(&bytes)
        .map(|api| (api, format!("the namespace of WEB-INF/web.xml is of {}", package_name(api)))))
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

fn ask_pages(
    view: &mut BoundedReader<'_>,
    directory: &Directory,
    survey: &Survey,
) -> io::Result<Option<Verdict>> {
    for entry in survey.pages.iter().filter_map(|position| directory.entry(*position)) {
        let Some(bytes) = entry.read(view, LONGEST_PAGE)? else { continue };
        let jakarta = holds(&bytes, b"jakarta.servlet.") || holds(&bytes, b"jakarta.tags.");
        let api = match (holds(&bytes, b"javax.servlet."), jakarta) {
            (true, false) => Some(ServletApi::Javax),
            (false, true) => Some(ServletApi::Jakarta),
            _ if entry.name.ends_with(b".tld") => namespace(&bytes),
            _ => None,
        };
        if let Some(api) = api {
            return Ok(Some((api, format!("`{}` uses {}", entry.shown_name(), package_name(api)))));
        }
    }
    Ok(None)
}

fn library_names(directory: &Directory, survey: &Survey) -> BTreeSet<String> {
    let entries = survey.libraries.iter().filter_map(|position| directory.entry(*position));
    entries
        .filter(|entry| entry.name.starts_with(b"WEB-INF/lib/"))
        .map(|entry| file_name(entry.name))
        .collect()
}

fn file_name(path: &[u8]) -> String {
    text(path.rsplit(|byte| *byte == b'/').next().unwrap_or(path))
}

fn class_name(path: &[u8]) -> String {
    let path = path.strip_prefix(b"WEB-INF/classes/").unwrap_or(path);
    text(path.strip_suffix(b".class").unwrap_or(path)).replace('/', ".")
}
