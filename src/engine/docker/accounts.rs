//! Owns removing the lines that Podman adds to `/etc/passwd` and `/etc/group` when it starts a container whose user
//! is not listed. A commit would include them. Must not touch other lines, such as those of a script.
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

/// The files, with the second field of Podman's lines.
const FILES: [(&str, &str); 2] = [("passwd", "*"), ("group", "x")];

/// Larger files stay unchanged; in bytes.
const LARGEST: usize = 1 << 20;

pub(super) struct Accounts([Account; 2]);

enum Account {
    Absent,
    Regular(Box<File>),
    /// A link, or a file that is too large.
    Other,
}

struct File {
    header: tar::Header,
    bytes: Vec<u8>,
}

impl DockerContainer {
    pub(super) async fn accounts(&self) -> Result<Accounts, DaemonError> {
        let [(passwd, _), (group, _)] = FILES;
        Ok(Accounts([self.account(passwd).await?, self.account(group).await?]))
    }

    /// Removes Podman's lines after the container has ended. `mount_points` leaves an empty file out of the layer.
    pub(super) async fn restore_accounts(&self, before: Accounts) -> Result<(), DaemonError> {
        for ((name, mark), before) in FILES.iter().zip(before.0) {
            let before = match before {
                Account::Absent => None,
                Account::Regular(file) => Some(file),
                Account::Other => continue,
            };
            let Account::Regular(after) = self.account(name).await? else { continue };
            let old_lines = before.as_ref().map_or(&[][..], |file| &file.bytes);
            let bytes = without_added(old_lines, &after.bytes, mark);
            if bytes == after.bytes {
                continue;
            }
            tracing::debug!(file = name, "removed Podman's own line");
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

    async fn account(&self, name: &str) -> Result<Account, DaemonError> {
        let path = ImagePath::new(&format!("/etc/{name}")).expect("absolute and normal");
        // Podman sends the target of a link, and an upload would replace the link.
        if self.is_link(&path).await? {
            return Ok(Account::Other);
        }
        let options = DownloadFromContainerOptionsBuilder::default().path(path.as_str()).build();
        let mut pieces = Box::pin(self.daemon.client().download_from_container(&self.id, Some(options)));
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

fn regular_file(archive: &[u8]) -> Option<File> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let header = entry.header().clone();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).ok()?;
    header.entry_type().is_file().then_some(File { header, bytes })
}

/// Makes an archive of one file with the mode and time of `header`. Its owner is root, because Podman reports
/// the container's user instead of the real owner.
fn archive(mut header: tar::Header, name: &str, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(bytes.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, bytes)?;
    builder.into_inner()
}

/// `after` without new lines in Podman's form: a number, `mark`, and the same number.
fn without_added(before: &[u8], after: &[u8], mark: &str) -> Vec<u8> {
    let old_lines: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
    let is_podmans = |line: &[u8]| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, second, number) = (fields.next(), fields.next(), fields.next());
        name == number
            && second == Some(mark.as_bytes())
            && name.is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_digit))
    };
    let lines = after.split_inclusive(|byte| *byte == b'\n');
    let mut rest: Vec<u8> = lines
        .filter(|line| {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            old_lines.contains(line) || !is_podmans(line)
        })
        .flatten()
        .copied()
        .collect();
    // Podman adds a missing line end before its own line.
    if rest.strip_suffix(b"\n") == Some(before) && rest.len() < after.len() {
        rest.pop();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_that_podman_added_go() {
        let of = |before: &str, after: &str| {
            let rest = without_added(before.as_bytes(), after.as_bytes(), "*");
            String::from_utf8(rest).expect("UTF-8")
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
