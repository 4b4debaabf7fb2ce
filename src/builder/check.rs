//! Owns the comparison of the assumptions about a base with the real image (`b2i builders check`).
//!
//! Must not read the image (`observe`).

use serde::Serialize;

use super::base::BaseAssumptions;
use super::observe::Observations;

/// The comparison of one assumption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// A key of `bases.toml`.
    pub property: &'static str,
    pub expected: String,
    pub found: String,
    /// Whether every program that fits the assumption runs on the image.
    pub agrees: bool,
}

/// Compares every assumption that is set, in the order of the keys of `bases.toml`.
pub fn check(base: &BaseAssumptions, image: &Observations) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    if let Some(shell) = base.shell {
        findings.equal("shell", shell, image.has_program("sh"), yes_or_no);
    }
    if !base.interpreters.is_empty() {
        findings
            .present("interpreters", base.interpreters.iter().map(|name| (name, image.has_program(name))));
    }
    if let Some(libc) = base.libc {
        findings.equal("libc", libc, image.libc(), |libc| libc.to_string());
    }
    if let Some(glibc) = base.glibc {
        // A newer glibc runs everything that the assumed one runs.
        let found = image.glibc.map(|version| version.to_string());
        findings.add("glibc", glibc.to_string(), found, image.glibc.is_some_and(|found| found >= glibc));
    }
    if let Some(libraries) = &base.libraries
        && !libraries.is_empty()
    {
        findings.present("libraries", libraries.iter().map(|name| (name, image.libraries.contains(name))));
    }
    java(base, image, &mut findings);
    tomcat(base, image, &mut findings);
    for (tool, version) in &base.tools {
        let found = image.tool(*tool);
        let shown = found.map(ToString::to_string);
        findings.add(
            tool.word(),
            version.to_string(),
            shown,
            found.is_some_and(|found| version.covers(found)),
        );
    }
    for (property, assumed, found) in [
        ("certificates", base.certificates, image.certificates),
        ("time-zones", base.time_zones, image.time_zones),
    ] {
        if let Some(assumed) = assumed {
            findings.equal(property, assumed, found, yes_or_no);
        }
    }
    if let (Some(expected), Some(found)) = (&base.user, &image.user) {
        findings.equal("user", user(expected), user(found), Into::into);
    }
    if let (Some(offered), Some(found)) = (&base.platforms, &image.platform) {
        let expected = offered.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let agrees = offered.iter().any(|one| one.matches(found));
        findings.add("platforms", expected, Some(found.to_string()), agrees);
    }
    findings.0
}

fn java(base: &BaseAssumptions, image: &Observations, findings: &mut Findings) {
    if let Some(release) = base.java {
        let found = match &base.java_home {
            Some(home) => image.java_at(home).into_iter().collect(),
            None => image.java_releases(),
        };
        let shown = found.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let shown = (!shown.is_empty()).then_some(shown);
        findings.add("java", release.to_string(), shown, found.contains(&release));
    }
    if let Some(home) = &base.java_home {
        let found = image.java_at(home).map(|release| format!("Java {release} in it"));
        findings.add("java-home", home.to_string(), found.clone(), found.is_some());
    }
}

fn tomcat(base: &BaseAssumptions, image: &Observations, findings: &mut Findings) {
    if let Some(version) = &base.tomcat {
        let found = match &base.tomcat_home {
            Some(home) => image.tomcat_at(home).into_iter().collect(),
            None => image.tomcat_versions(),
        };
        let shown = found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let shown = (!shown.is_empty()).then_some(shown);
        findings.add("tomcat", version.to_string(), shown, found.iter().any(|found| version.covers(found)));
    }
    if let Some(home) = &base.tomcat_home {
        let found = image.tomcat_at(home).map(|version| format!("Tomcat {version} in it"));
        findings.add("tomcat-home", home.to_string(), found.clone(), found.is_some());
    }
}

/// Maps all spellings of root in a config to one name.
fn user(name: &str) -> &str {
    match name {
        "" | "0" | "root" | "0:0" | "root:root" | "root:0" | "0:root" => "root",
        other => other,
    }
}

