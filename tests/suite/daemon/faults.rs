//! Daemons that fail in ways a real one is hard to bring to: a small server that does just that.

use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::events::Events;
use b2i::image::layer::{Content, Entry, EntryKind, Layer, Owner, WrittenLayer};
use b2i::image::{BaseImage, ConfigEdits, Digest, Image, ImageConfig, ImagePath, ImageReference, Platform};
use b2i::store::daemon::{Daemon, DaemonError, DaemonSettings, PublishContext};
use futures_util::StreamExt;
use serde_json::{Value, json};

const BASE_ID: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const BASE_LAYER: &[u8] = b"not really a tar, but a daemon may store what it likes";

/// What the server does with an archive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// Refuses it inside an answer with status 200.
    ErrorInside(&'static str),
    /// Refuses it with a status, before it has read it.
    Status(u16),
    /// Closes the connection in the middle of it.
    Cut,
    /// Takes it only if every layer is in it.
    WholeOnly,
    /// Says that all is well and keeps nothing.
    Forgets,
}

struct Server {
    load: Load,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    images: HashMap<String, Value>,
}

async fn answer(State(server): State<Arc<Server>>, request: Request) -> Response {
    let path = request.uri().path().trim_start_matches("/v1.41").to_owned();
    let method = request.method().clone();
    server.seen.lock().expect("not poisoned").requests.push(format!("{method} {path}"));
    match (method, path.as_str()) {
        (Method::GET, "/version") => axum_json(&json!({
            "Version": "20.10.24", "ApiVersion": "1.41", "Os": "linux", "Arch": "amd64", "Components": []
        })),
        (Method::POST, "/images/load") => load(&server, request.into_body()).await,
        (Method::GET, path) if path.ends_with("/get") => {
            let manifest = json!([{"Layers": ["l/layer.tar"]}]).to_string();
            tar_of(&[("l/layer.tar", BASE_LAYER), ("manifest.json", manifest.as_bytes())]).into_response()
        }
        (Method::GET, path) => {
            let name = path.trim_start_matches("/images/").trim_end_matches("/json");
            match server.seen.lock().expect("not poisoned").images.get(name) {
                Some(image) => axum_json(image),
                None => (StatusCode::NOT_FOUND, r#"{"message":"No such image"}"#).into_response(),
            }
        }
        (Method::POST, path) if path.ends_with("/tag") => StatusCode::CREATED.into_response(),
        _ => axum_json(&json!([])),
    }
}

fn axum_json(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, name, *bytes).expect("memory");
    }
    builder.into_inner().expect("memory")
}

async fn load(server: &Server, body: Body) -> Response {
    let mut stream = body.into_data_stream();
    match server.load {
        Load::Status(status) => {
            let status = StatusCode::from_u16(status).expect("valid");
            return (status, r#"{"message":"no archives today"}"#).into_response();
        }
        Load::Cut => {
            let _: Option<Result<Bytes, _>> = stream.next().await;
            // The server closes the connection of a handler that panics.
            std::panic::resume_unwind(Box::new("cut"));
        }
        Load::ErrorInside(_) | Load::WholeOnly | Load::Forgets => {}
    }
    let mut archive = Vec::new();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => archive.extend_from_slice(&piece),
            Err(_) => return StatusCode::BAD_REQUEST.into_response(),
        }
    }
    let refused = |message: &str| axum_json(&json!({"errorDetail": {"message": message}, "error": message}));
    match server.load {
        Load::ErrorInside(message) => refused(message),
        Load::WholeOnly => match keep(server, &archive) {
            Ok(()) => axum_json(&json!({"stream": "Loaded image"})),
            Err(missing) => refused(&format!("open /tmp/x/{missing}: no such file or directory")),
        },
        _ => axum_json(&json!({"stream": "Loaded image"})),
    }
}

/// Keeps the image of an archive; the name of a layer that is not in it is an error.
fn keep(server: &Server, archive: &[u8]) -> Result<(), String> {
    let mut files = HashMap::new();
    for entry in tar::Archive::new(archive).entries().expect("a tar") {
        let mut entry = entry.expect("whole");
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("whole");
        files.insert(entry.path().expect("text").to_string_lossy().into_owned(), bytes);
    }
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).expect("JSON");
    for layer in manifest[0]["Layers"].as_array().expect("a list") {
        let name = layer.as_str().expect("text");
        if !files.contains_key(name) {
            return Err(name.to_owned());
        }
    }
    let bytes = &files[manifest[0]["Config"].as_str().expect("text")];
    let config: Value = serde_json::from_slice(bytes).expect("JSON");
    let id = Digest::of(bytes).to_string();
    let image = json!({"Id": id, "RootFS": {"Layers": config["rootfs"]["diff_ids"]}});
    server.seen.lock().expect("not poisoned").images.insert(id, image);
    Ok(())
}

