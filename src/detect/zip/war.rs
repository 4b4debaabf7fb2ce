//! Owns the facts of web applications, above all their servlet API.
//! Must not read every class.
//!
//! The evidence, best first: references in the application's own classes, service files, the descriptor, references in
//! libraries, JSPs and tag libraries. References to servlets have precedence over those to other packages of Java EE and
//! Jakarta EE. Libraries are weak evidence: helpers for both APIs may outnumber the framework.

use std::collections::BTreeSet;
use std::io;

use super::super::bounded_reader::{holds, text};
use super::super::facts::{ServletApi, ServletVersion, WarFacts};
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

/// Packages of Java EE and Jakarta EE that Java SE does not have, below `javax/` and `jakarta/`. `servlet` decides first.
const PACKAGES: &[&str] = &[
    "servlet",
    "ws/rs",
    "faces",
    "websocket",
    "persistence",
    "enterprise",
    "ejb",
    "jms",
    "mail",
    "el",
    "json",
    "validation",
    "batch",
    "resource",
    "interceptor",
    "decorator",
    "jws",
];

/// Descriptors of other servers in `WEB-INF/` or `META-INF/`, with their server.
const SERVERS: &[(&str, &str)] = &[
    ("jboss-web.xml", "JBoss or WildFly"),
    ("jboss-deployment-structure.xml", "JBoss or WildFly"),
    ("jboss-all.xml", "JBoss or WildFly"),
    ("weblogic.xml", "WebLogic"),
    ("ibm-web-bnd.xml", "WebSphere"),
    ("ibm-web-bnd.xmi", "WebSphere"),
    ("ibm-web-ext.xml", "WebSphere"),
    ("ibm-web-ext.xmi", "WebSphere"),
    ("glassfish-web.xml", "GlassFish"),
    ("sun-web.xml", "GlassFish"),
    ("payara-web.xml", "Payara"),
    ("geronimo-web.xml", "Geronimo"),
    ("jetty-web.xml", "Jetty"),
    ("jetty-env.xml", "Jetty"),
    ("jetty-jsp.xml", "Jetty"),
    ("resin-web.xml", "Resin"),
    ("ejb-jar.xml", "Enterprise Beans"),
];

/// Whether a file in `WEB-INF/` or `META-INF/` is a descriptor that Tomcat does not read.
pub(super) fn is_unsupported_descriptor(name: &[u8]) -> bool {
    unsupported_descriptor(name).is_some()
}

fn unsupported_descriptor(name: &[u8]) -> Option<String> {
    let file = name.strip_prefix(b"WEB-INF/").or_else(|| name.strip_prefix(b"META-INF/"))?;
    let (_, server) = SERVERS.iter().find(|(known, _)| known.as_bytes() == file)?;
    Some(format!("`{}` ({server})", text(name)))
}

pub(super) fn detect(contents: &mut Contents<'_>, main_class: Option<String>) -> io::Result<WarFacts> {
    let Contents { archive, manifest, self_executing } = contents;
    let start_class = manifest.get("Start-Class").map(str::to_owned);
    let named: Vec<&str> = [main_class.as_deref(), start_class.as_deref()].into_iter().flatten().collect();
    let mut releases = sample::own_releases(archive, &named)?;
    let own = count_references(archive, MOST_CLASSES)?;
    let mut votes = Votes::default();
    let mut libraries = sample::Libraries::new();
    for (turn, position) in likely_first(archive, sample::Libraries::choose(archive)).into_iter().enumerate()
    {
        let name = archive.directory.entry(position).map(|entry| file_name(entry.name)).unwrap_or_default();
        let counts = own.majority().is_none() && turn < MOST_LIBRARIES && votes.total() < ENOUGH_VOTES;
        libraries.open(archive, position, &mut |library| {
            releases = releases.and(sample::library_releases(library)?);
            // The API itself, packed by mistake, is not evidence.
            if counts && !library.survey.defines_servlet {
                let references = count_references(library, CLASSES_A_LIBRARY)?;
                if let Some((api, package)) = references.winner() {
                    votes.add(api, name.clone(), package);
                }
            }
            Ok(())
        })?;
    }
    let descriptor = Descriptor::read(archive)?;
    let mut unsupported = unsupported_parts(archive);
    unsupported
        .extend(own.beans.as_ref().map(|package| format!("classes of `{package}` (Enterprise Beans)")));
    let mixed_libraries = own.majority().is_none() && descriptor.api.is_none() && votes.are_mixed();
    let (servlet_api, servlet_evidence) = combine(&own, &descriptor, &votes, archive)?.unzip();
    let entries = archive.directory.entries_at(&archive.survey.libraries);
    let libraries = entries.filter(|entry| entry.name.starts_with(b"WEB-INF/lib/"));
    Ok(WarFacts {
        servlet_api,
        servlet_evidence,
        servlet_version: descriptor.version,
        unsupported,
        mixed_libraries,
        java: releases.lowest,
        preview: releases.is_preview(),
        libraries: libraries.map(|entry| file_name(entry.name)).collect(),
        spring_boot: spring_boot::detect(archive, manifest)?,
        self_executing: *self_executing,
        main_class,
        start_class,
    })
}

