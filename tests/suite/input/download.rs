//! Downloads from servers that cut, lie, stall, redirect and refuse.

use std::io::Write;
use std::time::{Duration, Instant};

use b2i::diagnostic::{Diagnostic, FailureKind};
use b2i::events::Events;
use b2i::fs::Lease;
use b2i::image::Digest;
use b2i::input::{self, HttpError, InputError, InputSource, Origin, Secret};
use b2i::network::ProxySettings;
use http::{HeaderName, HeaderValue};

use super::super::fault_server::{FaultServer, Request, answer, head, serve_part};
use super::{Fetcher, body};

const LENGTH: usize = 300_000;

fn status_of(error: &InputError) -> Option<u16> {
    match error {
        InputError::Http(HttpError::Status { status, .. }) => Some(status.as_u16()),
        _ => None,
    }
}

#[test]
fn a_download_is_named_hashed_and_recorded_without_secrets() {
    let server = FaultServer::start(|_, to| answer(to, "200 OK", &[], &body(LENGTH)));
    let fetcher = Fetcher::new();
    let url = server.url("/rel/%D1%8F.jar?token=secret#f").replace("//", "//user:secret@");
    let fetched = fetcher.fetch(&url).expect("fetches");
    assert_eq!(fetched.artifact.name, "я.jar");
    assert_eq!(fetched.artifact.sha256, Some(Digest::of(&body(LENGTH))));
    assert_eq!(fetched.artifact.origin, Origin::Url { url: server.url("/rel/%D1%8F.jar") });
    assert_eq!(fetched.bytes(), body(LENGTH));
    let request = &server.requests()[0];
    assert_eq!(request.header("accept-encoding"), Some("identity"));
    assert_eq!(request.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert!(request.line.starts_with("GET /rel/%D1%8F.jar?token=secret"));
}

#[test]
fn a_cut_download_is_resumed_wherever_it_was_cut() {
    for most in [0, 1, 1000, LENGTH / 2, LENGTH - 1] {
        let server = FaultServer::start(move |request, to| {
            let most = if request.index == 0 { most } else { LENGTH };
            serve_part(request, to, "\"1\"", &body(LENGTH), most)
        });
        let fetched = Fetcher::new().fetch(&server.url("/a")).expect("fetches");
        assert_eq!(fetched.artifact.sha256, Some(Digest::of(&body(LENGTH))));
        assert_eq!(fetched.bytes(), body(LENGTH));
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "cut at {most}");
        assert_eq!(requests[1].range_start(), (most > 0).then_some(most));
        assert_eq!(requests[1].header("if-range"), (most > 0).then_some("\"1\""));
    }
}

#[test]
fn a_connection_that_ends_before_the_answer_is_tried_again() {
    let server = FaultServer::start(|request, to| match request.index {
        0 => Ok(()),
        1 => to.write_all(b"HTTP/1.1 200 OK\r\nContent-Le"),
        _ => answer(to, "200 OK", &[], &body(10)),
    });
    assert_eq!(Fetcher::new().fetch(&server.url("/a")).expect("fetches").bytes(), body(10));
}

/// What a server may do with the request for the rest.
type Second = fn(&Request, &mut dyn Write) -> std::io::Result<()>;

