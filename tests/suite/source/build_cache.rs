//! Build caches in daemons: volumes that outlive runs, and belong to one cache directory.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use b2i::events::Events;
use b2i::fs::CacheDirectory;
use b2i::store::cache::BuildCacheStore;
use b2i::store::daemon::{Daemon, DaemonSettings, cache_volumes, ensure_cache_volume};
use serde_json::Value;

use crate::environment::{B2iCommand, TestEnvironment};
use crate::request_log::pass_requests;

async fn connected(host: &str) -> Daemon {
    let settings = DaemonSettings { host: Some(host.to_owned()), ..DaemonSettings::default() };
    Daemon::find(&settings).await.expect("answers").expect("is there")
}

fn keys(volumes: &[b2i::store::daemon::CacheVolume]) -> Vec<&str> {
    volumes.iter().map(|volume| volume.key.as_str()).collect()
}

#[tokio::test]
async fn volumes_are_counted_and_pruned_and_nobody_elses_are() {
    let environment = TestEnvironment::get();
    for (test_daemon, host) in
        environment.daemons().into_iter().zip([environment.docker_host(), environment.podman_host()])
    {
        let daemon = connected(host).await;
        let command = || B2iCommand::new().daemon(&test_daemon);
        let (mut first, other) = (command(), command());
        let store = |command: &B2iCommand| {
            BuildCacheStore::open(&CacheDirectory::open(&command.cache()).expect("opens")).expect("opens")
        };
        let (own, others) = (store(&first), store(&other));
        let owner = own.owner().expect("writes");
        let (key, foreign) = (format!("{:0>32}", &owner[..8]), format!("{:f>32}", &owner[..8]));
        let name = ensure_cache_volume(&daemon, &owner, &key).await.expect("makes");
        assert_eq!(ensure_cache_volume(&daemon, &owner, &key).await.expect("is there"), name);
        let other_owner = others.owner().expect("writes");
        let error = ensure_cache_volume(&daemon, &other_owner, &key).await.expect_err("is another's");
        assert!(error.to_string().contains(&name), "{error}");
        ensure_cache_volume(&daemon, &other_owner, &foreign).await.expect("makes");
        assert_eq!(keys(&cache_volumes(&daemon, &owner).await.expect("lists")), [key.as_str()]);

        first = first.args(["cache", "info", "--format", "json"]);
        let output = first.run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        let info: Value = serde_json::from_str(&output.stdout).expect("JSON");
        let parts = info["parts"].as_array().expect("a list");
        let part = parts.iter().find(|part| part["name"] == "build-caches").expect("is a part");
        assert_eq!(part["entries"], 1, "{info}");

        // A build has it.
        let held = own.take(&key, "cache", &Events::silent()).await.expect("takes");
        let prune = |cache: &std::path::Path| {
            let mut command =
                command().args(["cache", "prune", "--format", "json", "--cache-dir"]).arg(cache);
            let output = command.run();
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            serde_json::from_str::<Value>(&output.stdout).expect("JSON")
        };
        let pruned = prune(&first.cache());
        assert_eq!((&pruned["entries"], &pruned["inUse"]), (&Value::from(0), &Value::from(1)), "{pruned}");
        drop(held);
        assert_eq!(prune(&first.cache())["entries"], 1);
        assert!(cache_volumes(&daemon, &owner).await.expect("lists").is_empty());
        assert_eq!(keys(&cache_volumes(&daemon, &other_owner).await.expect("lists")), [foreign.as_str()]);
        assert_eq!(prune(&other.cache())["entries"], 1);
    }
}

/// A socket before a daemon's, which answers some questions in its place.
struct Before(tempfile::TempDir);

impl Before {
    /// `answer` gets the target of each request, and gives what is sent before the connection is cut.
    fn new(
        daemon: &crate::environment::Daemon,
        answer: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let listener = UnixListener::bind(directory.path().join("before.sock")).expect("binds");
        let path = daemon.host().strip_prefix("unix://").expect("the tests' daemons have sockets").to_owned();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for mut client in listener.incoming().map_while(Result::ok) {
                let mut daemon = UnixStream::connect(&path).expect("it listens");
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let mut answers = daemon.try_clone().expect("cloned");
                    let mut to_client = client.try_clone().expect("cloned");
                    let cut = client.try_clone().expect("cloned");
                    std::thread::spawn(move || {
                        drop(std::io::copy(&mut answers, &mut to_client));
                        drop(to_client.shutdown(Shutdown::Both));
                    });
                    pass_requests(&mut client, &mut daemon, |_, target| {
                        if let Some(answer) = answer(target) {
                            drop((&cut).write_all(answer.as_bytes()));
                            drop(cut.shutdown(Shutdown::Both));
                        }
                    });
                    drop(daemon.shutdown(Shutdown::Write));
                });
            }
        });
        Self(directory)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.0.path().join("before.sock").display())
    }
}

#[tokio::test]
async fn podman_is_asked_again_if_another_image_was_removed_meanwhile() {
    let podman = TestEnvironment::get().podman();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let before = Before::new(&podman, move |target| {
        let is_first = target.contains("/volumes?") && count.fetch_add(1, Ordering::SeqCst) == 0;
        let text = r#"{"cause":"image not known","message":"locating image with ID \"a\": image not known"}"#;
        let head =
            "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close";
        is_first.then(|| format!("{head}\r\nContent-Length: {}\r\n\r\n{text}", text.len()))
    });
    let daemon = connected(&before.host()).await;
    assert!(cache_volumes(&daemon, "nobody").await.expect("lists").is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn volumes_are_pruned_though_nobody_says_what_they_take() {
    for test_daemon in TestEnvironment::get().daemons() {
        let without = Before::new(&test_daemon, |target| target.contains("/system/df").then(String::new));
        let daemon = connected(&without.host()).await;
        let mut command = B2iCommand::new().daemon(&test_daemon).env("DOCKER_HOST", without.host());
        let cache = CacheDirectory::open(&command.cache()).expect("opens");
        let owner = BuildCacheStore::open(&cache).expect("opens").owner().expect("writes");
        let key = format!("{:0>32}", &owner[..8]);
        ensure_cache_volume(&daemon, &owner, &key).await.expect("makes");
        assert_eq!(cache_volumes(&daemon, &owner).await.expect("lists")[0].bytes, None);
        command = command.args(["cache", "prune", "--format", "json"]);
        let output = command.run();
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        assert!(output.stderr.contains("count as empty"), "{}: {}", test_daemon.name, output.stderr);
        let pruned: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!(pruned["entries"], 1, "{}: {pruned}", test_daemon.name);
        assert!(cache_volumes(&daemon, &owner).await.expect("lists").is_empty(), "{}", test_daemon.name);
    }
}
