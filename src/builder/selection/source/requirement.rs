//! Owns a project's requirement for the release that builds it: `go.mod`, `pom.xml`, `.nvmrc`, `package.json`,
//! `.python-version`, `pyproject.toml` and similar files.
//!
//! Sources are hostile: each file is bounded, parsed as data and never run. Must not choose, nor guess what it does not
//! understand.

use super::range::{Range, numbers};
use super::read_file;
use crate::builder::error::shown;
use crate::sources::SourceTree;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) file: &'static str,
    /// Its text, safe for a message.
    pub(super) text: String,
    pub(super) wants: Wants,
}

/// The meaning of a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// This release or a later one.
    AtLeast(Vec<u32>),
    /// A release of a range.
    Within(Range),
    /// The newest release.
    Newest,
    /// A text that b2i does not understand.
    Unclear,
}

impl Requirement {
    fn new(file: &'static str, text: &str, wants: Option<Wants>) -> Self {
        Self { file, text: shown(text.trim()), wants: wants.unwrap_or(Wants::Unclear) }
    }
}

/// Reads the project's requirement for a template with these build files.
pub(super) fn read(build_files: &[String], tree: &SourceTree) -> Option<Requirement> {
    let takes = |name: &str| build_files.iter().any(|file| file == name);
    if takes("go.mod") {
        go(tree)
    } else if takes("pom.xml") {
        maven(tree)
    } else if takes("package.json") {
        node(tree)
    } else if takes("pyproject.toml") || takes("requirements.txt") {
        python(tree)
    } else {
        None
    }
}

pub(super) fn text(tree: &SourceTree, path: &str) -> Option<String> {
    String::from_utf8(read_file(tree, path)?).ok()
}

fn at_least(text: &str) -> Option<Wants> {
    numbers(text).filter(|numbers| !numbers.is_empty()).map(Wants::AtLeast)
}

/// `go 1.22` in `go.mod`: the oldest Go that builds the module. `toolchain` is only a recommendation.
fn go(tree: &SourceTree) -> Option<Requirement> {
    let module = text(tree, "go.mod")?;
    let mut lines = module.lines().map(|line| line.split("//").next().unwrap_or_default());
    let version = lines.find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("go")).then(|| words.next()).flatten()
    })?;
    Some(Requirement::new("go.mod", &format!("go {version}"), at_least(version)))
}

/// `.nvmrc` and `.node-version` have the release that the developers use. `engines.node` has the releases that work.
fn node(tree: &SourceTree) -> Option<Requirement> {
    for file in [".nvmrc", ".node-version"] {
        let Some(text) = text(tree, file) else { continue };
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        if let Some(version) = lines.into_iter().find(|line| !line.is_empty()) {
            return Some(Requirement::new(file, version, node_version(version)));
        }
    }
    let package: serde_json::Value = serde_json::from_slice(&read_file(tree, "package.json")?).ok()?;
    let range = package.get("engines")?.get("node")?.as_str()?;
    Some(Requirement::new(
        "package.json",
        &format!("engines.node {range}"),
        Range::parse(range).map(Wants::Within),
    ))
}

fn node_version(text: &str) -> Option<Wants> {
    let release = match text.to_ascii_lowercase().as_str() {
        "node" | "stable" | "lts/*" | "lts" => return Some(Wants::Newest),
        "lts/hydrogen" => 18,
        "lts/iron" => 20,
        "lts/jod" => 22,
        "lts/krypton" => 24,
        version => return at_least(version),
    };
    Some(Wants::AtLeast(vec![release]))
}

