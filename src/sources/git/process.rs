//! Owns running git: its configuration, environment, output and end.
//!
//! Must not use a shell, nor put a secret into an argument.

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::error::GitError;
use super::gate::Gate;
use super::options::GitOptions;
use crate::events::RunningStep;

/// Largest output, in bytes; the references of any repository fit.
const MAX_OUTPUT: usize = 256 * 1024 * 1024;
/// Longest stored message, in bytes.
const MAX_MESSAGE: usize = 16 * 1024;

/// Settings of every command; they override the user's files.
pub(super) const CONFIGURATION: &[&str] = &[
    // Run nothing from a repository.
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "init.templateDir=",
    // Give the same bytes for a commit on every machine.
    "core.autocrlf=false",
    "core.attributesFile=",
    "core.symlinks=true",
    "core.sparseCheckout=false",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
    // Refuse names that some systems read as `.git`, on all systems.
    "core.protectHFS=true",
    "core.protectNTFS=true",
    // Fetch nothing else, and run nothing in the background.
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "clone.defaultRemoteName=origin",
    "transfer.bundleURI=false",
    "gc.auto=0",
    "maintenance.auto=false",
    // Fail if a server sends nothing for a minute.
    "http.lowSpeedLimit=1",
    "http.lowSpeedTime=60",
    "advice.detachedHead=false",
    "init.defaultBranch=main",
    "color.ui=false",
    "log.showSignature=false",
    "log.date=default",
    "i18n.logOutputEncoding=UTF-8",
    "protocol.allow=never",
    "protocol.ext.allow=never",
];

/// ssh without prompts, and with a time limit for a dead host; unless the user sets a command.
const SSH_COMMAND: &str =
    "ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=15 -o ServerAliveCountMax=4";

/// The allowed protocols.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protocols {
    /// http, https, ssh and git.
    pub(super) network: bool,
}

/// git for one fetch.
pub(super) struct Git<'a> {
    pub(super) options: &'a GitOptions,
    /// The working tree. git never searches for a repository above it.
    pub(super) directory: &'a std::path::Path,
    /// The repository's name in messages.
    pub(super) shown: String,
    pub(super) protocols: Protocols,
    pub(super) step: &'a RunningStep,
    /// Whether ssh runs with [`SSH_COMMAND`].
    pub(super) batch_ssh: bool,
    /// The file of certificate authorities, if git's own is not enough.
    pub(super) certificates: Option<std::path::PathBuf>,
    /// The only way to servers, if only public addresses are allowed.
    pub(super) gate: Option<Gate>,
}

pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The end of its messages, without progress.
    pub(super) message: String,
}

impl Git<'_> {
    /// Makes ssh run without prompts, unless the user sets a command for it.
    pub(super) async fn set_up_ssh(&mut self) -> Result<(), GitError> {
        let is_set = self.options.has("GIT_SSH") || self.options.has("GIT_SSH_COMMAND");
        self.batch_ssh =
            !is_set && !self.ask(&["config", "--get", "core.sshCommand"]).await?.status.success();
        Ok(())
    }

    /// Runs git and returns its output. `action` completes "cannot …" if it fails.
    pub(super) async fn run(&self, action: &'static str, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        let answer = self.ask(arguments).await?;
        if answer.status.success() { Ok(answer.stdout) } else { Err(self.failed(action, &answer)) }
    }

    /// Runs git and returns its answer, also if it fails.
    pub(super) async fn ask(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        let mut child = self.start(arguments)?;
        // Dropping it kills git and all its children.
        let group = Group::of(&child);
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(GitError::Start(std::io::Error::other("it has no pipes")));
        };
        let (stdout, message) = tokio::join!(read_output(stdout), self.read_messages(stderr));
        let status = child.wait().await.map_err(GitError::Start)?;
        group.has_ended();
        tracing::debug!(command = arguments.first(), %status, "git");
        Ok(Answer { status, stdout: stdout.map_err(GitError::Start)?, message })
    }

    pub(super) fn failed(&self, action: &'static str, answer: &Answer) -> GitError {
        GitError::failed(action, &self.shown, answer.status, &answer.message)
    }

    fn start(&self, arguments: &[&str]) -> Result<Child, GitError> {
        let mut command = Command::new(&self.options.program);
        command.env_clear().envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        command
            .env("LC_ALL", "C.UTF-8")
            .env("LANGUAGE", "C")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GCM_INTERACTIVE", "never")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_LFS_SKIP_SMUDGE", "1")
            .env("GIT_CEILING_DIRECTORIES", self.directory.parent().unwrap_or(self.directory))
            .env("GIT_ADVICE", "0");
        if self.batch_ssh {
            command.env("GIT_SSH_COMMAND", SSH_COMMAND);
        }
        if let Some(file) = &self.certificates {
            command.env("GIT_SSL_CAINFO", file);
        }
        for setting in CONFIGURATION {
            command.arg("-c").arg(setting);
        }
        for protocol in ["http", "https", "ssh", "git"] {
            let is_allowed = self.protocols.network && (self.gate.is_none() || protocol == "https");
            let allowed = if is_allowed { "always" } else { "never" };
            command.arg("-c").arg(format!("protocol.{protocol}.allow={allowed}"));
        }
        if let Some(gate) = &self.gate
            && !self.options.has_proxy()
        {
            command
                .env_remove("no_proxy")
                .env_remove("NO_PROXY")
                .arg("-c")
                .arg(format!("http.proxy={}", gate.url()));
        }
        // A repository of this machine: only if the user names it, or `insteadOf` of the user's configuration does. `user`
        // excludes submodules.
        command.args(["-c", "protocol.file.allow=user"]);
        command
            .args(arguments)
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        #[cfg(unix)]
        command.process_group(0);
        command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                GitError::NotInstalled { program: self.options.program.display().to_string() }
            }
            _ => GitError::Start(error),
        })
    }

    /// Reads git's messages: progress updates the step, the end of the rest is returned.
    async fn read_messages(&self, mut stderr: impl AsyncRead + Unpin) -> String {
        let (mut message, mut line, mut buffer) = (String::new(), Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
            for byte in &buffer[..count] {
                match byte {
                    b'\r' => {
                        if let Some(bytes) = received(&String::from_utf8_lossy(&line)) {
                            self.step.progress(bytes, None);
                        }
                        line.clear();
                    }
                    b'\n' => append(&mut message, &mut line),
                    _ if line.len() < MAX_MESSAGE => line.push(*byte),
                    _ => {}
                }
            }
        }
        append(&mut message, &mut line);
        message
    }
}

