//! Owns the size limit of a repository: of received data during the transfer, of the commit's files before the checkout.
//! Must not stop git; dropping its future does.

use std::fs::DirEntry;
use std::path::Path;
use std::time::Duration;

use super::error::GitError;
use super::process::Git;

/// Time between two checks.
const PAUSE: Duration = Duration::from_millis(200);

/// Ends with an error when the received data exceed the limit.
pub(super) async fn exceeded(git: &Git<'_>, limit: u64) -> GitError {
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Err(error) = check_received(git, limit).await {
            return error;
        }
    }
}

pub(super) async fn check_received(git: &Git<'_>, limit: u64) -> Result<(), GitError> {
    let repository = git.directory.join(".git");
    let received = tokio::task::spawn_blocking(move || received(&repository)).await;
    match received {
        Ok(received) if received > limit => Err(too_large(git, limit)),
        _ => Ok(()),
    }
}

/// The stored bytes of the objects of a repository and its submodules.
fn received(directory: &Path) -> u64 {
    let objects = directory.join("objects");
    if objects.is_dir() {
        return bytes_below(&objects) + received(&directory.join("modules"));
    }
    // A submodule's name may have several components.
    entries(directory).filter(is_directory).map(|entry| received(&entry.path())).sum()
}

fn bytes_below(directory: &Path) -> u64 {
    let bytes = |entry: DirEntry| match is_directory(&entry) {
        true => bytes_below(&entry.path()),
        false => entry.metadata().map_or(0, |metadata| metadata.len()),
    };
    entries(directory).map(bytes).sum()
}

fn is_directory(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// The entries of a directory; none if it does not exist.
fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    std::fs::read_dir(directory).into_iter().flatten().flatten()
}

/// Checks the total of a commit's files: a small pack may contain very large files.
pub(super) async fn check_files(git: &Git<'_>, id: &str, limit: u64) -> Result<(), GitError> {
    let listed = git.run("list the files of", &["ls-tree", "-r", "-z", "--long", id]).await?;
    let mut total: u64 = 0;
    for entry in listed.split(|byte| *byte == 0) {
        // MODE SP TYPE SP ID SP+ SIZE TAB PATH; the size of a submodule is `-`.
        let fields = entry.split(|byte| *byte == b'\t').next().unwrap_or_default();
        let size =
            String::from_utf8_lossy(fields).split_whitespace().nth(3).and_then(|size| size.parse().ok());
        total = total.saturating_add(size.unwrap_or(0));
    }
    if total > limit { Err(too_large(git, limit)) } else { Ok(()) }
}

fn too_large(git: &Git<'_>, limit: u64) -> GitError {
    GitError::TooLarge { repository: git.shown.clone(), limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_counted_and_nothing_else() {
        let root = tempfile::tempdir().expect("a temporary directory");
        for (path, bytes) in [
            ("objects/pack/pack-1.pack", 100),
            ("objects/pack/tmp_pack_x", 10),
            ("objects/aa/bb", 1),
            ("modules/lib/objects/pack/a.pack", 1000),
            ("modules/deep/er/objects/pack/a.pack", 10_000),
            ("modules/lib/index", 3),
            ("refs/heads/pack", 7),
        ] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("makes");
            std::fs::write(path, vec![0; bytes]).expect("writes");
        }
        assert_eq!(received(root.path()), 11_111);
    }
}
