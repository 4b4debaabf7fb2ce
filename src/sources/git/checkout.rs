//! Owns fetching one commit, as shallow as the server allows, and checking it out. Must not resolve names.

use super::error::GitError;
use super::location::GitLocation;
use super::process::Git;
use super::remote::{Target, TargetKind};
use crate::events::Events;
use crate::sources::{Commit, SourceError};

/// The reference to the fetched commit in the local repository.
const FETCHED: &str = "refs/b2i/source";

/// Makes a local repository, fetches the target into it, and returns the commit's id.
pub(super) async fn fetch(
    git: &Git<'_>,
    location: &GitLocation,
    target: &Target,
) -> Result<String, GitError> {
    let mut init = vec!["init", "--quiet"];
    // Older versions of git support only SHA-1 and do not have the option.
    init.extend((target.id_length == 64).then_some("--object-format=sha256"));
    git.run("make a repository for the sources", &init).await?;
    let remote = ["config", "remote.origin.url", &location.repository];
    git.run("make a repository for the sources", &remote).await?;
    match &target.kind {
        TargetKind::Name(name) => fetch_name(git, name).await,
        TargetKind::Commit(id) => fetch_commit(git, id, target.id_length).await,
    }
}

async fn fetch_name(git: &Git<'_>, name: &str) -> Result<String, GitError> {
    let refspec = format!("+{name}:{FETCHED}");
    let shallow = git.ask(&fetching(&["--depth=1"], &[&refspec])).await?;
    if !shallow.status.success() {
        // Plain web servers serve the files of a repository and do not support a depth.
        if !mentions(&shallow.message, &["shallow", "depth"]) {
            return Err(git.failed("fetch", &shallow));
        }
        git.run("fetch", &fetching(&[], &[&refspec])).await?;
    }
    commit(git, FETCHED).await?.ok_or_else(|| no_commit(git, name))
}

/// Fetches a commit by its id. A server may refuse a commit that is not the tip of a branch or tag; then this fetches all
/// branches and tags and looks for the commit in their history.
async fn fetch_commit(git: &Git<'_>, id: &str, id_length: usize) -> Result<String, GitError> {
    if id.len() == id_length {
        let refspec = format!("+{id}:{FETCHED}");
        if git.ask(&fetching(&["--depth=1"], &[&refspec])).await?.status.success() {
            return commit(git, FETCHED).await?.ok_or_else(|| no_commit(git, id));
        }
    }
    let everything = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
    git.run("fetch", &fetching(&[], &everything)).await?;
    commit(git, id).await?.ok_or_else(|| no_commit(git, id))
}

fn fetching<'a>(options: &[&'a str], refspecs: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["fetch", "--progress", "--no-tags", "--force"];
    arguments.extend(options);
    arguments.extend(["--", "origin"]);
    arguments.extend(refspecs);
    arguments
}

/// The id of the commit that `name` leads to.
async fn commit(git: &Git<'_>, name: &str) -> Result<Option<String>, GitError> {
    let name = format!("{name}^{{commit}}");
    let answer = git.ask(&["rev-parse", "--quiet", "--verify", "--end-of-options", &name]).await?;
    // Git 2.30 repeats the separator before the id.
    let id = String::from_utf8_lossy(&answer.stdout).trim().lines().last().unwrap_or_default().to_owned();
    Ok(Some(id).filter(|id| answer.status.success() && !id.is_empty()))
}

fn no_commit(git: &Git<'_>, name: &str) -> GitError {
    GitError::NoCommit { repository: git.shown.clone(), name: name.to_owned() }
}

/// Whether a message contains one of `words`, in any case.
pub(super) fn mentions(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

pub(super) async fn check_out(git: &Git<'_>, id: &str) -> Result<(), GitError> {
    git.run("check out", &["checkout", "--quiet", "--force", "--detach", id, "--"]).await.map(drop)
}

/// Warns of files that are only pointers to Git LFS. b2i does not use it: a commit must give the same tree whether it is
/// installed or not.
pub(super) async fn warn_of_large_files(git: &Git<'_>, events: &Events) -> Result<(), GitError> {
    let arguments = ["ls-files", "-z", "--", ":(attr:filter=lfs)"];
    let answer = git.run("list files", &arguments).await?;
    let mut files = answer.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    if let Some(first) = files.next() {
        let first = String::from_utf8_lossy(first).escape_debug().to_string();
        let more = match files.count() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let message = format!("Git LFS is not used: `{first}`{more} stay pointer files");
        let hint = "clone the repository with `git lfs pull`, and build that directory";
        events.warning(message, Some(hint.to_owned()));
    }
    Ok(())
}

pub(super) async fn describe(git: &Git<'_>, id: &str, reference: String) -> Result<Commit, SourceError> {
    let format = "--format=tformat:%H%x00%an <%ae>%x00%ad%x00%s";
    let arguments = ["log", "-1", "-z", "--no-color", "--no-decorate", format, id, "--"];
    let answer = git.run("read the commit", &arguments).await?;
    let text = String::from_utf8_lossy(&answer);
    let mut fields = text.split('\0').map(str::to_owned);
    let mut field = || fields.next().unwrap_or_default();
    let (id, author, date, message) = (field(), field(), field(), field());
    Ok(Commit { id, reference, author, date, message })
}
