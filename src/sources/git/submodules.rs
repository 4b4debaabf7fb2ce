//! Owns fetching the submodules of a checkout.
//!
//! Must not trust their addresses: never a path of this machine, never a remote helper.

use super::checkout::mentions;
use super::error::GitError;
use super::process::Git;

/// Fetches all submodules recursively, as shallow as their servers allow.
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
    // A server may refuse a commit that is not the tip of a branch or tag.
    if !mentions(
        &answer.message,
        &["shallow", "unadvertised", "not our ref", "did not contain", "direct fetching"],
    ) {
        return Err(git.failed("fetch the submodules of", &answer));
    }
    git.run("reset the submodules of", &["submodule", "deinit", "--all", "--force"]).await?;
    let modules = git.directory.join(".git/modules");
    if let Err(error) = std::fs::remove_dir_all(&modules)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(GitError::Start(error));
    }
    git.run("fetch the submodules of", &update).await.map(drop)
}
