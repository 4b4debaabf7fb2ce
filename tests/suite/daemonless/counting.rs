//! Owns a listener before a registry that notes the requests that pass it. Bytes pass unchanged.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// The listener; it lives as long as the process.
pub(crate) struct CountingRegistry {
    /// `host:port`, for names of images.
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl CountingRegistry {
    /// Listens before the registry at this `host:port`.
    pub(crate) fn new(registry: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, registry) = (Arc::clone(&requests), registry.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (seen, registry) = (Arc::clone(&seen), registry.clone());
                std::thread::spawn(move || pass(client, &registry, &seen));
            }
        });
        Self { address, requests }
    }

    /// Takes the requests since the last call: method and path of each.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().expect("not poisoned"))
    }
}

fn pass(mut client: TcpStream, registry: &str, seen: &Mutex<Vec<String>>) {
    let mut registry = TcpStream::connect(registry).expect("the registry listens");
    let (mut answers, mut to_client) =
        (registry.try_clone().expect("cloned"), client.try_clone().expect("cloned"));
    std::thread::spawn(move || {
        drop(std::io::copy(&mut answers, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    let mut buffer = [0; 64 * 1024];
    while let Some(count) = client.read(&mut buffer).ok().filter(|count| *count > 0) {
        seen.lock().expect("not poisoned").extend(request(&buffer[..count]));
        if registry.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    drop(registry.shutdown(Shutdown::Both));
}

/// Method and path, if a request begins here: nobody sends a second one before the first is answered.
fn request(bytes: &[u8]) -> Option<String> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_suffix(" HTTP/1.1")?;
    let (method, _) = line.split_once(' ')?;
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method).then(|| line.to_owned())
}