#[test]
fn the_rest_of_something_else_is_not_taken() {
    let cases: [(&str, Second); 8] = [
        ("the server knows no parts", |_, to| answer(to, "200 OK", &[("ETag", "\"1\"")], &body(LENGTH))),
        ("another version", |_, to| answer(to, "200 OK", &[("ETag", "\"2\"")], &body(LENGTH))),
        ("the rest of another version", |request, to| {
            let start = request.range_start().expect("asks for a part");
            let range = format!("bytes {start}-{}/{LENGTH}", LENGTH - 1);
            answer(
                to,
                "206 Partial Content",
                &[("ETag", "\"2\""), ("Content-Range", &range)],
                &vec![0; LENGTH - start],
            )
        }),
        ("another part", |request, to| {
            let start = request.range_start().expect("asks for a part") + 1;
            let range = format!("bytes {start}-{}/{LENGTH}", LENGTH - 1);
            answer(
                to,
                "206 Partial Content",
                &[("ETag", "\"1\""), ("Content-Range", &range)],
                &body(LENGTH)[start..],
            )
        }),
        ("another total", |request, to| {
            let start = request.range_start().expect("asks for a part");
            let range = format!("bytes {start}-{LENGTH}/{}", LENGTH + 1);
            answer(
                to,
                "206 Partial Content",
                &[("ETag", "\"1\""), ("Content-Range", &range)],
                &vec![0; LENGTH + 1 - start],
            )
        }),
        ("less than was asked for", |request, to| {
            let start = request.range_start().expect("asks for a part");
            let range = format!("bytes {start}-{}/{LENGTH}", start + 99);
            let part = &body(LENGTH)[start..start + 100];
            answer(to, "206 Partial Content", &[("ETag", "\"1\""), ("Content-Range", &range)], part)
        }),
        ("no range", |_, to| answer(to, "206 Partial Content", &[("ETag", "\"1\"")], b"x")),
        ("not satisfiable", |_, to| {
            answer(to, "416 Range Not Satisfiable", &[("Content-Range", "bytes */3")], b"")
        }),
    ];
    for (name, second) in cases {
        let server = FaultServer::start(move |request, to| match request.index {
            0 => serve_part(request, to, "\"1\"", &body(LENGTH), 1000),
            1 => second(request, to),
            _ => serve_part(request, to, "\"1\"", &body(LENGTH), LENGTH),
        });
        let fetched = Fetcher::new().fetch(&server.url("/a")).expect(name);
        assert_eq!(fetched.bytes(), body(LENGTH), "{name}");
        assert_eq!(fetched.artifact.sha256, Some(Digest::of(&body(LENGTH))), "{name}");
    }
}

#[test]
fn without_a_validator_everything_is_fetched_again() {
    for validator in [("X-None", ""), ("ETag", "W/\"1\"")] {
        let server = FaultServer::start(move |request, to| {
            let length = LENGTH.to_string();
            head(to, "200 OK", &[("Content-Length", &length), validator])?;
            to.write_all(&body(LENGTH)[..if request.index == 0 { 1000 } else { LENGTH }])
        });
        assert_eq!(Fetcher::new().fetch(&server.url("/a")).expect("fetches").bytes(), body(LENGTH));
        assert_eq!(server.requests()[1].header("range"), None);
    }
}

#[test]
fn a_download_that_is_always_cut_fails_and_leaves_nothing() {
    let server = FaultServer::start(|_, to| {
        head(to, "200 OK", &[("Content-Length", "300000")])?;
        to.write_all(&body(1000))
    });
    let fetcher = Fetcher::new();
    let error = fetcher.fetch(&server.url("/a?secret")).err().expect("fails");
    assert_eq!(error.kind(), FailureKind::Input);
    let text = error.to_string();
    assert!(
        text.contains("after 1000 of 300000 bytes (tried 5 times)") && !text.contains("secret"),
        "{text}"
    );
    assert_eq!(server.requests().len(), 5);
    assert!(fetcher.left().is_empty() && fetcher.kept().is_empty());
}

#[test]
fn a_server_that_makes_it_begin_again_is_given_up() {
    const PIECE: usize = 1_200_000;
    // A large part, then a part of something else: what there is has to go each time.
    let server = FaultServer::start(|request, to| match request.range_start() {
        None => serve_part(request, to, "\"1\"", &body(PIECE * 2), PIECE),
        Some(_) => {
            head(to, "206 Partial Content", &[("Content-Length", "1"), ("Content-Range", "bytes 0-0/9")])
        }
    });
    let mut fetcher = Fetcher::new();
    fetcher.options.http.network.retries = 2;
    let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
    assert_eq!(error.kind(), FailureKind::Input);
    assert!(server.requests().len() < 8, "{} requests", server.requests().len());
    assert!(fetcher.left().is_empty() && fetcher.kept().is_empty());
}

#[test]
fn progress_between_cuts_keeps_a_download_alive() {
    const PIECE: usize = 1_200_000;
    let server = FaultServer::start(|request, to| serve_part(request, to, "\"1\"", &body(PIECE * 8), PIECE));
    let mut fetcher = Fetcher::new();
    fetcher.options.http.network.retries = 2;
    assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), body(PIECE * 8));
}