fn unsupported_parts(archive: &Archive<'_>) -> BTreeSet<String> {
    let entries = archive.directory.entries_at(&archive.survey.unsupported);
    entries.filter_map(|entry| unsupported_descriptor(entry.name)).collect()
}

/// The API and its evidence.
type Verdict = (ServletApi, String);

/// Classes or libraries that refer to one API, each with the package.
type Voters = Vec<(String, String)>;

/// The names of classes or libraries that refer to each API: to its servlets, or only to other packages.
#[derive(Default)]
struct Votes {
    servlets: [Voters; 2],
    others: [Voters; 2],
    /// The package of Enterprise Beans, if a class refers to it.
    beans: Option<String>,
}

impl Votes {
    fn add(&mut self, api: ServletApi, voter: String, package: String) {
        let voters = if package == package_name(api) { &mut self.servlets } else { &mut self.others };
        voters[position(api)].push((voter, package));
    }

    fn total(&self) -> usize {
        self.servlets.iter().map(Vec::len).sum()
    }

    /// The votes that count: those for servlets, if there are any.
    fn deciding(&self) -> &[Voters; 2] {
        if self.total() > 0 { &self.servlets } else { &self.others }
    }

    fn are_mixed(&self) -> bool {
        self.deciding().iter().all(|voters| !voters.is_empty())
    }

    /// The API with more votes; `None` if both have as many.
    fn majority(&self) -> Option<ServletApi> {
        let [javax, jakarta] = self.deciding();
        match javax.len().cmp(&jakarta.len()) {
            std::cmp::Ordering::Less => Some(ServletApi::Jakarta),
            std::cmp::Ordering::Equal => None,
            std::cmp::Ordering::Greater => Some(ServletApi::Javax),
        }
    }

    /// The API with more votes and the package of its first vote.
    fn winner(&self) -> Option<(ServletApi, String)> {
        let api = self.majority()?;
        Some((api, self.deciding()[position(api)][0].1.clone()))
    }

    /// The majority with its evidence. `voter` is `class` or `library`.
    fn verdict(&self, voter: &str) -> Option<Verdict> {
        let api = self.majority()?;
        let winners = &self.deciding()[position(api)];
        let losers = &self.deciding()[1 - position(api)];
        let more = match winners.len() {
            0 | 1 => String::new(),
            count => format!(" (and {} more of those sampled)", count - 1),
        };
        let against =
            losers.first().map(|(loser, _)| format!("; fewer, such as `{loser}`, refer to the other API"));
        let ((winner, package), against) = (&winners[0], against.unwrap_or_default());
        Some((api, format!("{voter} `{winner}`{more} refers to {package}{against}")))
    }
}

const fn position(api: ServletApi) -> usize {
    match api {
        ServletApi::Javax => 0,
        ServletApi::Jakarta => 1,
    }
}

