//! Owns what the registry answers when nothing goes wrong, and who gets which answer.

use std::collections::HashMap;
use std::net::SocketAddr;

use b2i::image::Digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::wire::{Answer, query, upload_id};
use super::{Access, Fault, Kept, Kind, Seen, Shared, missing};

pub(super) fn handle(
    shared: &Shared,
    kept: &mut Kept,
    seen: &Seen,
    body: &[u8],
    fault: &Fault,
    address: SocketAddr,
) -> Answer {
    if seen.kind == Kind::Token {
        return token(shared, kept, seen, body);
    }
    // What uploads are led to takes whoever comes with a location, as storage behind signed URLs does.
    let elsewhere = *shared.uploads_at.lock().expect("not poisoned");
    if elsewhere != Some(address)
        && let Some(refusal) = refusal(shared, kept, seen, address)
    {
        return refusal;
    }
    let path = seen.target.split('?').next().unwrap_or_default().trim_start_matches("/v2/").to_owned();
    let split = |at: &str| path.split_once(at).map(|(left, right)| (left.to_owned(), right.to_owned()));
    let (repository, reference) =
        split("/manifests/").or_else(|| split("/blobs/")).unwrap_or((path.clone(), String::new()));
    let key = (repository.clone(), reference.clone());
    match seen.kind {
        Kind::GetManifest | Kind::HeadManifest => match kept.manifests.get(&key) {
            None => Answer::error(404, "MANIFEST_UNKNOWN"),
            Some((media_type, bytes)) => {
                let mut bytes = bytes.clone();
                let mut digest = Digest::of(&bytes);
                if matches!(fault, Fault::Corrupt) {
                    digest = Digest::of(b"another");
                    bytes.push(b' ');
                }
                Answer::new(200, &bytes)
                    .with("Content-Type", media_type)
                    .with("Docker-Content-Digest", digest)
            }
        },
        Kind::PutManifest => {
            if !matches!(fault, Fault::Careless)
                && let Some(digest) = missing(kept, &repository, body)
            {
                return Answer::error(404, "MANIFEST_BLOB_UNKNOWN").with("X-Missing", digest);
            }
            let digest = Digest::of(body);
            if !matches!(fault, Fault::Lose) {
                let media_type: serde_json::Value = serde_json::from_slice(body).expect("JSON");
                let media_type = media_type["mediaType"].as_str().unwrap_or_default().to_owned();
                for reference in [reference, digest.to_string()] {
                    kept.manifests
                        .insert((repository.clone(), reference), (media_type.clone(), body.to_vec()));
                }
            }
            let stated = if matches!(fault, Fault::Corrupt) { Digest::of(b"another") } else { digest };
            Answer::new(201, b"").with("Docker-Content-Digest", stated)
        }
        Kind::GetBlob | Kind::HeadBlob => match kept.blobs.get(&key) {
            None => Answer::error(404, "BLOB_UNKNOWN"),
            Some(bytes) => blob(bytes, seen, fault),
        },
        Kind::Mount => {
            let digest = query(&seen.target, "mount").remove(0);
            let from = (query(&seen.target, "from").remove(0), digest.clone());
            let repository = repository.trim_end_matches("/blobs/uploads/").to_owned();
            match kept.blobs.get(&from).cloned() {
                Some(bytes) => {
                    if !matches!(fault, Fault::Lose) {
                        kept.blobs.insert((repository, digest), bytes);
                    }
                    Answer::new(201, b"")
                }
                None => begin(shared, kept, &repository, address),
            }
        }
        Kind::Begin => begin(shared, kept, &repository, address),
        Kind::Patch | Kind::Put | Kind::Status => upload(kept, seen, &repository, body, fault),
        Kind::Other if path.is_empty() => Answer::new(200, b"{}"),
        Kind::Token | Kind::Other => Answer::error(404, "NAME_UNKNOWN"),
    }
}

fn blob(bytes: &[u8], seen: &Seen, fault: &Fault) -> Answer {
    let mut bytes = bytes.to_vec();
    if matches!(fault, Fault::Corrupt)
        && let Some(last) = bytes.last_mut()
    {
        *last ^= 1;
    }
    let range = seen.range.as_deref().and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-'));
    match range.and_then(|start| start.parse::<usize>().ok()) {
        Some(start) if start < bytes.len() => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            Answer::new(206, &bytes[start..]).with("Content-Range", range)
        }
        _ => Answer::new(200, &bytes),
    }
}

fn begin(shared: &Shared, kept: &mut Kept, repository: &str, address: SocketAddr) -> Answer {
    // A number of its own: two uploads that are begun at once must not be taken for one.
    let id = format!("upload-{}", kept.begun);
    kept.begun += 1;
    kept.uploads.insert(id.clone(), Vec::new());
    let at = shared.uploads_at.lock().expect("not poisoned").unwrap_or(address);
    Answer::new(202, b"")
        .with("Location", format!("http://{at}/v2/{repository}/blobs/uploads/{id}?_state=s%2Fs"))
}