#[test]
fn a_body_without_length_counts_only_if_its_end_can_be_told() {
    let open_ended = FaultServer::start(|_, to| {
        head(to, "200 OK", &[])?;
        to.write_all(&body(1000))
    });
    let mut fetcher = Fetcher::new();
    let error = fetcher.fetch(&open_ended.url("/a")).err().expect("fails");
    assert!(error.to_string().contains("sends no length"), "{error}");
    assert!(fetcher.left().is_empty() && fetcher.kept().is_empty());
    fetcher.options.sha256 = Some(Digest::of(&body(1000)));
    assert_eq!(fetcher.fetch(&open_ended.url("/a")).expect("fetches").bytes(), body(1000));

    let chunked = FaultServer::start(|request, to| {
        head(to, "200 OK", &[("Transfer-Encoding", "chunked")])?;
        to.write_all(b"5\r\nhello\r\n")?;
        // The first time it ends without the last chunk.
        if request.index == 0 { Ok(()) } else { to.write_all(b"0\r\n\r\n") }
    });
    assert_eq!(Fetcher::new().fetch(&chunked.url("/a")).expect("fetches").bytes(), b"hello");
    assert_eq!(chunked.requests().len(), 2);
}

#[test]
fn sizes_are_limited_before_and_while_they_come() {
    let stated = FaultServer::start(|_, to| head(to, "200 OK", &[("Content-Length", "1001")]));
    let endless = FaultServer::start(|_, to| {
        head(to, "200 OK", &[("Transfer-Encoding", "chunked")])?;
        loop {
            to.write_all(b"400\r\n")?;
            to.write_all(&[0; 1024])?;
            to.write_all(b"\r\n")?;
        }
    });
    for server in [stated, endless] {
        let fetcher = Fetcher::with(|options| options.max_size = 1000);
        let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
        assert!(matches!(error, InputError::TooLarge { limit: 1000, .. }), "{error}");
        assert!(fetcher.left().is_empty() && fetcher.kept().is_empty());
        assert_eq!(server.requests().len(), 1);
    }
}

/// `tool` in the format of gzip.
const TOOL: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 43, 201, 207, 207, 1, 0, 209, 62, 243, 32, 4, 0, 0, 0];

#[test]
fn an_answer_in_gzip_is_the_file_or_unpacked_by_its_name() {
    for encoding in ["gzip", "x-gzip"] {
        let server = FaultServer::start(move |_, to| {
            answer(to, "200 OK", &[("Content-Encoding", encoding), ("ETag", "\"1\"")], TOOL)
        });
        // By the second name it is compressed, and the search for the artifact unpacks it.
        for path in ["/tool", "/tool.gz"] {
            let fetcher = Fetcher::new();
            let file = fetcher.fetch(&server.url(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            assert_eq!(file.bytes(), b"tool", "{encoding} {path}");
        }
    }
}

#[test]
fn an_encoded_answer_that_cannot_be_unpacked_is_refused() {
    let refuse = |encoding: &'static str| {
        let server = FaultServer::start(move |_, to| {
            answer(to, "200 OK", &[("Content-Encoding", encoding)], b"\x1f\x8b")
        });
        Fetcher::new().fetch(&server.url("/a")).err().expect("fails")
    };
    let cut = refuse("gzip");
    assert!(cut.to_string().contains("`Content-Encoding: gzip`"), "{cut}");
    let other = refuse("br");
    assert!(other.to_string().contains("compressed it with `br`"), "{other}");
}

#[test]
fn a_silent_server_is_given_up() {
    /// Longer than anybody waits, however busy the machine is.
    const SILENCE: Duration = Duration::from_secs(600);
    let silent: [Second; 2] = [
        |_, _| {
            std::thread::sleep(SILENCE);
            Ok(())
        },
        |_, to| {
            head(to, "200 OK", &[("Content-Length", "10")])?;
            to.write_all(b"x").and_then(|()| to.flush())?;
            std::thread::sleep(SILENCE);
            Ok(())
        },
    ];
    for handler in silent {
        let server = FaultServer::start(handler);
        let fetcher = Fetcher::with(|options| {
            options.http.network.read_timeout = Duration::from_millis(150);
            options.http.network.retries = 1;
        });
        let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
        assert!(matches!(error, InputError::Http(HttpError::Transfer { attempts: 2, .. })), "{error}");
        // Not that the server has closed the connection.
        assert!(error.to_string().contains("timed out"), "{error}");
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let server = FaultServer::start(|request, to| match request.index {
        0 => answer(to, "429 Too Many Requests", &[("Retry-After", "1")], b""),
        1 => answer(to, "503 Service Unavailable", &[], b""),
        _ => answer(to, "200 OK", &[], &body(10)),
    });
    let started = Instant::now();
    let fetcher = Fetcher::new();
    assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), body(10));
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert!(fetcher.notes()[0].contains("429 Too Many Requests; retrying in 1.0 s"), "{:?}", fetcher.notes());

    let server = FaultServer::start(|_, to| answer(to, "500 Internal Server Error", &[], b""));
    let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
    assert_eq!(status_of(&error), Some(500));
    assert!(error.to_string().contains("(tried 5 times)"), "{error}");
}