/// The packages of Java EE or Jakarta EE to which a class refers, below the two prefixes.
fn packages(pool: &ConstantPool<'_>, prefix: &str) -> Vec<&'static str> {
    let slashed = format!("{prefix}/");
    let mut found: Vec<&'static str> = Vec::new();
    for name in pool.names_below(slashed.as_bytes()) {
        let is_it = |package: &&&str| {
            name.strip_prefix(package.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        if let Some(package) = PACKAGES.iter().find(is_it).filter(|package| !found.contains(package)) {
            found.push(package);
        }
    }
    found
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
        let (javax, jakarta) = (packages(&pool, "javax"), packages(&pool, "jakarta"));
        for (prefix, found) in [("javax", &javax), ("jakarta", &jakarta)] {
            if found.contains(&"ejb") {
                votes.beans.get_or_insert_with(|| format!("{prefix}.ejb"));
            }
        }
        let servlets = only(javax.contains(&"servlet"), jakarta.contains(&"servlet"));
        let Some(api) = servlets.or_else(|| only(!javax.is_empty(), !jakarta.is_empty())) else { continue };
        let (prefix, found) = match api {
            ServletApi::Javax => ("javax", &javax),
            ServletApi::Jakarta => ("jakarta", &jakarta),
        };
        let package = if servlets.is_some() { "servlet" } else { found[0] };
        votes.add(api, class_name(entry.name), format!("{prefix}.{}", package.replace('/', ".")));
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

fn combine(
    own: &Votes,
    descriptor: &Descriptor,
    libraries: &Votes,
    archive: &mut Archive<'_>,
) -> io::Result<Option<Verdict>> {
    if let Some((api, evidence)) = own.verdict("class") {
        let contradiction = match descriptor.api {
            Some(other) if other != api => {
                format!("; WEB-INF/web.xml is of {}, but references of classes count", package_name(other))
            }
            _ => String::new(),
        };
        return Ok(Some((api, evidence + &contradiction)));
    }
    let (javax, jakarta) = archive.survey.servlet_services;
    let service = only(javax, jakarta).map(|api| (api, format!("a service file for {}", package_name(api))));
    let stated = service.or_else(|| {
        let api = descriptor.api?;
        let version = descriptor.version.map(|version| format!(", version {version}")).unwrap_or_default();
        let against = libraries.verdict("library").filter(|(other, _)| *other != api);
        let against =
            against.map(|(_, evidence)| format!("; {evidence}, which counts less")).unwrap_or_default();
        let package = package_name(api);
        Some((api, format!("the namespace of WEB-INF/web.xml is of {package}{version}{against}")))
    });
    match stated.or_else(|| libraries.verdict("library")) {
        Some(verdict) => Ok(Some(verdict)),
        None => by_pages(archive),
    }
}

/// The facts in `WEB-INF/web.xml`.
#[derive(Default)]
struct Descriptor {
    api: Option<ServletApi>,
    version: Option<ServletVersion>,
}

impl Descriptor {
    fn read(archive: &mut Archive<'_>) -> io::Result<Self> {
        let entry = archive.survey.web_descriptor.and_then(|position| archive.directory.entry(position));
        let Some(entry) = entry else { return Ok(Self::default()) };
        let bytes = entry.read(&mut archive.view, LONGEST_DESCRIPTOR)?;
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        let version = version(&bytes);
        // The namespaces changed with version 5.
        let by_version = |version: ServletVersion| match version.major {
            0..5 => ServletApi::Javax,
            _ => ServletApi::Jakarta,
        };
        Ok(Self { api: namespace(&bytes).or_else(|| version.map(by_version)), version })
    }
}

/// The attribute `version` of the element `web-app`.
fn version(xml: &[u8]) -> Option<ServletVersion> {
    let xml = String::from_utf8_lossy(xml);
    let element = &xml[xml.find("<web-app")?..];
    let element = &element[..element.find('>')?];
    let (at, _) = element
        .match_indices("version")
        .find(|(at, _)| element[..*at].ends_with(|character: char| character.is_ascii_whitespace()))?;
    let value = element[at..].split_once('=')?.1.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let (major, minor) = value[1..].split(quote).next()?.trim().split_once('.')?;
    Some(ServletVersion { major: major.parse().ok()?, minor: minor.parse().ok()? })
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
