//! Limits of a command, and what is left when b2i is killed.

use std::time::{Duration, Instant};

use b2i::engine::{Container, ContainerLimits, ContainerSpec, Engine};
use b2i::failure::{Failure, FailureKind};

use super::{Setup, Who, as_everybody};

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
                assert_eq!(who, Who::Root);
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
