//! Owns the assumptions about a base that was looked at: every property that selection asks for has a value.
//!
//! Must not read the image.

use super::Observations;
use crate::builder::base::BaseAssumptions;
use crate::image::{ImageConfig, ImagePath};

/// Beginnings of the names of interpreters. The version may follow: `python3.12`.
const INTERPRETERS: [&str; 24] = [
    "ash", "awk", "bash", "bun", "busybox", "dash", "deno", "fish", "gawk", "guile", "java", "ksh", "lua",
    "mawk", "mksh", "node", "perl", "php", "pwsh", "python", "ruby", "Rscript", "tclsh", "zsh",
];

/// The path of Java in its home, and in that of a JDK 8.
const JAVA_PROGRAMS: [&str; 2] = ["/jre/bin/java", "/bin/java"];

impl Observations {
    /// The observations as assumptions. `config` is the image's.
    pub fn assumptions(&self, config: &ImageConfig) -> BaseAssumptions {
        let (java_home, java) = self.java_of(config);
        let tomcat = self.tomcat.iter().next();
        BaseAssumptions {
            shell: Some(self.has_program("sh")),
            interpreters: self.interpreters(),
            libc: Some(self.libc()),
            glibc: self.glibc,
            libraries: Some(self.libraries.clone()),
            java,
            java_home: java_home.and_then(|home| ImagePath::new(&format!("/{home}")).ok()),
            tomcat: tomcat.map(|(_, version)| version.clone()),
            tomcat_home: tomcat
                .and_then(|(path, _)| path.strip_suffix("/lib/catalina.jar"))
                .and_then(|home| ImagePath::new(&format!("/{home}")).ok()),
            tools: self.tools.clone(),
            certificates: Some(self.certificates || config.env("SSL_CERT_FILE").is_some()),
            time_zones: Some(self.time_zones),
            user: Some(config.user().to_owned()),
            platforms: None,
        }
    }

    fn interpreters(&self) -> std::collections::BTreeSet<String> {
        let names = self.programs.iter().chain(self.links.keys());
        let names = names.filter_map(|path| path.rsplit('/').next());
        let is_interpreter = |name: &&str| INTERPRETERS.iter().any(|start| name.starts_with(start));
        names.filter(is_interpreter).filter(|name| self.has_program(name)).map(str::to_owned).collect()
    }

    /// The Java that a program gets: that in JAVA_HOME, else the first in PATH, else the only one. Of several others, only
    /// the lowest release is certain.
    fn java_of(&self, config: &ImageConfig) -> (Option<String>, Option<u32>) {
        let home_of = |home: &str| {
            let home = self.resolve(home.trim_start_matches('/'));
            let release = self.java.get(&format!("{home}/release")).copied()?;
            Some((Some(home), Some(release)))
        };
        let in_path = |folder: &str| {
            let program = self.resolve(&format!("{}/java", folder.trim_start_matches('/')));
            let program = format!("/{program}");
            JAVA_PROGRAMS.iter().find_map(|suffix| home_of(program.strip_suffix(suffix)?))
        };
        let found = config.env("JAVA_HOME").and_then(home_of);
        let found = found.or_else(|| config.env("PATH").unwrap_or_default().split(':').find_map(in_path));
        found.unwrap_or_else(|| {
            let lowest = self.java.iter().min_by_key(|(_, release)| **release);
            let home = lowest.map(|(path, _)| path.trim_end_matches("/release").to_owned());
            (home, lowest.map(|(_, release)| *release))
        })
    }
}
