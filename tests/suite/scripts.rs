//! The builder templates' scripts and the launcher, run for real: every table is run under each shell that a base
//! image may bring, and by the launcher that stands for the scripts where there is none.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};

use b2i::image::Platform;
use tempfile::TempDir;

use crate::environment::{install, install_script};

mod arguments;
mod assemble;
mod interpreted;
mod java;
mod launcher;
mod place;
mod sources;
mod templates;
mod tomcat;

/// What runs a template's script.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Runner {
    Dash,
    Bash,
    /// Busybox's shell with busybox's tools, as on Alpine.
    Busybox,
    /// The launcher for this machine.
    Launcher,
    /// The launcher for arm64, under an emulator.
    EmulatedLauncher,
}

const SHELLS: [Runner; 3] = [Runner::Dash, Runner::Bash, Runner::Busybox];
const ALL: [Runner; 5] =
    [Runner::Dash, Runner::Bash, Runner::Busybox, Runner::Launcher, Runner::EmulatedLauncher];

impl Runner {
    /// A command that runs the script of a template with an empty environment but for `PATH`.
    fn command(self, template: &str, script: &str) -> Command {
        let path = templates_folder().join(template).join("s2i/bin").join(script);
        let launcher = |name: &str| STANDS.path().join(name).join(script);
        let mut command = match self {
            Self::Dash => command_of(&["dash"], &path),
            Self::Bash => command_of(&["bash", "--posix"], &path),
            Self::Busybox => command_of(&["busybox", "ash"], &path),
            Self::Launcher => Command::new(launcher("host")),
            Self::EmulatedLauncher => command_of(&["qemu-aarch64-static"], &launcher("arm64")),
        };
        command.env_clear();
        command
            .env("PATH", if self == Self::Busybox { STANDS.path().join("applets") } else { system_path() });
        command
    }
}

fn command_of(program: &[&str], script: &Path) -> Command {
    let mut command = Command::new(tool(program[0]));
    command.args(&program[1..]).arg(script);
    command
}

fn templates_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("builder-images")
}

fn system_path() -> PathBuf {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()
}

/// Finds a program; a missing one fails the test and says what to install.
fn tool(name: &str) -> PathBuf {
    let package = match name {
        "busybox" => "busybox-static",
        "qemu-aarch64-static" => "qemu-user-static",
        "java" | "javac" | "jar" => "openjdk-17-jdk-headless",
        other => other,
    };
    std::env::split_paths(&system_path())
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("`{name}` is needed for this test: apt-get install {package}"))
}

/// The launchers under the names they act by, and busybox's tools as links.
static STANDS: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = open_folder();
    for (name, platform) in [("host", Platform::host()), ("arm64", Platform::linux("arm64"))] {
        let elf = b2i::launcher::for_platform(&platform).expect("a launcher for this platform");
        let file = folder.path().join(format!("launcher-{name}"));
        std::fs::write(&file, elf).expect("writable");
        for script in ["assemble", "run", "usage"] {
            install(&file, &folder.path().join(name).join(script));
        }
    }
    let applets = folder.path().join("applets");
    std::fs::create_dir(&applets).expect("a new folder");
    must_succeed(Command::new(tool("busybox")).args(["--install", "-s"]).arg(&applets));
    folder
});

/// A temporary folder that other users may enter.
fn open_folder() -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    set_mode(folder.path(), 0o755);
    folder
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("own file");
}

/// Runs the command as a user without rights who is in group 0, as images are run; a test run without root's rights
/// has only its own user, which has none either.
fn as_user(command: &mut Command, user: u32) {
    if rustix::process::geteuid().is_root() {
        command.uid(user).gid(0);
    }
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"))
}

fn must_succeed(command: &mut Command) -> Output {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A TCP port that nobody listens on, for a program that does not look for one itself.
///
/// Not one that the system chooses: it may give it to another test before the program takes it. Linux chooses none of
/// these, and no two tests of this process get the same.
fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new(u16::try_from(std::process::id() % 60).expect("small") * 100));
    loop {
        let port = 10_000 + NEXT.fetch_add(1, Ordering::Relaxed) % 6000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Sends SIGTERM, as `docker stop` does.
fn terminate(child: &std::process::Child) {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("a child of ours");
}

/// A program that prints its command line as the kernel has it: each argument with a NUL. The first two are its
/// interpreter and itself.
const PROBE: &str = "#!/bin/sh\ncat /proc/$$/cmdline\n";

/// The arguments that a probe printed.
fn probed(stdout: &[u8]) -> Vec<Vec<u8>> {
    let mut arguments: Vec<Vec<u8>> = stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    assert_eq!(arguments.pop().as_deref(), Some(&b""[..]), "the probe's output ends with a NUL");
    arguments.split_off(2)
}
