//! Limits of a command, and what is left when b2i is killed.

use std::time::{Duration, Instant};

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::engine::{ChangeLimits, ContainerLimits, ContainerSpec, Engine, EngineError};

use b2i::engine::sandbox::{remove_cgroups, remove_directory};
use b2i::fs::abandoned;

use super::{Setup, Who, as_everybody};

/// Names the directory in which a process that is to be killed works.
const VICTIM: &str = "B2I_TEST_SANDBOX_VICTIM";

#[test]
fn a_fork_bomb_stays_in_its_bounds() {
    as_everybody("sandbox::limits::a_fork_bomb_stays_in_its_bounds", async |_| {
        let setup = Setup::new();
        for user in ["0", "app"] {
            // Each process counts as one line; those that could not be started do not.
            let script = "i=0; while [ $i -lt 200 ]; do (sleep 20) & i=$((i+1)); done 2>/dev/null; \
                          ls -d /proc/[0-9]* | wc -l";
            let limits = ContainerLimits { pids: Some(50), ..ContainerLimits::default() };
            let spec = ContainerSpec { user: Some(user.into()), limits, ..setup.spec(script) };
            let started = Instant::now();
            let (_, lines) = setup.run_spec(spec).await.expect("ran");
            let count = lines.last().and_then(|line| line.trim().parse::<u32>().ok()).unwrap_or(0);
            assert!(count <= 52, "{count} processes with a limit of 50");
            assert!(started.elapsed() < Duration::from_secs(120));
            let bomb = ContainerSpec {
                user: Some(user.into()),
                limits: ContainerLimits {
                    pids: Some(100),
                    timeout: Some(Duration::from_secs(3)),
                    ..ContainerLimits::default()
                },
                ..setup.spec("bomb() { bomb | bomb & }; bomb 2>/dev/null; sleep 60")
            };
            // Killed after its time, or ended because it could start nothing more.
            let _ = setup.run_spec(bomb).await;
        }
    });
}

#[test]
fn memory_and_processors_are_limited_or_refused() {
    as_everybody("sandbox::limits::memory_and_processors_are_limited_or_refused", async |who| {
        let setup = Setup::new();
        let limits = ContainerLimits { memory: Some(32 << 20), ..ContainerLimits::default() };
        let script = "dd if=/dev/zero of=/dev/null bs=200M count=1";
        let result = setup.run_spec(ContainerSpec { limits, ..setup.spec(script) }).await;
        match result {
            Ok((ended, _)) => {
                // Of version 2 a user may have a group of its own, of version 1 only root.
                let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
                assert!(unified || matches!(who, Who::Root | Who::Bare));
                assert_ne!(ended.exit_code, 0, "200 MB fit into 32 MiB");
                assert!(ended.out_of_memory, "{ended:?}");
            }
            Err(error) => {
                assert_eq!(error.kind(), FailureKind::Engine, "{error}");
                assert!(error.to_string().contains("memory limit"), "{error}");
            }
        }
        let limits = ContainerLimits { nano_cpus: Some(500_000_000), ..ContainerLimits::default() };
        match setup.run_spec(ContainerSpec { limits, ..setup.spec("exit 4") }).await {
            Ok((ended, _)) => assert_eq!(ended.exit_code, 4),
            Err(error) => assert!(error.to_string().contains("processor limit"), "{error}"),
        }
        let script = "head -c 100000000 /dev/zero > /dev/shm/large 2>/dev/null || echo full";
        let (_, lines) = setup.run(script, "app").await;
        assert_eq!(lines, ["full"], "memory as a file has a limit of its own");
    });
}

#[test]
fn a_deep_and_closed_tree_is_removed_with_its_container() {
    as_everybody("sandbox::limits::a_deep_and_closed_tree_is_removed_with_its_container", async |_| {
        let setup = Setup::new();
        let script = "cd /tmp; i=0; while [ $i -lt 300 ]; do mkdir d; cd d; i=$((i+1)); done; touch f; chmod 0 /tmp/d; \
                      mkdir /tmp/e; touch /tmp/e/f; chmod 0 /tmp/e/f /tmp/e";
        let container = setup.engine(Vec::new()).create(setup.spec(script)).await.expect("created");
        container.run(&setup.events()).await.expect("ran");
        let started = Instant::now();
        container.remove().await.expect("removed");
        assert!(started.elapsed() < Duration::from_secs(60));
        assert_eq!(setup.temporary_files(), Vec::<std::path::PathBuf>::new());
    });
}

#[test]
fn a_killed_b2i_leaves_nothing() {
    as_everybody("sandbox::limits::a_killed_b2i_leaves_nothing", async |_| {
        if std::env::var_os(VICTIM).is_some() {
            return be_killed().await;
        }
        for round in 0..6 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let cache = directory.path().join("cache");
            let marker = format!("marker-{}-{round}", std::process::id());
            let mut victim = std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "sandbox::limits::a_killed_b2i_leaves_nothing", "--nocapture"])
                .env(VICTIM, directory.path())
                .env("B2I_TEST_SANDBOX_MARKER", &marker)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .expect("starts");
            if round == 0 {
                // Once surely while the command runs; the other times at whatever moment comes.
                wait_until(|| is_running(&marker));
            } else {
                std::thread::sleep(Duration::from_millis(round * 23));
            }
            victim.kill().expect("killed");
            victim.wait().expect("ended");
            wait_until(|| !is_running(&marker) && !has_child_in(&cache));
            // A process that was just being started may still have the lease for a moment.
            wait_until(|| {
                for lease in abandoned(&cache) {
                    remove_cgroups(lease.temporary_directory()).expect("its processes have ended");
                    assert_eq!(cgroups_of(lease.id()), [""; 0]);
                    remove_directory(env!("CARGO_BIN_EXE_b2i").as_ref(), &cache.join("tmp").join(lease.id()))
                        .expect("what is left is removed");
                    lease.remove().expect("removed");
                }
                std::fs::read_dir(cache.join("tmp")).map_or(0, |left| left.count()) == 0
            });
            if cache.exists() {
                remove_directory(env!("CARGO_BIN_EXE_b2i").as_ref(), &cache).expect("the cache is removed");
            }
        }
    });
}

