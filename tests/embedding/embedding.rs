//! What a service does with b2i: builds through the facade on a runtime of several threads, follows events, and aborts.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use b2i::{Event, Events, Host, Request};

/// Collects the events of a session.
fn recorder() -> (Events, Arc<Mutex<Vec<Event>>>) {
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let record = Arc::clone(&seen);
    (Events::new(move |event| record.lock().expect("no receiver panics").push(event)), seen)
}

/// Writes the program, and returns the request to build it for `output`.
fn request(directory: &Path, output: &str, tag: &str) -> Request {
    let artifact = directory.join("app");
    std::fs::write(&artifact, b2i_embedding::PROGRAM).expect("writing the artifact");
    let json = serde_json::json!({
        "artifacts": [artifact],
        "tags": [tag],
        "outputs": [output],
        "image": { "ports": ["8080"], "env": { "MODE": "embedded" } },
    });
    Request::from_json(&json.to_string()).expect("a valid request")
}

/// What a run would leave in its cache: leases, and the temporary files of each.
fn leftovers(cache: &Path) -> Vec<String> {
    let in_directory = |name: &str| {
        let entries = std::fs::read_dir(cache.join(name)).into_iter().flatten().flatten();
        entries.map(|entry| format!("{name}/{}", entry.file_name().to_string_lossy())).collect::<Vec<_>>()
    };
    ["leases", "tmp"].into_iter().flat_map(in_directory).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layout_is_built_and_its_events_and_result_are_read_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    let layout = directory.path().join("layout");
    let request = request(directory.path(), &format!("oci:{}", layout.display()), "embedded:1");
    let (events, seen) = recorder();
    let session = Host::new(&cache).session(events);
    let built = tokio::spawn(async move { session.build(&request).await }).await;
    let built = built.expect("the task ended").expect("the build succeeds");

    assert!(layout.join("index.json").is_file());
    assert_eq!(built.ports, ["8080/tcp"]);
    let written = serde_json::to_string(&built).expect("a result can be written");
    let read: b2i::Built = serde_json::from_str(&written).expect("a result can be read");
    assert_eq!(serde_json::to_string(&read).expect("it can be written again"), written);
    let events = seen.lock().expect("no receiver panicked").clone();
    assert!(events.iter().any(|event| matches!(event, Event::StepFinished { .. })), "{events:?}");
    for event in events {
        let written = serde_json::to_string(&event).expect("an event can be written");
        assert_eq!(serde_json::from_str::<Event>(&written).expect("an event can be read"), event);
    }
    assert_eq!(leftovers(&cache), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pushed_to_a_registry() {
    let registry = variable("B2I_TEST_REGISTRY");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    let tag = format!("{registry}/embedding/{}:1", std::process::id());
    let request = request(directory.path(), "registry", &tag);
    let session = Host::new(&cache).session(Events::silent());
    let plan = session.plan(&request).await.expect("a plan");
    assert_eq!(plan.tags.len(), 1);
    let built = session.build(&request).await.expect("the push succeeds");
    assert!(built.manifest_digest.is_some());
    drop(session);
    assert_eq!(leftovers(&cache), Vec::<String>::new());
}

static ENDED: AtomicBool = AtomicBool::new(false);

/// Standard input of which nothing comes until the test is over.
struct Silence;

impl Read for Silence {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        while !ENDED.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_build_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    let json = serde_json::json!({ "artifacts": ["-"], "outputs": ["oci:unused"] });
    let request = Request::from_json(&json.to_string()).expect("a valid request");
    let (started, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let events = Events::new(move |event| {
        if let Event::StepStarted { .. } = event {
            // Nobody waits for a second step.
            let _ = started.send(());
        }
    });
    let host = Host { stdin: || Box::new(Silence), ..Host::new(&cache) };
    let session = Arc::new(host.session(events));
    let build = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.build(&request).await }
    });
    waiting.recv().await.expect("the build starts");
    assert_ne!(leftovers(&cache), Vec::<String>::new());
    build.abort();
    assert!(build.await.is_err_and(|error| error.is_cancelled()));
    session.abort(Duration::from_secs(5)).await;
    assert_eq!(leftovers(&cache), Vec::<String>::new());
    ENDED.store(true, Ordering::Relaxed);
}

/// A variable that `tests/run` sets.
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("tests/run sets {name}"))
}

/// The containers of a lease in the daemon.
fn containers(lease: &str) -> String {
    let output = std::process::Command::new(variable("B2I_TEST_DOCKER_CLI"))
        .env("DOCKER_HOST", variable("B2I_TEST_DOCKER_HOST"))
        .args(["ps", "--all", "--quiet", "--filter", &format!("label=io.b2i.lease={lease}")])
        .output()
        .expect("the docker command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("IDs are ASCII")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_script_leaves_no_container_behind() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    let mut request = request(directory.path(), "docker", "embedding/aborted:1");
    request.builder = Some("b2i-test/s2i-foreign:hangs".parse().expect("an image"));
    let (started, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let events = Events::new(move |event| {
        if let Event::ScriptOutput { line, .. } = event {
            let _ = started.send(line);
        }
    });
    let mut host = Host::new(&cache);
    host.daemon.settings.host = Some(variable("B2I_TEST_DOCKER_HOST"));
    let session = Arc::new(host.session(events));
    let build = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.build(&request).await }
    });
    let line = tokio::time::timeout(Duration::from_secs(60), waiting.recv()).await;
    assert!(line.expect("the script starts in time").expect("it prints").contains("waiting"));
    let lease = leftovers(&cache).remove(0).trim_start_matches("leases/").to_owned();
    assert_ne!(containers(&lease), "");
    build.abort();
    assert!(build.await.is_err_and(|error| error.is_cancelled()));
    session.abort(Duration::from_secs(20)).await;
    assert_eq!(containers(&lease), "");
    assert_eq!(leftovers(&cache), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_contradicts_itself_is_refused_before_anything_is_done() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cache = directory.path().join("cache");
    let session = Host::new(&cache).session(Events::silent());
    let request =
        Request::from_json(r#"{ "artifacts": ["a"], "outputs": ["registry"] }"#).expect("it is read");
    let error = session.build(&request).await.expect_err("nothing says where to push to");
    assert_eq!(error.to_string(), "a push needs a tag with the registry");
    assert_eq!(b2i::Diagnostic::kind(&error), b2i::FailureKind::Usage);
    assert!(!cache.exists());
    let error = Request::from_json(r#"{ "artifacts": ["a"], "image": { "port": [] } }"#).expect_err("a typo");
    assert!(error.to_string().contains("image") && error.to_string().contains("`port`"), "{error}");
}
