//! A small real program to package: greets on standard output, or by HTTP with `--port NUMBER`.
//!
//! Uses only the standard library, so that `rustc` makes one static executable from it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut names = Vec::new();
    let mut port = None;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--port" => port = arguments.next().and_then(|number| number.parse().ok()),
            _ => names.push(argument),
        }
    }
    let greeting = greeting(&names);
    match port {
        Some(port) => serve(port, &greeting),
        None => print!("{greeting}"),
    }
}

fn greeting(names: &[String]) -> String {
    let names = if names.is_empty() { "world".to_owned() } else { names.join(" and ") };
    format!("Hello, {names}! I am process {}.\n", std::process::id())
}

fn serve(port: u16, greeting: &str) {
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("the port can be listened on");
    println!("listening on port {port}");
    for connection in listener.incoming().flatten() {
        // A client may close the connection early; that is not an error of the server.
        let _ = answer(connection, greeting);
    }
}

fn answer(mut connection: TcpStream, greeting: &str) -> std::io::Result<()> {
    let request = BufReader::new(connection.try_clone()?);
    for line in request.lines() {
        if line?.is_empty() {
            break;
        }
    }
    let length = greeting.len();
    write!(connection, "HTTP/1.0 200 OK\r\nContent-Length: {length}\r\n\r\n{greeting}")
}
