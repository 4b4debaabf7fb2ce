//! Owns `b2i inspect`: its arguments, and the text of facts.
//!
//! Must not read the artifact.

use std::path::PathBuf;

use clap::Args;

use crate::cli::arguments::Format;
use crate::cli::arguments::input::InputArguments;
use crate::cli::context::Context;
use crate::cli::failure::CliError;
use crate::cli::input;
use crate::cli::printable::printable;
use crate::cli::progress::wording::size;
use crate::cli::runtime::Runtime;
use crate::config::ConfigFile;
use crate::detect::facts::{
    ExecutableFacts, Facts, JarFacts, Kind, Libc, Linkage, Payload, ServletApi, SpringBootFacts, WarFacts,
};
use crate::request::{InputSource, Request};

/// Show what an artifact is and what it needs
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct InspectArguments {
    /// Inspect a JAR, WAR, executable or archive (path or URL)
    ///
    /// `-` reads standard input.
    #[arg(value_name = "ARTIFACT")]
    pub(in crate::cli) artifact: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) input: InputArguments,
    /// Print the result as text or json [default: text]
    #[arg(
        long,
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true,
        help_heading = "Output options"
    )]
    pub(in crate::cli) format: Format,
}

const EXAMPLES: &str = "\
Examples:
  b2i inspect target/app.jar
  b2i inspect https://host.example/tool-1.2.tar.gz --format json";

pub(in crate::cli) fn run(arguments: &InspectArguments, context: &Context) -> Result<(), CliError> {
    let mut flags = ConfigFile::default();
    input::configured(&arguments.input, &mut flags);
    let settings = context.settings(flags)?;
    let source = input::source(&arguments.artifact)?;
    let is_url = matches!(source, InputSource::Url(_));
    let input = input::options(&arguments.input, is_url, &settings)?;
    let offline = settings.network.offline.value;
    let main_class = arguments.input.main_class.clone();
    let request = Request { artifacts: vec![source], input, main_class, offline, ..Request::default() };
    let session = context.session(&settings)?;
    let inspection = Runtime::start()?.run(&session, session.inspect(&request))?;
    context.progress.finish();
    context.printer.result(arguments.format, &inspection, || text(&inspection.name, &inspection.facts))
}

/// Rows of a table: name and value.
#[derive(Default)]
struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.push((name, value.into()));
    }

    fn maybe(&mut self, name: &'static str, value: Option<impl ToString>) {
        self.0.extend(value.map(|value| (name, value.to_string())));
    }

    fn list<'a>(&mut self, name: &'static str, values: impl IntoIterator<Item = &'a String>) {
        let values: Vec<&str> = values.into_iter().map(String::as_str).collect();
        if !values.is_empty() {
            self.add(name, values.join(", "));
        }
    }

    /// Adds the number of values and the first few of them.
    fn count<'a>(&mut self, name: &'static str, values: impl ExactSizeIterator<Item = &'a String>) {
        const SHOWN: usize = 5;
        let number = values.len();
        if number == 0 {
            return;
        }
        let shown: Vec<&str> = values.take(SHOWN).map(String::as_str).collect();
        let more = if number > SHOWN { ", …" } else { "" };
        self.add(name, format!("{number} ({}{more})", shown.join(", ")));
    }
}

fn text(name: &str, facts: &Facts) -> String {
    let mut rows = Rows::default();
    match &facts.kind {
        Kind::Executable(executable) => executable_rows(executable, &mut rows),
        Kind::Script(script) => {
            rows.add("interpreter", script.interpreter.clone());
            rows.add("program", script.program.clone());
            rows.maybe("release", script.release.as_ref());
            rows.list("dependencies", &script.dependencies);
        }
        Kind::Jar(jar) => jar_rows(jar, &mut rows),
        Kind::War(war) => war_rows(war, &mut rows),
    }
    let width = rows.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let first = format!("{}: {}, {}\n", printable(name), facts.kind.word(), size(facts.size));
    let lines = rows.0.iter().map(|(name, value)| format!("  {name:<width$}  {}\n", printable(value)));
    std::iter::once(first).chain(lines).collect()
}

fn executable_rows(facts: &ExecutableFacts, rows: &mut Rows) {
    rows.add("platform", facts.platform.to_string());
    rows.add(
        "linkage",
        match facts.linkage {
            Linkage::Static => "static",
            Linkage::StaticPie => "static, position independent",
            Linkage::Dynamic => "dynamic",
        },
    );
    rows.maybe("interpreter", facts.interpreter.as_ref());
    let libc = facts.libc.map(|libc| match (libc, &facts.glibc) {
        (Libc::Glibc, Some(version)) => format!("glibc {version} or newer"),
        (Libc::Glibc, None) => "glibc".to_owned(),
        (Libc::Musl, _) => "musl".to_owned(),
        (Libc::Other, _) => "unknown".to_owned(),
    });
    rows.maybe("C library", libc);
    rows.list("libraries", &facts.libraries);
    rows.list("run path", &facts.run_path);
    rows.maybe("payload", facts.payload.map(Payload::word));
    rows.maybe("built by", facts.built_by.as_ref());
    rows.add("stripped", if facts.stripped { "yes" } else { "no" });
}

