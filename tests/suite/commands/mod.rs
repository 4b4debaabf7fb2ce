//! The commands beside `build` that reach out: logging in and out, copying, and looking at what works here.

mod copy;
mod doctor;
#[cfg(unix)]
mod login;

use crate::environment::{B2iCommand, B2iOutput};

/// What b2i prints and how it ends, where it has to end so.
pub(crate) fn ended(command: &mut B2iCommand, code: i32) -> B2iOutput {
    let ended = command.run();
    assert_eq!(ended.code, Some(code), "{}{}", ended.stdout, ended.stderr);
    ended
}
