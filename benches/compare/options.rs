//! Owns what the benchmark is asked for, and whether the tools for it are there.

use std::process::{Command, Stdio};

use crate::tools::Tool;

/// What is measured.
pub(crate) struct Options {
    /// How many rounds count.
    pub(crate) rounds: usize,
    /// Who publishes; the limit and b2i always.
    pub(crate) tools: Vec<Tool>,
    words: Vec<String>,
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A text for people, also if a tool is not installed.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let usage = "usage: cargo bench --bench compare -- [--rounds N] [--without TOOL] [NAME...]";
        let mut options = Self { rounds: 5, tools: Tool::ALL.to_vec(), words: Vec::new() };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                // What cargo itself adds.
                "--bench" => {}
                "--rounds" => {
                    let number = arguments.next().and_then(|text| text.parse().ok());
                    options.rounds = number.filter(|number| *number > 0).ok_or(usage)?;
                }
                "--without" => {
                    let name = arguments.next().ok_or(usage)?;
                    let before = options.tools.len();
                    options.tools.retain(|tool| tool.package() != Some(name.as_str()));
                    if options.tools.len() == before {
                        return Err(format!("`{name}` is no tool that could be left out\n{usage}"));
                    }
                }
                word if word.starts_with('-') => return Err(usage.to_owned()),
                word => options.words.push(word.to_owned()),
            }
        }
        let needed = options.tools.iter().filter_map(|tool| tool.package()).chain(["curl", "time"]);
        let missing: Vec<&str> = needed.filter(|name| !is_there(name)).collect();
        if missing.is_empty() {
            return Ok(options);
        }
        let packages = missing.join(" ").replace("docker", "docker.io");
        Err(format!(
            "not installed: {}\ninstall with `apt-get install {packages}`, or leave a tool out with `--without`",
            missing.join(", ")
        ))
    }

    /// Whether an artifact of this name is measured.
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.words.is_empty()
            || self.words.iter().any(|word| case.starts_with(word.as_str()) || case.ends_with(word.as_str()))
    }
}

fn is_there(name: &str) -> bool {
    let program = if name == "docker" { Tool::docker_program() } else { name.into() };
    let status = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
