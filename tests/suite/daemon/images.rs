//! Images: resolving, publishing, exporting, archives.

use b2i::fs::Lease;
use b2i::store::archive::ArchiveSink;
use b2i::store::{Content, LayerBlobs, Sink};

use super::*;

#[tokio::test]
async fn the_same_image_comes_out_of_both_daemons() {
    let mut results: Vec<WrittenImage> = Vec::new();
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        assert_eq!(base.config.label("kept"), Some("yes"));
        assert_eq!(base.config.env("OF_BASE"), Some("1"));
        assert_eq!(
            base.config.runtime("Healthcheck"),
            Some(&serde_json::json!({"Test": ["CMD-SHELL", "true"]}))
        );
        let image = placed(&base, "echo \"got $APP and $@\"; cat; exit 3");
        let (one, two) = (setup.tag("one"), setup.tag("two"));
        let published = setup.daemon.publish(&image, &[one.clone(), two.clone()], &setup.context).await;
        let published = published.expect("published");
        let layers = std::fs::read_dir(setup.spool.path()).expect("readable").count();
        assert_eq!(layers, 0, "no layer of the base was exported");
        for tag in [&one, &two] {
            let found = inspect(&setup, &tag.to_string()).await;
            assert!(found.image_id.as_deref() == Some(&*published.image_id.to_string()));
            assert_eq!(found.config.list("Entrypoint"), ["/bin/sh", "/opt/run"]);
        }
        let options =
            ProgramOptions { args: vec!["x  y".into(), "$(z)".into()], stdin: true, ..Default::default() };
        let (code, text) = start(&setup, &one.to_string(), options, b"input").await;
        assert_eq!((code, text.as_str()), (3, "got a b and x  y $(z)\ninput"));
        // With what is known, nothing is read again: the layer's file is not there any more.
        let mut gone = image.clone();
        let other = Layer::new(vec![file("/opt/other", b"never read", 0o644)], 0).expect("consistent");
        gone.new = vec![NewLayer::new(other, published.layers.first().copied())];
        let again = setup.daemon.publish(&gone, &[one], &setup.context).await.expect("known");
        assert_eq!(again, published);
        let relabelled = ConfigEdits { labels: [("new".to_owned(), "1".to_owned())].into(), ..edits() };
        let image = on(base.clone(), gone.new[0].clone(), relabelled);
        let third = setup.tag("three");
        let other = setup.daemon.publish(&image, std::slice::from_ref(&third), &setup.context).await;
        assert_ne!(other.expect("only the config is new").image_id, published.image_id);
        assert_eq!(inspect(&setup, &third.to_string()).await.config.label("new"), Some("1"));
        results.push(published);
        setup.clean_up().await;
    }
    assert_eq!(results[0], results[1], "Docker's and Podman's image have the same ID");
}

#[tokio::test]
async fn an_image_with_two_new_layers_has_both_in_order() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let entries = vec![file("/opt/run", b"cat /opt/text", 0o755), file("/opt/text", b"one", 0o644)];
        let below = Layer::new(entries, 0).expect("consistent");
        let above = Layer::new(vec![file("/opt/text", b"two", 0o644)], 0).expect("consistent");
        let image = with_layers(base.clone(), vec![below.into(), above.into()], edits());
        let tag = setup.tag("layers");
        let published = setup.daemon.publish(&image, std::slice::from_ref(&tag), &setup.context).await;
        let new = published.expect("published").layers.into_iter().map(|layer| layer.diff_id);
        let expected: Vec<Digest> = base.config.diff_ids().expect("valid").into_iter().chain(new).collect();
        assert_eq!(expected.len(), base.layers.len() + 2);
        let found = inspect(&setup, &tag.to_string()).await;
        assert_eq!(found.config.diff_ids().expect("valid"), expected);
        let text = start(&setup, &tag.to_string(), ProgramOptions::default(), b"").await.1;
        assert_eq!(text, "two", "the upper layer covers the lower one");
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn layers_come_out_as_they_are() {
    for setup in Setup::both().await {
        let base = setup.resolve().await;
        let image_id = base.image_id.as_ref().expect("in the daemon");
        let wanted = base.config.diff_ids().expect("valid");
        let files = setup.daemon.layers(image_id, &wanted, setup.spool.path()).await.expect("exported");
        assert_eq!(files.len(), wanted.len());
        for (file, diff_id) in files.iter().zip(wanted) {
            assert_eq!(digest_of(&file.path), diff_id);
        }
        setup.clean_up().await;
    }
}

fn digest_of(path: &Path) -> Digest {
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("readable");
    Digest::of(&bytes)
}

