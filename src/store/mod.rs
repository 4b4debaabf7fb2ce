//! The room of stores: where images come from and go to, and what is kept in the cache.

pub mod cache;