#[test]
fn a_refusal_is_final_and_says_what_to_do() {
    for (status, code, hint) in [
        ("401 Unauthorized", 401, "netrc"),
        ("403 Forbidden", 403, "netrc"),
        ("404 Not Found", 404, "check the URL"),
        ("410 Gone", 410, "check the URL"),
        ("204 No Content", 204, ""),
    ] {
        let server = FaultServer::start(move |_, to| answer(to, status, &[], b"no"));
        let error = Fetcher::new().fetch(&server.url("/a?secret")).err().expect("fails");
        assert_eq!(status_of(&error), Some(code));
        assert!(error.to_string().contains(status) && !error.to_string().contains("secret"), "{error}");
        assert!(error.hints().iter().all(|text| text.contains(hint)), "{:?}", error.hints());
        assert_eq!(server.requests().len(), 1);
    }
    let server = FaultServer::start(|_, to| answer(to, "401 Unauthorized", &[], b""));
    let fetcher = Fetcher::with(|options| options.http.bearer = Some(Secret::new("secret")));
    let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
    assert!(error.hints()[0].contains("rejected the credentials"), "{:?}", error.hints());
}

#[test]
fn an_answer_that_was_not_asked_for_is_refused() {
    for status in ["206 Partial Content", "304 Not Modified", "416 Range Not Satisfiable"] {
        let server = FaultServer::start(move |_, to| {
            answer(
                to,
                status,
                &[("Content-Range", "bytes 0-1/10")],
                if status.starts_with("304") { b"" } else { b"ab" },
            )
        });
        let fetcher = Fetcher::new();
        let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
        assert!(error.to_string().contains("does not match the request"), "{error}");
        assert!(fetcher.kept().is_empty());
    }
}

fn secrets() -> Fetcher {
    Fetcher::with(|options| {
        options.http.bearer = Some(Secret::new("secret"));
        let key = HeaderName::from_static("private-token");
        options.http.headers.push((key, HeaderValue::from_static("secret")));
    })
}

fn carries_secrets(request: &Request) -> bool {
    let sent = [request.header("authorization"), request.header("private-token")];
    assert_eq!(sent[0].is_some(), sent[1].is_some(), "all or none");
    sent[0].is_some()
}

#[test]
fn credentials_stay_with_the_origin_they_were_given_for() {
    let thief = FaultServer::start(|request, to| {
        // Back to where the credentials would be valid: they are gone all the same.
        match request.line.split_once("back=") {
            Some((_, back)) => answer(to, "302 Found", &[("Location", back)], b""),
            None => answer(to, "200 OK", &[], b"stolen"),
        }
    });
    let elsewhere = thief.url("/x");
    let server = FaultServer::start(move |request, to| match request.line.as_str() {
        "GET /same" => answer(to, "307 Temporary Redirect", &[("Location", "/target.jar")], b""),
        "GET /other" => answer(to, "302 Found", &[("Location", &elsewhere)], b""),
        "GET /name" => {
            let host = request.header("host").expect("has one").replace("127.0.0.1", "localhost");
            answer(to, "302 Found", &[("Location", &format!("http://{host}/target.jar"))], b"")
        }
        "GET /back" => {
            let back = format!("http://{}/target.jar", request.header("host").expect("has one"));
            answer(to, "302 Found", &[("Location", &format!("{elsewhere}?back={back}"))], b"")
        }
        _ => answer(to, "200 OK", &[], b"there"),
    });
    let fetch = |path: &str| secrets().fetch(&server.url(path)).expect("fetches").bytes();
    let last = |server: &FaultServer| carries_secrets(server.requests().last().expect("has one"));

    assert_eq!(fetch("/same"), b"there");
    assert!(last(&server), "the same origin");
    assert_eq!(fetch("/other"), b"stolen");
    assert!(!last(&thief), "another port");
    assert_eq!(fetch("/name"), b"there");
    assert!(!last(&server), "another name of the same host");
    assert_eq!(fetch("/back"), b"there");
    assert!(!last(&server), "once gone they do not come back");

    let with_user = server.url("/other").replace("//", "//user:secret@");
    Fetcher::new().fetch(&with_user).expect("fetches");
    assert!(thief.requests().last().expect("has one").header("authorization").is_none());
}

