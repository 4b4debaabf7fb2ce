//! Build caches in daemons: volumes that outlive runs, and belong to one cache directory.

use b2i::events::Events;
use b2i::fs::CacheDirectory;
use b2i::store::cache::BuildCacheStore;
use b2i::store::daemon::{Daemon, DaemonSettings, cache_volumes, ensure_cache_volume};
use serde_json::Value;

use crate::environment::{B2iCommand, TestEnvironment};

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