fn jar_rows(facts: &JarFacts, rows: &mut Rows) {
    let elsewhere = if facts.has_main_class { "" } else { " (not in the JAR itself)" };
    rows.add("main class", format!("{}{elsewhere}", facts.main_class));
    rows.maybe("start class", facts.start_class.as_ref());
    rows.maybe("Java", java_release(facts.java, facts.preview));
    spring_boot_row(facts.spring_boot.as_ref(), rows);
    rows.list("class path", &facts.class_path);
    rows.count("libraries", facts.libraries.iter());
    if facts.multi_release {
        rows.add("multi-release", "yes");
    }
    if facts.self_executing {
        rows.add("self-executing", "yes");
    }
}

fn java_release(java: Option<u32>, preview: bool) -> Option<String> {
    let suffix = if preview { "with preview features" } else { "or newer" };
    java.map(|level| format!("{level} {suffix}"))
}

fn war_rows(facts: &WarFacts, rows: &mut Rows) {
    let servlet_api = facts.servlet_api.map(|api| {
        let name = match api {
            ServletApi::Javax => "javax.servlet",
            ServletApi::Jakarta => "jakarta.servlet",
        };
        facts.servlet_evidence.as_ref().map_or(name.to_owned(), |evidence| format!("{name} ({evidence})"))
    });
    rows.add("servlet API", servlet_api.unwrap_or_else(|| "unknown".to_owned()));
    rows.maybe("servlet version", facts.servlet_version);
    rows.list("not for Tomcat", &facts.unsupported);
    rows.maybe("Java", java_release(facts.java, facts.preview));
    rows.maybe("main class", facts.main_class.as_ref());
    rows.maybe("start class", facts.start_class.as_ref());
    spring_boot_row(facts.spring_boot.as_ref(), rows);
    rows.count("libraries", facts.libraries.iter());
}

fn spring_boot_row(facts: Option<&SpringBootFacts>, rows: &mut Rows) {
    let Some(facts) = facts else { return };
    let version = facts.version.as_deref().unwrap_or("yes");
    if facts.layers.is_empty() {
        rows.add("Spring Boot", version);
    } else {
        rows.add("Spring Boot", format!("{version}, layers {}", facts.layers.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_jar() {
        let libraries: Vec<String> = (0..7).map(|number| format!("BOOT-INF/lib/{number}.jar")).collect();
        let jar = JarFacts {
            preview: false,
            has_main_class: true,
            main_class: "org.example.Launcher".into(),
            start_class: Some("com.example.\u{1b}[2JApp".into()),
            java: Some(17),
            multi_release: false,
            spring_boot: Some(SpringBootFacts {
                version: Some("3.4.1".into()),
                layers: vec!["dependencies".into(), "application".into()],
            }),
            class_path: Vec::new(),
            libraries,
            self_executing: true,
        };
        let facts = Facts { size: 12_345_678, kind: Kind::Jar(jar) };
        insta::assert_snapshot!(text("app.jar", &facts), @r"
        app.jar: JAR, 12.3 MB
          main class      org.example.Launcher
          start class     com.example.\u{1b}[2JApp
          Java            17 or newer
          Spring Boot     3.4.1, layers dependencies, application
          libraries       7 (BOOT-INF/lib/0.jar, BOOT-INF/lib/1.jar, BOOT-INF/lib/2.jar, BOOT-INF/lib/3.jar, BOOT-INF/lib/4.jar, …)
          self-executing  yes
        ");
    }

    #[test]
    fn shows_an_executable() {
        let executable = ExecutableFacts {
            platform: "linux/amd64".parse().expect("valid"),
            linkage: Linkage::Dynamic,
            interpreter: Some("/lib64/ld-linux-x86-64.so.2".into()),
            libc: Some(Libc::Glibc),
            glibc: "2.34".parse().ok(),
            libraries: vec!["libc.so.6".into(), "libm.so.6".into()],
            run_path: Vec::new(),
            built_by: None,
            packed: false,
            payload: None,
            stripped: true,
        };
        let facts = Facts { size: 999, kind: Kind::Executable(executable) };
        insta::assert_snapshot!(text("tool", &facts), @r"
        tool: executable, 999 B
          platform     linux/amd64
          linkage      dynamic
          interpreter  /lib64/ld-linux-x86-64.so.2
          C library    glibc 2.34 or newer
          libraries    libc.so.6, libm.so.6
          stripped     yes
        ");
    }
}