fn python(tree: &SourceTree) -> Option<Requirement> {
    if let Some(text) = text(tree, ".python-version") {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        if let Some(version) = lines.into_iter().find(|line| !line.is_empty()) {
            return Some(Requirement::new(".python-version", version, at_least(version)));
        }
    }
    let toml = |file| text(tree, file).and_then(|text| text.parse::<toml::Table>().ok());
    let found = |file, key: &str, range: &str| {
        Some(Requirement::new(file, &format!("{key} {range}"), Range::parse(range).map(Wants::Within)))
    };
    if let Some(project) = toml("pyproject.toml") {
        if let Some(range) = project.get("project").and_then(|table| table.get("requires-python")?.as_str()) {
            return found("pyproject.toml", "requires-python", range);
        }
        let poetry =
            project.get("tool").and_then(|tool| tool.get("poetry")?.get("dependencies")?.get("python"));
        if let Some(range) = poetry.and_then(toml::Value::as_str) {
            return found("pyproject.toml", "python", range);
        }
    }
    let pipfile = toml("Pipfile")?;
    let version = pipfile.get("requires")?.get("python_version")?.as_str()?;
    Some(Requirement::new("Pipfile", &format!("python_version {version}"), at_least(version)))
}

/// `--release` exists since Java 9. Code for an older Java is built with a later one.
const FIRST_WITH_RELEASE: u32 = 9;

/// The properties of `pom.xml` and its compiler plugin. Values from the parent and from profiles are unknown.
fn maven(tree: &SourceTree) -> Option<Requirement> {
    let pom = text(tree, "pom.xml")?;
    // The parser refuses document types by default, so entities cannot expand.
    let document = roxmltree::Document::parse(&pom).ok()?;
    let project = document.root_element();
    let properties = child(project, "properties");
    let property = |name: &str| properties.and_then(|all| child(all, name)).and_then(|one| one.text());
    let plugins = child(project, "build").and_then(|build| child(build, "plugins"));
    let compiler = plugins.into_iter().flat_map(|plugins| plugins.children()).find(|plugin| {
        child(*plugin, "artifactId").and_then(|id| id.text()).map(str::trim) == Some("maven-compiler-plugin")
    });
    let configuration = compiler.and_then(|plugin| child(plugin, "configuration"));
    let configured = |name: &str| configuration.and_then(|all| child(all, name)).and_then(|one| one.text());
    let (key, value) = [
        ("release", configured("release")),
        ("maven.compiler.release", property("maven.compiler.release")),
        ("target", configured("target")),
        ("maven.compiler.target", property("maven.compiler.target")),
        ("java.version", property("java.version")),
    ]
    .into_iter()
    .find_map(|(key, value)| Some((key, value?.trim())))?;
    let reference = value.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let value = reference.and_then(property).map_or(value, str::trim);
    let release =
        numbers(value.strip_prefix("1.").unwrap_or(value)).and_then(|numbers| numbers.first().copied());
    let wants = release.map(|release| {
        let by_release = key.ends_with("release");
        Wants::AtLeast(vec![if by_release { release.max(FIRST_WITH_RELEASE) } else { release }])
    });
    Some(Requirement::new("pom.xml", &format!("{key} {value}"), wants))
}

