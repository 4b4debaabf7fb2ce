//! Owns the modes of base directories that receive added files with absolute paths.
//!
//! A daemon creates directories that a layer does not list, with root as owner and mode 0755. Nearly all base directories are
//! like that; the others are here. Must not read the base: every source of it must give the same image.
//!
//! Source: Filesystem Hierarchy Standard 3.0; Debian Policy 4.6 (`/run/lock`, `/var/run`) and Debian's merged `/usr`.

use std::collections::BTreeSet;

use super::error::PlanError;
use super::{EntrySource, PlannedEntry};
use crate::diagnostic::Warning;
use crate::image::ImagePath;
use crate::image::layer::Owner;
use crate::input::{AddedDestination, AddedFile};

/// Directories with another mode than 0755 in all bases. They need their own entry.
const OTHER_MODES: [(&str, u32); 4] =
    [("/root", 0o700), ("/run/lock", 0o1777), ("/tmp", 0o1777), ("/var/tmp", 0o1777)];

/// Links in most bases: an entry below one would replace it with a directory, and `/bin/sh` would be missing.
const LINKS: [(&str, &str); 8] = [
    ("/bin", "/usr/bin"),
    ("/lib", "/usr/lib"),
    ("/lib32", "/usr/lib32"),
    ("/lib64", "/usr/lib64"),
    ("/libx32", "/usr/libx32"),
    ("/sbin", "/usr/sbin"),
    ("/var/lock", "/run/lock"),
    ("/var/run", "/run"),
];

/// Directories below these may have other owners.
const OF_USERS: [&str; 2] = ["/home", "/var"];

/// Directories below [`OF_USERS`] that root owns.
const OF_ROOT: [&str; 8] =
    ["/home", "/var", "/var/cache", "/var/lib", "/var/log", "/var/opt", "/var/spool", "/var/tmp"];

/// Entries for the directories with other modes.
pub(super) fn entries(added: &[AddedFile]) -> impl Iterator<Item = PlannedEntry> {
    let known = OTHER_MODES.map(|(path, mode)| (absolute(path), mode));
    known
        .into_iter()
        .filter(|(directory, _)| places(added).any(|path| path != directory && path.is_within(directory)))
        .map(|(path, mode)| PlannedEntry { path, what: EntrySource::Directory, mode, owner: Owner::ROOT })
}

/// Rejects paths below a link.
///
/// # Errors
/// [`PlanError::BehindLink`]
pub(super) fn refuse_links(added: &[AddedFile]) -> Result<(), PlanError> {
    for path in places(added) {
        for (link, target) in LINKS {
            if path.is_within(&absolute(link)) {
                let instead = format!("{target}{}", &path.as_str()[link.len()..]);
                return Err(PlanError::BehindLink { path: path.clone(), link, instead });
            }
        }
    }
    Ok(())
}

/// Warns of added files in directories with unknown owner and mode.
pub(super) fn warning(added: &[AddedFile]) -> Option<Warning> {
    let unknown = |directory: &ImagePath| {
        let known = OTHER_MODES.iter().any(|(path, _)| directory.as_str() == *path);
        let of_users = OF_USERS.iter().any(|path| directory.is_within(&absolute(path)));
        of_users && !known && !OF_ROOT.contains(&directory.as_str())
    };
    let parents = places(added).filter_map(ImagePath::parent);
    let names: BTreeSet<String> = parents.filter(unknown).map(|directory| format!("`{directory}`")).collect();
    if names.is_empty() {
        return None;
    }
    let names: Vec<String> = names.into_iter().collect();
    Some(Warning {
        message: format!(
            "added files reset directories of the base to owner root and mode 0755: {}",
            names.join(", ")
        ),
        hint: Some("`--assemble docker` and `--assemble sandbox` do not change them.".into()),
    })
}

fn places(added: &[AddedFile]) -> impl Iterator<Item = &ImagePath> {
    added.iter().filter_map(|file| match &file.destination {
        AddedDestination::Absolute(path) => Some(path),
        AddedDestination::Beside(_) => None,
    })
}

fn absolute(path: &str) -> ImagePath {
    ImagePath::new(path).expect("absolute and normal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::AddedContent;

    fn added(paths: &[&str]) -> Vec<AddedFile> {
        let file = |path: &&str| AddedFile {
            destination: AddedDestination::Absolute(absolute(path)),
            content: AddedContent::Symlink { target: "x".into() },
        };
        paths.iter().map(file).collect()
    }

    #[test]
    fn directories_with_another_mode_keep_it() {
        let found: Vec<_> = entries(&added(&["/root/.config/x", "/tmp/y", "/tmp/z", "/etc/w", "/tmpfile"]))
            .map(|entry| (entry.path.to_string(), entry.mode, entry.owner))
            .collect();
        assert_eq!(found, [("/root".into(), 0o700, Owner::ROOT), ("/tmp".into(), 0o1777, Owner::ROOT)]);
    }

    #[test]
    fn a_place_behind_a_link_is_refused_with_the_place_it_means() {
        for (path, expected) in [
            ("/bin/tool", "/usr/bin/tool"),
            ("/lib", "/usr/lib"),
            ("/var/run/app/x", "/run/app/x"),
            ("/lib64/ld.so", "/usr/lib64/ld.so"),
        ] {
            let error = refuse_links(&added(&["/etc/x", path])).expect_err(path);
            assert!(
                matches!(&error, PlanError::BehindLink { instead, .. } if instead == expected),
                "{error:?}"
            );
        }
        refuse_links(&added(&["/binary/x", "/usr/bin/x", "/library", "/var/running/x"])).expect("no links");
    }

    #[test]
    fn only_directories_of_which_nothing_is_known_are_warned_of() {
        assert_eq!(
            warning(&added(&["/etc/a/b", "/opt/x", "/data/x", "/var/lib/x", "/var/tmp/x", "/root/x"])),
            None
        );
        let warning = warning(&added(&["/home/app/x", "/home/app/y", "/var/mail/z"])).expect("a warning");
        assert!(warning.message.ends_with(": `/home/app`, `/var/mail`"), "{}", warning.message);
    }
}
