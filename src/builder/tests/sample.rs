//! Owns small templates, bases and source trees for the tests of this module. Must not be real templates.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::builder::base::Bases;
use crate::builder::catalog::Catalog;
use crate::builder::metadata::Metadata;
use crate::builder::template::{Template, TemplateFiles, TemplateOrigin};
use crate::sources::{SourceInfo, SourceTree, TreeEntry, TreeEntryKind};

const HEAD: &str = r#"
scripts-directory = "/usr/libexec/s2i"
[image]
user = "1001:0"
working-directory = "/opt/app-root/bin"
entrypoint = ["/usr/libexec/s2i/run"]
[image.env]
APP_ROOT = "/opt/app-root"
[[image.directories]]
path = "/opt/app-root"
mode = "0775"
owner = "1001:0"
[placement]
artifact = "/opt/app-root/bin/binary"
beside = "/opt/app-root/bin"
"#;

pub(in crate::builder) const TOMCAT: &str = r#"
name = "tomcat"
description = "Runs a WAR"
kinds = ["war"]
scripts-directory = "/usr/libexec/s2i"
[image]
user = "1001:0"
working-directory = "/opt/app-root/bin"
entrypoint = ["/usr/libexec/s2i/run"]
[[image.directories]]
path = "/opt/app-root"
mode = "0775"
owner = "1001:0"
[[image.directories]]
path = "/opt/app-root/bin"
mode = "0775"
owner = "1001:0"
[[image.files]]
source = "files/server.xml"
path = "/opt/app-root/tomcat/conf/server.xml"
mode = "0644"
owner = "0:0"
[placement]
artifact = "/opt/app-root/bin/binary"
beside = "/opt/app-root/bin"
hard-links = ["/opt/app-root/tomcat/webapps/${CONTEXT}.war"]
[[versions]]
version = "9"
base = "docker.io/library/tomcat:9.0-jre17-temurin"
level = 17
servlet-api = "javax"
tomcat = "9.0"
[[versions]]
version = "10.1"
base = "docker.io/library/tomcat:10.1-jre21-temurin"
level = 21
servlet-api = "jakarta"
tomcat = "10.1"
[[versions]]
version = "11"
base = "docker.io/library/tomcat:11.0-jre25-temurin"
level = 25
servlet-api = "jakarta"
tomcat = "11.0"
"#;

pub(in crate::builder) const JAVA: &str = r#"
name = "java"
description = "Runs a JAR"
kinds = ["jar"]
# HEAD
[[versions]]
version = "8"
base = "docker.io/library/eclipse-temurin:8-jre"
level = 8
[[versions]]
version = "11"
base = "docker.io/library/eclipse-temurin:11-jre"
level = 11
[[versions]]
version = "17"
base = "docker.io/library/eclipse-temurin:17-jre"
level = 17
[[versions]]
version = "21"
base = "docker.io/library/eclipse-temurin:21-jre"
level = 21
[[versions]]
version = "25"
base = "docker.io/library/eclipse-temurin:25-jre"
level = 25
"#;

pub(in crate::builder) const BINARY: &str = r#"
name = "binary"
description = "Runs a program"
kinds = ["executable", "script"]
# HEAD
[[versions]]
version = "static"
base = "builtin:static"
libc = "none"
[[versions]]
version = "alpine3.22"
base = "docker.io/library/alpine:3.22"
libc = "musl"
[[versions]]
version = "debian12"
base = "docker.io/library/debian:12-slim"
libc = "glibc"
[[versions]]
version = "debian13"
base = "docker.io/library/debian:13-slim"
libc = "glibc"
glibc = "2.41"
"#;

pub(in crate::builder) const GOLANG: &str = r#"
name = "golang"
description = "Builds Go"
# SOURCE-HEAD
[source]
build-files = ["go.mod"]
produces = "executable"
artifacts = ["/opt/app-root/out"]
[[source.caches]]
name = "modules"
path = "/opt/app-root/cache/mod"
[[source.caches]]
name = "build"
path = "/opt/app-root/cache/build"
[[versions]]
version = "1.24"
base = "docker.io/library/golang:1.24-bookworm"
release = "1.24"
[[versions]]
version = "1.25"
base = "docker.io/library/golang:1.25-bookworm"
release = "1.25"
"#;

pub(in crate::builder) const MAVEN: &str = r#"
name = "maven"
description = "Builds with Maven"
# SOURCE-HEAD
[source]
build-files = ["pom.xml"]
produces = "java"
artifacts = ["/opt/app-root/out"]
[[versions]]
version = "3.9-jdk8"
base = "docker.io/library/maven:3.9-eclipse-temurin-8"
level = 8
[[versions]]
version = "3.9-jdk17"
base = "docker.io/library/maven:3.9-eclipse-temurin-17"
level = 17
[[versions]]
version = "3.9-jdk21"
base = "docker.io/library/maven:3.9-eclipse-temurin-21"
level = 21
"#;

