//! Owns the way of git to public addresses: a proxy on the loopback that checks each address after its resolution.
//!
//! git follows redirects and fetches submodules itself, and all of that passes here. Must not see what is sent: the
//! proxy supports only CONNECT, so git uses TLS with the server itself.
//!
//! Source: RFC 9110, section 9.3.6.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::network::check_public;

/// Longest request that is read, in bytes.
const MAXIMUM_REQUEST: u64 = 16 << 10;

/// The proxy. It ends when this is dropped.
pub(super) struct Gate {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Gate {
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Err(error) = pass(client).await {
                        tracing::debug!(%error, "a connection of git ended");
                    }
                });
            }
        });
        Ok(Self { address, task })
    }

    /// Its URL, for git's `http.proxy`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream) -> io::Result<()> {
    let mut client = BufReader::new(client);
    let mut head = (&mut client).take(MAXIMUM_REQUEST);
    let mut request = String::new();
    head.read_line(&mut request).await?;
    let mut line = String::new();
    while head.read_line(&mut line).await? > 2 {
        line.clear();
    }
    let target = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(target) = target else {
        return answer(&mut client, "405 Method Not Allowed").await;
    };
    let mut server = match connect(target).await {
        Ok(server) => server,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return answer(&mut client, &format!("403 {error}")).await;
        }
        Err(_) => return answer(&mut client, "502 Bad Gateway").await,
    };
    answer(&mut client, "200 OK").await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn answer(client: &mut BufReader<TcpStream>, status: &str) -> io::Result<()> {
    client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await
}

/// Connects to `host:port`. All addresses of the host have to be public.
async fn connect(target: &str) -> io::Result<TcpStream> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(target).await?.collect();
    for address in &found {
        let checked = check_public(target, address.ip());
        checked.map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error))?;
    }
    TcpStream::connect(found.as_slice()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(request: &str) -> String {
        let gate = Gate::open().await.expect("listens");
        let mut client = TcpStream::connect(gate.address).await.expect("connects");
        client.write_all(request.as_bytes()).await.expect("sends");
        let mut status = String::new();
        BufReader::new(client).read_line(&mut status).await.expect("answers");
        status
    }

    #[tokio::test]
    async fn private_addresses_and_other_methods_are_refused() {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.expect("listens");
        let port = server.local_addr().expect("is bound").port();
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let status = ask(&format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
            assert!(status.starts_with("HTTP/1.1 403 ") && status.contains("not public"), "{host}: {status}");
        }
        let status = ask(&format!("GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n")).await;
        assert!(status.starts_with("HTTP/1.1 405 "), "{status}");
    }
}
