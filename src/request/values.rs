//! Owns values of a request with their own syntax: users, signals, and paths of web applications.
//!
//! Must not know which flag or field has the value.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use crate::config::values::InvalidValue;
use crate::image::signal::stop_signal;
use crate::text::as_text;

/// The largest number of a user or group that Docker and Podman start a container as.
const MAXIMUM_ID: u64 = (1 << 31) - 1;

/// Implements the traits of a text that a function checks.
macro_rules! checked_text {
    ($($type:ident: $check:path),*) => {$(
        impl FromStr for $type {
            type Err = InvalidValue;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text).map(Self).map_err(InvalidValue::new)
            }
        }

        impl Deref for $type {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    )*};
}

checked_text!(User: user, StopSignal: signal, ContextPath: context_path);
as_text!(User, StopSignal, ContextPath);

/// A user of an image: `uid[:gid]` or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User(String);

/// A signal, as a config names it: `SIGTERM`, `SIGRTMIN+3`, `15`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopSignal(String);

/// The path at which a web application answers, such as `/shop`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextPath(String);

fn user(text: &str) -> Result<String, String> {
    let text = without_blanks(text)?;
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let too_large = |part: &&str| part.parse::<u64>().map_or(true, |id| id > MAXIMUM_ID);
    match text.splitn(2, ':').filter(is_number).find(too_large) {
        Some(part) => Err(format!("`{part}` exceeds the largest user or group ID, {MAXIMUM_ID}")),
        None => Ok(text),
    }
}

/// A text that is not empty and has no blanks in it.
pub(crate) fn without_blanks(text: &str) -> Result<String, String> {
    let is_bad = |character: char| character.is_whitespace() || character.is_control();
    if text.is_empty() || text.contains(is_bad) {
        return Err("the value is empty or contains spaces".into());
    }
    Ok(text.to_owned())
}

fn signal(text: &str) -> Result<String, String> {
    stop_signal(text).map_err(|error| error.to_string())
}

fn context_path(text: &str) -> Result<String, String> {
    let is_bad =
        |character: char| character.is_control() || character.is_whitespace() || "?#\\".contains(character);
    if !text.starts_with('/')
        || text.contains(is_bad)
        || text.split('/').any(|part| matches!(part, "." | ".."))
    {
        return Err("it is not a path such as /shop".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_paths_stay_paths() {
        assert_eq!("/shop/eu".parse::<ContextPath>().expect("valid").to_string(), "/shop/eu");
        for text in ["", "shop", "/a b", "/../x", "/a?b"] {
            assert!(text.parse::<ContextPath>().is_err(), "{text}");
        }
    }

    #[test]
    fn users_fit_into_a_config() {
        for text in ["1001", "1001:0", "app", "app:app", "0:2147483647"] {
            assert_eq!(&*text.parse::<User>().expect(text), text);
        }
        for text in ["", "a b", "2147483648", "0:2147483648", "99999999999999999999"] {
            assert!(text.parse::<User>().is_err(), "{text}");
        }
    }
}