#[tokio::test]
async fn an_archive_is_taken_by_the_daemons_own_client() {
    for mut setup in Setup::both().await {
        let base = setup.resolve().await;
        let image = placed(&base, "echo loaded");
        let image_id = base.image_id.as_ref().expect("in the daemon");
        let wanted = base.config.diff_ids().expect("valid");
        let files = setup.daemon.layers(image_id, &wanted, setup.spool.path()).await.expect("exported");
        let tag = setup.tag("archive");
        let archive = setup.spool.path().join("app.tar");
        let whole = Image { base: image.base.clone().with_files(&files), ..image };
        let cache = tempfile::tempdir().expect("a directory");
        let lease = Arc::new(Lease::acquire(cache.path()).expect("a lease"));
        let sink = ArchiveSink { path: archive.clone(), lease, events: Events::silent() };
        let content = Content::Images(std::slice::from_ref(&whole));
        let written = sink.write(content, std::slice::from_ref(&tag), &LayerBlobs::default()).await;
        let written = written.expect("written").images.remove(0);
        let info = setup.daemon.info();
        let loaded = client(info.flavour, &info.address)
            .arg("load")
            .arg("--input")
            .arg(&archive)
            .output()
            .expect("runs");
        assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
        let found = inspect(&setup, &written.image_id.to_string()).await;
        assert_eq!(found.config.list("Entrypoint"), ["/bin/sh", "/opt/run"]);
        let text = start(&setup, &written.image_id.to_string(), ProgramOptions::default(), b"").await.1;
        assert_eq!(text, "loaded\n");
        remove(&setup.daemon, &written.image_id.to_string());
        setup.clean_up().await;
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named_with_the_reason() {
    for setup in Setup::both().await {
        let absent: ImageReference = "b2i-test-absent:1".parse().expect("a name");
        let silent = Events::silent();
        let never = ResolveOptions { pull: PullPolicy::Never, ..ResolveOptions::default() };
        let error = setup.daemon.resolve(&absent, &never, &silent).await.expect_err("absent");
        assert!(error.to_string().contains("--pull never"), "{error}");
        let offline = ResolveOptions { offline: true, ..ResolveOptions::default() };
        let error = setup.daemon.resolve(&absent, &offline, &silent).await.expect_err("absent");
        assert!(error.to_string().contains("--offline"), "{error}");
        assert_eq!(error.kind(), FailureKind::Builder);
        let foreign = ResolveOptions {
            platform: Some(Platform::linux("s390x")),
            pull: PullPolicy::Never,
            ..ResolveOptions::default()
        };
        let error = setup.daemon.resolve(&setup.base, &foreign, &silent).await.expect_err("other platform");
        let text = error.to_string();
        assert!(text.contains("linux/s390x") && text.contains("linux/amd64"), "{text}");
        let nowhere: ImageReference = "localhost:1/app:1".parse().expect("a name");
        let error =
            setup.daemon.resolve(&nowhere, &ResolveOptions::default(), &silent).await.expect_err("refused");
        assert!(matches!(error, DaemonError::Pull { .. }), "{error}");
        setup.clean_up().await;
    }
}

/// A registry that has nothing, and says so only to those who know the password.
async fn registry(password: &'static str) -> String {
    let answer = move |headers: axum::http::HeaderMap| async move {
        let expected = format!("Basic {}", STANDARD.encode(format!("user:{password}")));
        let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
        let (status, code) =
            if sent == Some(&expected) { (404, "MANIFEST_UNKNOWN") } else { (401, "UNAUTHORIZED") };
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{code}"}}]}}"#);
        let headers = [
            ("content-type", "application/json"),
            ("docker-distribution-api-version", "registry/2.0"),
            ("www-authenticate", "Basic realm=\"test\""),
        ];
        (axum::http::StatusCode::from_u16(status).expect("valid"), headers, body)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    address
}

#[tokio::test]
async fn credentials_reach_the_registry_whatever_the_password() {
    let daemon = connect("B2I_TEST_DOCKER_HOST").await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("config.json");
    // In Base64 these need the two characters of which daemons and bollard think differently.
    for password in ["????>>>>", "p~~~~~~", "пароль"] {
        let address = registry(password).await;
        let auth = STANDARD.encode(format!("user:{password}"));
        let reference: ImageReference = format!("{address}/app:1").parse().expect("a name");
        let options = ResolveOptions { credential_files: vec![file.clone()], ..ResolveOptions::default() };
        for (key, expected) in [(address.as_str(), PullCause::NotFound), ("elsewhere:1", PullCause::Denied)] {
            std::fs::write(&file, format!(r#"{{"auths":{{"{key}":{{"auth":"{auth}"}}}}}}"#))
                .expect("written");
            let error = daemon.resolve(&reference, &options, &Events::silent()).await.expect_err("not there");
            let DaemonError::Pull { cause, reason, .. } = &error else { panic!("{error}") };
            assert_eq!(*cause, expected, "{password}: {reason}");
            assert!(!error.to_string().contains(password), "{error}");
        }
    }
}
