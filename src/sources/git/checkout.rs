//! Owns fetching one commit, as shallow as the server allows, and checking its files out.

use super::super::error::SourceError;
use super::super::tree::Commit;
use super::error::GitError;
use super::location::GitLocation;
use super::process::Git;
use super::remote::{Wanted, WantedKind};
use crate::events::Events;

/// Where the fetched commit is kept in the repository on this side.
const FETCHED: &str = "refs/b2i/source";

/// Makes a repository, fetches what is wanted into it, and gives the commit's id.
pub(super) async fn fetch(
    git: &Git<'_>,
    location: &GitLocation,
    wanted: &Wanted,
) -> Result<String, GitError> {
    let format = if wanted.id_length == 64 { "--object-format=sha256" } else { "--object-format=sha1" };
    let mut init = vec!["init", "--quiet"];
    // Older versions of git know SHA-1 alone, and not the option.
    init.extend((wanted.id_length == 64).then_some(format));
    git.run("make a repository for the sources", &init).await?;
    let remote = ["config", "remote.origin.url", &location.repository];
    git.run("make a repository for the sources", &remote).await?;
    match &wanted.what {
        WantedKind::Name(name) => fetch_name(git, name).await,
        WantedKind::Commit(id) => fetch_commit(git, id, wanted.id_length).await,
    }
}

async fn fetch_name(git: &Git<'_>, name: &str) -> Result<String, GitError> {
    let refspec = format!("+{name}:{FETCHED}");
    let shallow = git.ask(&fetching(&["--depth=1"], &[&refspec])).await?;
    if !shallow.status.success() {
        // Plain web servers have the files of a repository and know nothing of depth.
        if !says(&shallow.message, &["shallow", "depth"]) {
            return Err(git.failed("fetch", &shallow));
        }
        git.run("fetch", &fetching(&[], &[&refspec])).await?;
    }
    commit(git, FETCHED).await?.ok_or_else(|| no_commit(git, name))
}

/// Fetches a commit by its id. Servers need not give one that no branch or tag ends at; then all of them are fetched,
/// and it is looked for behind them.
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
    let id = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    // Git 2.30 repeats the separator.
    let id = id.lines().last().unwrap_or_default().to_owned();
    Ok(Some(id).filter(|id| answer.status.success() && !id.is_empty()))
}

fn no_commit(git: &Git<'_>, name: &str) -> GitError {
    GitError::NoCommit { repository: git.shown.clone(), name: name.to_owned() }
}

/// Says whether a message is about one of `words`.
pub(super) fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|word| message.contains(word))
}

/// Puts the commit's files into the working directory.
pub(super) async fn check_out(git: &Git<'_>, id: &str) -> Result<(), GitError> {
    git.run("check out", &["checkout", "--quiet", "--force", "--detach", id, "--"]).await.map(drop)
}

/// Says which files are only pointers to what Git LFS keeps elsewhere: it is not used, so that the same commit gives
/// the same tree whether it is installed or not.
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
        let message = format!("Git LFS is not used: of `{first}`{more} only the pointer comes along");
        let hint = "clone it yourself with `git lfs pull`, and build the directory";
        events.warning(message, Some(hint.to_owned()));
    }
    Ok(())
}

/// What is known of the commit.
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
