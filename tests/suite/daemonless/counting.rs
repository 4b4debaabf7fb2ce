//! Owns a listener before a registry that notes the requests that pass it. Bytes pass unchanged.

use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::request_log::pass_requests;

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
    pass_requests(&mut client, &mut registry, |method, target| {
        seen.lock().expect("not poisoned").push(format!("{method} {target}"));
    });
    drop(registry.shutdown(Shutdown::Both));
}