/// Runs a command that does not end.
async fn be_killed() {
    let directory = std::env::var_os(VICTIM).expect("set");
    let marker = std::env::var("B2I_TEST_SANDBOX_MARKER").expect("set");
    let setup = Setup::at(directory.as_ref());
    let script = format!("mkdir -p /tmp/a/b; touch /tmp/a/b/c; chmod 0 /tmp/a; : {marker}; sleep 3000; true");
    let limits = ContainerLimits { memory: Some(256 << 20), ..ContainerLimits::default() };
    let spec = || ContainerSpec { user: Some("app".into()), ..setup.spec(&script) };
    // Not everybody may create a cgroup.
    if setup.run_spec(ContainerSpec { limits, ..spec() }).await.is_err() {
        let _ = setup.run_spec(spec()).await;
    }
}

/// The cgroups of a run, by the id of its lease.
fn cgroups_of(lease: &str) -> Vec<String> {
    let found = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-type", "d", "-name", &format!("b2i-{lease}-*")])
        .output()
        .expect("find is there");
    String::from_utf8(found.stdout).expect("valid").lines().map(str::to_owned).collect()
}

#[test]
fn a_killed_child_is_an_error_and_its_files_can_be_removed() {
    as_everybody("sandbox::limits::a_killed_child_is_an_error_and_its_files_can_be_removed", async |_| {
        let setup = Setup::new();
        let marker = format!("marker-child-{}", std::process::id());
        let script =
            format!("mkdir -p /tmp/a/b; touch /tmp/a/b/c; chmod 0 /tmp/a; : {marker}; sleep 3000; true");
        let container = setup.engine(Vec::new()).create(setup.spec(&script)).await.expect("created");
        let events = setup.events();
        let killing = std::thread::spawn({
            let (marker, temporary) = (marker.clone(), setup.settings.temporary.clone());
            move || {
                wait_until(|| is_running(&marker));
                let child = child_in(&temporary).expect("the child runs");
                let pid = rustix::process::Pid::from_raw(child).expect("a process");
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
            }
        });
        let error = container.run(&events).await.expect_err("nobody keeps the container");
        killing.join().expect("no panic");
        assert_eq!(error.kind(), FailureKind::Engine, "{error}");
        wait_until(|| !is_running(&marker));
        container.remove().await.expect("removed");
        for left in setup.temporary_files() {
            remove_directory(&setup.settings.program, &left).expect("what is left is removed");
        }
    });
}

fn wait_until(is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(120), "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a shell of a container has `marker` in its script.
fn is_running(marker: &str) -> bool {
    processes().any(|(_, line)| line.contains(marker) && line.starts_with("/bin/sh"))
}

/// The sandbox child that keeps a container below `directory`: it has a directory of it open.
fn child_in(directory: &std::path::Path) -> Option<i32> {
    let keeps = |pid: i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|path| path.starts_with(directory))
    };
    // The first: the container's own first process is one of its children.
    processes()
        .filter(|(_, line)| line.ends_with("__sandbox\0"))
        .map(|(pid, _)| pid)
        .filter(|pid| keeps(*pid))
        .min()
}

fn has_child_in(directory: &std::path::Path) -> bool {
    child_in(directory).is_some()
}

fn processes() -> impl Iterator<Item = (i32, String)> {
    std::fs::read_dir("/proc").expect("lists").flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).into_owned()))
    })
}

#[test]
fn a_change_is_limited_in_size_and_number() {
    as_everybody("sandbox::limits::a_change_is_limited_in_size_and_number", async |_| {
        let setup = Setup::new();
        let change = ChangeLimits { bytes: Some(1 << 20), files: Some(50) };
        let taken = async |script: &str| {
            let limits = ContainerLimits { change, ..ContainerLimits::default() };
            let spec = ContainerSpec { user: Some("0".into()), limits, ..setup.spec(script) };
            let container = setup.engine(Vec::new()).create(spec).await.expect("created");
            let ended = container.run(&setup.events()).await.expect("ran");
            assert_eq!(ended.exit_code, 0, "{script}: {:?}", ended.last_lines);
            let taken = container.take_changes(&setup.events()).await;
            container.remove().await.expect("removed");
            taken.map(drop)
        };
        taken("dd if=/dev/zero of=/large bs=1 seek=1000000 count=1 2>/dev/null").await.expect("small enough");
        // A terabyte, of which nothing is on the disk.
        let started = Instant::now();
        let error = taken("truncate -s 1099511627776 /sparse").await.expect_err("too large");
        assert!(
            matches!(error, EngineError::ChangeTooLarge { size: 0x100_0000_0000, limit: 0x10_0000 }),
            "{error}"
        );
        assert!(error.hints().iter().any(|hint| hint.contains("change-size")), "{:?}", error.hints());
        assert!(started.elapsed() < Duration::from_secs(60));
        let error = taken("mkdir /d; i=0; while [ $i -lt 60 ]; do : > /d/$i; i=$((i+1)); done").await;
        let error = error.expect_err("too many");
        assert!(error.to_string().contains("more than 50 paths changed"), "{error}");
        assert!(error.hints().iter().any(|hint| hint.contains("change-files")), "{:?}", error.hints());
        assert_eq!(error.kind(), FailureKind::Assemble);
    });
}
