//! Owns fetching the submodules of a tree that was checked out.
//!
//! Where they are says the repository, which is not trusted: never a path of this machine, never a helper.

use super::checkout::says;
use super::error::GitError;
use super::process::Git;

/// Fetches all submodules, and theirs, as shallow as their servers allow.
pub(super) async fn update(git: &Git<'_>) -> Result<(), GitError> {
    let is_file = std::fs::symlink_metadata(git.directory.join(".gitmodules"));
    if !is_file.is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let update = ["submodule", "update", "--init", "--recursive", "--force", "--progress"];
    let mut shallow = update.to_vec();
    shallow.push("--depth=1");
    let answer = git.ask(&shallow).await?;
    if answer.status.success() {
        return Ok(());
    }
    // The commit that is named need not be one that its server gives by itself.
    if !says(
        &answer.message,
        &["shallow", "unadvertised", "not our ref", "did not contain", "direct fetching"],
    ) {
        return Err(git.failed("fetch the submodules of", &answer));
    }
    git.run("begin again with the submodules of", &["submodule", "deinit", "--all", "--force"]).await?;
    let modules = git.directory.join(".git/modules");
    if let Err(error) = std::fs::remove_dir_all(&modules)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(GitError::Start(error));
    }
    git.run("fetch the submodules of", &update).await.map(drop)
}
