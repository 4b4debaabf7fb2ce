//! Owns running the real program in a directory of its own, with an environment of its own.

use std::path::{Path, PathBuf};

use assert_cmd::Command;

/// A home directory and a project directory that nobody else uses.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    /// Exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Sandbox {
    /// Makes the directories.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for name in ["home", "project"] {
            std::fs::create_dir(root.path().join(name)).expect("making a directory");
        }
        Self { root }
    }

    /// The directory in which b2i is started.
    pub(crate) fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, content: &str) {
        write(&self.project().join(name), content);
    }

    /// Writes the user's configuration.
    pub(crate) fn write_user_configuration(&self, content: &str) {
        write(&self.root.path().join("home/.config/b2i/config.toml"), content);
    }

    /// b2i with nothing in its environment but a home directory.
    pub(crate) fn b2i(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_b2i"));
        command.env_clear().env("HOME", self.root.path().join("home")).current_dir(self.project());
        command
    }

    /// Runs b2i with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, &[])
    }

    /// Runs b2i with these arguments and variables.
    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let output = self.b2i().args(arguments).envs(variables.iter().copied()).output().expect("b2i starts");
        // The sandbox's own path differs each time.
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).expect("b2i prints UTF-8");
            text.replace(&self.root.path().display().to_string(), "[ROOT]")
        };
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a file in a directory")).expect("making a directory");
    std::fs::write(path, content).expect("writing a file");
}
