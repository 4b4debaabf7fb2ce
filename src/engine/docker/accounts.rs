//! Owns taking back what Podman writes into `/etc/passwd` and `/etc/group` of every container that it starts: a line
//! for the container's user and group, where the image has none, in a file that it makes if need be. A commit would keep
//! it, and Docker leaves none.
//!
//! Must not touch any other line: what a script adds stays.
//!
//! Source: Podman 4.3, `libpod/container_internal_linux.go`, `generateUserPasswdEntry` and `generateGroupEntry`.

use std::collections::HashSet;
use std::io::Read;

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::container::DockerContainer;
use crate::image::ImagePath;
use crate::store::daemon::DaemonError;

/// The files, and what stands in the second field of a line of Podman's.
const FILES: [(&str, &str); 2] = [("passwd", "*"), ("group", "x")];

/// Larger ones are left as they are, in bytes.
const LARGEST: usize = 1 << 20;

/// The files as they were before the container was started.
pub(super) struct Accounts([Account; 2]);

enum Account {
    Absent,
    Regular(Box<File>),
    /// A link, or too large.
    Other,
}

struct File {
    header: tar::Header,
    bytes: Vec<u8>,
}

impl DockerContainer {
    /// Reads the files before the container is started.
    pub(super) async fn accounts(&self) -> Result<Accounts, DaemonError> {
        let [(passwd, _), (group, _)] = FILES;
        Ok(Accounts([self.account(passwd).await?, self.account(group).await?]))
    }

    /// Takes Podman's lines out again, now that the container has ended.
    ///
    /// A file that has only these is left empty; `mount_points` leaves it out of the layer.
    pub(super) async fn restore_accounts(&self, before: Accounts) -> Result<(), DaemonError> {
        for ((name, mark), before) in FILES.iter().zip(before.0) {
            let before = match before {
                Account::Absent => None,
                Account::Regular(file) => Some(file),
                Account::Other => continue,
            };
            let Account::Regular(after) = self.account(name).await? else { continue };
            let known = before.as_ref().map_or(&[][..], |file| &file.bytes);
            let bytes = without_added(known, &after.bytes, mark);
            if bytes == after.bytes {
                continue;
            }
            tracing::debug!(file = name, "took Podman's own line out again");
            let header = match before {
                Some(before) if bytes == before.bytes => before.header,
                _ => after.header,
            };
            let directory = ImagePath::new("/etc").expect("absolute and normal");
            let tar = stream::once(async move { Ok(Bytes::from(archive(header, name, &bytes)?)) });
            self.upload_tar(&directory, tar.boxed()).await?;
        }
        Ok(())
    }

    /// Reads one of the files.
    async fn account(&self, name: &str) -> Result<Account, DaemonError> {
        let path = ImagePath::new(&format!("/etc/{name}")).expect("absolute and normal");
        // Podman sends the file behind a link, and an upload would put a file in the link's place.
        if self.is_link(&path).await? {
            return Ok(Account::Other);
        }
        let options = DownloadFromContainerOptionsBuilder::default().path(path.as_str()).build();
        let mut pieces = Box::pin(self.daemon().client().download_from_container(self.id(), Some(options)));
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => {
                    return Ok(Account::Absent);
                }
                Err(error) => return Err(self.error(&format!("read `{path}` in"), &error)),
            }
            if bytes.len() > LARGEST {
                return Ok(Account::Other);
            }
        }
        Ok(regular_file(&bytes).map_or(Account::Other, |file| Account::Regular(Box::new(file))))
    }
}

/// The one file of an archive, if it is a regular one.
fn regular_file(archive: &[u8]) -> Option<File> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let header = entry.header().clone();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).ok()?;
    header.entry_type().is_file().then_some(File { header, bytes })
}

/// An archive of one file with the mode and time of `header`.
///
/// The owner is root, as in every usual image: Podman does not tell, its answer names the container's user for every
/// file.
fn archive(mut header: tar::Header, name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, bytes)?;
    builder.into_inner()
}

/// `after` without the lines that are new and begin as Podman's do: a number, `mark`, and the same number again.
fn without_added(before: &[u8], after: &[u8], mark: &str) -> Vec<u8> {
    let known: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let is_podmans = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, second, number) = (fields.next(), fields.next(), fields.next());
        name == number
            && second == Some(mark.as_bytes())
            && name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_digit))
    };
    let lines = after.split_inclusive(|byte| *byte == b'\n');
    let mut kept: Vec<u8> = lines
        .filter(|line| {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            known.contains(line) || !is_podmans(line)
        })
        .flatten()
        .copied()
        .collect();
    // Podman ends a last line that had no end before it adds its own.
    if kept.strip_suffix(b"\n") == Some(before) && kept.len() < after.len() {
        kept.pop();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_podman_added_go() {
        let of = |before: &str, after: &str| {
            let kept = without_added(before.as_bytes(), after.as_bytes(), "*");
            String::from_utf8(kept).expect("UTF-8")
        };
        let root = "root:x:0:0:root:/root:/bin/sh\n";
        let podmans = "1001:*:1001:0:container user:/:/bin/sh\n";
        let own = "default:x:1001:0::/opt/app-root:/sbin/nologin\n";
        assert_eq!(of(root, &format!("{root}{podmans}")), root);
        assert_eq!(
            of(root, &format!("{root}{podmans}{own}")),
            format!("{root}{own}"),
            "what a script adds stays"
        );
        let both = format!("{root}{podmans}");
        assert_eq!(of(&both, &both), both, "the image had it");
        assert_eq!(of(root.trim_end(), &both), root.trim_end());
        assert_eq!(of(root, "1001:x:1001:0:::\n7:*:8:0:::\n"), "1001:x:1001:0:::\n7:*:8:0:::\n");
        assert_eq!(of("", ""), "");
    }

    #[test]
    fn a_file_goes_back_with_its_mode_and_time_and_as_roots() {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o640);
        header.set_uid(7);
        header.set_mtime(12);
        let bytes = archive(header, "passwd", b"root").expect("writes");
        let file = regular_file(&bytes).expect("a file");
        assert_eq!((file.bytes.as_slice(), file.header.mode().expect("valid")), (&b"root"[..], 0o640));
        assert_eq!((file.header.uid().expect("valid"), file.header.mtime().expect("valid")), (0, 12));
        assert!(regular_file(b"no archive").is_none());
    }
}