#[test]
fn netrc_is_for_its_host_only() {
    let thief = FaultServer::start(|_, to| answer(to, "200 OK", &[], b"x"));
    let elsewhere = thief.url("/x");
    let server = FaultServer::start(move |_, to| answer(to, "302 Found", &[("Location", &elsewhere)], b""));
    let netrc = Secret::new(
        "machine 127.0.0.1
login user
password secret
",
    );
    let fetcher = Fetcher::with(|options| options.http.netrc = Some(netrc));
    fetcher.fetch(&server.url("/a")).expect("fetches");
    assert_eq!(server.requests()[0].header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    assert_eq!(thief.requests()[0].header("authorization"), None);
}

#[test]
fn redirects_end() {
    let server = FaultServer::start(|request, to| {
        let hop: usize = request.line["GET /".len()..].parse().unwrap_or(0);
        let next = format!("/{}", hop + 1);
        if hop == 10 {
            answer(to, "200 OK", &[], b"x")
        } else {
            answer(to, "301 Moved Permanently", &[("Location", &next)], b"")
        }
    });
    assert_eq!(Fetcher::new().fetch(&server.url("/0")).expect("10 are followed").artifact.name, "0");
    let error = Fetcher::new().fetch(&server.url("/11")).err().expect("fails");
    assert!(error.to_string().contains("more than 10"), "{error}");
    let nowhere = FaultServer::start(|_, to| answer(to, "302 Found", &[], b""));
    assert!(
        Fetcher::new().fetch(&nowhere.url("/")).err().expect("fails").to_string().contains("has no target")
    );
}

#[test]
fn proxies_are_used_as_told() {
    let proxy = FaultServer::start(|_, to| answer(to, "200 OK", &[], b"by proxy"));
    let server = FaultServer::start(|_, to| answer(to, "200 OK", &[], b"directly"));
    let mut fetcher = Fetcher::new();
    let url = proxy.url("").replace("//", "//user:secret@");
    fetcher.options.http.network.proxy = ProxySettings { http: Some(url), ..ProxySettings::default() };
    assert_eq!(fetcher.fetch("http://example.invalid/a.jar").expect("fetches").bytes(), b"by proxy");
    let request = &proxy.requests()[0];
    assert_eq!(request.line, "GET http://example.invalid/a.jar");
    assert_eq!(request.header("proxy-authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    fetcher.options.http.network.proxy.no_proxy = Some("127.0.0.1".to_owned());
    assert_eq!(fetcher.fetch(&server.url("/b")).expect("fetches").bytes(), b"directly");
}

#[test]
fn with_public_addresses_only_nothing_here_is_reached() {
    let server = FaultServer::start(|_, to| answer(to, "200 OK", &[], b"secret"));
    let secret = server.url("/secret");
    let mut fetcher = Fetcher::new();
    fetcher.options.http.network.public_addresses_only = true;
    let port = secret.rsplit(':').next().and_then(|rest| rest.split('/').next()).expect("a port").to_owned();
    for host in ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]"] {
        let error = fetcher.fetch(&format!("http://{host}:{port}/secret")).err().expect(host);
        assert!(matches!(error, InputError::Http(HttpError::Forbidden(_))), "{host}: {error}");
        assert!(error.to_string().contains("is not public"), "{error}");
    }
    // A redirect leads there: the first host is behind a proxy, which may be anywhere.
    let proxy = FaultServer::start(move |_, to| answer(to, "302 Found", &[("Location", &secret)], b""));
    let (url, no_proxy) = (proxy.url(""), Some("127.0.0.1".to_owned()));
    fetcher.options.http.network.proxy =
        ProxySettings { http: Some(url), no_proxy, ..ProxySettings::default() };
    let error = fetcher.fetch("http://example.invalid/a.jar").err().expect("redirected");
    assert!(matches!(error, InputError::Http(HttpError::Forbidden(_))), "{error}");
    assert_eq!((proxy.requests().len(), server.requests().len()), (1, 0));
    assert!(fetcher.notes().iter().all(|note| !note.contains("retrying")), "{:?}", fetcher.notes());
}

#[test]
fn a_server_that_trickles_is_given_up_unless_that_is_allowed() {
    let trickle = |_: &Request, to: &mut dyn Write| {
        head(to, "200 OK", &[("Content-Length", "12")])?;
        for _ in 0..12 {
            to.write_all(b"x")?;
            to.flush()?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    };
    let mut fetcher = Fetcher::new();
    let network = &mut fetcher.options.http.network;
    (network.read_timeout, network.retries, network.minimum_rate) = (Duration::from_millis(500), 1, 1000);
    let server = FaultServer::start(trickle);
    let error = fetcher.fetch(&server.url("/a")).err().expect("too slow");
    assert!(error.to_string().contains("slower than 1000 bytes per second"), "{error}");
    assert_eq!(server.requests().len(), 2);
    fetcher.options.http.network.minimum_rate = 0;
    assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), b"xxxxxxxxxxxx");
}

