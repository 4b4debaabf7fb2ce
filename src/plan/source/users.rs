//! Owns the check of users against `--allowed-uids`. Must not read an image.
//!
//! With a list, a user must be a number in it: only the image knows the number of a name.

use crate::request::UidRange;

/// A user that is not allowed.
#[derive(Debug, thiserror::Error)]
#[error("{image} runs as `{user}`; allowed users: {allowed}")]
pub struct UserNotAllowed {
    pub image: String,
    pub user: String,
    pub allowed: String,
}

/// Checks one user; an empty list allows all users.
///
/// # Errors
/// [`UserNotAllowed`].
pub(super) fn check_user(allowed: &[UidRange], user: &str, image: &str) -> Result<(), UserNotAllowed> {
    let number = user.split_once(':').map_or(user, |(user, _)| user);
    let number = number.parse::<u32>().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
    let is_in = |range: &UidRange, number: u32| {
        range.from.is_none_or(|from| number >= from) && range.to.is_none_or(|to| number <= to)
    };
    if allowed.is_empty() || number.is_some_and(|number| allowed.iter().any(|range| is_in(range, number))) {
        return Ok(());
    }
    let shown = if user.is_empty() { "root" } else { user };
    let ranges: Vec<String> = allowed.iter().map(describe).collect();
    Err(UserNotAllowed { image: image.to_owned(), user: shown.to_owned(), allowed: ranges.join(", ") })
}

fn describe(range: &UidRange) -> String {
    match (range.from, range.to) {
        (Some(from), Some(to)) if from == to => from.to_string(),
        (from, to) => {
            let end = |end: Option<u32>| end.map(|end| end.to_string()).unwrap_or_default();
            format!("{}-{}", end(from), end(to))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_in_the_ranges_pass() {
        let range = |from, to| UidRange { from, to };
        let allowed = [range(Some(5), Some(5)), range(Some(1000), None)];
        for user in ["5", "1000", "1001:0", "4294967295"] {
            assert!(check_user(&allowed, user, "x").is_ok(), "{user}");
        }
        for user in ["", "0", "root", "6", "999:0", "default", "+1001", "-1", "99999999999"] {
            let error = check_user(&allowed, user, "the builder").expect_err(user).to_string();
            assert!(error.contains("5, 1000-"), "{error}");
            assert!(check_user(&[], user, "x").is_ok());
        }
    }
}
