//! Owns reading the package from a `pom.xml`: a JAR or a WAR, and the servlet API.
//!
//! Must not guess: values from the parent and from profiles are unknown.

use super::requirement::{child, text};
use crate::detect::facts::ServletApi;
use crate::sources::SourceTree;

/// The first version of `jakarta.servlet-api` with packages named `jakarta`.
const FIRST_JAKARTA_SERVLET: u32 = 5;

/// The first version of `jakarta.jakartaee-api` with packages named `jakarta`.
const FIRST_JAKARTA_PLATFORM: u32 = 9;
/// The first version of Spring Boot that uses these packages.
const FIRST_JAKARTA_SPRING: u32 = 3;

/// The package that Maven makes from a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclaredPackage {
    pub is_war: bool,
    /// From the dependencies.
    pub servlet_api: Option<ServletApi>,
}

/// Reads the `pom.xml` of the root; `None` if it does not exist or is not XML.
pub fn declared_package(tree: &SourceTree) -> Option<DeclaredPackage> {
    let pom = text(tree, "pom.xml")?;
    // The parser refuses document types by default, so entities cannot expand.
    let document = roxmltree::Document::parse(&pom).ok()?;
    let project = document.root_element();
    let of = |node: roxmltree::Node<'_, '_>, name: &str| {
        child(node, name).and_then(|one| one.text()).map(|text| text.trim().to_owned())
    };
    let is_war = of(project, "packaging").as_deref() == Some("war");
    let properties = child(project, "properties");
    // The major number, directly or from a property.
    let major = |node: roxmltree::Node<'_, '_>| {
        let version = of(node, "version")?;
        let property = version.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let version = match property {
            Some(name) => of(properties?, name)?,
            None => version,
        };
        version.split('.').next()?.parse::<u32>().ok()
    };
    let since = |version: Option<u32>, first: u32| {
        version.map(|version| if version >= first { ServletApi::Jakarta } else { ServletApi::Javax })
    };
    let by_dependency = |node: roxmltree::Node<'_, '_>| match of(node, "groupId")?.as_str() {
        "javax.servlet" | "javax" => Some(ServletApi::Javax),
        "jakarta.servlet" => since(major(node), FIRST_JAKARTA_SERVLET),
        "jakarta.platform" => since(major(node), FIRST_JAKARTA_PLATFORM),
        _ => None,
    };
    let dependencies = child(project, "dependencies");
    let mut dependencies =
        dependencies.into_iter().flat_map(|all| all.children().filter(|one| one.is_element()));
    let parent = child(project, "parent");
    let by_parent = || {
        let parent =
            parent.filter(|one| of(*one, "groupId").as_deref() == Some("org.springframework.boot"))?;
        since(major(parent), FIRST_JAKARTA_SPRING)
    };
    let servlet_api = dependencies.find_map(by_dependency).or_else(by_parent);
    Some(DeclaredPackage { is_war, servlet_api })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::tests::sample;

    #[test]
    fn packaging_and_dependencies_tell_what_will_come() {
        let declared = |inner: &str| {
            let text = format!("<project xmlns=\"http://maven.apache.org/POM/4.0.0\">{inner}</project>");
            declared_package(&sample::source_tree(&[("pom.xml", &text)]))
        };
        let package = |is_war, servlet_api| Some(DeclaredPackage { is_war, servlet_api });
        assert_eq!(declared(""), package(false, None));
        assert_eq!(declared("<packaging> war </packaging>"), package(true, None));
        let dependency = |group: &str, version: &str| {
            format!(
                "<properties><v>6.0.0</v></properties><packaging>war</packaging><dependencies><dependency>\
                 <groupId>{group}</groupId>{version}</dependency></dependencies>"
            )
        };
        let (javax, jakarta) = (Some(ServletApi::Javax), Some(ServletApi::Jakarta));
        assert_eq!(declared(&dependency("javax.servlet", "")), package(true, javax));
        assert_eq!(
            declared(&dependency("jakarta.servlet", "<version>4.0.4</version>")),
            package(true, javax)
        );
        assert_eq!(
            declared(&dependency("jakarta.servlet", "<version>${v}</version>")),
            package(true, jakarta)
        );
        assert_eq!(declared(&dependency("jakarta.servlet", "")), package(true, None));
        assert_eq!(
            declared(&dependency("jakarta.platform", "<version>8.0.0</version>")),
            package(true, javax)
        );
        let boot = "<parent><groupId>org.springframework.boot</groupId><version>3.2.1</version></parent>";
        assert_eq!(declared(boot), package(false, jakarta));
        assert_eq!(declared_package(&sample::source_tree(&[])), None);
    }
}
