//! A small HTTP server that misbehaves exactly as told.
//!
//! It speaks raw HTTP/1.1, one request a connection, so that a test can send any bytes and cut them anywhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// How many requests came before it.
    pub(crate) index: usize,
    /// Method and target.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
}

impl Request {
    /// The value of the header `name` (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first byte that `Range` asks for.
    pub(crate) fn range_start(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Answers a request by writing to the connection, which is closed afterwards.
pub(crate) type Handler = dyn Fn(&Request, &mut dyn Write) -> std::io::Result<()> + Send + Sync;

/// A running server. Stops when it is dropped.
pub(crate) struct FaultServer {
    address: SocketAddr,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FaultServer {
    /// Starts a server that answers with `handler`.
    pub(crate) fn start(
        handler: impl Fn(&Request, &mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(None, Arc::new(handler))
    }

    /// Starts a server behind TLS with the certificate in `fixtures/tls`.
    pub(crate) fn start_tls(
        handler: impl Fn(&Request, &mut dyn Write) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let certificate = CertificateDer::from_pem_slice(include_bytes!("fixtures/tls/server.pem"));
        let key = PrivateKeyDer::from_pem_slice(include_bytes!("fixtures/tls/server.key"));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports them")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("valid")], key.expect("valid"))
            .expect("they fit");
        Self::start_with(Some(Arc::new(config)), Arc::new(handler))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>, handler: Arc<Handler>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("is bound");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let (handler, seen, tls) = (Arc::clone(&handler), Arc::clone(&seen), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &seen, &*handler),
                    Some(config) => {
                        let connection =
                            ServerConnection::new(config).expect("the configuration is complete");
                        serve(StreamOwned::new(connection, stream), &seen, &*handler);
                    }
                });
            }
        });
        Self { address, scheme, requests, stop, thread: Some(thread) }
    }

    /// The URL of `path` (with its leading `/`) on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(mut stream: impl Read + Write, seen: &Mutex<Vec<Request>>, handler: &Handler) {
    let Some((line, headers)) = read_head(&mut stream) else { return };
    let request = {
        let mut seen = seen.lock().expect("not poisoned");
        let request = Request { index: seen.len(), line, headers };
        seen.push(request.clone());
        request
    };
    // The client may go away first; that is its business.
    drop(handler(&request, &mut stream).and_then(|()| stream.flush()));
}

fn read_head(stream: &mut impl Read) -> Option<(String, Vec<(String, String)>)> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 64 * 1024 {
            return None;
        }
        head.push(byte[0]);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.lines();
    let line = lines.next()?.strip_suffix(" HTTP/1.1")?.to_owned();
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Some((line, headers))
}

/// Writes the head of an answer.
pub(crate) fn head(to: &mut dyn Write, status: &str, headers: &[(&str, &str)]) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    to.write_all(format!("{text}\r\n").as_bytes())
}

/// Writes a complete answer.
pub(crate) fn answer(
    to: &mut dyn Write,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    let length = body.len().to_string();
    let mut all = vec![("Content-Length", length.as_str())];
    all.extend(headers);
    head(to, status, &all)?;
    to.write_all(body)
}

/// Answers as a good server does that knows parts, but sends at most `most` bytes of the body.
pub(crate) fn serve_part(
    request: &Request,
    to: &mut dyn Write,
    etag: &str,
    body: &[u8],
    most: usize,
) -> std::io::Result<()> {
    let matches = request.header("if-range").is_none_or(|value| value == etag);
    let start = request.range_start().filter(|start| matches && *start < body.len());
    let part = &body[start.unwrap_or(0)..];
    let (length, total) = (part.len().to_string(), body.len());
    match start {
        Some(start) => {
            let range = format!("bytes {start}-{}/{total}", total - 1);
            let headers =
                [("Content-Length", length.as_str()), ("ETag", etag), ("Content-Range", range.as_str())];
            head(to, "206 Partial Content", &headers)?;
        }
        None => head(to, "200 OK", &[("Content-Length", length.as_str()), ("ETag", etag)])?,
    }
    to.write_all(&part[..part.len().min(most)])
}
