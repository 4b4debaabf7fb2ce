//! Owns what each command does, one file a command: settings and request in, the road, the result out.

pub(super) mod build;
pub(super) mod builders;
pub(super) mod cache;
pub(super) mod completions;
pub(super) mod config;
pub(super) mod copy;
pub(super) mod doctor;
pub(super) mod inspect;
pub(super) mod login;
pub(super) mod man;