fn upload(kept: &mut Kept, seen: &Seen, repository: &str, body: &[u8], fault: &Fault) -> Answer {
    let id = upload_id(&seen.target).unwrap_or_default();
    let location = seen.target.split("&digest").next().unwrap_or_default().to_owned();
    let Some(bytes) = kept.uploads.get_mut(&id) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
    if let Some(range) = &seen.content_range {
        let start = range.split('-').next().and_then(|start| start.parse().ok());
        if start != Some(bytes.len()) {
            return Answer::error(416, "RANGE_INVALID");
        }
    }
    bytes.extend_from_slice(body);
    let range = format!("0-{}", bytes.len().saturating_sub(1));
    match seen.kind {
        Kind::Patch => Answer::new(202, b"").with("Location", location).with("Range", range),
        Kind::Status => Answer::new(204, b"").with("Location", location).with("Range", range),
        _ => {
            let bytes = kept.uploads.remove(&id).unwrap_or_default();
            let digest = query(&seen.target, "digest").remove(0);
            if Digest::of(&bytes).to_string() != digest {
                return Answer::error(400, "DIGEST_INVALID");
            }
            let stated = if matches!(fault, Fault::Corrupt) {
                Digest::of(b"another").to_string()
            } else {
                digest.clone()
            };
            if !matches!(fault, Fault::Lose) {
                let repository = repository.split("/blobs/").next().unwrap_or_default().to_owned();
                kept.blobs.insert((repository, digest), bytes);
            }
            Answer::new(201, b"").with("Docker-Content-Digest", stated)
        }
    }
}

/// The answer to who may not do this.
fn refusal(shared: &Shared, kept: &mut Kept, seen: &Seen, address: SocketAddr) -> Option<Answer> {
    let challenge = |text: String| Some(Answer::error(401, "UNAUTHORIZED").with("WWW-Authenticate", text));
    let bearer = || format!(r#"Bearer realm="http://{address}/token",service="fake""#);
    match &shared.access {
        Access::Open => None,
        Access::Nobody => challenge(bearer()),
        Access::Basic(password) => {
            let expected = format!("Basic {}", STANDARD.encode(password));
            if seen.authorization.as_deref() == Some(&expected) {
                None
            } else {
                challenge("Basic realm=\"fake\"".into())
            }
        }
        Access::Token { .. } => {
            let path = seen.target.trim_start_matches("/v2/");
            let repository = path.split("/manifests/").next().unwrap_or_default();
            let repository = repository.split("/blobs/").next().unwrap_or_default().to_owned();
            let reads = matches!(seen.method.as_str(), "GET" | "HEAD") && seen.kind != Kind::Status;
            let mut needed =
                vec![format!("repository:{repository}:{}", if reads { "pull" } else { "pull,push" })];
            // The entry is for whoever has a token.
            needed.retain(|_| !path.is_empty());
            needed.extend(query(&seen.target, "from").iter().map(|from| format!("repository:{from}:pull")));
            let token = seen.authorization.as_deref().and_then(|text| text.strip_prefix("Bearer "));
            let covers = |scopes: &[String], scope: &String| {
                scopes.iter().any(|known| known == scope || *known == scope.replace(":pull", ":pull,push"))
            };
            match token.and_then(|token| kept.tokens.get_mut(token)) {
                Some((scopes, uses)) if *uses > 0 && needed.iter().all(|scope| covers(scopes, scope)) => {
                    *uses -= 1;
                    None
                }
                _ => challenge(bearer()),
            }
        }
    }
}

fn token(shared: &Shared, kept: &mut Kept, seen: &Seen, body: &[u8]) -> Answer {
    let given =
        |token: &str| Answer::new(200, format!(r#"{{"token":"{token}","expires_in":300}}"#).as_bytes());
    let Access::Token { password, identity, uses, closed } = &shared.access else {
        return given("worthless");
    };
    let form: HashMap<String, String> = url::form_urlencoded::parse(body).into_owned().collect();
    let mut scopes = query(&seen.target, "scope");
    scopes.extend(form.get("scope").into_iter().flat_map(|text| text.split(' ')).map(str::to_owned));
    let basic = password.map(|password| format!("Basic {}", STANDARD.encode(password)));
    let known = match identity {
        Some(identity) => form.get("refresh_token").map(String::as_str) == Some(*identity),
        None => basic.is_none() || seen.authorization == basic,
    };
    let is_closed =
        closed.as_ref().is_some_and(|closed| scopes.iter().any(|scope| scope.contains(closed.as_str())));
    if !known || is_closed {
        return Answer::error(401, "UNAUTHORIZED");
    }
    let token = format!("token-{}", kept.tokens.len());
    kept.tokens.insert(token.clone(), (scopes, *uses));
    given(&token)
}