#[test]
fn a_certificate_has_to_be_trusted() {
    let server = FaultServer::start_tls(|request, to| {
        let location = format!("http://{}/x", request.header("host").expect("has one"));
        match request.line.as_str() {
            "GET /down" => answer(to, "302 Found", &[("Location", &location)], b""),
            _ => answer(to, "200 OK", &[], b"protected"),
        }
    });
    let mut fetcher = Fetcher::new();
    let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
    assert!(matches!(error, InputError::Http(HttpError::Untrusted(_))), "{error}");
    assert!(server.requests().is_empty());
    fetcher.options.http.network.extra_ca = vec!["tests/suite/fixtures/tls/ca.pem".into()];
    assert_eq!(fetcher.fetch(&server.url("/a")).expect("fetches").bytes(), b"protected");
    let error = fetcher.fetch(&server.url("/down")).err().expect("fails");
    assert!(error.to_string().contains("unencrypted http"), "{error}");
}

#[test]
fn an_unreachable_server_is_named() {
    let mut fetcher = Fetcher::new();
    fetcher.options.http.network.retries = 1;
    // No port that was free a moment ago: another test may listen there by now.
    let error = fetcher.fetch("http://127.0.0.1:1/a").err().expect("fails");
    assert!(error.to_string().contains("refused") && error.to_string().contains("tried 2 times"), "{error}");
}

#[test]
fn a_wrong_digest_is_an_error_and_nothing_is_kept() {
    let server = FaultServer::start(|_, to| answer(to, "200 OK", &[], b"bytes"));
    let fetcher = Fetcher::with(|options| options.sha256 = Some(Digest::of(b"other")));
    let error = fetcher.fetch(&server.url("/a")).err().expect("fails");
    for digest in [Digest::of(b"bytes"), Digest::of(b"other")] {
        assert!(error.to_string().contains(&digest.to_string()), "{error}");
    }
    assert!(fetcher.kept().is_empty() && fetcher.left().is_empty());
}

#[test]
fn a_run_that_is_stopped_leaves_nothing() {
    let server = FaultServer::start(|_, to| {
        head(to, "200 OK", &[("Content-Length", "1000000")])?;
        to.write_all(&body(1000)).and_then(|()| to.flush())?;
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    });
    let fetcher = Fetcher::new();
    let lease = Lease::acquire(fetcher.cache.path()).expect("acquires");
    let source = InputSource::parse(&server.url("/a")).expect("valid");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
    let events = Events::silent();
    let fetch = input::fetch(&source, &fetcher.options, &lease, std::io::empty(), &events);
    let stopped = runtime.block_on(async { tokio::time::timeout(Duration::from_millis(300), fetch).await });
    assert!(stopped.is_err(), "it was still running");
    drop(lease);
    assert!(fetcher.left().is_empty() && fetcher.kept().is_empty());
}

#[test]
fn plain_http_behind_an_https_url_is_named() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}/a", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            // As servers do that cannot read a request.
            let _ = client.read(&mut [0; 16]);
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let error = Fetcher::new().fetch(&url).err().expect("fails");
    assert!(error.to_string().contains("the server speaks plain HTTP"), "{error}");
    assert!(error.hints()[0].contains("`http://`"), "{:?}", error.hints());
}
