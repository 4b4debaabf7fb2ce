//! Owns how tests call the b2i program: in a clean environment, with its own home, cache and working directory.
//!
//! Must not know what b2i's options mean.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

use super::Daemon;

/// One call of b2i. Its home, cache and working directory are below a temporary directory that lives as long as this.
#[derive(Debug)]
pub(crate) struct B2iCommand {
    command: Command,
    directory: TempDir,
}

/// What came of a call.
#[derive(Debug)]
pub(crate) struct B2iOutput {
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    /// The exit code; nothing if a signal ended b2i.
    pub(crate) code: Option<i32>,
}

impl B2iCommand {
    /// Prepares a call that sees no daemon and no variable of the developer.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = Command::new(env!("CARGO_BIN_EXE_b2i"));
        for (variable, below) in [
            ("HOME", "home"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_CONFIG_HOME", "home/.config"),
            ("XDG_RUNTIME_DIR", "run"),
            ("TMPDIR", "tmp"),
        ] {
            let path = directory.path().join(below);
            std::fs::create_dir_all(&path).expect("a directory can be made in the temporary directory");
            if variable == "HOME" {
                command.env_clear();
            }
            command.env(variable, path);
        }
        let work = directory.path().join("work");
        std::fs::create_dir(&work).expect("a directory can be made in the temporary directory");
        command
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            // A socket that does not exist: a default socket of the machine is not for the tests.
            .env("DOCKER_HOST", format!("unix://{}", directory.path().join("no-daemon.sock").display()))
            .current_dir(work)
            .timeout(Duration::from_secs(300));
        Self { command, directory }
    }

    /// Lets b2i use a daemon.
    pub(crate) fn daemon(mut self, daemon: &Daemon) -> Self {
        self.command.env("DOCKER_HOST", daemon.host());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes a variable.
    pub(crate) fn env_remove(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Gives bytes on standard input, which is empty otherwise.
    pub(crate) fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.command.write_stdin(bytes);
        self
    }

    /// Uses another working directory.
    pub(crate) fn current_dir(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// Returns the temporary directory: `home`, `cache`, `run`, `tmp` and `work` are in it.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs b2i to its end; it can be run again with the same cache.
    pub(crate) fn run(&mut self) -> B2iOutput {
        let output = self.command.output().expect("the b2i program can be started");
        B2iOutput {
            stdout: String::from_utf8(output.stdout).expect("b2i writes UTF-8 to standard output"),
            stderr: String::from_utf8(output.stderr).expect("b2i writes UTF-8 to standard error"),
            code: output.status.code(),
        }
    }
}