pub(in crate::builder) const NODEJS: &str = r#"
name = "nodejs"
description = "Runs Node.js"
# SOURCE-HEAD
[source]
build-files = ["package.json"]
produces = "image"
[[versions]]
version = "20"
base = "docker.io/library/node:20-slim"
release = "20"
[[versions]]
version = "22"
base = "docker.io/library/node:22-slim"
release = "22"
[[versions]]
version = "24"
base = "docker.io/library/node:24-slim"
release = "24"
"#;

pub(in crate::builder) const PYTHON: &str = r#"
name = "python"
description = "Runs Python"
# SOURCE-HEAD
[source]
build-files = ["pyproject.toml", "requirements.txt", "setup.py", "Pipfile"]
produces = "image"
[[versions]]
version = "3.11"
base = "docker.io/library/python:3.11-slim"
release = "3.11"
[[versions]]
version = "3.12"
base = "docker.io/library/python:3.12-slim"
release = "3.12"
[[versions]]
version = "3.13"
base = "docker.io/library/python:3.13-slim"
release = "3.13"
"#;

pub(in crate::builder) const NGINX: &str = r#"
name = "nginx"
description = "Serves files"
# SOURCE-HEAD
[source]
build-files = ["index.html", "public/index.html"]
produces = "image"
[[versions]]
version = "1.28"
base = "docker.io/library/nginx:1.28-alpine-slim"
release = "1.28"
"#;

pub(in crate::builder) const BASES: &str = r#"
["builtin:static"]
shell = false
libc = "none"
libraries = []
platforms = ["linux/amd64", "linux/arm64"]
["docker.io/library/alpine:3.22"]
shell = true
libc = "musl"
libraries = ["libz.so.1"]
platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
["docker.io/library/debian:12-slim"]
shell = true
interpreters = ["bash"]
libc = "glibc"
glibc = "2.36"
libraries = ["libstdc++.so.6", "libgcc_s.so.1"]
platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
["docker.io/library/debian:13-slim"]
shell = true
interpreters = ["bash"]
libc = "glibc"
glibc = "2.41"
libraries = ["libstdc++.so.6", "libgcc_s.so.1", "libz.so.1"]
platforms = ["linux/amd64", "linux/arm64", "linux/riscv64"]
["docker.io/library/golang:1.24-bookworm"]
shell = true
tools = { go = "1.24" }
platforms = ["linux/amd64", "linux/arm64"]
["docker.io/library/eclipse-temurin:17-jre"]
shell = true
java = 17
platforms = ["linux/amd64", "linux/arm64"]
"#;

/// The text with what all samples share in the place of `# HEAD`.
pub(in crate::builder) fn whole(metadata: &str) -> String {
    metadata
        .replace("# HEAD", HEAD)
        .replace("# SOURCE-HEAD", HEAD.split("[placement]").next().expect("a head"))
}

pub(in crate::builder) fn files(metadata: &str) -> TemplateFiles {
    let metadata = whole(metadata);
    let parsed = Metadata::parse("sample", &metadata).expect("a valid sample");
    let mut files: TemplateFiles = BTreeMap::new();
    let mut add = |path: &str, text: &str| files.insert(path.into(), Arc::new(text.into()));
    for file in &parsed.image.files {
        add(&file.source, "content");
    }
    add("builder.toml", &metadata);
    add("Dockerfile", "FROM scratch\n");
    for script in ["assemble", "run", "usage"] {
        add(&format!("s2i/bin/{script}"), &format!("#!/bin/sh\necho {script}\n"));
    }
    files
}

pub(in crate::builder) fn template(metadata: &str) -> Template {
    Template::from_files("sample", TemplateOrigin::BuiltIn, files(metadata)).expect("a valid sample")
}

pub(in crate::builder) fn catalog() -> Catalog {
    let templates = [BINARY, JAVA, TOMCAT, GOLANG, MAVEN, NODEJS, PYTHON, NGINX].map(template);
    let bases = Bases::parse("bases.toml", BASES).expect("valid sample bases");
    Catalog::from_parts(templates.into(), bases, &BTreeMap::new()).expect("a valid sample")
}

/// A source tree with these paths and texts.
pub(in crate::builder) fn source_tree(files: &[(&str, &str)]) -> SourceTree {
    let entry = |(path, text): &(&str, &str)| TreeEntry {
        path: (*path).to_owned(),
        kind: TreeEntryKind::File { size: text.len() as u64, content: Arc::new(text.as_bytes().to_vec()) },
        mode: 0o644,
    };
    let mut entries: Vec<TreeEntry> = files.iter().map(entry).collect();
    entries.sort_by(|one, other| one.path.cmp(&other.path));
    let info = SourceInfo { location: None, context_directory: None, commit: None };
    SourceTree { name: "shop".into(), info, entries }
}
