//! Owns the bytes on the wire: requests as they come, answers as they go.

use std::io::{BufRead, Read, Write};
use std::net::SocketAddr;

use super::{Kind, Seen};

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec() }
    }

    pub(super) fn error(status: u16, code: &str) -> Self {
        let text = format!(r#"{{"errors":[{{"code":"{code}","message":"as the test wanted"}}]}}"#);
        Self::new(status, text.as_bytes())
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn write(&self, to: &mut impl Write, seen: &Seen, most: Option<usize>) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {} As Told\r\nContent-Length: {}\r\n", self.status, self.body.len());
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        to.write_all(format!("{head}\r\n").as_bytes())?;
        if seen.method != "HEAD" {
            to.write_all(&self.body[..self.body.len().min(most.unwrap_or(usize::MAX))])?;
        }
        to.flush()
    }
}

pub(super) fn read_head(reader: &mut impl BufRead, address: SocketAddr) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut words = lines.first()?.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |name: &str| {
        let pairs = lines[1..].iter().filter_map(|line| line.split_once(':'));
        let found = pairs.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    Some(Seen {
        kind: kind(&method, &target),
        nth: 0,
        authorization: header("authorization"),
        port: address.port(),
        body: String::new(),
        range: header("range"),
        content_range: header("content-range"),
        length: header("content-length").and_then(|text| text.parse().ok()),
        is_chunked: header("transfer-encoding").is_some(),
        method,
        target,
    })
}

fn kind(method: &str, target: &str) -> Kind {
    let is_upload = target.contains("/blobs/uploads/");
    match method {
        _ if target.starts_with("/token") => Kind::Token,
        "GET" if is_upload => Kind::Status,
        "POST" if is_upload && target.contains("mount=") => Kind::Mount,
        "POST" if is_upload => Kind::Begin,
        "PATCH" if is_upload => Kind::Patch,
        "PUT" if is_upload => Kind::Put,
        "GET" if target.contains("/manifests/") => Kind::GetManifest,
        "HEAD" if target.contains("/manifests/") => Kind::HeadManifest,
        "PUT" if target.contains("/manifests/") => Kind::PutManifest,
        "GET" if target.contains("/blobs/") => Kind::GetBlob,
        "HEAD" if target.contains("/blobs/") => Kind::HeadBlob,
        _ => Kind::Other,
    }
}

/// Reads at most `most` bytes of the body; nothing if the client went away.
pub(super) fn read_body(reader: &mut impl BufRead, seen: &Seen, most: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = seen.length {
        reader.take(length.min(most) as u64).read_to_end(&mut body).ok()?;
        return (body.len() == length.min(most)).then_some(body);
    }
    while seen.is_chunked && body.len() < most {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let before = body.len();
        reader.take(length as u64).read_to_end(&mut body).ok()?;
        let mut end = String::new();
        reader.read_line(&mut end).ok()?;
        if body.len() - before < length {
            return None;
        }
        if length == 0 {
            break;
        }
    }
    body.truncate(most);
    Some(body)
}

pub(super) fn upload_id(target: &str) -> Option<String> {
    let rest = target.split_once("/blobs/uploads/")?.1;
    Some(rest.split('?').next()?.to_owned()).filter(|id| !id.is_empty())
}

pub(super) fn query(target: &str, name: &str) -> Vec<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.filter(|(known, _)| known == name).map(|(_, value)| value.into_owned()).collect()
}