fn yes_or_no(there: bool) -> String {
    if there { "yes".into() } else { "no".into() }
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, property: &'static str, expected: String, found: Option<String>, agrees: bool) {
        let found = found.unwrap_or_else(|| "not found".into());
        self.0.push(Finding { property, expected, found, agrees });
    }

    fn equal<T: PartialEq>(
        &mut self,
        property: &'static str,
        expected: T,
        found: T,
        show: impl Fn(T) -> String,
    ) {
        let agrees = expected == found;
        self.add(property, show(expected), Some(show(found)), agrees);
    }

    fn present<'a>(
        &mut self,
        property: &'static str,
        names: impl Iterator<Item = (&'a String, bool)> + Clone,
    ) {
        let expected = names.clone().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        let missing: Vec<&str> = names.filter(|(_, there)| !there).map(|(name, _)| name.as_str()).collect();
        let found = if missing.is_empty() { "all".into() } else { format!("without {}", missing.join(", ")) };
        self.add(property, expected, Some(found), missing.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::base::Bases;
    use crate::builder::observe::observe;
    use crate::image::{ImageConfig, Platform};

    fn assumed(text: &str) -> BaseAssumptions {
        let bases = Bases::parse("t", &format!("[\"docker.io/library/x:1\"]\n{text}")).expect(text);
        bases.get(&"x:1".parse().expect("valid")).expect("there").clone()
    }

    fn image() -> Observations {
        let mut builder = tar::Builder::new(Vec::new());
        let files: [(&str, &[u8]); 6] = [
            ("usr/local/bin/python3.12", b"x"),
            ("bin/sh", b"x"),
            ("lib/libc.so.6", b"GNU C Library (GNU libc) stable release version 2.36.\n"),
            ("lib/libz.so.1", b"x"),
            ("opt/java/release", b"JAVA_VERSION=\"21.0.2\"\n"),
            ("opt/old/release", b"JAVA_VERSION=\"17\"\n"),
        ];
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, name, bytes).expect("appended");
        }
        let mut image = observe(builder.into_inner().expect("finished").as_slice()).expect("valid");
        image.add_config(&ImageConfig::empty(&Platform::linux("amd64")));
        image
    }

    #[test]
    fn certificates_and_zones_are_compared() {
        let mut builder = tar::Builder::new(Vec::new());
        for name in ["etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/UTC"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            builder.append_data(&mut header, name, &b"x"[..]).expect("appended");
        }
        let with_both = observe(builder.into_inner().expect("finished").as_slice()).expect("valid");
        for (assumed_text, image, agrees) in [
            ("certificates = true\ntime-zones = true", &with_both, [true, true]),
            ("certificates = false\ntime-zones = true", &with_both, [false, true]),
            ("certificates = false\ntime-zones = true", &image(), [true, false]),
        ] {
            let findings = check(&assumed(assumed_text), image);
            let found: Vec<_> = findings.iter().map(|one| (one.property, one.agrees)).collect();
            assert_eq!(found, [("certificates", agrees[0]), ("time-zones", agrees[1])], "{assumed_text}");
        }
    }

    #[test]
    fn what_agrees_agrees() {
        let assumed = assumed(
            "shell = true\nlibc = \"glibc\"\nglibc = \"2.34\"\nlibraries = [\"libz.so.1\"]\njava = 21\n\
             java-home = \"/opt/java\"\nuser = \"root\"\nplatforms = [\"linux/amd64\", \"linux/arm64\"]",
        );
        let findings = check(&assumed, &image());
        let names: Vec<&str> = findings.iter().map(|finding| finding.property).collect();
        assert_eq!(names, ["shell", "libc", "glibc", "libraries", "java", "java-home", "user", "platforms"]);
        assert!(findings.iter().all(|finding| finding.agrees), "{findings:?}");
    }

    #[test]
    fn what_differs_shows_both_values() {
        for (text, property, expected, found) in [
            ("shell = false", "shell", "no", "yes"),
            ("interpreters = [\"bash\"]", "interpreters", "bash", "without bash"),
            ("libc = \"musl\"", "libc", "musl", "glibc"),
            ("glibc = \"2.37\"", "glibc", "2.37", "2.36"),
            (
                "libraries = [\"libssl.so.3\", \"libz.so.1\"]",
                "libraries",
                "libssl.so.3, libz.so.1",
                "without libssl.so.3",
            ),
            ("java = 25", "java", "25", "17, 21"),
            ("java = 21\njava-home = \"/opt/old\"", "java", "21", "17"),
            ("java-home = \"/opt/none\"", "java-home", "/opt/none", "not found"),
            ("tomcat = \"10.1\"", "tomcat", "10.1", "not found"),
            ("tools = { go = \"1.25\" }", "go", "1.25", "not found"),
            ("tools = { python = \"3.13\" }", "python", "3.13", "3.12"),
            ("user = \"1001\"", "user", "1001", "root"),
            ("platforms = [\"linux/arm64\"]", "platforms", "linux/arm64", "linux/amd64"),
        ] {
            let findings = check(&assumed(text), &image());
            let differs: Vec<&Finding> = findings.iter().filter(|finding| !finding.agrees).collect();
            let [finding] = differs[..] else { panic!("{text}: {findings:?}") };
            let shown = (finding.property, finding.expected.as_str(), finding.found.as_str());
            assert_eq!(shown, (property, expected, found));
        }
    }

    #[test]
    fn what_is_not_assumed_is_not_compared() {
        assert!(check(&BaseAssumptions::default(), &image()).is_empty());
    }
}
