//! A registry that keeps what it gets, counts what it is asked, and misbehaves exactly as told.
//!
//! It speaks raw HTTP/1.1, so that a connection can be cut anywhere. A manifest is taken only if everything that it
//! names is there, as distribution does.

mod answers;
mod wire;

use std::collections::HashMap;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use answers::handle;
use b2i::image::Digest;
use wire::{Answer, read_body, read_head, upload_id};

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    GetManifest,
    HeadManifest,
    PutManifest,
    GetBlob,
    HeadBlob,
    Mount,
    Begin,
    Patch,
    Put,
    Status,
    Token,
    Other,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) kind: Kind,
    /// How many requests of this kind came before it.
    pub(crate) nth: usize,
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    /// Port of the server that got it.
    pub(crate) port: u16,
    pub(crate) body: String,
    range: Option<String>,
    content_range: Option<String>,
    length: Option<usize>,
    is_chunked: bool,
}

impl Seen {
    /// How many bytes follow, if the request says so.
    pub(crate) fn body_length(&self) -> Option<usize> {
        self.length
    }
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection is closed before the body is read.
    Cut,
    /// It is closed after this many bytes of the body, which an upload keeps.
    CutAfter(usize),
    /// Everything is done, and the connection closed without an answer.
    CutAnswer,
    /// This answer, and nothing done.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// This answer at once, without reading the body.
    Refuse(u16),
    /// Only so much of the answer's body, then the connection is closed.
    Truncate(usize),
    /// No word for this long, and then nothing.
    Silence(Duration),
    /// A good head, and a body without end.
    Endless,
    /// A good answer, and nothing kept.
    Lose,
    /// A manifest is taken, whatever is missing of what it names.
    Careless,
    /// The answer's body is another, or the digest in its head.
    Corrupt,
    /// All is well, but the request is read and the answer comes in pieces, with this pause before each.
    Slow(Duration),
}

/// Who may do what.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// Everybody.
    Open,
    /// Who has this password (`user:password`).
    Basic(&'static str),
    /// Who has a token, which is good for so many requests; given to who has this password or this identity token,
    /// or to everybody. Without a right to the repositories named last, none is given.
    Token {
        password: Option<&'static str>,
        identity: Option<&'static str>,
        uses: usize,
        closed: Option<String>,
    },
    /// Nobody, ever.
    Nobody,
}

type Hook = Box<dyn Fn(&Seen) -> Fault + Send + Sync>;

struct Shared {
    kept: Mutex<Kept>,
    access: Access,
    hook: Hook,
    /// Where uploads are led to, if elsewhere.
    uploads_at: Mutex<Option<SocketAddr>>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Kept {
    /// By repository and digest.
    blobs: HashMap<(String, String), Vec<u8>>,
    /// By repository and reference: media type and bytes.
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<String, Vec<u8>>,
    /// How many uploads were begun.
    begun: usize,
    /// Scopes, and how often they may still be used.
    tokens: HashMap<String, (Vec<String>, usize)>,
    log: Vec<Seen>,
}

/// A running registry. Stops when it is dropped.
pub(crate) struct FakeRegistry {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl FakeRegistry {
    /// One that lets everybody in and does what it should.
    pub(crate) fn open() -> Self {
        Self::start(Access::Open, |_| Fault::None)
    }

    /// One that fails as `hook` says.
    pub(crate) fn start(access: Access, hook: impl Fn(&Seen) -> Fault + Send + Sync + 'static) -> Self {
        Self::serve(Arc::new(Shared {
            kept: Mutex::default(),
            access,
            hook: Box::new(hook),
            uploads_at: Mutex::default(),
            stop: AtomicBool::new(false),
        }))
    }

    /// Another address of the same registry, to which its uploads are led.
    pub(crate) fn uploads_elsewhere(&self) -> Self {
        let other = Self::serve(self.shared.clone());
        *self.shared.uploads_at.lock().expect("not poisoned") = Some(other.address);
        other
    }

