//! Owns resolving a location to a commit by the list of the repository's branches and tags. Must not fetch.

use super::error::GitError;
use super::location::GitLocation;
use super::process::Git;
use crate::events::Events;

/// Largest number of names in an error.
const MAX_SHOWN: usize = 10;

/// The commit to fetch.
pub(super) struct Target {
    /// The name in labels: the reference of the location, or HEAD's branch.
    pub(super) name: String,
    pub(super) kind: TargetKind,
    /// Length of the repository's ids in hexadecimal: 40, or 64 with SHA-256.
    pub(super) id_length: usize,
}

pub(super) enum TargetKind {
    /// `refs/heads/main`, `HEAD`.
    Name(String),
    /// A commit's id, or the beginning of it.
    Commit(String),
}

/// One line of `git ls-remote`.
struct RemoteReference<'a> {
    id: &'a str,
    name: &'a str,
}

/// Resolves `location`. A tag precedes a branch of the same name, as in gitrevisions(7).
pub(super) async fn resolve(
    git: &Git<'_>,
    location: &GitLocation,
    events: &Events,
) -> Result<Target, GitError> {
    let reference = location.reference.as_deref().filter(|reference| *reference != "HEAD");
    let Some(reference) = reference else { return head(git, location).await };
    let (tag, branch) = (format!("refs/tags/{reference}"), format!("refs/heads/{reference}"));
    let answer = list(git, location, &[reference, &tag, &branch]).await?;
    let listed = lines(&answer);
    let find = |name: &str| listed.iter().find(|line| line.name == name);
    let found = match (find(&tag), find(&branch)) {
        (Some(tag), Some(branch)) => {
            if tag.id != branch.id {
                let message = format!("`{}` has a branch and a tag `{reference}`; using the tag", git.shown);
                events.warning(message, Some(format!("pass `{}` for the branch", branch.name)));
            }
            Some(tag)
        }
        (Some(line), None) | (None, Some(line)) => Some(line),
        (None, None) if reference.starts_with("refs/") => find(reference),
        (None, None) => None,
    };
    if let Some(line) = found {
        let (kind, id_length) = (TargetKind::Name(line.name.to_owned()), line.id.len());
        return Ok(Target { name: reference.to_owned(), kind, id_length });
    }
    let everything = list(git, location, &[]).await?;
    let listed = lines(&everything);
    let Some(first) = listed.first() else { return Err(empty(git)) };
    if (4..=first.id.len()).contains(&reference.len())
        && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        let kind = TargetKind::Commit(reference.to_ascii_lowercase());
        return Ok(Target { name: reference.to_owned(), kind, id_length: first.id.len() });
    }
    Err(GitError::NoReference {
        repository: git.shown.clone(),
        reference: reference.to_owned(),
        names: names(&listed),
    })
}

async fn head(git: &Git<'_>, location: &GitLocation) -> Result<Target, GitError> {
    let answer = list(git, location, &["HEAD"]).await?;
    let listed = lines(&answer);
    let Some(head) = listed.iter().find(|line| line.name == "HEAD") else {
        let everything = list(git, location, &[]).await?;
        let listed = lines(&everything);
        if listed.is_empty() {
            return Err(empty(git));
        }
        return Err(GitError::NoHead { repository: git.shown.clone(), names: names(&listed) });
    };
    // Old servers do not name the branch of HEAD.
    let branch = answer.lines().find_map(|line| line.strip_prefix("ref: ")?.strip_suffix("\tHEAD"));
    let name = branch.map_or("HEAD", |branch| branch.strip_prefix("refs/heads/").unwrap_or(branch));
    let kind = TargetKind::Name(branch.unwrap_or("HEAD").to_owned());
    Ok(Target { name: name.to_owned(), kind, id_length: head.id.len() })
}

async fn list(git: &Git<'_>, location: &GitLocation, patterns: &[&str]) -> Result<String, GitError> {
    let mut arguments = vec!["ls-remote", "--symref", "--", &location.repository];
    arguments.extend(patterns);
    let answer = git.run("list the branches and tags of", &arguments).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn lines(answer: &str) -> Vec<RemoteReference<'_>> {
    let is_id = |id: &str| matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs = answer.lines().filter_map(|line| line.split_once('\t'));
    pairs.filter(|(id, _)| is_id(id)).map(|(id, name)| RemoteReference { id, name }).collect()
}

/// The first branches and tags.
fn names(listed: &[RemoteReference<'_>]) -> Vec<String> {
    let short = |name: &str| {
        let name = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/"))?;
        (!name.ends_with("^{}")).then(|| name.to_owned())
    };
    listed.iter().filter_map(|line| short(line.name)).take(MAX_SHOWN).collect()
}

fn empty(git: &Git<'_>) -> GitError {
    GitError::EmptyRepository { repository: git.shown.clone() }
}
