//! Owns noting the HTTP requests that pass on their way to a registry or a daemon. Bytes pass unchanged; what is a
//! connection, and which of a request is told, is for the listener to know.

use std::io::{Read, Write};

/// Passes on what a client sends until it ends; `note` gets method and target of each request.
pub(crate) fn pass_requests(mut client: impl Read, mut server: impl Write, note: impl Fn(&str, &str)) {
    let mut buffer = [0; 64 * 1024];
    while let Some(count) = client.read(&mut buffer).ok().filter(|count| *count > 0) {
        if let Some((method, target)) = request(&buffer[..count]) {
            note(method, target);
        }
        if server.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
}

/// Method and target, if a request begins here: nobody sends a second one before the first is answered.
fn request(bytes: &[u8]) -> Option<(&str, &str)> {
    let line = bytes.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_suffix(" HTTP/1.1")?;
    let (method, target) = line.split_once(' ')?;
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].contains(&method).then_some((method, target))
}