    fn serve(shared: Arc<Shared>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("is bound");
        let serving = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if serving.stop.load(Ordering::Relaxed) {
                    break;
                }
                let serving = serving.clone();
                std::thread::spawn(move || connection(&stream, &serving, address));
            }
        });
        Self { address, shared }
    }

    /// `host:port`.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests so far.
    pub(crate) fn log(&self) -> Vec<Seen> {
        self.kept().log.clone()
    }

    /// The kinds of the requests so far, in order.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        self.log().iter().map(|seen| seen.kind).collect()
    }

    pub(crate) fn forget_log(&self) {
        self.kept().log.clear();
    }

    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.kinds().iter().filter(|seen| **seen == kind).count()
    }

    /// What a reference means, if anything.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        self.kept()
            .manifests
            .get(&(repository.to_owned(), reference.to_owned()))
            .map(|(_, bytes)| bytes.clone())
    }

    pub(crate) fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let digest = Digest::of(bytes).to_string();
        self.kept().blobs.insert((repository.to_owned(), digest), bytes.to_vec());
    }

    /// Puts a manifest there, by tag and digest, whatever is in it.
    pub(crate) fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        for reference in [tag.to_owned(), Digest::of(bytes).to_string()] {
            let entry = (media_type.to_owned(), bytes.to_vec());
            self.kept().manifests.insert((repository.to_owned(), reference), entry);
        }
    }

    pub(crate) fn has_blob(&self, repository: &str, digest: &Digest) -> bool {
        self.kept().blobs.contains_key(&(repository.to_owned(), digest.to_string()))
    }

    /// Checks that every blob is what its digest says, and every manifest's blobs are there.
    pub(crate) fn assert_sound(&self) {
        let kept = self.kept();
        for ((repository, digest), bytes) in &kept.blobs {
            assert_eq!(&Digest::of(bytes).to_string(), digest, "a blob of {repository}");
        }
        for ((repository, reference), (_, bytes)) in &kept.manifests {
            assert_eq!(missing(&kept, repository, bytes), None, "{repository}:{reference}");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().expect("not poisoned")
    }
}

/// Writes a fourth of what is left at a time, with a pause before.
struct Pausing<'a> {
    stream: &'a TcpStream,
    pause: Duration,
}

impl Write for Pausing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        std::thread::sleep(self.pause);
        let piece = bytes.len().div_ceil(4).max(bytes.len().min(64));
        self.stream.write(&bytes[..piece])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

impl Drop for FakeRegistry {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

/// The first thing that a manifest names and that is not there.
fn missing(kept: &Kept, repository: &str, manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("a manifest is JSON");
    let empty = Vec::new();
    let list = |name: &str| manifest[name].as_array().unwrap_or(&empty).clone();
    let blobs = list("layers").into_iter().chain(manifest.get("config").cloned());
    let digest = |value: &serde_json::Value| value["digest"].as_str().unwrap_or_default().to_owned();
    let key = |digest: &String| (repository.to_owned(), digest.clone());
    let blob = blobs.map(|blob| digest(&blob)).find(|digest| !kept.blobs.contains_key(&key(digest)));
    let images = list("manifests");
    blob.or_else(|| images.iter().map(digest).find(|digest| !kept.manifests.contains_key(&key(digest))))
}

fn connection(stream: &TcpStream, shared: &Shared, address: SocketAddr) {
    let mut reader = BufReader::new(stream);
    while let Some(mut seen) = read_head(&mut reader, address) {
        {
            let mut kept = shared.kept.lock().expect("not poisoned");
            seen.nth = kept.log.iter().filter(|other| other.kind == seen.kind).count();
            kept.log.push(seen.clone());
        }
        let fault = (shared.hook)(&seen);
        let (most, answered) = match &fault {
            Fault::Cut => return,
            Fault::Silence(length) => {
                std::thread::sleep(*length);
                return;
            }
            Fault::Refuse(status) => {
                let answer = Answer::new(*status, b"");
                drop(answer.write(&mut &*stream, &seen, None));
                return;
            }
            Fault::CutAfter(most) => (*most, false),
            _ => (usize::MAX, true),
        };
        if let Fault::Slow(pause) = fault {
            // What the client sends meanwhile fills the buffers between, and then it waits.
            std::thread::sleep(pause);
        }
        let Some(body) = read_body(&mut reader, &seen, most) else {
            return;
        };
        let mut kept = shared.kept.lock().expect("not poisoned");
        if seen.kind == Kind::Token {
            // Requests of other connections may have come meanwhile, so this one need not be the last.
            let own = kept.log.iter_mut().find(|other| other.kind == seen.kind && other.nth == seen.nth);
            if let Some(own) = own {
                own.body = String::from_utf8_lossy(&body).into_owned();
            }
        }
        if !answered {
            let upload = upload_id(&seen.target).and_then(|id| kept.uploads.get_mut(&id));
            if let (Kind::Patch | Kind::Put, Some(upload)) = (seen.kind, upload) {
                upload.extend_from_slice(&body);
            }
            return;
        }
        if matches!(fault, Fault::Endless) {
            drop(kept);
            let mut to = stream;
            let _ = to.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
            while to.write_all(&[b' '; 4096]).is_ok() {}
            return;
        }
        let answer = match &fault {
            Fault::Answer(status, headers, text) => {
                let mut answer = Answer::new(*status, text.as_bytes());
                answer
                    .headers
                    .extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
                answer
            }
            _ => handle(shared, &mut kept, &seen, &body, &fault, address),
        };
        drop(kept);
        let most = if let Fault::Truncate(most) = fault { Some(most) } else { None };
        let written = match fault {
            Fault::CutAnswer => return,
            Fault::Slow(pause) => answer.write(&mut Pausing { stream, pause }, &seen, None),
            _ => answer.write(&mut &*stream, &seen, most),
        };
        if written.is_err() || most.is_some() {
            return;
        }
    }
}