/// Appends a line that is not progress, and drops the oldest text above the limit.
fn append(message: &mut String, line: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    if !text.is_empty() && !text.ends_with(", done.") && !text.contains("% (") {
        message.push_str(text);
        message.push('\n');
    }
    line.clear();
    if message.len() > MAX_MESSAGE {
        let start = message.len() - MAX_MESSAGE / 2;
        let start = message.char_indices().map(|(index, _)| index).find(|index| *index >= start);
        *message = message.split_off(start.unwrap_or_default());
    }
}

/// The received bytes in `Receiving objects:  45% (9/20), 1.50 MiB | 3.00 MiB/s`.
fn received(line: &str) -> Option<u64> {
    let line = line.trim_start_matches("remote: ");
    let size = line.strip_prefix("Receiving objects:")?.split("), ").nth(1)?;
    let (number, unit) = size.split(" |").next()?.trim().split_once(' ')?;
    let factor = match unit {
        "bytes" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only for the display of progress"
    )]
    number.parse::<f64>().ok().map(|number| (number * factor) as u64)
}

async fn read_output(mut stdout: impl AsyncRead + Unpin) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    (&mut stdout).take(MAX_OUTPUT as u64 + 1).read_to_end(&mut bytes).await?;
    if bytes.len() > MAX_OUTPUT {
        return Err(std::io::Error::other(format!("it prints more than {MAX_OUTPUT} bytes")));
    }
    Ok(bytes)
}

/// The processes of one command: git, its helpers, and their ssh.
struct Group {
    #[cfg(unix)]
    id: std::cell::Cell<Option<rustix::process::Pid>>,
}

impl Group {
    #[cfg(unix)]
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        Self { id: std::cell::Cell::new(id) }
    }

    #[cfg(not(unix))]
    fn of(_child: &Child) -> Self {
        Self {}
    }

    fn has_ended(&self) {
        #[cfg(unix)]
        self.id.set(None);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(id) = self.id.get() {
            // Its leader has not been reaped, so the number still belongs to it.
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_understood() {
        assert_eq!(received("Receiving objects:  45% (9/20), 1.50 MiB | 3.00 MiB/s"), Some(1_572_864));
        assert_eq!(received("Receiving objects: 100% (9/9), 812 bytes | 812.00 KiB/s, done."), Some(812));
        assert_eq!(received("Receiving objects:  45% (9/20)"), None);
        assert_eq!(received("remote: Counting objects: 100% (3/3)"), None);
    }

    #[test]
    fn only_the_end_of_messages_is_kept() {
        let mut kept = String::new();
        for number in 0..10_000 {
            append(&mut kept, &mut format!("é {number}").into_bytes());
        }
        append(&mut kept, &mut b"Resolving deltas: 100% (1/1), done.".to_vec());
        assert!(kept.len() <= MAX_MESSAGE && kept.ends_with("é 9999\n"), "{}", kept.len());
    }
}