/// The child element with this name in any namespace, because many files have none.
pub(super) fn child<'a, 'input>(
    node: roxmltree::Node<'a, 'input>,
    name: &str,
) -> Option<roxmltree::Node<'a, 'input>> {
    node.children().find(|child| child.is_element() && child.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;

    fn requirement(build_file: &str, files: &[(&str, &str)]) -> Option<Requirement> {
        read(&[build_file.to_owned()], &sample::source_tree(files))
    }

    fn lowest(build_file: &str, files: &[(&str, &str)]) -> Option<String> {
        let Wants::AtLeast(numbers) = requirement(build_file, files)?.wants else { return None };
        Some(numbers.iter().map(u32::to_string).collect::<Vec<_>>().join("."))
    }

    #[test]
    fn go_modules_name_their_oldest_go() {
        let go = |text: &str| lowest("go.mod", &[("go.mod", text)]);
        assert_eq!(go("module a\n\ngo 1.22\n").as_deref(), Some("1.22"));
        assert_eq!(go("module a\ngo 1.22.3 // why\ntoolchain go1.24.1\n").as_deref(), Some("1.22.3"));
        assert_eq!(go("module go\n// go 1.2\n"), None);
        assert_eq!(requirement("go.mod", &[("go.mod", "go x")]).map(|one| one.wants), Some(Wants::Unclear));
    }

    #[test]
    fn poms_name_their_java() {
        let pom = |inner: &str| {
            let text = format!("<project xmlns=\"http://maven.apache.org/POM/4.0.0\">{inner}</project>");
            lowest("pom.xml", &[("pom.xml", &text)])
        };
        let properties = |inner: &str| pom(&format!("<properties>{inner}</properties>"));
        assert_eq!(properties("<maven.compiler.release>17</maven.compiler.release>").as_deref(), Some("17"));
        assert_eq!(properties("<maven.compiler.target>1.8</maven.compiler.target>").as_deref(), Some("8"));
        assert_eq!(properties("<maven.compiler.release>8</maven.compiler.release>").as_deref(), Some("9"));
        assert_eq!(properties("<java.version> 21 </java.version>").as_deref(), Some("21"));
        let by_reference = "<java.version>11</java.version>\
             <maven.compiler.target>${java.version}</maven.compiler.target>";
        assert_eq!(properties(by_reference).as_deref(), Some("11"));
        let plugin = "<build><plugins><plugin><artifactId>maven-compiler-plugin</artifactId>\
             <configuration><release>21</release></configuration></plugin></plugins></build>";
        assert_eq!(pom(plugin).as_deref(), Some("21"));
        assert_eq!(pom(""), None);
        assert_eq!(properties("<java.version>${no.such}</java.version>"), None);
        assert_eq!(lowest("pom.xml", &[("pom.xml", "<project><properties>")]), None);
        let bomb = "<!DOCTYPE p [<!ENTITY a \"21\">]><project><properties><java.version>&a;</java.version></properties></project>";
        assert_eq!(requirement("pom.xml", &[("pom.xml", bomb)]), None);
    }

    #[test]
    fn node_projects_name_their_node() {
        let engines = ("package.json", r#"{"engines": {"node": ">=18 <21"}}"#);
        assert_eq!(lowest("package.json", &[(".nvmrc", "v20.11.0\n"), engines]).as_deref(), Some("20.11.0"));
        assert_eq!(lowest("package.json", &[(".nvmrc", "lts/Jod"), engines]).as_deref(), Some("22"));
        let newest = requirement("package.json", &[(".nvmrc", "# ours\nlts/*\n"), engines]);
        assert_eq!(newest.map(|one| one.wants), Some(Wants::Newest));
        let range = requirement("package.json", &[engines]).expect("a range");
        assert_eq!((range.file, range.text.as_str()), ("package.json", "engines.node >=18 <21"));
        assert!(matches!(range.wants, Wants::Within(_)));
        assert_eq!(requirement("package.json", &[("package.json", "{")]), None);
    }

    #[test]
    fn python_projects_name_their_python() {
        let project = ("pyproject.toml", "[project]\nrequires-python = '>=3.9'\n");
        let read = |files: &[(&str, &str)]| requirement("pyproject.toml", files);
        assert_eq!(
            lowest("pyproject.toml", &[(".python-version", "3.11.4\n"), project]).as_deref(),
            Some("3.11.4")
        );
        assert_eq!(read(&[project]).expect("a range").text, "requires-python >=3.9");
        let poetry = ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.10'\n");
        assert_eq!(read(&[poetry]).expect("a range").text, "python ^3.10");
        let pipfile = ("Pipfile", "[requires]\npython_version = '3.12'\n");
        assert_eq!(lowest("pyproject.toml", &[pipfile]).as_deref(), Some("3.12"));
        assert_eq!(read(&[(".python-version", "pypy3.10")]).map(|one| one.wants), Some(Wants::Unclear));
        assert_eq!(read(&[("requirements.txt", "flask")]), None);
    }
}
