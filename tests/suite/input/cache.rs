//! Downloads that are kept: asked for again, used without the network, damaged, shared.

use std::fs;

use b2i::image::Digest;

use super::super::fault_server::{FaultServer, answer};
use super::{Fetcher, body};

/// Serves `body` under the ETag `"1"`, and 304 to who has it.
fn polite(length: usize) -> FaultServer {
    FaultServer::start(move |request, to| match request.header("if-none-match") {
        Some("\"1\"") => answer(to, "304 Not Modified", &[("ETag", "\"1\"")], b""),
        _ => {
            let headers = [("ETag", "\"1\""), ("Content-Disposition", "attachment; filename=named.jar")];
            answer(to, "200 OK", &headers, &body(length))
        }
    })
}

#[test]
fn an_unchanged_download_is_not_fetched_twice() {
    let (server, fetcher) = (polite(5000), Fetcher::new());
    let url = server.url("/app.jar?token=secret");
    for _ in 0..2 {
        let fetched = fetcher.fetch(&url).expect("fetches");
        assert_eq!((fetched.artifact.name.as_str(), fetched.bytes()), ("named.jar", body(5000)));
        assert_eq!(fetched.artifact.sha256, Some(Digest::of(&body(5000))));
    }
    assert_eq!(server.requests().len(), 2);
    assert_eq!(server.requests()[1].header("if-none-match"), Some("\"1\""));
    assert!(fetcher.notes()[0].contains("has not changed") && !fetcher.notes()[0].contains("secret"));
    assert_eq!(fetcher.kept(), [Digest::of(&body(5000)).hex()]);
    assert!(fetcher.left().is_empty());
}

#[test]
fn a_changed_download_is_fetched() {
    let server = FaultServer::start(|request, to| {
        let etag = format!("\"{}\"", request.index);
        answer(to, "200 OK", &[("ETag", &etag)], &body(100 + request.index))
    });
    let fetcher = Fetcher::new();
    for index in 0..3 {
        assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), body(100 + index));
    }
}

#[test]
fn a_known_digest_needs_no_request() {
    let (server, mut fetcher) = (polite(5000), Fetcher::new());
    fetcher.fetch(&server.url("/app.jar")).expect("fetches");
    fetcher.options.sha256 = Some(Digest::of(&body(5000)));
    let fetched = fetcher.fetch("http://127.0.0.1:9/other/path.jar").expect("the URL does not matter");
    assert_eq!((fetched.artifact.name.as_str(), fetched.bytes()), ("path.jar", body(5000)));
    assert_eq!(fetcher.fetch(&server.url("/app.jar")).expect("fetches").artifact.name, "named.jar");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_digest_than_the_kept_one_asks_for_everything() {
    let (server, mut fetcher) = (polite(5000), Fetcher::new());
    fetcher.fetch(&server.url("/app.jar")).expect("fetches");
    fetcher.options.sha256 = Some(Digest::of(b"other"));
    let error = fetcher.fetch(&server.url("/app.jar")).err().expect("fails");
    assert!(error.to_string().contains(&Digest::of(&body(5000)).to_string()), "{error}");
    assert_eq!(server.requests()[1].header("if-none-match"), None);
    assert!(fetcher.left().is_empty());
}

#[test]
fn offline_uses_what_is_kept_and_names_what_is_not() {
    let (server, mut fetcher) = (polite(5000), Fetcher::new());
    fetcher.fetch(&server.url("/app.jar")).expect("fetches");
    fetcher.options.offline = true;
    assert_eq!(fetcher.fetch(&server.url("/app.jar")).expect("fetches").bytes(), body(5000));
    let error = fetcher.fetch(&server.url("/other.jar?secret")).err().expect("fails").to_string();
    assert!(error.contains("/other.jar` is not in the cache") && !error.contains("secret"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn damaged_bytes_are_fetched_again() {
    let (server, fetcher) = (polite(5000), Fetcher::new());
    for damage in [body(5000)[..4999].to_vec(), vec![0; 5000]] {
        fetcher.fetch(&server.url("/app.jar")).expect("fetches");
        let blobs = fetcher.cache.path().join("downloads-v1/blobs/sha256");
        fs::write(blobs.join(&fetcher.kept()[0]), damage).expect("writes");
        assert_eq!(fetcher.fetch(&server.url("/app.jar")).expect("fetches").bytes(), body(5000));
    }
}

#[test]
fn other_formats_of_the_cache_are_ignored() {
    let (server, fetcher) = (polite(5000), Fetcher::new());
    let index = fetcher.cache.path().join("downloads-v1/index");
    fs::create_dir_all(fetcher.cache.path().join("downloads-v2/index")).expect("creates");
    fetcher.fetch(&server.url("/app.jar")).expect("fetches");
    for entry in fs::read_dir(&index).expect("lists") {
        fs::write(entry.expect("reads").path(), "{\"version\":2}").expect("writes");
    }
    assert_eq!(fetcher.fetch(&server.url("/app.jar")).expect("fetches").bytes(), body(5000));
    assert_eq!(server.requests()[1].header("if-none-match"), None);
}

#[test]
fn what_must_not_be_stored_is_not_kept() {
    let server = FaultServer::start(|_, to| {
        answer(to, "200 OK", &[("Cache-Control", "private, No-Store"), ("ETag", "\"1\"")], &body(100))
    });
    let fetcher = Fetcher::new();
    assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), body(100));
    assert!(fetcher.kept().is_empty() && fetcher.left().is_empty());
}

#[test]
fn many_runs_share_one_cache() {
    let (server, fetcher) = (polite(200_000), Fetcher::new());
    let url = server.url("/app.jar");
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..3 {
                    let fetched = fetcher.fetch(&url).expect("fetches");
                    assert_eq!(fetched.bytes(), body(200_000));
                    assert!(!fetched.artifact.content.changed().expect("asks"));
                }
            });
        }
    });
    assert_eq!(fetcher.kept().len(), 1);
    assert!(fetcher.left().is_empty());
}
