//! The room `fs`.
