//! The command line of s2i, as people and scripts type it: streams, exit codes, and builders' own tests.

mod builders;
mod codes;
mod daemonless;
mod plain;
mod rebuild;
mod sources;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::environment::TestEnvironment;

/// A directory with b2i in it, under the name `s2i` too, and a home of its own.
pub(crate) struct Place {
    root: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for name in ["bin", "home", "work"] {
            std::fs::create_dir(root.path().join(name)).expect("makes");
        }
        for name in ["b2i", "s2i", "sti"] {
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_b2i"), root.path().join("bin").join(name))
                .expect("links");
        }
        Self { root }
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.work().join(name);
        std::fs::create_dir_all(path.parent().expect("a file in a directory")).expect("makes");
        std::fs::write(path, content).expect("writes");
    }

    /// A program that finds `s2i` first on its PATH, and the Docker daemon of the tests.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let bin = self.root.path().join("bin");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                format!("{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display()),
            )
            .env("HOME", self.root.path().join("home"))
            .env("DOCKER_HOST", TestEnvironment::get().docker_host())
            .env("DOCKER_CONFIG", "/nonexistent/docker")
            .env("DOCKER_BUILDKIT", "0")
            .env("B2I_RETRIES", "0")
            .current_dir(self.work())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn s2i(&self, arguments: &[&str]) -> Ended {
        self.s2i_with(arguments, &[])
    }

    pub(crate) fn s2i_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let program = self.root.path().join("bin/s2i");
        let mut command = self.command(&program);
        Ended::of(command.args(arguments).envs(variables.iter().copied()).output().expect("s2i starts"))
    }
}

/// How a call ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
