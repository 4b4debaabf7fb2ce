//! Owns how tests call the b2i program: in a clean environment, with its own home, cache and working directory.
//!
//! Must not know what b2i's options mean.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

use super::{Daemon, RunningB2i, install};

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
        Self::prepare(|_| Command::new(env!("CARGO_BIN_EXE_b2i")))
    }

    /// As `new`, started by another program, such as `sh -c 'umask 077; exec "$@"' sh`.
    pub(crate) fn through(wrapper: &[&str]) -> Self {
        Self::prepare(|_| {
            let mut command = Command::new(wrapper[0]);
            command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_b2i"));
            command
        })
    }

    /// Prepares a call that looks for a daemon where b2i looks if none is configured, and finds none there.
    pub(crate) fn without_daemon() -> Self {
        let hidden = Self::prepare(|_| {
            let mut words = hide_default_sockets();
            words.push(env!("CARGO_BIN_EXE_b2i").into());
            command_of(&words)
        });
        hidden.env_remove("DOCKER_HOST")
    }

    /// As `without_daemon`, as the user `nobody`, who owns the directories. Whoever may not change users stays.
    pub(crate) fn as_nobody() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self::without_daemon();
        }
        let prepared = Self::prepare(|directory| {
            // The program may lie where only its owner may go.
            let program = directory.join("b2i");
            install(Path::new(env!("CARGO_BIN_EXE_b2i")), &program);
            let mut words = hide_default_sockets();
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
            words.extend(nobody.map(OsString::from));
            words.push(program.into());
            command_of(&words)
        });
        let mut chown = std::process::Command::new("chown");
        let owned = chown.args(["--recursive", "65534:65534"]).arg(prepared.directory()).status();
        assert!(owned.expect("chown can be started").success());
        prepared.env_remove("DOCKER_HOST")
    }

    fn prepare(command: impl FnOnce(&Path) -> Command) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let mut command = command(directory.path());
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

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
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

    /// Returns the directory in which b2i keeps its cache, unless `XDG_CACHE_HOME` was set to something else.
    pub(crate) fn cache(&self) -> PathBuf {
        self.directory().join("cache/b2i")
    }

    /// Starts b2i, with an empty standard input, and leaves it running.
    pub(crate) fn spawn(&self) -> RunningB2i {
        let mut command = std::process::Command::new(self.command.get_program());
        command.env_clear().args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.current_dir(self.command.get_current_dir().expect("it is always set"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        RunningB2i::new(command.spawn().expect("the b2i program can be started"))
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

/// Words that go before a command so that it does not see the sockets at which daemons listen by default: they cannot
/// be moved, so a machine that has one hides `/run` from the command.
fn hide_default_sockets() -> Vec<OsString> {
    let sockets = ["/run/docker.sock", "/run/podman/podman.sock"];
    if !sockets.iter().any(|path| Path::new(path).exists()) {
        return Vec::new();
    }
    let mut words = vec!["unshare", "--mount"];
    if !rustix::process::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(["sh", "-c", "mount -t tmpfs none /run && exec \"$@\"", "sh"]);
    words.into_iter().map(OsString::from).collect()
}

fn command_of(words: &[OsString]) -> Command {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}