async fn serve(load: Load) -> (Daemon, Arc<Server>) {
    let server = Arc::new(Server { load, seen: Mutex::default() });
    let router = Router::new().fallback(answer).with_state(server.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = format!("tcp://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = DaemonSettings { host: Some(host), ..DaemonSettings::default() };
    (Daemon::find(&settings).await.expect("it answers").expect("configured"), server)
}

fn image(size: u64, content: Arc<dyn Content>) -> Image {
    let path = ImagePath::new("/opt/app").expect("valid");
    let entry = Entry { path, kind: EntryKind::File { size, content }, mode: 0o755, owner: Owner::ROOT };
    let mut config = ImageConfig::empty(&Platform::linux("amd64"));
    config.apply(&ConfigEdits::default(), &[Digest::of(BASE_LAYER)]);
    let base = BaseImage::in_daemon("base", Some(BASE_ID.into()), config.clone());
    let make = move |written: &[WrittenLayer]| {
        let mut config = config.clone();
        config.apply(&ConfigEdits::default(), &[written[0].diff_id]);
        config
    };
    let layer = Layer::new(vec![entry], 0).expect("consistent");
    Image::new(base, vec![layer.into()], make)
}

async fn publish(load: Load, image: &Image) -> (Result<Digest, DaemonError>, Vec<String>) {
    let (daemon, server) = serve(load).await;
    let spool = tempfile::tempdir().expect("a directory");
    let context = PublishContext {
        lease: "lease".into(),
        spool_directory: spool.path().to_owned(),
        events: Events::silent(),
    };
    let tags: [ImageReference; 1] = ["app:1".parse().expect("a name")];
    let result = daemon.publish(image, &tags, &context).await;
    let requests = server.seen.lock().expect("not poisoned").requests.clone();
    (result.map(|written| written.image_id), requests)
}

fn has(requests: &[String], what: &str) -> usize {
    requests.iter().filter(|request| request.contains(what)).count()
}

fn small() -> Image {
    image(7, Arc::new(b"program".to_vec()))
}

#[tokio::test]
async fn a_daemon_that_wants_all_layers_gets_them() {
    let (result, requests) = publish(Load::WholeOnly, &small()).await;
    result.expect("published by the whole archive");
    assert_eq!(has(&requests, "POST /images/load"), 2, "{requests:?}");
    assert_eq!(has(&requests, "/get"), 1, "{requests:?}");
    assert_eq!(has(&requests, "/tag"), 1, "{requests:?}");
}

#[tokio::test]
async fn an_error_inside_a_good_answer_is_an_error() {
    let (result, requests) = publish(Load::ErrorInside("archive/tar: invalid tar header"), &small()).await;
    let error = result.expect_err("refused");
    assert_eq!(error.kind(), FailureKind::Publish);
    assert!(error.to_string().contains("invalid tar header"), "{error}");
    assert_eq!(has(&requests, "/tag"), 0, "nothing is named: {requests:?}");
}

#[tokio::test]
async fn a_full_disk_is_named_and_not_tried_again() {
    let (result, requests) = publish(Load::ErrorInside("write /x: no space left on device"), &small()).await;
    let error = result.expect_err("full");
    assert!(matches!(error, DaemonError::DiskFull { .. }), "{error}");
    assert_eq!((error.kind(), error.hints().len()), (FailureKind::Publish, 1));
    assert_eq!(has(&requests, "POST /images/load"), 1, "{requests:?}");
}

#[tokio::test]
async fn a_daemon_that_forgets_the_image_is_found_out() {
    let (result, requests) = publish(Load::Forgets, &small()).await;
    let error = result.expect_err("not there");
    assert!(matches!(error, DaemonError::NotLoaded { .. }), "{error}");
    assert_eq!(has(&requests, "/tag"), 0, "{requests:?}");
}

#[tokio::test]
async fn a_refusal_before_the_end_and_a_cut_connection_end_at_once() {
    let large = vec![7; 32 << 20];
    for load in [Load::Status(500), Load::Cut] {
        let image = image(large.len() as u64, Arc::new(large.clone()));
        let limit = std::time::Duration::from_secs(30);
        let (result, requests) = tokio::time::timeout(limit, publish(load, &image)).await.expect("in time");
        let error = result.expect_err("not taken");
        assert_eq!(error.kind(), FailureKind::Publish, "{error}");
        assert_eq!(has(&requests, "/tag"), 0, "{requests:?}");
    }
}

#[tokio::test]
async fn an_artifact_that_changes_while_it_is_read_is_no_image() {
    let (result, requests) = publish(Load::WholeOnly, &image(9, Arc::new(b"shorter".to_vec()))).await;
    let error = result.expect_err("changed");
    assert_eq!(error.kind(), FailureKind::Input, "{error}");
    assert_eq!((has(&requests, "/get"), has(&requests, "/tag")), (0, 0), "{requests:?}");
}

#[tokio::test]
async fn a_configured_daemon_that_does_not_answer_is_an_error() {
    // No port that was free a moment ago: another test may listen there by now.
    for host in ["tcp://127.0.0.1:1", "unix:///no/such/socket"] {
        let host_origin = Some("variable DOCKER_HOST".to_owned());
        let settings = DaemonSettings { host: Some(host.into()), host_origin, ..DaemonSettings::default() };
        let error = Daemon::find(&settings).await.expect_err("nobody is there");
        assert_eq!(error.kind(), FailureKind::Engine);
        let text = error.to_string();
        assert!(text.contains(host) && text.contains("DOCKER_HOST"), "{text}");
    }
}
